package front

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// asks is a client that says the same so many times, without a kernel.
type asks struct {
	net.Conn // nil: nothing else is called
	request  []byte
	left     int
	heard    int
}

func (c *asks) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	c.left--
	return copy(p, c.request), nil
}

func (c *asks) Write(p []byte) (int, error)      { c.heard += len(p); return len(p), nil }
func (*asks) Close() error                       { return nil }
func (*asks) LocalAddr() net.Addr                { return &net.TCPAddr{} }
func (*asks) RemoteAddr() net.Addr               { return &net.TCPAddr{} }
func (*asks) SetReadDeadline(time.Time) error    { return nil }
func (*asks) SetWriteDeadline(t time.Time) error { return nil }

// BenchmarkServe is what reading a request and writing its answer take, of a client that says the same again, and of one that says something new each
// time.
func BenchmarkServe(b *testing.B) {
	fields := "Host: localhost:8080\r\nUser-Agent: bench/1.0\r\nAccept: application/json\r\nContent-Type: application/json\r\nContent-Length: 2048\r\n"
	body, answer := bytes.Repeat([]byte("x"), 2048), bytes.Repeat([]byte("y"), 2048)
	for name, onlyReads := range map[string]bool{"again": true, "anew": false} {
		b.Run(name, func(b *testing.B) {
			s := New(&http.Server{ReadHeaderTimeout: time.Minute, IdleTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("Content-Length", "2048")
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("Date", "Mon, 30 Nov 2026 00:00:00 GMT")
				_, _ = w.Write(answer)
			})}, refused{})
			s.onlyReads = onlyReads
			c := &asks{request: append([]byte("POST /admin/api/2026-10/graphql.json HTTP/1.1\r\n"+fields+"\r\n"), body...), left: b.N}
			b.ReportAllocs()
			b.ResetTimer()
			s.begin(&conn{server: s, hand: &handover{}, net: c}, b.Context())
			s.open.Wait()
			if c.heard < b.N*len(answer) {
				b.Errorf("%d bytes of %d answers", c.heard, b.N)
			}
		})
	}
}
