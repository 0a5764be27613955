package supply

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"evergate/test/process"
)

// toolchain is the Go that go.mod says to build with, as in go1.2.3.
func toolchain(t *testing.T) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^toolchain (go1\.\d+\.\d+)$`).FindStringSubmatch(read(t, filepath.Join(root, "go.mod")))
	if m == nil {
		t.Fatal("go.mod has no toolchain line")
	}
	return m[1]
}

var goImage = regexp.MustCompile(`golang:([\w.]+)`)

// The images of Go stay at their own Go whatever go.mod says.
func TestEveryImageOfGoHasTheToolchain(t *testing.T) {
	t.Parallel()
	want := strings.TrimPrefix(toolchain(t), "go")
	texts := workflows(t)
	texts["Dockerfile"] = read(t, filepath.Join(root, "Dockerfile"))
	seen := 0
	for name, text := range texts {
		for _, m := range goImage.FindAllStringSubmatch(text, -1) {
			if seen++; m[1] != want {
				t.Errorf("%s has Go %s, go.mod %s", name, m[1], want)
			}
		}
	}
	if seen < 5 {
		t.Errorf("%d images: these are not all", seen)
	}
}

// withGo runs a script with a Go command in front that does what body, a shell script, says.
func withGo(t *testing.T, script, body string, environ ...string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "go"), "#!/bin/sh\n"+body)
	if err := os.Chmod(filepath.Join(dir, "go"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(root, "scripts", script))
	cmd.Env = append([]string{"PATH=" + dir + ":" + os.Getenv("PATH")}, environ...)
	return process.Output(cmd)
}

func TestANewerReleaseOfGoIsSaid(t *testing.T) {
	t.Parallel()
	ours := toolchain(t)
	list := func(versions ...string) string {
		line := "golang.org/toolchain"
		for _, v := range versions {
			line += " v0.0.1-" + v + ".linux-amd64 v0.0.1-" + v + ".windows-arm64"
		}
		return `[ "$*" = "list -m -versions golang.org/toolchain" ] || exit 9
echo "go: downloading something" >&2
echo "` + line + `"`
	}
	for _, c := range []struct{ name, list, want string }{
		{"newest", list("go1.9.7", "go1.26.10", ours), ""},
		{"candidate", list(ours, "go1.99rc1", "go1.99beta2"), ""},
		{"older_only", list("go1.26.9", "go1.26.10"), ""}, // a proxy that lags behind is no reason to fail
		{"next_patch", list(ours, ours+"0"), ours + "0"},
		{"next_minor", list("go1.100.0", ours), "go1.100.0"},
		{"nothing", list(), "has none"},
		{"no_answer", "exit 1", "exit status 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out, err := withGo(t, "newest-toolchain", c.list)
			if c.want == "" && (err != nil || !strings.Contains(out, ours)) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%q, %v", out, err)
			}
		})
	}
}

func TestTheToolchainIsTakenWhereItCanBeHad(t *testing.T) {
	t.Parallel()
	ours := toolchain(t)
	const stub = `case "$GOTOOLCHAIN $*" in
"$HAVE version") echo go version go1 linux/amd64 ;;
"local env GOVERSION") echo go1.26.0 ;;
*) echo "go: download $GOTOOLCHAIN: no such host" >&2; exit 1 ;;
esac`
	for _, c := range []struct {
		name, want string
		environ    []string
	}{
		{"there", ours, []string{"HAVE=" + ours}},
		{"told_to_stay", ours, []string{"HAVE=" + ours, "GOTOOLCHAIN=local"}},
		{"offline", "local", []string{"HAVE=none"}},
		{"asked_for_another", "go1.26.8", []string{"HAVE=" + ours, "GOTOOLCHAIN=go1.26.8"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if out, err := withGo(t, "toolchain", stub, c.environ...); out != c.want || err != nil {
				t.Errorf("%q, %v, want %q", out, err, c.want)
			}
		})
	}
}
