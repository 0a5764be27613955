package sidecar

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"evergate/internal/config"
	"evergate/internal/systemd"
)

// An abstract socket has no mode, so every user of the machine could call it.
func TestAnAbstractSocketFromSystemdIsRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{socketForTools, socketForAdmin, "evergate.socket"} {
		l, err := net.Listen("unix", fmt.Sprintf("@evergate-test-%d-%s", os.Getpid(), name))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		s := &Sidecar{cfg: &config.Config{}, log: Logger{Logger: slog.New(slog.DiscardHandler)}, manager: manager{sockets: []systemd.Socket{{Name: name, Listener: l}}}}
		if err := s.adopt(); err == nil || !strings.Contains(err.Error(), "abstract") || len(s.listeners)+len(s.adminOn) > 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// systemd makes a socket for everybody where its unit says nothing of a mode.
func TestASocketFromSystemdThatEverybodyMayCallIsRefused(t *testing.T) {
	t.Parallel()
	open, err := os.MkdirTemp("", "sd") // others can go through it, unlike those of the tests
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(open) })
	if err := os.Chmod(open, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, dir string
		mode      os.FileMode
		cfg       config.Config
		refused   bool
	}{
		{"everybody's", open, 0o666, config.Config{}, true},
		{"everybody's, to write alone", open, 0o622, config.Config{}, true},
		{"a group's", open, 0o660, config.Config{}, false},
		{"its owner's", open, 0o600, config.Config{}, false},
		{"where nobody else gets", t.TempDir(), 0o666, config.Config{}, false},
		{"peers are listed", open, 0o666, config.Config{SocketPeers: "uid:1000"}, false},
		{"keys are asked for", open, 0o666, config.Config{ClientKeysFile: "keys"}, false},
		{"it is wanted", open, 0o666, config.Config{UnsafeListen: true}, false},
	} {
		path := filepath.Join(c.dir, "s")
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		s := &Sidecar{cfg: &c.cfg}
		if err := s.checkMode(l); (err != nil) != c.refused || err != nil && !strings.Contains(err.Error(), "SocketMode=0660") {
			t.Errorf("%s: %v", c.name, err)
		}
		if !c.refused {
			_ = l.Close()
			continue
		}
		for _, name := range []string{socketForTools, socketForAdmin} {
			s := &Sidecar{cfg: &c.cfg, log: Logger{Logger: slog.New(slog.DiscardHandler)}, manager: manager{sockets: []systemd.Socket{{Name: name, Listener: l}}}}
			if err := s.adopt(); err == nil || len(s.listeners)+len(s.adminOn) > 0 {
				t.Errorf("%s, %s: %v", c.name, name, err)
			}
		}
		_ = l.Close()
	}
}
