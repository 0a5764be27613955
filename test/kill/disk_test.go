//go:build linux

package kill

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"evergate/internal/shopsim"
	"evergate/test/process"
)

// slowLife leaves time to look while a token lives.
const slowLife = 5 * time.Second

// nobody is a user to whom modes mean something.
const nobody = 65534

// obstacle makes it impossible to write to the store, and possible again.
type obstacle struct {
	name  string
	says  string // what the kernel says
	user  uint32 // who runs the binary; 0: who runs the test
	setUp func(t *testing.T, s *shopify)
	begin func(t *testing.T, s *shopify, p *sidecar)
	end   func(t *testing.T, s *shopify, p *sidecar)
}

var obstacles = []obstacle{
	{
		name: "full_disk", says: "no space left on device", setUp: mountSmall,
		begin: func(t *testing.T, s *shopify, _ *sidecar) { fill(t, filepath.Join(s.dir, "filler")) },
		end:   func(t *testing.T, s *shopify, _ *sidecar) { must(t, os.Remove(filepath.Join(s.dir, "filler"))) },
	},
	{
		name: "read_only_file_system", says: "read-only file system", setUp: mountSmall,
		begin: func(t *testing.T, s *shopify, _ *sidecar) { remount(t, s.dir, syscall.MS_RDONLY) },
		end:   func(t *testing.T, s *shopify, _ *sidecar) { remount(t, s.dir, 0) },
	},
	{
		name: "read_only_directory", says: "permission denied", user: nobody, setUp: giveToNobody,
		begin: func(t *testing.T, s *shopify, _ *sidecar) { must(t, os.Chmod(s.dir, 0o500)) },
		end:   func(t *testing.T, s *shopify, _ *sidecar) { must(t, os.Chmod(s.dir, 0o700)) },
	},
	{
		name: "no_more_bytes_allowed", says: "file too large", setUp: func(*testing.T, *shopify) {},
		begin: func(t *testing.T, _ *shopify, p *sidecar) { limitFiles(t, p, 1) },
		end:   func(t *testing.T, _ *shopify, p *sidecar) { limitFiles(t, p, ^uint64(0)) },
	},
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// mountSmall puts a file system of 64 KiB in place of the directory.
func mountSmall(t *testing.T, s *shopify) {
	t.Helper()
	if err := syscall.Mount("evergate-test", s.dir, "tmpfs", 0, "size=64k,mode=0700"); err != nil {
		t.Skipf("a file system of its own takes a root who may mount: %v; no_more_bytes_allowed and read_only_directory stand in for it", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(s.dir, syscall.MNT_DETACH) })
}

func remount(t *testing.T, dir string, flags uintptr) {
	t.Helper()
	process.Eventually(t, func() error { // it cannot be done in the middle of a write
		return syscall.Mount("evergate-test", dir, "tmpfs", syscall.MS_REMOUNT|flags, "size=64k,mode=0700")
	})
}

func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	must(t, err)
	defer f.Close()
	for size := 4096; size > 0; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// giveToNobody has the directory belong to a user who may not do everything.
func giveToNobody(t *testing.T, s *shopify) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	s.dir = filepath.Join(filepath.Dir(s.caFile), "store") // below a directory that everybody may enter
	must(t, os.Mkdir(s.dir, 0o700))
}

// asUser runs the binary as another user, who owns the store then.
func (o obstacle) asUser(t *testing.T, s *shopify) func(*exec.Cmd) {
	t.Helper()
	if o.user == 0 || os.Geteuid() != 0 {
		return func(*exec.Cmd) {}
	}
	entries, err := os.ReadDir(s.dir)
	must(t, err)
	for _, e := range entries {
		must(t, os.Chown(filepath.Join(s.dir, e.Name()), int(o.user), int(o.user)))
	}
	must(t, os.Chown(s.dir, int(o.user), int(o.user)))
	return func(cmd *exec.Cmd) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: o.user, Gid: o.user}}
	}
}

// limitFiles sets RLIMIT_FSIZE of a running process. Its log is a pipe and goes on.
func limitFiles(t *testing.T, p *sidecar, size uint64) {
	t.Helper()
	limit := syscall.Rlimit{Cur: size, Max: ^uint64(0)}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(p.Cmd.Process.Pid), syscall.RLIMIT_FSIZE, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
}

// traffic calls through p until the returned function is called, which returns how many
// requests succeeded and what the first other one got.
func (p *sidecar) traffic() (stop func() (int, error)) {
	quit, ended := make(chan struct{}), make(chan struct{})
	var good atomic.Int64
	var bad error
	go func() {
		defer close(ended)
		beat := time.NewTicker(25 * time.Millisecond)
		defer beat.Stop()
		for {
			select {
			case <-quit:
				return
			case <-beat.C:
			}
			status, body, err := p.call()
			switch {
			case err == nil && status == http.StatusOK:
				good.Add(1)
			case bad == nil:
				bad = fmt.Errorf("%d %s, %w", status, body, err)
			}
		}
	}()
	return func() (int, error) { close(quit); <-ended; return int(good.Load()), bad }
}

