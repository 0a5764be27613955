//go:build unix

package readfile

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const most = 64 << 10

func named(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWhatIsNoFileIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	socket := filepath.Join(dir, "socket")
	l, err := new(net.ListenConfig).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, 1<<40); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(socket, link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		dir: "a directory", socket: "a socket", link: "a socket", "/dev/zero": "a device", "/dev/tty": "a device",
		large: "larger than 65536 bytes", filepath.Join(dir, "missing"): "no such file",
	} {
		began := time.Now()
		_, err := Read(path, most)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
		if took := time.Since(began); took > forWriter {
			t.Errorf("%s took %s", path, took)
		}
	}
}

func TestAPipeIntoWhichNobodyWritesEnds(t *testing.T) {
	t.Parallel()
	path := named(t)
	began := time.Now()
	if _, err := Read(path, most); err == nil || !strings.Contains(err.Error(), "nobody writes into it") {
		t.Errorf("%v", err)
	}
	if took := time.Since(began); took > patience {
		t.Errorf("it took %s", took)
	}
}

func TestAPipeIntoWhichNobodyWritesAnEndEnds(t *testing.T) {
	t.Parallel()
	path := named(t)
	w, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := io.WriteString(w, "half"); err != nil {
		t.Fatal(err)
	}
	if text, err := Read(path, most); err == nil || !strings.Contains(err.Error(), "did not end within") || strings.Contains(err.Error(), "half") {
		t.Errorf("%q, %v", text, err)
	}
}

// TestAPipeIsReadWhole has writers that are there before, that come later, and that have gone.
func TestAPipeIsReadWhole(t *testing.T) {
	t.Parallel()
	write := func(t *testing.T, path string) {
		w, err := os.OpenFile(path, os.O_WRONLY, 0) // waits for the reader
		if err == nil {
			_, err = io.WriteString(w, strings.Repeat("x", most))
		}
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			t.Error(err)
		}
	}
	t.Run("named", func(t *testing.T) {
		path := named(t)
		go write(t, path)
		if text, err := Read(path, most); err != nil || len(text) != most {
			t.Errorf("%d bytes, %v", len(text), err)
		}
	})
	t.Run("larger than it can be", func(t *testing.T) {
		path := named(t)
		go write(t, path)
		if _, err := Read(path, most-1); err == nil || !strings.Contains(err.Error(), "larger than") {
			t.Errorf("%v", err)
		}
	})
	t.Run("without a name", func(t *testing.T) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		path := fmt.Sprintf("/dev/fd/%d", r.Fd())
		if _, err := io.WriteString(w, "text"); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if !IsStream(path) {
			t.Error("it is taken for a file, which could be read again")
		}
		if text, err := Read(path, most); err != nil || string(text) != "text" {
			t.Errorf("%q, %v", text, err)
		}
		if text, err := Read(path, most); err != nil || len(text) != 0 {
			t.Errorf("the second time: %q, %v", text, err)
		}
	})
}

// TestAMountedSecretIsFollowed has the links by which Kubernetes replaces a Secret.
func TestAMountedSecretIsFollowed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "..2026"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "..2026", "token"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"..data": "..2026", "token": filepath.Join("..data", "token")} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "token")
	if text, err := Read(path, most); err != nil || string(text) != "text" || IsStream(path) {
		t.Errorf("%q, %v", text, err)
	}
}

// TestWhatDecidesIsText: the rules of a policy, keys and certificates are.
func TestWhatDecidesIsText(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	for content, want := range map[string]string{"two": "two", "\uFEFFtwo": "two", "": "", "\xff\xfet\x00w\x00o\x00": "UTF-16", "t\x00w\x00o\x00\n\x00": "UTF-16", "\xfe\xff\x00t": "UTF-16"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		text, _, err := Owned(path, most)
		if err == nil && string(text) != want || err != nil && (!strings.Contains(err.Error(), want) || want == "" || !strings.Contains(err.Error(), path)) {
			t.Errorf("%q: %q, %v", content, text, err)
		}
	}
}
