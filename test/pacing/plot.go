package main

import (
	"fmt"
	"strings"
	"time"
)

// The plot has a row for each API, at 20 callers: on the left the calls that each way got
// through in each second, on the right how long callers waited, as a distribution.
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
		c.throughput(results, api, panel{left, y, length.Seconds(), 0}, length)
		c.waiting(results, api, panel{left + panelWidth + gapX, y, 0, 100})
	}
	c.WriteString("</svg>\n")
	return c.String()
}

func (c *canvas) throughput(results map[scenario]result, api string, p panel, length time.Duration) {
	for _, way := range ways {
		p.maxY = max(p.maxY, float64(len(results[scenario{api, way, plotted}].served)))
	}
	c.axes(p, fmt.Sprintf("%s: calls served, %d callers", api, plotted), "seconds", "%.0f", "%.0f")
	for _, way := range ways {
		perSecond := make([]int, int(length.Seconds())+1)
		for _, made := range results[scenario{api, way, plotted}].served {
			perSecond[min(int(made.at.Seconds()), len(perSecond)-1)]++
		}
		total, points := 0, [][2]float64{p.at(0, 0)}
		for s, n := range perSecond[:len(perSecond)-1] {
			total += n
			points = append(points, p.at(float64(s+1), float64(total)))
		}
		c.line(points, colours[way])
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