func TestStoreThatCannotBeWrittenToHarmsNoRequest(t *testing.T) {
	t.Parallel()
	for _, o := range obstacles {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			s := newShopify(t, shopsim.Settings{OfflineLife: slowLife}, 1)
			o.setUp(t, s)
			s.seed(t)
			p := start(t, s.environ(), o.asUser(t, s))
			p.mustServe(t)
			stop := p.traffic()
			o.begin(t, s, p)
			before := s.refreshes()
			// It waits as long as there is time, goes ahead when there is none, and says so.
			p.says(t, "the note before a refresh cannot be written, and there is time", o.says,
				"refreshing without a note, because the token at hand has ended",
				"the new grant cannot be written; it is used from memory, written as soon as possible, and not renewed before that")
			p.awaitStatus(t, "unsaved", func(r report) bool {
				return r.Ready && strings.Contains(r.Unsaved, o.says) && (o.user != 0 || strings.Contains(r.Unsaved, s.dir))
			})
			if n := s.refreshes() - before; n != 1 {
				t.Errorf("%d refreshes, although none can be written", n)
			}
			o.end(t, s, p)
			p.says(t, "the new grant has been written after all")
			p.awaitStatus(t, "saved", func(r report) bool { return r.Ready && r.Unsaved == "" })
			process.Eventually(t, func() error { // and it goes on
				if n := s.refreshes() - before; n < 3 {
					return fmt.Errorf("%d refreshes", n)
				}
				return nil
			})
			if good, bad := stop(); bad != nil || good < 20 {
				t.Errorf("%d requests were served; the first that was not: %v", good, bad)
			}
			if code := p.stop(t); code != 0 || s.Stats().DeadRefreshes != 0 || s.Stats().Retries != 0 {
				t.Errorf("exit code %d, %+v", code, s.Stats())
			}
		})
	}
}

// The worst of both: the only copy of the newest pair is in memory, and then it is gone.
func TestKilledWithAPairThatCouldNotBeWritten(t *testing.T) {
	t.Parallel()
	for _, retry := range []shopsim.Retry{shopsim.RetryNewPair, shopsim.RetrySamePair} {
		t.Run(string(retry), func(t *testing.T) {
			t.Parallel()
			s := newShopify(t, shopsim.Settings{Retry: retry}, 1)
			s.seed(t)
			p := start(t, s.environ())
			p.mustServe(t)
			s.trap.onArrival(func() { limitFiles(t, p, 1) }) // the note is written, the pair will not be
			p.awaitStatus(t, "unsaved", func(r report) bool { return strings.Contains(r.Unsaved, "file too large") })
			p.Kill()
			s.trap.onArrival(nil)
			again := start(t, s.environ())
			again.mustServe(t)
			if r, err := again.status(); err != nil || r.Reauthorize || r.Unsaved != "" {
				t.Errorf("%+v, %v", r, err)
			}
			process.Eventually(t, func() error { // when the stored token has ended, which is the one of before
				if n := s.Stats(); n.Retries == 0 {
					return fmt.Errorf("the refresh token of before was not sent again: %+v", n)
				}
				return served(again)
			})
			if n := s.Stats(); n.ChainsLost != 0 || !s.holds(t) {
				t.Errorf("%+v", n)
			}
		})
	}
}

func TestStopFinishesARotationThatHasBegun(t *testing.T) {
	t.Parallel()
	s := newShopify(t, shopsim.Settings{Rotation: shopsim.RotationStrict}, 1)
	s.seed(t)
	p := start(t, s.environ("EVERGATE_SHUTDOWN_TIMEOUT=1s"))
	p.mustServe(t)
	held, open := make(chan struct{}, 100), make(chan struct{})
	s.trap.onArrival(func() { held <- struct{}{}; <-open })
	<-held
	p.Signal(t, syscall.SIGTERM)
	p.says(t, "shutting down")
	time.AfterFunc(1500*time.Millisecond, func() { close(open) }) // later than the drain's time-out
	if code := p.Exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	process.Eventually(t, func() error { // it counts what Shopify has seen in the end
		if n := s.refreshes(); n < 2 {
			return fmt.Errorf("%d refreshes", n)
		}
		return nil
	})
	if !s.holds(t) {
		t.Error("what Shopify handed out was thrown away, and with it the grant")
	}
}

func TestDirectoryThatGoesAwayAndComesBack(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, says string
		empty      bool // an empty one takes its place
	}{
		{"moved", "the store's directory is gone", false},
		{"replaced", "no grant is stored for " + shopsim.DefaultShop, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newShopify(t, shopsim.Settings{}, 1)
			s.seed(t)
			p := start(t, s.environ("EVERGATE_TOKEN_WAIT=300ms"))
			process.Eventually(t, func() error { return served(p) })
			must(t, os.Rename(s.dir, s.dir+".away"))
			if c.empty {
				must(t, os.Mkdir(s.dir, 0o700))
			}
			// The token at hand is served to its end; then every request says why not.
			process.Eventually(t, func() error {
				status, body, err := p.call()
				if err == nil && (status != http.StatusServiceUnavailable || !strings.Contains(body, c.says)) {
					err = fmt.Errorf("%d %s", status, body)
				}
				return err
			})
			if c.empty {
				if _, err := os.Stat(s.recordFile()); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("something was stored in the empty directory: %v", err)
				}
				must(t, os.RemoveAll(s.dir))
			}
			must(t, os.Rename(s.dir+".away", s.dir))
			process.Eventually(t, func() error { return served(p) })
			if n := s.Stats(); n.DeadRefreshes != 0 || n.ChainsLost != 0 {
				t.Errorf("%+v", n)
			}
		})
	}
}

func served(p *sidecar) error {
	status, body, err := p.call()
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%d %s", status, body)
	}
	return err
}
