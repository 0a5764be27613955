package inject

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"

	"evergate/internal/clock"
	"evergate/internal/denial"
	"evergate/internal/guard"
	"evergate/internal/limit"
	"evergate/internal/metrics"
	"evergate/internal/pace"
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

// Tunnels serves CONNECT.
type Tunnels interface {
	// Connect opens the tunnel that r, of which view is a view, asks for, and takes its connection over. An error
	// is a *denial.Error; then the client has got nothing yet. The Tunnel says who asks, in both cases.
	Connect(w http.ResponseWriter, r *http.Request, view *request.Request) (guard.Tunnel, error)
}

// Options configures a Handler; every field is required, unless it says otherwise.
type Options struct {
	Shops     Shops
	Admission *guard.Admission
	Transport http.RoundTripper
	// Tunnels serves CONNECT; nil: it is refused.
	Tunnels Tunnels
	// ReplayBuffer is the size in bytes up to which a body is kept for a second sending.
	ReplayBuffer int64
	// Memory is what may be held for all clients; nil: there is no bound.
	Memory  *limit.Budget
	Metrics *metrics.Metrics
	Log     *slog.Logger
	// Access logs requests; nil: none.
	Access *AccessLog
	// AuditDenials, if set, gets every denial as a warning, in place of the first of each kind in a while.
	AuditDenials *slog.Logger
	// Tracer makes spans of requests; nil: none.
	Tracer *tracing.Tracer
	// Stopping says that the process is about to end; nil: it never is.
	Stopping *atomic.Bool
}

// Shops are those whose requests are served.
type Shops interface {
	// Of returns what a request for a shop needs. Looking for the shop's grant may take a while, never longer than ctx. The
	// error is a *denial.Error, or ctx's cause.
	Of(ctx context.Context, shop token.Shop) (*Shop, error)
}

// Shop is what the requests for one shop need. It is shared by them and not changed.
type Shop struct {
	Shop token.Shop
	// Base is where to connect: scheme and authority, no path.
	Base   *url.URL
	Tokens TokenSource
	// Pace waits for Shopify's rate limits; nil: nothing waits, and refusals are passed on.
	Pace *pace.Pacer
	// PermanentRetired, if set, is told each time Shopify says that it no longer accepts the
	// kind of token that does not expire.
	PermanentRetired func()
	// Unexplained, if set, remembers the routes that Shopify refuses without a known reason.
	Unexplained *Unexplained
}

// Of makes a Shop the Shops of which there is one.
func (s *Shop) Of(context.Context, token.Shop) (*Shop, error) { return s, nil }

// Handler serves the clients. It is safe for concurrent use.
type Handler struct {
	opt          Options
	deprecations deprecations
	denials      logLimiter
	forbidden    logLimiter   // of 403s without a known reason
	refusing     atomic.Int64 // requests of HTTP/2 that are told that there is no room
	flushers     sync.Pool    // of *headerFlusher
}

// New returns a Handler.
func New(opt Options) *Handler {
	opt.Metrics.Announce(failures, replays)
	return &Handler{
		opt: opt, deprecations: deprecations{log: opt.Log, metrics: opt.Metrics},
		flushers: sync.Pool{New: newHeaderFlusher},
	}
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec := record{in: r, began: clock.Mono(), route: shopify.RouteOther, status: http.StatusInternalServerError}
	rec.passer, _ = w.(passer)
	h.opt.Metrics.RequestStarted()
	defer h.observe(&rec)

	if !r.ProtoAtLeast(1, 1) {
		// net/http ignores an HTTP/1.0 client's Transfer-Encoding, as it should, but would read
		// what that announced as the next request. RFC 9112 section 6.1 has the connection end.
		w.Header().Set("Connection", "close")
	}
	if r.Method == http.MethodConnect {
		// What follows a refused CONNECT may be meant for its tunnel: it is never read as a request.
		// net/http ends the connection by itself from Go 1.27 on.
		w.Header().Set("Connection", "close")
	}
	h.partWhileStopping(w)
	var err error
	if r.ProtoMajor == 2 {
		w, err = h.multiplexed(w, &rec)
	}
	switch {
	case err != nil:
	case r.Method == http.MethodConnect && h.opt.Tunnels != nil:
		err = h.connect(w, &rec)
	default:
		if err = h.admit(&rec); err == nil {
			err = h.serve(w, &rec)
		}
	}
	if err == nil {
		return
	}
	if denied, ok := errors.AsType[*denial.Error](err); ok {
		h.deny(w, &rec, denied)
		return
	}
	h.fail(w, &rec, err)
}

// partWhileStopping ends the client's connection with this answer, if the process is about to end: the next one leads to another
// replica. A connection that is kept is closed at some moment when it is idle, and a request that is on its way then is lost.
// To a connection of HTTP/2 the server says the same by GOAWAY.
func (h *Handler) partWhileStopping(w http.ResponseWriter) {
	if h.opt.Stopping != nil && h.opt.Stopping.Load() {
		w.Header().Set("Connection", "close")
	}
}

// connect opens a tunnel. What comes through it are requests of their own.
func (h *Handler) connect(w http.ResponseWriter, rec *record) error {
	view := request.Of(rec.in)
	t, err := h.opt.Tunnels.Connect(w, rec.in, &view)
	rec.passage.Caller = t.Caller
	if err == nil {
		rec.status = http.StatusOK
		h.admitted(rec)
	}
	return err
}

// serve passes an admitted request on and brings the answer back. An error means that the
// client has got nothing yet.
func (h *Handler) serve(w http.ResponseWriter, rec *record) error {
	rec.body.allowEarlyAnswer(w)
	resp, err := h.roundTrip(rec)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	h.partWhileStopping(w) // it may have begun meanwhile
	if rec.in.ProtoMajor == 1 && rec.body.unread() {
		w.Header().Set("Connection", "close") // see unread
	}
	rec.status, rec.answer = resp.StatusCode, resp.Header
	h.copyResponse(w, rec, resp)
	rec.body.dropRest(rec.ownConn())
	return nil
}
