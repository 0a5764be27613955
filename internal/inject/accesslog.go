package inject

import (
	"log/slog"
	"net/http"
	"time"

	"evergate/internal/metrics"
)

// AccessLog writes a line for a share of the requests, and for every one that failed. A
// line holds no path, because Shopify's name customers and orders, no query and no body.
type AccessLog struct {
	Log *slog.Logger
	// Level of the lines. What the logger does not write at the time costs one look at its level.
	Level slog.Level
	// Share of the requests is logged, from 0 to 1; what failed is logged always.
	Share float64
	// Draw returns a random number from [0, 1).
	Draw func() float64
}

func (a *AccessLog) write(rec *record, took time.Duration) {
	if !a.Log.Enabled(rec.in.Context(), a.Level) {
		return
	}
	failed := rec.code != "" || rec.status >= http.StatusInternalServerError
	if !failed && a.Share < 1 && a.Draw() >= a.Share {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", metrics.MethodName(rec.in.Method)), slog.String("route", rec.named().String()), slog.Int("status", rec.status),
		slog.Float64("seconds", took.Seconds()),
	}
	if name := rec.passage.Caller.Name; name != "" {
		attrs = append(attrs, slog.String("caller", name))
	}
	if version := rec.passage.Target.Version.String(); version != "" {
		attrs = append(attrs, slog.String("version", version))
	}
	if rec.code != "" {
		attrs = append(attrs, slog.String("code", rec.code))
	}
	if rec.waited > 0 {
		attrs = append(attrs, slog.Float64("waited_seconds", rec.waited.Seconds()))
	}
	if id := rec.answer.Get("X-Request-Id"); id != "" {
		attrs = append(attrs, slog.String("shopify_request_id", id))
	}
	if id := rec.span.TraceID(); id != "" {
		attrs = append(attrs, slog.String("trace_id", id))
	}
	a.Log.LogAttrs(rec.in.Context(), a.Level, "request", attrs...)
}
