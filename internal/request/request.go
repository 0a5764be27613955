// Package request is what the rules of the request path see of a request: who may call, what
// passes, what is waited for. They take this small view instead of a *http.Request, so that
// every way in which requests are read shares one copy of each rule.
//
// Invariants: a view is read only, and holds the client's own bytes; making one of a request of
// net/http's copies and allocates nothing.
package request

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
)

// Request is the view of one request. Its Fields may be read while the request is served.
type Request struct {
	Method string
	// Target is the request target as it stands in the request line.
	Target string
	// Host is the Host that the client sent; empty if it sent none.
	Host string
	// HTTP10 says that the client speaks a protocol older than HTTP/1.1.
	HTTP10 bool
	// Query says that the target has parameters.
	Query bool
	// Length is that of the body in bytes: -1 when it is not known, 0 when there is none.
	Length int64
	// Fields are the header's.
	Fields Fields

	// Remote is the client's address, host:port; of a Unix socket whatever the system says.
	Remote string
	// Local is our end of the connection; nil: it is not known.
	Local net.Addr
	// TLS is what is known of the handshake; nil: the client has come without TLS.
	TLS *tls.ConnectionState
	// Connection is what was put down for the connection with WithConnection; nil: nothing.
	Connection any
}

// Fields are header fields.
type Fields interface {
	// Values returns the field lines of a name in its canonical form, in the order in which they
	// came. They must not be changed.
	Values(name string) []string
	// Names calls yield with the name of each field until it returns false.
	Names(yield func(name string) bool)
}

// Header makes Fields of net/http's map.
type Header http.Header

// Values implements Fields.
func (h Header) Values(name string) []string { return h[name] }

// Names implements Fields.
func (h Header) Names(yield func(name string) bool) {
	for name := range h {
		if !yield(name) {
			return
		}
	}
}

// Of is the view of a request of net/http's server.
func Of(r *http.Request) Request {
	ctx := r.Context()
	local, _ := ctx.Value(http.LocalAddrContextKey).(net.Addr)
	v := Request{
		Method: r.Method, Target: r.RequestURI, Host: r.Host, HTTP10: !r.ProtoAtLeast(1, 1), Length: r.ContentLength, Fields: Header(r.Header),
		Remote: r.RemoteAddr, Local: local, TLS: r.TLS, Connection: ctx.Value(connectionKey{}),
	}
	if r.URL != nil {
		v.Query = r.URL.RawQuery != ""
	}
	return v
}

type connectionKey struct{}

// WithConnection puts down what is known of a connection for all of its requests. It is for
// http.Server's ConnContext.
func WithConnection(ctx context.Context, known any) context.Context {
	return context.WithValue(ctx, connectionKey{}, known)
}
