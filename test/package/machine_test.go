//go:build linux

package pkg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"evergate/test/process"
)

// patience bounds every wait. It is far above what a loaded machine needs.
const patience = 2 * time.Minute

// machine is made of this one and thrown away; see testdata/boot.
type machine struct {
	pid   int    // of its systemd, as this machine sees it
	share string // appears there as /test
}

// bootMachine starts one. It is gone when the test ends.
func bootMachine(t *testing.T) *machine {
	t.Helper()
	if os.Geteuid() != 0 {
		process.Missing(t, "the test is not run by root, who alone can make such a machine", "sudo go test ./test/package")
	}
	requirePrograms(t, map[string]string{"/lib/systemd/systemd": "systemd", "nsenter": "util-linux", "ip": "iproute2", "dbus-daemon": "dbus",
		"curl": "curl", "dpkg": "dpkg", "man": "man-db"})
	dir := t.TempDir()
	m := &machine{share: filepath.Join(dir, "share")}
	for _, d := range []string{m.share, filepath.Join(dir, "layer")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	boot, err := filepath.Abs("testdata/boot")
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.Command(boot, dir)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &said, &said, time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Setsid:     true, Pdeathsig: syscall.SIGKILL,
	}
	if err := cmd.Start(); err != nil {
		process.Missing(t, "namespaces cannot be made here: "+err.Error(), "go test ./test/package, where they can")
	}
	m.pid = cmd.Process.Pid
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("it said: %s\n%s", said.String(), m.journal())
		}
		_ = cmd.Process.Kill() // its whole namespace with it
		<-ended
		removeGroups(t, "evergate-test-"+filepath.Base(dir))
	})
	m.eventually(t, "systemd to be up", func() error {
		select {
		case <-ended:
			return errors.New("it has ended: " + said.String())
		default:
		}
		out, err := m.try(t, "test -S /run/systemd/private && systemctl is-active test.target")
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	return m
}

// removeGroups removes the machine's control groups once its processes are gone.
func removeGroups(t *testing.T, name string) {
	for _, hierarchy := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"} {
		top := filepath.Join(hierarchy, name)
		process.EventuallyWithin(t, 2*patience, 20*time.Millisecond, func() error { // the kernel takes its time where much goes on
			var dirs []string
			_ = filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
				if err == nil && d.IsDir() {
					dirs = append(dirs, path)
				}
				return nil
			})
			var last error
			for _, d := range slices.Backward(dirs) {
				last = os.Remove(d) // the top comes last
			}
			return last
		})
	}
}

// try runs a shell command there and returns all that it printed.
func (m *machine) try(t *testing.T, script string) (string, error) {
	t.Helper()
	return m.run(t.Context(), script)
}

func (m *machine) run(ctx context.Context, script string) (string, error) {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	cmd := exec.CommandContext(ctx, "nsenter", "--target", strconv.Itoa(m.pid), "--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup",
		"bash", "-c", script)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"}
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput() // both: what somebody at its terminal would see; scripts part the two
	return strings.TrimSpace(string(out)), err
}

// journal is what its services said last. It works in a cleanup, too.
func (m *machine) journal() string {
	out, err := m.run(context.Background(), "journalctl --no-pager -n 60 -o short-monotonic")
	if err != nil {
		return err.Error() + out
	}
	return out
}

// must runs a command that has to succeed.
func (m *machine) must(t *testing.T, script string) string {
	t.Helper()
	out, err := m.try(t, script)
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return out
}

// want runs a command that has to print this.
func (m *machine) want(t *testing.T, script, want string) {
	t.Helper()
	if got := m.must(t, script); got != want {
		t.Errorf("%s: %q, want %q", script, got, want)
	}
}

// eventually asks until there is no error. It is for states that nothing announces.
func (m *machine) eventually(t *testing.T, what string, ask func() error) {
	t.Helper()
	process.EventuallyWithin(t, patience, 100*time.Millisecond, func() error {
		if err := ask(); err != nil {
			return fmt.Errorf("waiting for %s: %w", what, err)
		}
		return nil
	})
}

// bring copies a file to /test there.
func (m *machine) bring(t *testing.T, path, name string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(m.share, name), b, 0o644); err != nil {
		t.Fatal(err)
	}
}
