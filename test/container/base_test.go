//go:build linux

package container

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	baseRepository = "localhost/golang"
	// baseRecipe is raised when baseRootfs changes, so that images of the old recipe are not used any more.
	baseRecipe = "1"

	caRoots = "/etc/ssl/certs/ca-certificates.crt"
)

// baseImage returns an image that can stand in for the official one with the machine's Go in it, made once for
// each version of Go. It has what the Dockerfile uses: go, a shell, mkdir and the CA roots.
func (p *podman) baseImage(t *testing.T) string {
	t.Helper()
	image := baseRepository + ":" + strings.TrimPrefix(goEnv(t, "GOVERSION"), "go") + "-" + baseRecipe
	if p.try(t, "image", "exists", image).code == 0 {
		return image
	}
	p.removeImages(t, baseRepository)
	p.load(t, image, func(w *tar.Writer) error { return baseRootfs(w, goEnv(t, "GOROOT")) },
		"PATH=/usr/local/go/bin:/bin", "HOME=/root", "GOPATH=/go", "GOTOOLCHAIN=local", "GOPROXY=off", "GOSUMDB=off")
	return image
}

// load makes an image of one layer from what content writes.
func (p *podman) load(t *testing.T, image string, content func(*tar.Writer) error, env ...string) {
	t.Helper()
	r, w := io.Pipe()
	go func() {
		archive := tar.NewWriter(w)
		w.CloseWithError(errors.Join(content(archive), archive.Close()))
	}()
	args := []string{"import"}
	for _, e := range env {
		args = append(args, "--change", "ENV "+e)
	}
	res, err := p.run(t, slow, r, append(args, "-", image)...)
	r.Close()
	if err != nil || res.code != 0 {
		t.Fatalf("making %s: %v, %v", image, err, res)
	}
}

func (p *podman) removeImages(t *testing.T, repository string) {
	t.Helper()
	for id := range strings.FieldsSeq(p.must(t, "images", "--quiet", "--filter", "reference="+repository)) {
		p.must(t, "rmi", "--force", id)
	}
}

func baseRootfs(w *tar.Writer, goroot string) error {
	for dir, mode := range map[string]int64{"tmp": 0o1777, "root": 0o700} {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: mode}); err != nil {
			return err
		}
	}
	if err := addFile(w, caRoots, caRoots); err != nil {
		return err
	}
	if err := addPrograms(w, "sh", "mkdir"); err != nil {
		return err
	}
	for _, name := range []string{"VERSION", "go.env", "bin", "lib", "pkg", "src"} {
		if err := addTree(w, filepath.Join(goroot, name), "/usr/local/go/"+name); err != nil {
			return err
		}
	}
	return nil
}

var absolutePath = regexp.MustCompile(`(?:^|\s)(/\S+)`)

// addPrograms adds programs of the machine and the libraries they are linked with.
func addPrograms(w *tar.Writer, names ...string) error {
	files := map[string]string{}
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err != nil {
			return err
		}
		files["/bin/"+name] = path
		// An error is a static program: ldd says so and exits 1.
		libraries, _ := exec.CommandContext(context.Background(), "ldd", path).Output()
		for _, m := range absolutePath.FindAllStringSubmatch(string(libraries), -1) {
			files[m[1]] = m[1]
		}
	}
	for to, from := range files {
		if err := addFile(w, from, to); err != nil {
			return err
		}
	}
	return nil
}

// addTree adds a file or a directory, but not what only the tests of Go itself need: a third of it.
func addTree(w *tar.Writer, from, to string) error {
	from, err := filepath.EvalSymlinks(from)
	if err != nil {
		return err
	}
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "testdata":
			return fs.SkipDir
		case d.IsDir() || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		return addFile(w, path, to+strings.TrimPrefix(path, from))
	})
}

// addFile follows symbolic links, so that a library is found under the name it is asked for.
func addFile(w *tar.Writer, from, to string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	mode := int64(info.Mode().Perm() | 0o444)
	header := &tar.Header{Name: strings.TrimPrefix(to, "/"), Size: info.Size(), Mode: mode, ModTime: info.ModTime()}
	if err := w.WriteHeader(header); err != nil {
		return err
	}
	if _, err := io.Copy(w, f); err != nil {
		return fmt.Errorf("packing %s: %w", from, err)
	}
	return nil
}
