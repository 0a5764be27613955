package wire

import (
	"fmt"
	"net"
	"os/exec"
	"testing"

	"evergate/test/process"
)

// sidecar is `serve` in front of a recorder.
type sidecar struct {
	*process.Process
	host  string // of the tools' listener, with its port
	admin string
	way   func(testing.TB) net.Conn // that dial goes; nil: straight to the tools' listener
	// plainWay connects to the tools' listener; nil: by TCP.
	plainWay func() (net.Conn, error)
}

func (up *recorder) sidecar(t *testing.T, more ...string) *sidecar {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, "serve")
	cmd.Env = up.environ(more...)
	p := process.Start(t, cmd)
	return &sidecar{Process: p, host: p.AwaitLog(t, "listening for tools").Address, admin: p.AwaitLog(t, "listening for operators").Address}
}

// dial connects to where tools' requests are read.
func (s *sidecar) dial(t testing.TB) net.Conn {
	t.Helper()
	if s.way != nil {
		return s.way(t)
	}
	return s.plain(t)
}

// plain connects to the tools' listener.
func (s *sidecar) plain(t testing.TB) net.Conn {
	t.Helper()
	connect := s.plainWay
	if connect == nil {
		connect = func() (net.Conn, error) { return net.DialTimeout("tcp", s.host, patience) }
	}
	conn, err := connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(soon()); err != nil {
		t.Fatal(err)
	}
	return conn
}

// metric reads the sum of the series that carry all labels.
func (s *sidecar) metric(t testing.TB, name string, labels ...string) float64 {
	t.Helper()
	sum, _ := process.Metric(process.Fetch(t, "http://"+s.admin+"/metrics"), name, labels...)
	return sum
}

// forwarded is how many of Shopify's answers the sidecar has counted.
func (s *sidecar) forwarded(t testing.TB) int {
	t.Helper()
	return int(s.metric(t, "evergate_upstream_duration_seconds_count"))
}

// counted reports a counter, over the series that carry all labels, that has not this value.
func (s *sidecar) counted(t testing.TB, name string, want float64, labels ...string) error {
	t.Helper()
	if n := s.metric(t, name, labels...); n != want {
		return fmt.Errorf("%s%v is %v, want %v", name, labels, n, want)
	}
	return nil
}
