package check

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"evergate/internal/listen"
	"evergate/internal/remedy"
	"evergate/internal/token"
)

// expect compares a result's status and looks for parts in its line.
func expect(t *testing.T, r Result, status Status, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(r.String(), part) {
			t.Errorf("nothing of %q in: %s", part, r)
		}
	}
	if r.Status != status || status != OK && status != Skip && r.Remedy == "" {
		t.Errorf("%q, want %s with a remedy: %s", r.Status, status, r)
	}
}

func TestEveryMistakeOfTheConfigurationHasALine(t *testing.T) {
	t.Parallel()
	all := Run(t.Context(), []Check{Configuration([]error{remedy.New("set a", "a is wrong"), remedy.New("set b", "b is wrong")}, []error{remedy.New("see c", "c is odd")}, "fine")}, quiet)
	if len(all) != 3 {
		t.Fatalf("%+v", all)
	}
	expect(t, all[0], Fail, "configuration", "a is wrong: set a")
	expect(t, all[1], Fail, "b is wrong: set b")
	expect(t, all[2], Warn, "c is odd: see c")
	expect(t, Run(t.Context(), []Check{Configuration(nil, nil, "fine")}, quiet)[0], OK, "fine")
}

func TestSecretFilesOfOthersAreNoticed(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("a mode says nothing there")
	}
	dir := t.TempDir()
	for mode, status := range map[os.FileMode]Status{0o400: OK, 0o600: OK, 0o640: OK, 0o440: OK, 0o644: Warn, 0o604: Warn, 0o666: Fail, 0o602: Fail} {
		path := filepath.Join(dir, mode.String())
		if err := errors.Join(os.WriteFile(path, []byte("shpss_hidden"), 0o600), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		r := Run(t.Context(), []Check{SecretFiles([]File{{"X_FILE", path}})}, quiet)[0]
		expect(t, r, status, path)
		if status != OK && r.Remedy != "chmod o-rwx "+path || strings.Contains(r.String(), "hidden") {
			t.Errorf("%s", r)
		}
	}
	missing := filepath.Join(dir, "missing")
	expect(t, Run(t.Context(), []Check{SecretFiles([]File{{"X_FILE", missing}})}, quiet)[0], Fail, "X_FILE: "+missing+" cannot be read, no such file")
	expect(t, Run(t.Context(), []Check{SecretFiles(nil)}, quiet)[0], OK, "no secret is given as a file")
}

func TestStoreIsTriedAndLeftAsItWas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := Store{Where: dir, Dir: dir, Record: filepath.Join(dir, "record"), Load: func(context.Context) error { return token.ErrNotFound }}
	look := func(s Store) Result { return Run(t.Context(), []Check{Stored(s)}, quiet)[0] }
	expect(t, look(s), OK, dir, "read and written")
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("%v, %v", entries, err)
	}
	if err := os.WriteFile(s.Record, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" {
		expect(t, look(s), Warn, "other users may read", "chmod 600 "+s.Record)
	}
	gone := s
	gone.Dir += "/gone"
	expect(t, look(gone), Fail, "cannot be written to", "has space")
	broken := s
	broken.Load = func(context.Context) error { return remedy.New("restore it", "it is damaged") }
	expect(t, look(broken), Fail, "it is damaged: restore it")
}

func TestStoreWithoutADirectoryIsTriedByItsLease(t *testing.T) {
	t.Parallel()
	released := 0
	s := Store{Where: "redis://db", Load: func(context.Context) error { return nil }, Lease: func(context.Context) (func(), error) { return func() { released++ }, nil }}
	var findings []token.Finding
	s.Find = func(context.Context) []token.Finding { return findings }
	look := func(s Store) Result { return Run(t.Context(), []Check{Stored(s)}, quiet)[0] }
	expect(t, look(s), OK, "redis://db")
	if released != 1 {
		t.Error("the lease is kept")
	}
	findings = []token.Finding{{Text: "it is old", Do: "renew it"}}
	expect(t, look(s), Warn, "it is old: renew it")
	findings = []token.Finding{{Loses: true, Text: "it throws records away", Do: "stop it"}}
	expect(t, look(s), Fail, "it throws records away: stop it")
	s.Lease = func(context.Context) (func(), error) { return nil, errors.New("read-only") }
	expect(t, look(s), Fail, "no lease can be had, read-only")
	expect(t, look(Store{}), OK, "nothing is kept")
	expect(t, look(Store{Where: "memory:", Volatile: true}), Warn, "lost when the sidecar ends", "EVERGATE_STORE")
	expect(t, look(Store{Err: remedy.New("run chmod", "it is open to others")}), Fail, "it is open to others: run chmod")
}

func TestListenersAreFreeOrASidecars(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	taken := listen.Address{Network: "tcp", Address: ln.Addr().String()}
	free := listen.Address{Network: "tcp", Address: "127.0.0.1:0"}
	foreign := listen.Address{Network: "tcp", Address: "192.0.2.1:1"}
	lives := func(context.Context) error { return nil }
	nobody := func(context.Context) error { return errors.New("nobody") }
	look := func(alive func(context.Context) error, a ...listen.Address) []Result {
		return Run(t.Context(), []Check{Listeners(a, alive)}, quiet)
	}
	expect(t, look(nobody, free)[0], OK, "127.0.0.1:0: free")
	expect(t, look(nobody, free, taken)[1], Fail, taken.Address+": in use by another process", "EVERGATE_LISTEN")
	expect(t, look(lives, taken)[0], OK, taken.Address+": in use by a sidecar")
	expect(t, look(nobody, foreign)[0], Fail, "cannot listen on 192.0.2.1:1")
}

func TestSocketIsNotTouched(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "s") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	nobody := func(context.Context) error { return errors.New("nobody") }
	look := func(path string) Result {
		return Run(t.Context(), []Check{Listeners([]listen.Address{{Network: "unix", Address: path}}, nobody)}, quiet)[0]
	}
	path := filepath.Join(dir, "e.sock")
	expect(t, look(path), OK, "free")
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("%v, %v", entries, err)
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, look(path), Fail, "in use by another process")
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	ln.Close()
	expect(t, look(filepath.Join(dir, "missing", "e.sock")), Fail, "the directory of the socket", "make it")
}
