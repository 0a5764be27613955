package supply

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// releaseFlags are those that the Makefile builds with; the Dockerfile, the packages and
// goreleaser have the same.
func releaseFlags(t *testing.T) []string {
	t.Helper()
	const flags = "-trimpath -buildvcs=false"
	for _, name := range []string{"Makefile", "Dockerfile", "scripts/package"} {
		if !strings.Contains(read(t, filepath.Join(root, name)), "go build "+flags+" -") &&
			!strings.Contains(read(t, filepath.Join(root, name)), "$(GO) build "+flags+" -") {
			t.Errorf("%s does not build with %s", name, flags)
		}
	}
	if !strings.Contains(read(t, filepath.Join(root, ".goreleaser.yaml")), "flags: ["+strings.ReplaceAll(flags, " ", ", ")+"]") {
		t.Errorf(".goreleaser.yaml does not build with %s", flags)
	}
	return append(strings.Fields(flags), "-ldflags", "-s -w -X main.version=1.2.3 -X main.commit=0123456789abcdef")
}

// build makes the binary as a release has it, from the source in a directory.
func build(t *testing.T, dir string, environ ...string) (binary string) {
	t.Helper()
	binary = filepath.Join(t.TempDir(), "evergate")
	args := append(append([]string{"build"}, releaseFlags(t)...), "-o", binary, "./cmd/proxy")
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS="), environ...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// digest builds the binary in a directory and returns its SHA-256.
func digest(t *testing.T, dir string, environ ...string) string {
	t.Helper()
	sum := sha256.Sum256([]byte(read(t, build(t, dir, environ...))))
	return hex.EncodeToString(sum[:])
}

// copySource copies what the build needs, as a source archive has it: without the history,
// with the time at which it was unpacked.
func copySource(t *testing.T, to string) {
	t.Helper()
	then := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	for _, name := range []string{"go.mod", "go.sum", "cmd", "internal"} {
		err := filepath.WalkDir(filepath.Join(root, name), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			rel, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			target := filepath.Join(to, rel)
			write(t, target, read(t, path))
			return os.Chtimes(target, then, then)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Here and now, and elsewhere, at another time, by another user's settings, from an archive
// without history and with nothing compiled before: the same bytes.
func TestTheBinaryCanBeReproduced(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("compiles everything anew: not with -short")
	}
	here, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := filepath.Join(t.TempDir(), "some where else")
	copySource(t, elsewhere)
	first := digest(t, here)
	second := digest(t, elsewhere, "GOCACHE="+t.TempDir(), "HOME="+t.TempDir(), "TZ=Pacific/Kiritimati", "LANG=tr_TR.UTF-8", "USER=somebody",
		"GOMODCACHE="+goEnv(t, "GOMODCACHE"), "GOPROXY="+goEnv(t, "GOPROXY"))
	if first != second {
		t.Errorf("%s here, %s elsewhere", first, second)
	}
	// It would be told: one byte of the source is another binary.
	source := filepath.Join(elsewhere, "cmd/proxy/version.go")
	write(t, source, regexp.MustCompile(`"evergate %s `).ReplaceAllString(read(t, source), `"evergate_%s `))
	if third := digest(t, elsewhere); third == first {
		t.Error("another source makes the same binary")
	}
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
