// Package inject is the request path: it lets a request in, puts the token on it, sends it
// to Shopify and brings the answer back.
//
// Invariants:
//   - The token goes on a request of our own making, never on the client's, and only to
//     the configured shop's upstream. Credentials of the client's never pass.
//   - Nothing is invented, neither header nor body; the path and the query are sent as the
//     bytes the client wrote.
//   - A request is sent a second time only after a 401 or a refusal for the rate limit, both of
//     which mean that it was not carried out, and only with its body whole.
//   - No lock is shared between requests, and a token that is being renewed delays nobody.
package inject

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"evergate/internal/denial"
	"evergate/internal/guard"
	"evergate/internal/metrics"
	"evergate/internal/pace"
	"evergate/internal/prefixed"
	"evergate/internal/request"
	"evergate/internal/shopify"
	"evergate/internal/token"
	"evergate/internal/tracing"
)

// TokenSource supplies the credential for one request to Shopify.
type TokenSource interface {
	// Token waits no longer than ctx. A *token.UnavailableError says why there is none.
	Token(ctx context.Context) (token.Token, error)
	// Replace is told that Shopify refused a token with 401, and returns another one. A
	// *token.UnavailableError says that there is none yet; any other error that the 401 stands.
	Replace(ctx context.Context, refused token.Token) (token.Token, error)
	// Accepted is told that Shopify took a token. It is called for every request.
	Accepted(t token.Token)
}

// Options configures a Handler; every field is required, unless it says otherwise.
type Options struct {
	Shop token.Shop
	// Base is where to connect: scheme and authority, no path.
	Base      *url.URL
	Door      *guard.Door
	Tokens    TokenSource
	Transport http.RoundTripper
	// Pace waits for Shopify's rate limits; nil: nothing waits, and refusals are passed on.
	Pace *pace.Pacer
	// ReplayBuffer is the size in bytes up to which a body is kept for a second sending.
	ReplayBuffer int64
	Metrics      *metrics.Metrics
	Log          *slog.Logger
	// Access logs requests; nil: none.
	Access *AccessLog
	// Tracer makes spans of requests; nil: none.
	Tracer *tracing.Tracer
	// PermanentRetired, if set, is told each time Shopify says that it no longer accepts the
	// kind of token that does not expire.
	PermanentRetired func()
}

// Handler serves the clients. It is safe for concurrent use.
type Handler struct {
	opt       Options
	links     links
	notices   notices
	told      toldOf
	patiences sync.Pool
}

// New returns a Handler.
func New(opt Options) *Handler {
	opt.Metrics.Announce(failures, replays)
	return &Handler{
		opt: opt, links: links{domain: opt.Shop.Domain()}, notices: notices{log: opt.Log, metrics: opt.Metrics},
		patiences: sync.Pool{New: newPatience},
	}
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := visit{began: time.Now(), route: shopify.RouteOther, status: http.StatusInternalServerError}
	h.opt.Metrics.RequestStarted()
	defer func() { h.ended(r, &v) }()

	if !r.ProtoAtLeast(1, 1) {
		// net/http ignores an HTTP/1.0 client's Transfer-Encoding, as it should, but would read
		// what that announced as the next request. RFC 9112 section 6.1 has the connection end.
		w.Header().Set("Connection", "close")
	}
	view := request.Of(r)
	passage, err := h.opt.Door.Admit(&view)
	if err != nil {
		h.refuse(w, r, passage, &v, denial.Of(err))
		return
	}
	v.target, v.route = passage.Target, passage.Target.Route
	v.span = h.opt.Tracer.Begin(r, v.route.String(), h.opt.Shop.Domain())
	// The body first: a client may take its time with it, and a token is not to grow old meanwhile.
	body, err := h.takeOver(r, &passage)
	var refused *denial.Error
	if errors.As(err, &refused) {
		h.refuse(w, r, passage, &v, refused)
		return
	}
	h.admitted(r, passage, v.route)
	var resp *http.Response
	if err == nil {
		body.allowEarlyAnswer(w)
		resp, err = h.forward(r, body, passage, &v)
	}
	if body.unread() {
		w.Header().Set("Connection", "close") // see unread
	}
	if err != nil {
		if v.status, v.code = h.fail(w, r, err); v.status == statusClientGone {
			panic(http.ErrAbortHandler) // returning would send an empty 200
		}
		return
	}
	defer resp.Body.Close()
	v.status = resp.StatusCode
	v.answer = resp.Header
	h.bringBack(w, r, resp, passage, &v)
}

