//go:build linux

package main

import (
	"fmt"
	"math"
	"strings"
)

// The plot has a line for each row that is compared with nginx: a point for each peer, on a logarithmic scale, and for Evergate
// the quartiles as well.
const (
	plotLeft, plotWidth, plotTop, lineHeight = 330.0, 460.0, 64.0, 22.0
	leastRatio, mostRatio                    = 0.25, 16.0
)

// points are the peers that are drawn, each in a colour that is told from the others on light and on dark pages.
var points = []struct{ peer, colour string }{{haproxyName, "#2f6fb3"}, {caddyName, "#b7791f"}, {relayName, "#8a8a8a"}, {evergateName, "#0b7a4b"}}

func plotX(ratio float64) float64 {
	return plotLeft + plotWidth*math.Log(min(max(ratio, leastRatio), mostRatio)/leastRatio)/math.Log(mostRatio/leastRatio)
}

func (r *report) plot() string {
	var rows []*row
	for _, row := range r.rows {
		if _, ok := row.ratio(evergateName, nginxName); ok && !row.small(nginxName) {
			rows = append(rows, row)
		}
	}
	bottom := plotTop + lineHeight*float64(len(rows))
	var b strings.Builder
	fmt.Fprintf(&b, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-labelledby=\"t\">\n", plotLeft+plotWidth+30, bottom+36)
	b.WriteString("<title id=\"t\">What proxies need, divided by what nginx needs</title>\n<style>" +
		"text{font:12px system-ui,sans-serif;fill:#222}.tick{font-size:11px;fill:#555}.grid{stroke:#ccc}.one{stroke:#777;stroke-width:1.5}" +
		"@media (prefers-color-scheme:dark){text{fill:#eee}.tick{fill:#bbb}.grid{stroke:#444}.one{stroke:#aaa}}</style>\n")
	for i, p := range points {
		x := 16 + float64(i)*120
		fmt.Fprintf(&b, "<circle cx=\"%.0f\" cy=\"18\" r=\"5\" fill=\"%s\"/>\n<text x=\"%.0f\" y=\"22\">%s</text>\n", x, p.colour, x+10, p.peer)
	}
	fmt.Fprintf(&b, "<text x=\"%.0f\" y=\"22\" class=\"tick\">multiples of nginx; throughput: more is better, else less</text>\n", 16+120.0*float64(len(points)))
	for ratio := leastRatio; ratio <= mostRatio; ratio *= 2 {
		class := "grid"
		if ratio == 1 {
			class = "one"
		}
		fmt.Fprintf(&b, "<line x1=\"%.1f\" y1=\"%.0f\" x2=\"%.1f\" y2=\"%.0f\" class=\"%s\"/>\n", plotX(ratio), plotTop-14, plotX(ratio), bottom, class)
		fmt.Fprintf(&b, "<text x=\"%.1f\" y=\"%.0f\" text-anchor=\"middle\" class=\"tick\">%g ×</text>\n", plotX(ratio), bottom+18, ratio)
	}
	for i, row := range rows {
		row.draw(&b, plotTop+lineHeight*float64(i))
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (r *row) draw(b *strings.Builder, y float64) {
	fmt.Fprintf(b, "<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"end\">%s</text>\n", plotLeft-12, y+4, r.name)
	for _, p := range points {
		s, ok := r.ratio(p.peer, nginxName)
		if !ok {
			continue
		}
		size := 3.5
		if p.peer == evergateName {
			size = 5
			fmt.Fprintf(b, "<line x1=\"%.1f\" y1=\"%.0f\" x2=\"%.1f\" y2=\"%.0f\" stroke=\"%s\" stroke-width=\"3\" stroke-opacity=\"0.5\"/>\n", plotX(s.low), y, plotX(s.high), y, p.colour)
		}
		fmt.Fprintf(b, "<circle cx=\"%.1f\" cy=\"%.0f\" r=\"%.1f\" fill=\"%s\"/>\n", plotX(s.median), y, size, p.colour)
	}
}
