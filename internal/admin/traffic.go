package admin

import (
	"strconv"

	"evergate/internal/markup"
)

// traffic is the last hour, and what did not succeed.
func (v view) traffic(p *markup.Page) {
	section(p, "traffic", "Calls in the last hour"+v.ofAll())
	c := v.Chart
	if len(c.Bars) == 0 {
		p.Put("<p>None.</p>\n")
	} else {
		p.Put("<p>{}, {} failed, {} waited for the rate limit.</p>\n", count(c.Requests, "call", "calls"), number(c.Failed, 0), number(c.Waited, 0))
		v.bars(p)
	}
	v.unsuccessful(p)
	endSection(p)
}

func (v view) bars(p *markup.Page) {
	c := v.Chart
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

// unsuccessful is what calls got that were not served, by route.
func (v view) unsuccessful(p *markup.Page) {
	rows := v.Report.Unsuccessful
	if len(rows) == 0 {
		return
	}
	p.Put(`<table>
<caption>What was not served, since the start</caption>
<thead><tr><th scope="col">Route and answer</th><th scope="col" class="number">Times</th><th scope="col" class="number">Last</th></tr></thead>
<tbody>`)
	for _, f := range rows {
		level := LevelOK
		if f.Failed {
			level = LevelError
		}
		p.Put(`<tr><th scope="row">{} <span class="answer {}">{}</span></th><td class="number">{}</td><td class="number">`, f.Route, string(level), f.answer(), strconv.FormatUint(f.Count, 10))
		when(p, f.Last, v.Updated)
		p.Put("</td></tr>")
	}
	p.Put("</tbody>\n</table>\n<p class=\"note\">{}</p>\n", whatFails)
}

// answer says what it was and whose.
func (f FailureReport) answer() string {
	switch {
	case f.Code == "" && f.Status == 0:
		return "others"
	case f.Code == "":
		return "Shopify: " + Failure{Status: f.Status}.answer()
	case f.Failed:
		return "Evergate: " + strconv.Itoa(f.Status) + " " + f.Code
	}
	return "Refused: " + strconv.Itoa(f.Status) + " " + f.Code
}
