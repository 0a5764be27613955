//go:build linux

package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"evergate/test/process"
)

const (
	// quick bounds one podman command, slow one that compiles or copies a Go installation.
	quick = time.Minute
	slow  = 6 * time.Minute
)

// podman runs containers on a storage of its own. Only one test process uses that storage at a time.
type podman struct {
	cache   string // outlives the test: images
	runDir  string // does not: what is running
	runtime string
	driver  string
}

// result is what a command that was started and has ended leaves behind.
type result struct {
	stdout, stderr string
	code           int
}

func (r result) String() string {
	return fmt.Sprintf("exit %d\nstdout: %s\nstderr: %s", r.code, r.stdout, r.stderr)
}

// openPodman takes the storage over, clears what a crashed run left there, and makes sure that podman works.
func openPodman(t *testing.T) *podman {
	t.Helper()
	runtime, err := ociRuntime()
	if err != nil {
		t.Fatal(err)
	}
	p := &podman{cache: cacheDir(t), runDir: runDir(t), runtime: runtime}
	lock(t, filepath.Join(p.cache, "lock"))
	if err := p.configure(); err != nil {
		t.Fatal(err)
	}
	// vfs copies every layer and works everywhere; overlay does not, as a rule, inside another container.
	var seen result
	for _, p.driver = range []string{"overlay", "vfs"} {
		if seen, err = p.run(t, quick, nil, "info"); err == nil && seen.code == 0 {
			p.clear(t)
			return p
		}
	}
	process.Missing(t, fmt.Sprintf("podman does not work here (%v, %v)", err, seen), "apt-get install podman runc fuse-overlayfs")
	return nil
}

func cacheDir(t *testing.T) string {
	t.Helper()
	base, err := os.UserCacheDir()
	if err != nil {
		base = os.TempDir()
	}
	dir := filepath.Join(base, "evergate-container-test")
	if err := os.MkdirAll(filepath.Join(dir, "tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// runDir lies in /tmp because podman refuses a long path, and because nothing in it is true after a reboot.
func runDir(t *testing.T) string {
	t.Helper()
	dir := "/tmp/evergate-container-" + strconv.Itoa(os.Getuid())
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); !info.IsDir() || !ok || int(owner.Uid) != os.Getuid() {
		t.Fatalf("%s is not a directory of yours: remove it and try again", dir)
	}
	return dir
}

// lock waits for other test processes that use the same storage, and holds it until t ends.
func lock(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	eventually(t, slow, "another test process to release "+path, func() bool {
		return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
	})
}

// configure writes the settings that must not come from the machine.
func (p *podman) configure() error {
	// default_ulimits: podman asks for a million open files, more than a container or a CI runner may grant.
	// cgroupfs, file: there need not be a systemd. label: bind mounts would need relabelling under SELinux.
	const settings = `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
label = false
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
`
	return os.WriteFile(p.path("containers.conf"), []byte(settings), 0o600)
}

func (p *podman) path(name string) string { return filepath.Join(p.cache, name) }

// run starts podman and waits until it has ended; a non-zero exit code is not an error. It works in a cleanup, too,
// where the test's context is done.
func (p *podman) run(t *testing.T, atMost time.Duration, stdin io.Reader, args ...string) (result, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), atMost)
	defer cancel()
	running := filepath.Join(p.runDir, p.driver)
	cmd := exec.CommandContext(ctx, "podman", append([]string{
		"--root", p.path(p.driver), "--runroot", filepath.Join(running, "run"), "--tmpdir", filepath.Join(running, "tmp"),
		"--storage-driver", p.driver, "--runtime", p.runtime,
	}, args...)...)
	// TMPDIR also holds what the Dockerfile caches between builds. DISABLE_HC_SYSTEMD: the tests ask for the
	// health themselves; no timer of systemd's shall.
	cmd.Env = append(os.Environ(), "CONTAINERS_CONF="+p.path("containers.conf"), "TMPDIR="+p.path("tmp"),
		"DISABLE_HC_SYSTEMD=true")
	var stdout, stderr strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	res := result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
	if ctx.Err() != nil {
		return res, fmt.Errorf("podman %s did not end within %v", args[0], atMost)
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = nil
	}
	return res, err
}

// try runs a command whose failure the test wants to look at.
func (p *podman) try(t *testing.T, args ...string) result {
	t.Helper()
	res, err := p.run(t, quick, nil, args...)
	if err != nil {
		t.Fatalf("%v\n%v", err, res)
	}
	return res
}

// must runs a command that has to succeed, and returns what it printed.
func (p *podman) must(t *testing.T, args ...string) string {
	t.Helper()
	res := p.try(t, args...)
	if res.code != 0 {
		t.Fatalf("podman %s: %v", strings.Join(args, " "), res)
	}
	return strings.TrimSpace(res.stdout)
}

// afterwards runs a command when t has ended, however it ended.
func (p *podman) afterwards(t *testing.T, args ...string) {
	t.Helper()
	t.Cleanup(func() {
		res, err := p.run(t, quick, nil, args...)
		if err != nil || res.code != 0 {
			t.Errorf("cleaning up with podman %s: %v, %v", strings.Join(args, " "), err, res)
		}
	})
}

// clear removes what a crashed run has left behind: pods, containers (those of a build are external), images that
// never got a name, volumes.
func (p *podman) clear(t *testing.T) {
	t.Helper()
	p.clean(t, "pod", "rm", "--force", "--all", "--time", "0")
	for id := range strings.FieldsSeq(p.must(t, "ps", "--all", "--external", "--quiet")) {
		p.clean(t, "rm", "--force", "--time", "0", id)
	}
	p.clean(t, "image", "prune", "--force")
	p.clean(t, "volume", "prune", "--force")
}

func (p *podman) clean(t *testing.T, args ...string) {
	t.Helper()
	if res := p.try(t, args...); res.code != 0 {
		t.Fatalf("a run that crashed left something behind: stop its processes, delete %s and %s, and try again: %v",
			p.cache, p.runDir, res)
	}
}

// eventually waits until ok holds.
func eventually(t *testing.T, atMost time.Duration, what string, ok func() bool) {
	t.Helper()
	process.EventuallyWithin(t, atMost, 50*time.Millisecond, func() error {
		if !ok() {
			return errors.New("waiting for " + what)
		}
		return nil
	})
}
