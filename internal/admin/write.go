package admin

import (
	"strconv"
	"strings"
	"time"

	"evergate/internal/markup"
)

// words writes a text in which what is to be typed stands between backticks.
func words(p *markup.Page, text string) {
	for i, part := range strings.Split(text, "`") {
		if i%2 == 1 {
			p.Put("<code>{}</code>", part)
		} else {
			p.Put("{}", part)
		}
	}
}

// when writes a moment as people say it, with its full time in a tooltip. The script makes that the reader's own.
func when(p *markup.Page, at, now time.Time) {
	p.Put(`<time datetime="{}" title="{} UTC">{}</time>`, machineTime(at), readableTime(at), fromNow(at, now))
}

// fromNow is "in 2 min" or "3 min ago", with one unit: the tooltip knows it exactly.
func fromNow(at, now time.Time) string {
	away := at.Sub(now)
	text := ""
	for _, u := range [...]struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}} {
		if n := (away.Abs() + u.unit/2) / u.unit; n >= 2 || n == 1 && u.unit < time.Hour {
			text = strconv.FormatInt(int64(n), 10) + " " + u.name
			break
		}
	}
	switch {
	case text == "":
		return "now"
	case away > 0:
		return "in " + text
	}
	return text + " ago"
}

func term(p *markup.Page, name, text string) {
	p.Put("<dt>{}</dt><dd>{}</dd>\n", name, text)
}

func termWhen(p *markup.Page, name string, at, now time.Time) {
	p.Put("<dt>{}</dt><dd>", name)
	when(p, at, now)
	p.Put("</dd>\n")
}

func number(f float64, decimals int) string { return strconv.FormatFloat(f, 'f', decimals, 64) }

// count is a number of things as people say it: 1 call, 2 calls.
func count(n float64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n, 0) + " " + many
}

func machineTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

func readableTime(t time.Time) string { return t.UTC().Format(time.DateTime) }
