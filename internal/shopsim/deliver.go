package shopsim

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"strconv"
	"time"
)

// deliver sends the answer the way the fault wants it sent.
func (f Fault) deliver(w http.ResponseWriter, r *http.Request, resp *response) {
	if resp.status == 0 {
		breakConnection(w)
		return
	}
	for name, values := range resp.header {
		w.Header()[name] = values
	}
	slow := f.Kind == FaultSlowBody
	if bodyAllowed(r, resp.status) && (!slow || f.ContentLength) {
		w.Header().Set("Content-Length", strconv.Itoa(len(resp.body)))
	}
	w.WriteHeader(resp.status)
	if !bodyAllowed(r, resp.status) {
		return
	}
	switch {
	case slow:
		f.trickle(w, r, resp.body)
	case f.Kind == FaultCut:
		_, _ = w.Write(resp.body[:len(resp.body)/2])
		flush(w)
		panic(http.ErrAbortHandler)
	default:
		_, _ = w.Write(resp.body) // a client that has gone is no error
	}
}

func bodyAllowed(r *http.Request, status int) bool {
	return r.Method != http.MethodHead && status != http.StatusNoContent && status != http.StatusNotModified
}

// trickle sends the header at once and the body in pieces.
func (f Fault) trickle(w http.ResponseWriter, r *http.Request, body []byte) {
	flush(w)
	chunks, wait := orDefault(f.Chunks, 4), orDefault(f.Pause, time.Second)
	size := max(1, (len(body)+chunks-1)/chunks)
	for len(body) > 0 {
		if !pause(r.Context(), wait) {
			panic(http.ErrAbortHandler)
		}
		n := min(size, len(body))
		if _, err := w.Write(body[:n]); err != nil {
			panic(http.ErrAbortHandler)
		}
		flush(w)
		body = body[n:]
	}
}

func flush(w http.ResponseWriter) {
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
}

// pause waits, and tells whether the request was still wanted at the end.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// breakConnection resets the connection: a TCP RST where there is a connection
// to take over, else (HTTP/2, in process) whatever aborting the handler does.
func breakConnection(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	raw := conn
	if t, ok := conn.(*tls.Conn); ok {
		raw = t.NetConn()
	}
	if tcp, ok := raw.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // without it the client sees an orderly end of file
	}
	_ = raw.Close()
}
