//go:build unix

package install

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
)

const root = "../.."

// release is what a server has of one: its files, by name.
type release struct {
	version string
	files   map[string][]byte
}

// released returns the release that goreleaser has made, or one that is like it for this machine.
func released(t *testing.T) release {
	t.Helper()
	r, err := theRelease()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for name, content := range r.files {
		files[name] = content
	}
	return release{r.version, files}
}

var theRelease = sync.OnceValues(func() (release, error) {
	if dist := os.Getenv("EVERGATE_DIST"); dist != "" {
		return readRelease(dist)
	}
	return makeRelease("1.2.3")
})

var archived = regexp.MustCompile(`^evergate_(.+)_(linux|darwin)_(amd64|arm64)\.tar\.gz$`)

func readRelease(dist string) (release, error) {
	r := release{files: map[string][]byte{}}
	entries, err := os.ReadDir(dist)
	if err != nil {
		return r, err
	}
	for _, e := range entries {
		m := archived.FindStringSubmatch(e.Name())
		if m == nil && e.Name() != "checksums.txt" && !strings.HasSuffix(e.Name(), ".zip") {
			continue
		}
		if m != nil {
			r.version = m[1]
		}
		if r.files[e.Name()], err = os.ReadFile(filepath.Join(dist, e.Name())); err != nil {
			return r, err
		}
	}
	if len(r.files) != 7 { // four archives for this script, two for Windows, the checksums
		return r, fmt.Errorf("%s has %d files of a release: make it with `make snapshot`", dist, len(r.files))
	}
	return r, nil
}

func makeRelease(version string) (release, error) {
	r := release{version, map[string][]byte{}}
	dir, err := os.MkdirTemp("", "evergate-install-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "evergate")
	cmd := exec.Command("go", "build", "-o", binary, "-ldflags", "-X main.version="+version, "./cmd/proxy")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil { // both: the compiler's words
		return r, fmt.Errorf("%w: %s", err, out)
	}
	program, err := os.ReadFile(binary)
	if err != nil {
		return r, err
	}
	var sums strings.Builder
	for _, target := range []string{"linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64"} {
		content := []byte("#!/bin/sh\necho \"evergate " + version + " for " + target + "\"\n") // what another machine would run
		if target == runtime.GOOS+"_"+runtime.GOARCH {
			content = program
		}
		name := "evergate_" + version + "_" + target + ".tar.gz"
		if r.files[name], err = archive(content); err != nil {
			return r, err
		}
		fmt.Fprintf(&sums, "%s  %s\n", sum(r.files[name]), name)
	}
	for _, arch := range []string{"amd64", "arm64"} {
		name := "evergate_" + version + "_windows_" + arch + ".zip"
		r.files[name] = []byte("not looked into")
		fmt.Fprintf(&sums, "%s  %s\n", sum(r.files[name]), name)
	}
	r.files["checksums.txt"] = []byte(sums.String())
	return r, nil
}

func archive(program []byte) ([]byte, error) {
	var b strings.Builder
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, content := range map[string][]byte{"LICENSE": []byte("x"), "share/evergate.bash": []byte("x"), "evergate": program} {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content))}); err != nil {
			return nil, err
		}
		if _, err := w.Write(content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	err := z.Close()
	return []byte(b.String()), err
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// serve is the place of publication.
func serve(t *testing.T, r release) (url string, asked func() []string) {
	t.Helper()
	var mu sync.Mutex
	var paths []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		mu.Lock()
		paths = append(paths, q.URL.Path)
		mu.Unlock()
		name, ok := strings.CutPrefix(q.URL.Path, "/v"+r.version+"/")
		content, there := r.files[name]
		if !ok || !there {
			http.NotFound(w, q)
			return
		}
		_, _ = w.Write(content)
	}))
	t.Cleanup(server.Close)
	return server.URL, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return paths
	}
}
