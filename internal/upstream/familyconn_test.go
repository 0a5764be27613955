package upstream

import (
	"net/http"
	"testing"
)

// A hedge, too, is dialled in a name for which the connection may be used.
func TestAHedgeIsDialledAsItsConnectionWas(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	tr := e.transport(t)
	e.want(t, tr, "lead", http.MethodGet, nil, "")
	e.forget()
	connect := tr.connector(Options{})
	for address, want := range map[string]string{sharedHost + ":443": "lead", "own.myshopify.com:" + e.port: "own"} {
		c, err := connect(t.Context(), address, true)
		if err != nil {
			t.Fatal(err)
		}
		hedge, err := c.dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range []interface {
			Write([]byte) (int, error)
			Close() error
		}{c, hedge} {
			if _, err := one.Write([]byte("GET / HTTP/1.1\r\nHost: any.myshopify.com\r\nToken: x\r\nConnection: close\r\n\r\n")); err != nil {
				t.Error(err)
			}
			until(t, "the request is there", func() bool { return e.seen() != "" })
			if got := e.seen(); got != "any.myshopify.com "+want+".myshopify.com x" {
				t.Errorf("%s: %q", address, got)
			}
			_ = one.Close()
			e.forget()
		}
	}
}
