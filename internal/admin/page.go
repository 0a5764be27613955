package admin

import (
	"crypto/sha256"
	_ "embed" // the page's style and script
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"evergate/internal/markup"
)

// The page works without its script: then it reloads itself. Style and script are part of
// it, so that it loads nothing, and the policy names them by their hash, so that nothing
// else runs, whatever a shop is called or an error says.
var (
	//go:embed page.css
	pageCSS string
	//go:embed page.js
	pageJS string

	policy = sync.OnceValue(func() string {
		return strings.Join([]string{
			"default-src 'none'", "style-src '" + hashOf(pageCSS) + "'", "script-src '" + hashOf(pageJS) + "'",
			"connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'",
		}, "; ")
	})
)

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

func (h *handler) page(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Security-Policy", policy())
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Referrer-Policy", "no-referrer")
	_, _ = h.view().html().WriteTo(w)
}

// html is the page. Its script replaces the parts marked data-live by those of a newer one.
func (v view) html() *markup.Page {
	var p markup.Page
	p.Put(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<noscript><meta http-equiv="refresh" content="10"></noscript>
<title>{} · Evergate</title>
<style>`, v.Report.Shop)
	p.Trusted(pageCSS)
	p.Put(`</style>
</head>
<body>
<a class="skip" href="#token">Skip to the token</a>
<header>
<h1>{}</h1>
<p id="live-sentence" data-live class="verdict {}" role="status"><span class="mark" aria-hidden="true">{}</span> {}</p>
</header>
<main>
`, v.Report.Shop, string(v.worst().Level), v.worst().Level.mark(), plain(v.worst().Text))
	v.token(&p)
	v.traffic(&p)
	v.limits(&p)
	v.versions(&p)
	p.Put(`</main>
<footer>
<p>Evergate {}, running since <time datetime="{}">{} UTC</time>.
<span id="live-updated" data-live>As of {} UTC.</span></p>
<nav aria-label="More"><a href="/status">Status as JSON</a> <a href="/metrics">Metrics</a></nav>
</footer>
<script>`, v.Report.Version, machineTime(v.Report.Started), readableTime(v.Report.Started), v.Updated.UTC().Format(time.TimeOnly))
	p.Trusted(pageJS)
	p.Put("</script>\n</body>\n</html>\n")
	return &p
}

func (v view) worst() Verdict { return v.Verdicts[0] }

// mark says the level to those who see no colours.
func (l Level) mark() string {
	switch l {
	case LevelOK:
		return "✓"
	case LevelWarning:
		return "!"
	}
	return "✕"
}

// plain is a text without the marks around what is to be typed.
func plain(text string) string { return strings.ReplaceAll(text, "`", "") }

func (v view) token(p *markup.Page) {
	p.Put(`<section aria-labelledby="token" id="live-token" data-live>
<h2 id="token" tabindex="-1">Token</h2>
`)
	if do := v.worst().WhatToDo; do != "" {
		p.Put("<p class=\"advice\"><strong>What to do:</strong> {}</p>\n", plain(do))
	}
	if v.Life != "" {
		p.Put(`<p class="bar"><label for="life">{} of {} left</label>
<meter id="life" min="0" max="1" low="0.15" optimum="1" value="{}">{} of {} left</meter></p>
`, v.Left, v.Life, number(v.LeftShare, 4), v.Left, v.Life)
	}
	p.Put("<dl>\n")
	term(p, "Grant", v.Report.Grant)
	state := v.Report.State
	if v.Report.LifeAssumed {
		state += ", life assumed because Shopify named none"
	}
	term(p, "State", state)
	if v.Age != "" {
		term(p, "Age", v.Age)
	}
	if v.Life != "" {
		p.Put("<dt>Next renewal</dt><dd><time datetime=\"{}\">{} UTC</time></dd>\n", machineTime(v.Report.NextRenewal), readableTime(v.Report.NextRenewal))
	}
	if v.RefreshLeft != "" {
		term(p, "Refresh token", v.RefreshLeft+" left, if it is not used before")
	}
	if v.Report.LastError != "" {
		term(p, "Last error", v.Report.LastError)
		term(p, "Next attempt", readableTime(v.Report.NextAttempt)+" UTC")
	}
	for _, t := range [...]struct{ name, text string }{
		{"Not written", v.Report.Unsaved}, {"Notice", v.Report.Notice},
		{"Missing scopes", strings.Join(v.Report.MissingScopes, ", ")}, {"Scopes", strings.Join(v.Report.Scopes, ", ")},
	} {
		if t.text != "" {
			term(p, t.name, t.text)
		}
	}
	p.Put("</dl>\n</section>\n")
}

func term(p *markup.Page, name, text string) {
	p.Put("<dt>{}</dt><dd>{}</dd>\n", name, text)
}

func (v view) traffic(p *markup.Page) {
	c := v.Chart
	p.Put(`<section aria-labelledby="traffic" id="live-traffic" data-live>
<h2 id="traffic">The last hour</h2>
<p>{} calls, {} failed, {} waited for the rate limit.</p>
`, number(c.Requests, 0), number(c.Failed, 0), number(c.Waited, 0))
	if len(c.Bars) > 0 {
		p.Put("<svg viewBox=\"0 0 600 100\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"Calls a minute over the last hour, at most {} in one\">\n", number(c.Most, 0))
		for _, b := range c.Bars {
			p.Put(`<rect class="calls" x="{}" y="{}" width="8.5" height="{}"><title>{} min ago: {} calls, {} failed</title></rect>`,
				number(b.X, 1), number(b.Y, 2), number(b.Height, 2), strconv.Itoa(b.Ago), number(b.Requests, 0), number(b.Failed, 0))
			if b.FailHigh != 0 {
				p.Put(`<rect class="failed" x="{}" y="{}" width="8.5" height="{}"></rect>`, number(b.X, 1), number(b.FailY, 2), number(b.FailHigh, 2))
			}
			p.Put("\n")
		}
		p.Put("</svg>\n<p class=\"scale\"><span>an hour ago</span><span>at most {} a minute</span><span>now</span></p>\n", number(c.Most, 0))
	}
	p.Put("</section>\n")
}

func (v view) limits(p *markup.Page) {
	p.Put(`<section aria-labelledby="limits" id="live-limits" data-live>
<h2 id="limits">Rate limits</h2>
`)
	for _, b := range v.Buckets {
		available, capacity := number(b.Available, 0), number(b.Capacity, 0)
		p.Put(`<p class="bar"><label for="bucket-{}">{}: room for {} of {} {}</label>
<meter id="bucket-{}" min="0" low="{}" optimum="{}" max="{}" value="{}">{}</meter></p>
`, b.API, b.Name(), available, capacity, b.Unit(), b.API, number(b.Low(), 0), capacity, capacity, number(b.Available, 1), available)
	}
	if len(v.Buckets) == 0 {
		p.Put("<p>Nothing is known of them yet: Shopify tells with its answers.</p>\n")
	}
	p.Put("</section>\n")
}

func (v view) versions(p *markup.Page) {
	p.Put(`<section aria-labelledby="versions" id="live-versions" data-live>
<h2 id="versions">API versions in use</h2>
`)
	if len(v.Versions) > 0 {
		p.Put("<table>\n<thead><tr><th scope=\"col\">Version</th><th scope=\"col\">Calls</th><th scope=\"col\">Support</th></tr></thead>\n<tbody>")
		for _, row := range v.Versions {
			p.Put(`<tr class="{}"><th scope="row">{}</th><td>{}</td><td>{}</td></tr>`, string(row.Level), row.Version, number(row.Calls, 0), row.State)
		}
		p.Put("</tbody>\n</table>\n")
	} else {
		p.Put("<p>No call has named a version yet.</p>\n")
	}
	p.Put("</section>\n")
}

func number(f float64, decimals int) string { return strconv.FormatFloat(f, 'f', decimals, 64) }

func machineTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

func readableTime(t time.Time) string { return t.UTC().Format(time.DateTime) }
