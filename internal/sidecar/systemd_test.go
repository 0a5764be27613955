package sidecar

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"evergate/internal/listen"
	"evergate/internal/systemd"
)

// The watchdog hears that the process works only while it does.
func TestWatchdogIsFedOnlyWhileTheProcessAnswers(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "n")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Skipf("no datagram sockets here: %v", err)
	}
	defer conn.Close()
	n, err := systemd.NewNotifier([]string{"NOTIFY_SOCKET=" + path}, 1)
	if err != nil {
		t.Fatal(err)
	}
	heard := func() string {
		_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		b := make([]byte, 100)
		n, _ := conn.Read(b)
		return string(b[:n])
	}
	open := func() []listen.Opened {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return []listen.Opened{{Listener: l, Address: addressOf(l)}}
	}
	var log strings.Builder
	s := &Sidecar{log: Logger{Logger: slog.New(slog.NewTextHandler(&log, nil))}, adminOn: open(), manager: manager{notify: n}}

	// It accepts connections, as the kernel does for whoever has hung, and says nothing.
	s.feedWatchdog(t.Context(), 50*time.Millisecond)
	if said := heard(); said != "" || !strings.Contains(log.String(), "/livez") {
		t.Errorf("%q, %s", said, log.String())
	}

	status := make(chan int, 1)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/livez" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.WriteHeader(<-status)
		_, _ = io.WriteString(w, "x")
	})}
	s.adminOn = open()
	go func() { _ = server.Serve(s.adminOn[0].Listener) }()
	defer server.Close()
	for code, want := range map[int]string{200: "WATCHDOG=1", 500: ""} {
		status <- code
		s.feedWatchdog(t.Context(), 10*time.Second)
		if said := heard(); said != want {
			t.Errorf("%d: %q", code, said)
		}
	}
}