// authorised puts a token on the request, sends it and returns Shopify's answer.
func (h *Handler) authorised(r *http.Request, body *upload, p guard.Passage, v *visit) (*http.Response, error) {
	tok, err := h.opt.Tokens.Token(r.Context())
	if err != nil {
		return nil, err
	}
	resp, err := h.send(h.outgoing(r, p), body, tok, v)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusUnauthorized {
		h.opt.Tokens.Accepted(tok)
		if resp.StatusCode == http.StatusForbidden && !tok.Expires() && h.opt.PermanentRetired != nil {
			resp.Body = &watched{ReadCloser: resp.Body, first: h.readForbidden}
		}
		return resp, nil
	}
	next, err := h.opt.Tokens.Replace(r.Context(), tok)
	var unavailable *token.UnavailableError
	if errors.As(err, &unavailable) {
		resp.Body.Close()
		return nil, err // the token ended on its way, and there is no other yet: that is no 401
	}
	if err != nil {
		return resp, nil // the 401 stands
	}
	if !setAside(resp) || !body.rewind(r.Context()) {
		return resp, nil
	}
	h.opt.Metrics.Replayed("401")
	v.span.Replayed("401")
	return h.send(h.outgoing(r, p), body, next, v)
}

// readForbidden looks for the one 403 that is about the token, whose sentence stands at the
// start of a short body.
func (h *Handler) readForbidden(b []byte) {
	if shopify.RefusesNonExpiring(http.StatusForbidden, b) {
		h.opt.PermanentRetired()
	}
}

// watched shows the first bytes of a body to first while they pass.
type watched struct {
	io.ReadCloser
	first func([]byte)
}

// Read implements io.Reader.
func (w *watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	if n > 0 && w.first != nil {
		w.first(p[:n])
		w.first = nil
	}
	return n, err
}

// outgoing makes the request for Shopify, without body and token. Nothing of it is shared
// with another sending, because a transport may go on using a request after its answer.
func (h *Handler) outgoing(r *http.Request, p guard.Passage) *http.Request {
	out := &http.Request{
		Method: r.Method,
		URL: &url.URL{
			Scheme: h.opt.Base.Scheme,
			Host:   h.opt.Base.Host,
			// Opaque is written as it is; Path would be escaped anew.
			Opaque:     p.Target.Path,
			RawQuery:   r.URL.RawQuery,
			ForceQuery: r.URL.ForceQuery,
		},
		Host:       h.links.domain,
		Header:     outgoingHeader(r.Header),
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
	}
	return out.WithContext(r.Context())
}

// send puts body and token on out and sends it once.
func (h *Handler) send(out *http.Request, body *upload, tok token.Token, v *visit) (*http.Response, error) {
	body.attach(out)
	sending := v.span.Send(out.Method, out.Header)
	out.Header[shopify.HeaderAccessToken] = []string{tok.Access.Reveal()}
	began := time.Now()
	resp, err := h.opt.Transport.RoundTrip(out)
	if err != nil {
		sending.Failed()
		if body.failed() {
			return nil, errClientBody
		}
		return nil, err
	}
	sending.Answered(resp.StatusCode)
	if resp.StatusCode < 200 || resp.StatusCode > 999 {
		_ = resp.Body.Close() // a switch of protocols nobody asked for, or no status at all
		return nil, fmt.Errorf("the answer has the status %d, which is none", resp.StatusCode)
	}
	h.opt.Metrics.UpstreamAnsweredInTrace(v.span.TraceID(), v.route, time.Since(began))
	h.opt.Metrics.APIAnswered(v.target.Version, resp.Header.Get(shopify.HeaderAPIVersion))
	h.notices.look(resp.Header, v.target)
	return resp, nil
}

// largest401 bounds what is kept of a 401's body while its request is tried again.
const largest401 = 64 << 10

// setAside reads the body of a 401, which is short, so that the connection is free and the
// answer can still be passed on if the request cannot be sent again. It reports false for
// a body that is not short or does not come.
func setAside(resp *http.Response) bool {
	kept := prefixed.Read(resp.Body, largest401+1)
	resp.Body = kept
	if !kept.Whole() {
		return false
	}
	_ = kept.Rest.Close()
	kept.Rest = http.NoBody
	return true
}

var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}
