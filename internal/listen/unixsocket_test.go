//go:build unix

package listen

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestASocketIsPrivateWhateverTheUmask(t *testing.T) {
	for _, umask := range []int{0, 0o022, 0o377} {
		path := socketPath(t)
		before := syscall.Umask(umask) // no test here runs in parallel
		ln, err := Open(t.Context(), Address{Network: "unix", Address: path}, OwnerMode)
		syscall.Umask(before)
		if err != nil {
			if umask == 0o377 && os.Geteuid() != 0 {
				continue // not even its owner may write to the private directory
			}
			t.Fatal(err)
		}
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode(); got != os.ModeSocket|0o600 {
			t.Errorf("umask %#o: mode %v", umask, got)
		}
		if err := ln.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestASocketThatMayBeInUseIsNotReplaced(t *testing.T) {
	path := socketPath(t)
	other, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"}) // no stream, so it answers with an error
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	_, err = Open(t.Context(), Address{Network: "unix", Address: path}, OwnerMode)
	if err == nil || !strings.Contains(err.Error(), "remove the file if none does") {
		t.Errorf("want an error with the remedy, got: %v", err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Error(err)
	}
}
