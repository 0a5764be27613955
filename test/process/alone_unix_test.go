//go:build unix

package process

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestOneHasTheMachineAlone(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir) // others may have the real one
	release, err := Alone()
	if err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(names) != 1 {
		t.Fatalf("%q, %v", names, err)
	}
	f, err := os.Open(names[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	asks := func() error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }
	if err := asks(); !errors.Is(err, syscall.EWOULDBLOCK) {
		t.Errorf("another one gets %v", err)
	}
	release()
	if err := asks(); err != nil {
		t.Errorf("when it was released, another one gets %v", err)
	}
	told, stderr, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer told.Close()
	defer func(was *os.File) { os.Stderr = was; _ = stderr.Close() }(os.Stderr)
	os.Stderr = stderr
	waited := make(chan func(), 1)
	go func() {
		second, err := Alone()
		if err != nil {
			t.Error(err)
		}
		waited <- second
	}()
	if line, err := bufio.NewReader(told).ReadString('\n'); !strings.Contains(line, names[0]) {
		t.Errorf("who waits says %q, %v", line, err)
	}
	select {
	case <-waited:
		t.Error("another one has it at the same time")
	default:
	}
	_ = f.Close()
	if second := <-waited; second != nil {
		second()
	}
}
