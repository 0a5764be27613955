//go:build linux

package attack

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// The listener for operators has 16 places.
func TestFloodsOfTheOperatorsListener(t *testing.T) {
	get := func(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n" }
	for name, text := range map[string]string{
		"pages-that-nobody-reads":       get("/events"),
		"answers-that-nobody-reads":     strings.Repeat(get("/metrics"), 400),
		"status-without-end":            strings.Repeat(get("/status"), 400),
		"roots-without-end":             strings.Repeat(get("/ca.pem"), 400),
		"heads-that-do-not-end":         "GET / HTTP/1.1\r\nHost: localhost\r\nX-A: " + strings.Repeat("a", 126_000),
		"orders-whose-bodies-never-end": "POST /-/log-level HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{",
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, 256, "EVERGATE_CA_DIR=memory:")
			s.attackAt(t, s.admin, 200, func(c net.Conn, _ int) { _, _ = io.WriteString(c, text) })
			s.survives(t, http.MethodGet, api+"shop.json", "")
			s.mustHoldLittle(t, 256)
			if n := len(s.Err.String()); n > mostLog {
				t.Errorf("the log has %d bytes", n)
			}
		})
	}
}
