package systemd

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestStripLeavesNothingOfSystemds(t *testing.T) {
	t.Parallel()
	environ := []string{"A=1", "LISTEN_PID=1", "LISTEN_FDS=1", "LISTEN_FDNAMES=a", "NOTIFY_SOCKET=/x", "WATCHDOG_PID=1", "WATCHDOG_USEC=1",
		"LISTEN_FDS_COUNT=2", "STATE_DIRECTORY=/s", "NOTIFY_SOCKET"}
	want := []string{"A=1", "LISTEN_FDS_COUNT=2", "STATE_DIRECTORY=/s"}
	if got := Strip(environ); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if len(environ) != 10 || environ[1] != "LISTEN_PID=1" {
		t.Errorf("the caller's own was changed: %q", environ)
	}
}

func TestNamesAreThoseOfTheDescriptors(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		environ []string
		want    []string
		err     string
	}{
		"nothing":          {nil, nil, ""},
		"one":              {[]string{"LISTEN_PID=7", "LISTEN_FDS=1", "LISTEN_FDNAMES=a"}, []string{"a"}, ""},
		"in_order":         {[]string{"LISTEN_PID=7", "LISTEN_FDS=3", "LISTEN_FDNAMES=b:a:b"}, []string{"b", "a", "b"}, ""},
		"no_names":         {[]string{"LISTEN_PID=7", "LISTEN_FDS=2"}, []string{"unknown", "unknown"}, ""},
		"too_few_names":    {[]string{"LISTEN_PID=7", "LISTEN_FDS=3", "LISTEN_FDNAMES=a:"}, []string{"a", "unknown", "unknown"}, ""},
		"too_many_names":   {[]string{"LISTEN_PID=7", "LISTEN_FDS=1", "LISTEN_FDNAMES=a:b"}, []string{"a"}, ""},
		"none":             {[]string{"LISTEN_PID=7", "LISTEN_FDS=0"}, []string{}, ""},
		"another_process":  {[]string{"LISTEN_PID=8", "LISTEN_FDS=1"}, nil, ""},
		"nobody":           {[]string{"LISTEN_FDS=1"}, nil, ""},
		"last_entry":       {[]string{"LISTEN_FDS=5", "LISTEN_PID=7", "LISTEN_FDS=1"}, []string{"unknown"}, ""},
		"no_pid":           {[]string{"LISTEN_PID=x", "LISTEN_FDS=1"}, nil, "LISTEN_PID"},
		"no_count":         {[]string{"LISTEN_PID=7", "LISTEN_FDS=x"}, nil, "LISTEN_FDS"},
		"negative":         {[]string{"LISTEN_PID=7", "LISTEN_FDS=-1"}, nil, "LISTEN_FDS"},
		"far_too_many":     {[]string{"LISTEN_PID=7", "LISTEN_FDS=1000000"}, nil, "LISTEN_FDS"},
		"garbage_of_other": {[]string{"LISTEN_PID=8", "LISTEN_FDS=x"}, nil, ""},
	} {
		got, err := names(tc.environ, 7)
		if !slices.Equal(got, tc.want) || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func FuzzNames(f *testing.F) {
	f.Add("7", "2", "a:b")
	f.Add("", "x", ":::")
	f.Fuzz(func(t *testing.T, pid, count, list string) {
		got, err := names([]string{"LISTEN_PID=" + pid, "LISTEN_FDS=" + count, "LISTEN_FDNAMES=" + list}, 7)
		if len(got) > mostSockets || err != nil && got != nil || slices.Contains(got, "") {
			t.Errorf("%q, %v", got, err)
		}
		if n, _ := strconv.Atoi(pid); n != 7 && len(got) > 0 {
			t.Errorf("took what is meant for %q", pid)
		}
	})
}

// manager is the end of NOTIFY_SOCKET where systemd would listen.
func manager(t *testing.T) (path string, next func() string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "n")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Skipf("no datagram sockets here: %v", err)
	}
	t.Cleanup(func() { conn.Close() })
	return path, func() string {
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		b := make([]byte, 4096)
		n, err := conn.Read(b)
		if err != nil {
			return err.Error()
		}
		return string(b[:n])
	}
}

