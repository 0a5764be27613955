package inject

import (
	"log/slog"
	"net/http"
	"time"

	"evergate/internal/metrics"
	"evergate/internal/shopify"
	"evergate/internal/tracing"
)

// visit is what there is to tell of one request when it has been answered.
type visit struct {
	began  time.Time
	target shopify.Target
	route  shopify.Route // of target
	status int
	code   string        // of an answer of Evergate's own
	waited time.Duration // for the rate limit
	answer http.Header   // Shopify's
	span   *tracing.Request
}

// ended tells everybody who keeps account.
func (h *Handler) ended(r *http.Request, v *visit) {
	took := time.Since(v.began)
	h.opt.Metrics.RequestDoneInTrace(v.span.TraceID(), v.route, r.Method, v.status, took)
	v.span.Waited(v.waited)
	v.span.Done(v.status, v.code)
	if h.opt.Access != nil {
		h.opt.Access.write(r, v, took)
	}
}

// AccessLog writes a line for a share of the requests, and for every one that failed. A
// line holds no path, because Shopify's name customers and orders, no query and no body.
type AccessLog struct {
	Log *slog.Logger
	// Share of the requests is logged, from 0 to 1; what failed is logged always.
	Share float64
	// Draw returns a random number from [0, 1).
	Draw func() float64
}

func (a *AccessLog) write(r *http.Request, v *visit, took time.Duration) {
	failed := v.code != "" || v.status >= http.StatusInternalServerError
	if !failed && a.Share < 1 && a.Draw() >= a.Share {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", metrics.MethodName(r.Method)), slog.String("route", v.route.String()), slog.Int("status", v.status),
		slog.Float64("seconds", took.Seconds()),
	}
	if v.code != "" {
		attrs = append(attrs, slog.String("code", v.code))
	}
	if v.waited > 0 {
		attrs = append(attrs, slog.Float64("waited_seconds", v.waited.Seconds()))
	}
	if id := v.answer.Get("X-Request-Id"); id != "" {
		attrs = append(attrs, slog.String("shopify_request_id", id))
	}
	if id := v.span.TraceID(); id != "" {
		attrs = append(attrs, slog.String("trace_id", id))
	}
	a.Log.LogAttrs(r.Context(), slog.LevelInfo, "request", attrs...)
}
