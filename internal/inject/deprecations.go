package inject

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"

	"evergate/internal/brief"
	"evergate/internal/metrics"
	"evergate/internal/redact"
	"evergate/internal/shopify"
)

// deprecations tells people what Shopify says beside an answer: that a part of its API is
// deprecated, or that it served another version than was asked for, which is what it does
// with one that it no longer supports. Each is counted, and logged once per route: a tool
// repeats its calls, and its operator needs to be told once.
//
// What has been said is a few bits per route, and routes are a closed list, so no client can
// make the memory grow.
type deprecations struct {
	log     *slog.Logger
	metrics *metrics.Metrics
	said    [1 << 8]atomic.Uint32 // by route; the bits are those of look
}

const (
	saidDeprecated uint32 = 1 << iota
	saidFellForward
)

// look reads the header of an answer to a call of target.
func (d *deprecations) look(h http.Header, target shopify.Target) {
	var news uint32
	reason, served, warning := first(h[shopify.HeaderDeprecatedReason]), first(h[shopify.HeaderAPIVersion]), first(h[shopify.HeaderVersionWarning])
	if reason != "" {
		news |= saidDeprecated
	}
	asked, route := target.Asked, target.Route
	if warning != "" || asked != "" && served != "" && asked != served {
		news |= saidFellForward
	}
	if news == 0 {
		return
	}
	d.metrics.Deprecated(route)
	if said := &d.said[route]; said.Load()&news == news || said.Or(news)&news == news {
		return // all of it has been said
	}
	message, level := "Shopify marks this call as deprecated: change the tool that makes it (said once per route)", slog.LevelInfo // all of REST's products
	if news&saidFellForward != 0 {
		level = slog.LevelWarn
		message = "Shopify served another API version than was asked for: move the tool to one that is supported (said once per route)"
		reason = strings.TrimPrefix(reason+" "+warning, " ")
	}
	d.log.Log(context.Background(), level, message, "route", route.String(), "asked", asked, "served", short(served), "reason", short(strings.TrimSpace(reason)),
		"request_id", short(first(h["X-Request-Id"])))
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// short is what of a text of Shopify's goes into a log line. Whatever answers in its place may quote the token.
func short(s string) string { return brief.Text(redact.Text(s), 200) }