func TestNotificationsArriveAsTheProtocolHasThem(t *testing.T) {
	t.Parallel()
	path, next := manager(t)
	n, err := NewNotifier([]string{"NOTIFY_SOCKET=" + path, "WATCHDOG_USEC=30000000", "WATCHDOG_PID=7"}, 7)
	if err != nil || n.Watchdog != 30*time.Second {
		t.Fatalf("%+v, %v", n, err)
	}
	for want, send := range map[string]func() error{
		"READY=1": n.Ready, "STOPPING=1": n.Stopping, "WATCHDOG=1": n.Alive,
		"STATUS=two lines READY=1": func() error { return n.Status("two\nlines\nREADY=1 ") }, // no words become a command
	} {
		if err := send(); err != nil {
			t.Error(err)
		}
		if got := next(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestNobodyIsToldWithoutAManager(t *testing.T) {
	t.Parallel()
	n, err := NewNotifier([]string{"WATCHDOG_USEC=1"}, 7)
	if n != nil || err != nil {
		t.Fatalf("%+v, %v", n, err)
	}
	if err := errors.Join(n.Ready(), n.Alive(), n.Status("x"), n.Stopping()); err != nil {
		t.Error(err)
	}
}

func TestAManagerThatIsGoneIsAnError(t *testing.T) {
	t.Parallel()
	n, err := NewNotifier([]string{"NOTIFY_SOCKET=" + filepath.Join(t.TempDir(), "gone")}, 7)
	if err != nil || n.Watchdog != 0 {
		t.Fatalf("%+v, %v", n, err)
	}
	if err := n.Ready(); err == nil || !strings.Contains(err.Error(), "READY=1") {
		t.Error(err)
	}
}

// A manager that does not read must not hold the service up.
func TestAManagerThatDoesNotReadDoesNotBlock(t *testing.T) {
	t.Parallel()
	path, _ := manager(t)
	n, err := NewNotifier([]string{"NOTIFY_SOCKET=" + path}, 7)
	if err != nil {
		t.Fatal(err)
	}
	for range 100_000 { // far more than the queue holds
		if err := n.Alive(); err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error(err)
			}
			return
		}
	}
	t.Error("the queue is never full")
}

func TestWatchdogAndSocketAreReadStrictly(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		environ []string
		want    time.Duration
		err     string
	}{
		"relative": {[]string{"NOTIFY_SOCKET=x"}, 0, "NOTIFY_SOCKET"},
		"slash":    {[]string{"NOTIFY_SOCKET=/"}, 0, "NOTIFY_SOCKET"},
		"vsock":    {[]string{"NOTIFY_SOCKET=vsock:2:1"}, 0, "NOTIFY_SOCKET"},
		"abstract": {[]string{"NOTIFY_SOCKET=@x"}, 0, ""},
		"no_pid":   {[]string{"NOTIFY_SOCKET=/x", "WATCHDOG_USEC=500"}, 500 * time.Microsecond, ""},
		"other":    {[]string{"NOTIFY_SOCKET=/x", "WATCHDOG_USEC=500", "WATCHDOG_PID=8"}, 0, ""},
		"zero":     {[]string{"NOTIFY_SOCKET=/x", "WATCHDOG_USEC=0"}, 0, "WATCHDOG_USEC"},
		"huge":     {[]string{"NOTIFY_SOCKET=/x", "WATCHDOG_USEC=9223372036854775807"}, 0, "WATCHDOG_USEC"},
		"words":    {[]string{"NOTIFY_SOCKET=/x", "WATCHDOG_USEC=soon"}, 0, "WATCHDOG_USEC"},
	} {
		n, err := NewNotifier(tc.environ, 7)
		if (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && n.Watchdog != tc.want {
			t.Errorf("%s: %s", name, n.Watchdog)
		}
	}
}
