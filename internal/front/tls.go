package front

import (
	"crypto/tls"
	"errors"
	"io"
	"time"
)

// shake makes the handshake of a connection of TLS, as net/http does. It reports whether there is something to serve.
func (c *conn) shake(secured *tls.Conn) bool {
	if d := c.server.http.ReadHeaderTimeout; d > 0 {
		_ = c.net.SetDeadline(time.Now().Add(d))
	}
	if err := secured.HandshakeContext(c.ctx); err != nil {
		plain, ok := errors.AsType[tls.RecordHeaderError](err)
		if ok = ok && plain.Conn != nil && isRequest(plain.RecordHeader); ok {
			err = errPlain
		}
		c.logf("http: TLS handshake error from %s: %v", c.remote, err)
		if ok {
			_, _ = io.WriteString(plain.Conn, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
		}
		return false
	}
	if c.server.http.ReadHeaderTimeout > 0 {
		_ = c.net.SetDeadline(time.Time{})
	}
	state := secured.ConnectionState()
	c.tls = &state
	return true
}

var errPlain = errors.New("client sent an HTTP request to an HTTPS server")

// isRequest reports whether the beginning of a record is that of a request without TLS.
func isRequest(head [5]byte) bool {
	switch string(head[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "DELET", "PATCH", "CONNE":
		return true
	}
	return false
}
