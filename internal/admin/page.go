package admin

import (
	"crypto/sha256"
	_ "embed" // the page's style and script
	"encoding/base64"
	"net/http"
	"strings"
	"sync"
	"time"

	"evergate/internal/markup"
)

// The page works without its script: then it reloads itself. Style and script are part of
// it, so that it loads nothing, and the policy names them by their hash, so that nothing
// else runs, whatever a shop is called or an error says. Its icon is in a data: URL.
var (
	//go:embed page.css
	pageCSS string
	//go:embed page.js
	pageJS string

	policy = sync.OnceValue(func() string { return policyWith("form-action 'none'") })
	// searchPolicy is for the page with the table of shops, which has a form.
	searchPolicy = sync.OnceValue(func() string { return policyWith("form-action 'self'") })
)

func policyWith(forms string) string {
	return strings.Join([]string{
		"default-src 'none'", "style-src '" + hashOf(pageCSS) + "'", "script-src '" + hashOf(pageJS) + "'",
		"connect-src 'self'", "img-src data:", "frame-ancestors 'none'", "base-uri 'none'", forms,
	}, "; ")
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

func (h *handler) page(w http.ResponseWriter, r *http.Request, t Tokens) {
	allowed := policy()
	if t == nil {
		allowed = searchPolicy()
	}
	w.Header().Set("Content-Security-Policy", allowed)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Referrer-Policy", "no-referrer")
	_, _ = h.view(t, r).html().WriteTo(w)
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
<noscript><meta http-equiv="refresh" content="{}"></noscript>
<title>{} {} · {}</title>
<link rel="icon" id="icon" href="{}" data-lost="{}">
<style>`, v.reload(), v.worst().Level.mark(), v.worst().label, v.title(), v.worst().Level.icon(), lostIcon())
	p.Trusted(pageCSS)
	p.Put(`</style>
</head>
<body>
<a class="skip" href="#{}">Skip to the {}</a>
<header>
<h1>{}</h1>
`, v.first(), v.first(), v.title())
	if v.OneOfMany {
		p.Put("<p><a href=\"/\">All shops</a></p>\n")
	}
	v.verdicts(&p)
	p.Put("</header>\n<main>\n<div class=\"column\">\n")
	v.tools(&p)
	v.traffic(&p)
	p.Put("</div>\n<div class=\"column\">\n")
	v.shops(&p)
	if v.Fleet == nil {
		v.token(&p)
	}
	v.limits(&p)
	v.versions(&p)
	p.Put(`</div>
</main>
<footer>
<p id="live-updated" data-live>Evergate {}, started `, v.Report.Version)
	when(&p, v.Report.Started, v.Updated)
	p.Put(`. As of <time datetime="{}" title="{} UTC">{} UTC</time>.</p>
<nav aria-label="More"><a href="/status">Status as JSON</a> <a href="/metrics">Metrics</a></nav>
</footer>
<script>`, machineTime(v.Updated), readableTime(v.Updated), v.Updated.UTC().Format(time.TimeOnly))
	p.Trusted(pageJS)
	p.Put("</script>\n</body>\n</html>\n")
	return &p
}

// reload is after how many seconds the page is loaded anew where scripts are off. What somebody types into the search of shops is
// lost then, so that page leaves time for it.
func (v view) reload() string {
	if v.Fleet != nil {
		return "60"
	}
	return "10"
}

// ofAll goes behind what is counted for all shops together, on the page of one.
func (v view) ofAll() string {
	if v.OneOfMany {
		return ", of all shops"
	}
	return ""
}

// first is what a reader of the page wants to get to.
func (v view) first() string {
	if v.Fleet != nil {
		return "shops"
	}
	return "token"
}

// title is what the page is of.
func (v view) title() string {
	if v.Fleet != nil {
		return "Many shops"
	}
	return v.Report.Shop
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

// verdicts are the sentence at the top, and what else is to be said.
func (v view) verdicts(p *markup.Page) {
	worst := v.worst()
	p.Put(`<p id="live-verdict" data-live class="verdict {}" role="status"><span class="mark" aria-hidden="true">{}</span> <span>`, string(worst.Level), worst.Level.mark())
	words(p, worst.Text)
	p.Put("</span></p>\n<div id=\"live-advice\" data-live>\n")
	whatToDo(p, worst)
	if len(v.Verdicts) > 1 {
		p.Put("<ul class=\"also\" aria-label=\"Beside that\">\n")
		for _, also := range v.Verdicts[1:] {
			p.Put(`<li class="{}"><span class="mark" aria-hidden="true">{}</span> <div>`, string(also.Level), also.Level.mark())
			words(p, also.Text)
			if also.WhatToDo != "" && also.WhatToDo != worst.WhatToDo {
				p.Put(" ")
				words(p, also.WhatToDo)
			}
			p.Put("</div></li>\n")
		}
		p.Put("</ul>\n")
	}
	p.Put("</div>\n")
}

func whatToDo(p *markup.Page, worst Verdict) {
	if worst.WhatToDo == "" {
		return
	}
	p.Put(`<p class="advice {}"><strong>What to do:</strong> `, string(worst.Level))
	words(p, worst.WhatToDo)
	p.Put("</p>\n")
}

// section begins a part of the page. Its heading stays when the rest is replaced, so that what has the focus keeps it.
func section(p *markup.Page, id, heading string) {
	head(p, id, heading)
	live(p, id)
}

func head(p *markup.Page, id, heading string) {
	p.Put("<section aria-labelledby=\"{}\">\n<h2 id=\"{}\" tabindex=\"-1\">{}</h2>\n", id, id, heading)
}

// live begins what the script replaces.
func live(p *markup.Page, id string) { p.Put("<div id=\"live-{}\" data-live>\n", id) }

func endSection(p *markup.Page) { p.Put("</div>\n</section>\n") }

// tools is where they call, and who did.
func (v view) tools(p *markup.Page) {
	r := v.Report
	if len(r.Tools) == 0 && r.Policy == "" && len(r.Callers) == 0 {
		return
	}
	section(p, "tools", "Where tools call")
	p.Put("<dl>\n")
	for _, e := range r.Tools {
		p.Put("<dt>Address</dt><dd><code>{}</code></dd>\n", e.URL)
	}
	if len(r.Tools) > 0 {
		p.Put("<dt>Try it</dt><dd class=\"whole\"><code class=\"line\">{}</code></dd>\n", r.Tools[0].Try)
	}
	if r.Policy != "" {
		term(p, "Policy", r.Policy)
	}
	p.Put("</dl>\n")
	if len(r.Callers) == 0 {
		p.Put("<p class=\"note\">Nobody has called yet.</p>\n")
	} else {
		p.Put("<table>\n<thead><tr><th scope=\"col\">Caller</th><th scope=\"col\" class=\"number\">Calls</th><th scope=\"col\" class=\"number\">Denied</th><th scope=\"col\" class=\"number\">Waited</th></tr></thead>\n<tbody>")
		for _, c := range r.Callers {
			p.Put(`<tr><th scope="row">{}</th><td class="number">{}</td><td class="number">{}</td><td class="number">{}</td></tr>`,
				c.Name, number(c.Calls, 0), number(c.Denied, 0), number(float64(c.Waits), 0))
		}
		p.Put("</tbody>\n</table>\n")
		if more := v.MoreCallers; more > 0 {
			p.Put("<p class=\"note\">And {}.</p>\n", count(float64(more), "other caller", "other callers"))
		}
		if v.OneOfMany {
			p.Put("<p class=\"note\">Counted for all shops together.</p>\n")
		}
	}
	endSection(p)
}

// grantNames are what people call the grants.
var grantNames = map[string]string{"client_credentials": "client credentials", "offline": "offline: a stored grant", "static": "static: a permanent token"}

func (v view) token(p *markup.Page) {
	r := v.Report
	section(p, "token", "Token")
	if v.Life != "" {
		p.Put(`<p class="bar"><label for="life">{} of {} left</label>
<meter id="life" min="0" max="1" low="0.15" optimum="1" value="{}">{} of {} left</meter></p>
`, v.Left, v.Life, number(v.LeftShare, 4), v.Left, v.Life)
	}
	p.Put("<dl>\n")
	name, known := grantNames[r.Grant]
	if !known {
		name = r.Grant
	}
	term(p, "Grant", name)
	state := r.State
	if state == "none" {
		state = "none yet"
	}
	if r.LifeAssumed {
		state += ", life assumed because Shopify named none"
	}
	term(p, "State", state)
	if v.Age != "" {
		term(p, "Age", v.Age)
	}
	if v.Life != "" && r.LastError == "" {
		termWhen(p, "Next renewal", r.NextRenewal, v.Updated)
	}
	if !r.RefreshExpires.IsZero() {
		p.Put("<dt>Refresh token</dt><dd>ends ")
		when(p, r.RefreshExpires, v.Updated)
		p.Put(", if it is not used before</dd>\n")
	}
	if r.LastError != "" {
		p.Put("<dt>Last error</dt><dd class=\"long\">")
		words(p, v.LastError)
		if !r.LastErrorAt.IsZero() {
			p.Put(" <span class=\"aside\">(")
			when(p, r.LastErrorAt, v.Updated)
			p.Put(")</span>")
		}
		p.Put("</dd>\n")
		termWhen(p, "Next attempt", r.NextAttempt, v.Updated)
	}
	for _, t := range [...]struct{ name, text string }{
		{"Not written", r.Unsaved}, {"Missing scopes", strings.Join(r.MissingScopes, ", ")}, {"Scopes", strings.Join(r.Scopes, ", ")},
	} {
		if t.text != "" {
			term(p, t.name, t.text)
		}
	}
	p.Put("</dl>\n")
	endSection(p)
}

func (v view) limits(p *markup.Page) {
	r := v.Report
	section(p, "limits", "Rate limits")
	for _, b := range v.Buckets {
		available, capacity := number(b.Available, 0), number(b.Capacity, 0)
		p.Put(`<p class="bar"><label for="bucket-{}">{}: room for {} of {} {}</label>
<meter id="bucket-{}" min="0" low="{}" optimum="{}" max="{}" value="{}">{}</meter></p>
`, b.API, b.Name(), available, capacity, b.Unit(), b.API, number(b.Low(), 0), capacity, capacity, number(b.Available, 1), available)
	}
	if len(v.Buckets) == 0 {
		p.Put("<p class=\"note\">Nothing is known of them yet: Shopify tells with its answers.</p>\n")
	}
	pace := r.Pacing
	p.Put("<dl>\n")
	if pace.On {
		waited := count(pace.Waited, "call has", "calls have") + " waited"
		if pace.Waited == 0 {
			waited = "no call had to wait"
		}
		term(p, "Pacing", waited)
	} else {
		term(p, "Pacing", "off: Shopify's refusals are passed on")
	}
	if pace.LongestCaller != "" {
		p.Put("<dt>Longest wait</dt><dd>{}, {}, ", shortSpan(pace.LongestSeconds), pace.LongestCaller)
		when(p, pace.LongestAt, v.Updated)
		p.Put("</dd>\n")
	}
	if pace.Refused > 0 {
		term(p, "Turned away", count(pace.Refused, "call", "calls")+", because the caller's share would not have served them in time")
	}
	if pace.Throttled > 0 {
		text := count(pace.Throttled, "time", "times") + " by Shopify"
		if pace.On {
			text += "; what was not passed on was sent again"
		}
		term(p, "Refused", text)
	}
	p.Put("</dl>\n<p class=\"note\">Counted since the start.</p>\n")
	endSection(p)
}

func (v view) versions(p *markup.Page) {
	section(p, "versions", "API versions in use"+v.ofAll())
	if len(v.Versions) > 0 {
		p.Put("<table>\n<thead><tr><th scope=\"col\">Version</th><th scope=\"col\" class=\"number\">Calls</th><th scope=\"col\">Support</th></tr></thead>\n<tbody>")
		for _, row := range v.Versions {
			p.Put(`<tr class="{}"><th scope="row">{}</th><td class="number">{}</td><td>{}</td></tr>`, string(row.Level), row.Version, number(row.Calls, 0), row.State)
		}
		p.Put("</tbody>\n</table>\n")
	} else {
		p.Put("<p class=\"note\">No call has named a version yet.</p>\n")
	}
	endSection(p)
}
