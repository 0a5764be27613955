package kubernetes

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"evergate/test/process"
)

var update = flag.Bool("update", false, "write what is generated from the chart anew")

const (
	root  = "../.."
	chart = root + "/charts/evergate"

	// patience bounds every command and every wait. It is far above what a loaded machine
	// needs, so that only what will never happen runs into it.
	patience = 2 * time.Minute
)

// result is what a command that was started and has ended leaves behind.
type result struct {
	stdout, stderr string
	code           int
}

func (r result) String() string {
	return fmt.Sprintf("exit %d\nstdout: %s\nstderr: %s", r.code, r.stdout, r.stderr)
}

// tool returns the path of a program that `make bin/kubernetes` builds.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(root, "bin/kubernetes", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		process.Missing(t, name+" is not built", "make bin/kubernetes")
	}
	return path
}

// invoke runs a program to its end, with a home of its own and nothing of the machine's
// configuration.
func invoke(t *testing.T, home, dir, stdin, program string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = []string{"HOME=" + home, "KUBECONFIG=" + filepath.Join(home, "kubeconfig"),
		"PATH=" + filepath.Dir(program) + ":" + os.Getenv("PATH")}
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatalf("%s: %v", program, err)
	}
	if ctx.Err() != nil {
		t.Fatalf("%s %s did not end within %s\n%s", program, strings.Join(args, " "), patience, stderr.String())
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// helm runs helm without a cluster.
func helm(t *testing.T, args ...string) result {
	t.Helper()
	return invoke(t, t.TempDir(), "", "", tool(t, "helm"), args...)
}

func mustHelm(t *testing.T, args ...string) string {
	t.Helper()
	res := helm(t, args...)
	if res.code != 0 {
		t.Fatalf("helm %s: %v", strings.Join(args, " "), res)
	}
	return res.stdout
}

// appChart returns the chart of an app that includes the sidecar, with its dependency in
// place, as `helm dependency update` puts it there.
func appChart(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	copyTree(t, "testdata/app", filepath.Join(dir, "app"))
	copyTree(t, chart, filepath.Join(dir, "evergate"))
	mustHelm(t, "dependency", "update", filepath.Join(dir, "app"))
	return filepath.Join(dir, "app")
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// sameOrUpdate compares what was generated with the file it is kept in.
func sameOrUpdate(t *testing.T, path, want string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: run `make generate`", err)
	}
	if string(got) == want {
		return
	}
	t.Errorf("%s is not what is generated now: run `make generate` and look at the difference\n%s", path, firstDifference(string(got), want))
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		var a, b string
		if i < len(g) {
			a = g[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if a != b {
			return fmt.Sprintf("line %d is   %q\nand would be %q", i+1, a, b)
		}
	}
	return ""
}
