package e2e

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"evergate/test/process"
)

// net/http's client logs what comes on an idle connection, up to 4 KiB of it: a customer's data.
func TestWhatAnUpstreamSendsUnaskedIsNotLogged(t *testing.T) {
	t.Parallel()
	const data = "jane.doe@customer.example"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	given := make(chan error, 64) // a connection on which too much was sent has been given up
	process.Accept(t, l, func(conn net.Conn) {
		defer conn.Close()
		r := bufio.NewReader(conn)
		if _, err := http.ReadRequest(r); err != nil {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 25\r\n\r\n"+data)
		_, err := r.ReadByte()
		given <- err
	})
	shop := newShopify(t, shopOptions{})
	s := shop.sidecar(t, "SHOPIFY_CLIENT_ID=", "SHOPIFY_CLIENT_SECRET=", "SHOPIFY_ACCESS_TOKEN=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",
		"EVERGATE_UPSTREAM_URL=http://"+l.Addr().String(), "EVERGATE_LOG_LEVEL=debug")
	s.awaitReady(t)
	for range 3 {
		mustStatus(t, s.get(t, "/shop.json"), http.StatusOK)
		if err := process.Await(t, "the end of the connection", given); err == nil {
			t.Error("more was sent on a connection that was spoilt")
		}
	}
	if log := s.Out.String() + s.Err.String(); strings.Contains(log, "customer") || strings.Contains(log, "Unsolicited") {
		t.Error(log)
	}
}
