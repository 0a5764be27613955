package inject

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"evergate/internal/clock"
	"evergate/internal/shopify"
	"evergate/internal/token"
)

// possibleAllowlist is what people are told of a 403 without a known reason. An allowlist of IP
// addresses is one of its possible causes, and the one that nobody thinks of.
const possibleAllowlist = unknownReason + "; " + AllowlistRemedy

const unknownReason = "Shopify refuses calls with a 403 whose reason Evergate does not know"

// AllowlistRemedy is what to look at where Shopify refuses calls without a known reason.
const AllowlistRemedy = "if the app has an IP allowlist, see in the Dev Dashboard whether it has the address that Evergate calls from"

// Unexplained remembers the routes that Shopify refuses with a 403 of no known kind. Its zero
// value is ready, and it is safe for concurrent use. Routes are a closed list, so it does not grow.
type Unexplained struct {
	last [1 << 8]atomic.Int64 // by route: when it was refused; 0 after a success
}

func (u *Unexplained) refused(route shopify.Route) { u.last[route].Store(clock.Mono()) }

// succeeded is called for every request, so it writes only if there is something to forget.
func (u *Unexplained) succeeded(route shopify.Route) {
	if last := &u.last[route]; last.Load() != 0 {
		last.Store(0)
	}
}

// noticeTime is how long a refusal counts that neither a success nor another refusal follows.
const noticeTime = time.Hour

// Refused says which routes are refused; empty while none is. AllowlistRemedy is what to do about it.
func (u *Unexplained) Refused() string {
	if names := u.routes(); names != "" {
		return unknownReason + " (" + names + ")"
	}
	return ""
}

// Notice is both in one text.
func (u *Unexplained) Notice() string {
	if names := u.routes(); names != "" {
		return possibleAllowlist + ": " + names
	}
	return ""
}

func (u *Unexplained) routes() string {
	const most = 5
	var routes []string
	more, now := 0, clock.Mono()
	for route := range u.last {
		switch last := u.last[route].Load(); {
		case last == 0 || now-last >= int64(noticeTime):
		case len(routes) == most:
			more++
		default:
			routes = append(routes, shopify.Route(route).String())
		}
	}
	if routes == nil {
		return ""
	}
	names := strings.Join(routes, ", ")
	if more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return names
}

// watchForbidden has the beginning of a 403's body looked at, where its reason stands. Most clients ask for compressed
// answers; what cannot be read says nothing.
func (h *Handler) watchForbidden(rec *record, resp *http.Response, tok token.Token) {
	if rec.in.Method == http.MethodHead {
		return
	}
	compressed := !plain(resp.Header["Content-Encoding"])
	header := http.Header{"Content-Encoding": slices.Clone(resp.Header["Content-Encoding"])}
	ctx, shop, route, id := rec.in.Context(), rec.shop, rec.route, first(resp.Header["X-Request-Id"]) // not rec, which stays on the stack
	resp.Body = &forbiddenReader{ReadCloser: resp.Body, decide: func(beginning []byte) {
		if compressed {
			if beginning = shop.Pace.PlainBeginning(header, beginning); len(beginning) == 0 {
				return
			}
		}
		switch {
		case shopify.RefusesNonExpiring(http.StatusForbidden, beginning):
			if !tok.Expires() && shop.PermanentRetired != nil {
				shop.PermanentRetired()
			}
		case !shopify.ExplainsForbidden(beginning):
			h.unexplained(ctx, shop, route, id)
		}
	}}
}

func plain(encoding []string) bool {
	return len(encoding) == 0 || len(encoding) == 1 && (encoding[0] == "" || strings.EqualFold(encoding[0], "identity"))
}

// unexplained logs nothing of the body: it may repeat a part of the request.
func (h *Handler) unexplained(ctx context.Context, shop *Shop, route shopify.Route, requestID string) {
	if shop.Unexplained != nil {
		shop.Unexplained.refused(route)
	}
	if h.forbidden.allow("", "", route) {
		h.opt.Log.WarnContext(ctx, possibleAllowlist+" (said once an hour per route)", "route", route.String(), "request_id", short(requestID))
	}
}

// largestBeginning is how much of a 403's body is looked at.
const largestBeginning = 512

// forbiddenReader looks at the first bytes of a body while they pass, so that the answer is
// not held up. A body that breaks off before that says nothing.
type forbiddenReader struct {
	io.ReadCloser
	decide func(beginning []byte) // nil: it is done
	seen   int
	first  [largestBeginning]byte
}

// Read implements io.Reader.
func (r *forbiddenReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if r.decide == nil {
		return n, err
	}
	r.seen += copy(r.first[r.seen:], p[:n])
	if r.seen == len(r.first) || errors.Is(err, io.EOF) {
		r.decide(r.first[:r.seen])
		r.decide = nil
	}
	return n, err
}
