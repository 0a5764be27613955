package main

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// The plot has a row for each API, at 20 callers: on the left the calls a second that tools saw
// served and refused, on the right how long callers waited, as a distribution.
const (
	panelWidth, panelHeight = 360.0, 170.0
	left, top               = 56.0, 64.0
	gapX, gapY              = 84.0, 84.0
	plotted                 = 20 // callers
)

var colours = map[string]string{paced: "#0b7a4b", plain: "#c0392b", backoff: "#b7791f"}

// canvas collects the elements of an SVG.
type canvas struct{ strings.Builder }

func (c *canvas) text(x, y float64, anchor, class, s string) {
	fmt.Fprintf(c, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" class=\"%s\">%s</text>\n", x, y, anchor, class, s)
}

func (c *canvas) line(points [][2]float64, colour string) {
	var p strings.Builder
	for _, at := range points {
		fmt.Fprintf(&p, "%.1f,%.1f ", at[0], at[1])
	}
	fmt.Fprintf(c, "<polyline points=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"/>\n", strings.TrimSpace(p.String()), colour)
}

// panel is one coordinate system.
type panel struct {
	x, y       float64
	maxX, maxY float64
}

func (p panel) at(x, y float64) [2]float64 {
	return [2]float64{p.x + x/p.maxX*panelWidth, p.y + panelHeight - min(y, p.maxY)/p.maxY*panelHeight}
}

func (c *canvas) axes(p panel, title, unitX string, formatX, formatY string) {
	c.text(p.x, p.y-12, "start", "title", title)
	for i := range 5 {
		part := float64(i) / 4
		a, b := p.at(0, part*p.maxY), p.at(p.maxX, part*p.maxY)
		fmt.Fprintf(c, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"grid\"/>\n", a[0], a[1], b[0], b[1])
		c.text(a[0]-6, a[1]+4, "end", "tick", fmt.Sprintf(formatY, part*p.maxY))
		x := p.at(part*p.maxX, 0)
		c.text(x[0], x[1]+16, "middle", "tick", fmt.Sprintf(formatX, part*p.maxX))
	}
	c.text(p.x+panelWidth, p.y+panelHeight+32, "end", "tick", unitX)
}

// plot draws the results as an SVG that reads on light and on dark pages.
func plot(results map[scenario]result, length time.Duration) string {
	c := &canvas{}
	width, height := left+2*panelWidth+gapX+24, top+2*(panelHeight+gapY)
	fmt.Fprintf(c, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-labelledby=\"t\">\n", width, height)
	c.WriteString("<title id=\"t\">Calls got through and time waited, with and without Evergate</title>\n<style>" +
		"text{font:12px system-ui,sans-serif;fill:#222}.title{font-weight:600;font-size:13px}.tick{font-size:11px;fill:#555}.grid{stroke:#ccc}" +
		"@media (prefers-color-scheme:dark){text{fill:#eee}.tick{fill:#bbb}.grid{stroke:#444}}</style>\n")
	for i, way := range ways {
		x := left + float64(i)*170
		fmt.Fprintf(c, "<rect x=\"%.0f\" y=\"14\" width=\"14\" height=\"4\" fill=\"%s\"/>\n", x, colours[way])
		c.text(x+20, 20, "start", "title", way)
	}
	for row, api := range apis {
		y := top + float64(row)*(panelHeight+gapY)
		c.rates(results, api, panel{left, y, 0, 0}, length)
		c.waiting(results, api, panel{left + panelWidth + gapX, y, 0, 100})
	}
	c.WriteString("</svg>\n")
	return c.String()
}

// rates draws, for each way, how many calls a second were served and how many the tools saw
// refused, on a logarithmic scale: the ways differ by their refusals, and those by orders.
func (c *canvas) rates(results map[scenario]result, api string, p panel, length time.Duration) {
	c.text(p.x, p.y-12, "start", "title", fmt.Sprintf("%s: calls a second, %d callers", api, plotted))
	const least, most = 0.1, 1000.0
	width := func(rate float64) float64 {
		return panelWidth * 0.8 * math.Log(max(rate, least)/least) / math.Log(most/least)
	}
	y := p.y + 8
	for _, way := range ways {
		r := results[scenario{api, way, plotted}]
		for _, bar := range []struct {
			what    string
			n       int
			opacity float64
		}{{"served", len(r.served), 1}, {"refused", len(r.refused), 0.45}} {
			rate := float64(bar.n) / length.Seconds()
			fmt.Fprintf(c, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"18\" fill=\"%s\" fill-opacity=\"%.2f\"/>\n",
				p.x, y, max(1, width(rate)), colours[way], bar.opacity)
			c.text(p.x+width(rate)+8, y+13, "start", "tick", fmt.Sprintf("%.1f %s", rate, bar.what))
			y += 22
		}
		y += 12
	}
}

// waiting draws, for each time, what share of all calls had been served after it. Calls that
// were refused for good never are, so their way's line ends below 100.
func (c *canvas) waiting(results map[scenario]result, api string, p panel) {
	for _, way := range ways {
		p.maxX = max(p.maxX, quantile(results[scenario{api, way, plotted}].served, 0.99).Seconds()*1.05)
	}
	c.axes(p, fmt.Sprintf("%s: share of calls served within …", api), "seconds", "%.1f", "%.0f %%")
	for _, way := range ways {
		r := results[scenario{api, way, plotted}]
		all := float64(len(r.served) + len(r.refused))
		var points [][2]float64
		for i := range 101 {
			x := p.maxX * float64(i) / 100
			n := 0
			for _, made := range r.served {
				if made.took.Seconds() <= x {
					n++
				}
			}
			points = append(points, p.at(x, 100*float64(n)/max(1, all)))
		}
		c.line(points, colours[way])
	}
}
