package sidecar

import (
	"fmt"
	"log/slog"
	"net"
	"os"
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
