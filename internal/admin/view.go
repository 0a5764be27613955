package admin

import (
	"fmt"
	"math"
	"time"

	"evergate/internal/refresh"
)

// view is everything the page shows, in words and numbers made for people.
type view struct {
	Report   Report
	Sentence string
	Mood     string // good, watch or bad: never said by colour alone
	// Age, Left and Life are of the token; empty when it has none.
	Age, Left, Life string
	LeftShare       float64 // part of the life that is left, 0 to 1
	Advice          string  // what to do; empty when there is nothing
	RefreshLeft     string
	Buckets         []bucketView
	Versions        []versionRow
	Chart           chart
	Updated         time.Time
}

// versionRow is a version of the API with what is to be said of it.
type versionRow struct {
	versionView
	State string
	Mood  string
}

func (h *handler) view() view {
	st := h.Tokens.Status()
	now := time.Now()
	snap := takeSnapshot(h.Gatherer)
	v := view{
		Report: h.report(), Sentence: Sentence(st), Mood: mood(st), Advice: advice(st, h.notice()),
		Buckets: snap.buckets, Updated: now,
	}
	if !st.Issued.IsZero() {
		v.Age = span(st.Age)
	}
	if life := st.Expires.Sub(st.Issued); !st.Expires.IsZero() && life > 0 {
		v.Left, v.Life = span(st.Left), span(life)
		v.LeftShare = min(1, st.Left.Seconds()/life.Seconds())
	}
	if !st.RefreshExpires.IsZero() {
		v.RefreshLeft = span(st.RefreshExpires.Sub(now))
	}
	for _, one := range snap.versions {
		v.Versions = append(v.Versions, rowOf(one, now))
	}
	if h.History != nil {
		v.Chart = newChart(h.History.hour(snap))
	}
	return v
}

// mood sums the state up.
func mood(st refresh.Status) string {
	switch {
	case st.Reauthorize, st.Refused, !st.Usable && st.Err != nil:
		return "bad"
	case !st.Usable, st.Err != nil, len(st.MissingScopes) > 0, st.Unsaved != nil:
		return "watch"
	}
	return "good"
}

// advice says what a person should do. The errors of the grants end with their remedy, so
// it speaks of the rest.
func advice(st refresh.Status, notice string) string {
	switch {
	case st.Reauthorize:
		return "Run `evergate login` with this sidecar's settings, or send the merchant to the login page. It is noticed without a restart."
	case st.Refused:
		return "Create or copy a valid token and put it where SHOPIFY_ACCESS_TOKEN_FILE points, or log in again."
	case notice != "":
		return notice + "."
	case st.Unsaved != nil:
		return "The newest grant is in memory only. Make room in the store, or make it writable, before this process ends."
	case len(st.MissingScopes) > 0:
		return "Add the missing scopes to the app's version in the Dev Dashboard, and approve it on the store."
	}
	return ""
}

// retiresSoon is when a version's end is worth a warning.
const retiresSoon = 45 * 24 * time.Hour

func rowOf(v versionView, now time.Time) versionRow {
	left := v.Retires.Sub(now)
	switch {
	case v.Retires.IsZero():
		return versionRow{v, "no end is known", "good"}
	case left < 0:
		return versionRow{v, "no longer supported: Shopify serves a newer one in its place", "bad"}
	case left < retiresSoon:
		return versionRow{v, "supported for another " + span(left), "watch"}
	}
	return versionRow{v, "supported until " + v.Retires.UTC().Format("2 January 2006"), "good"}
}

// span writes a duration as people say it, with two units at most.
func span(d time.Duration) string {
	d = max(0, d)
	for _, u := range []struct {
		above, unit, next time.Duration
		name, nextName    string
	}{
		{48 * time.Hour, 24 * time.Hour, time.Hour, "d", "h"},
		{time.Hour, time.Hour, time.Minute, "h", "min"},
		{time.Minute, time.Minute, time.Second, "min", "s"},
	} {
		if d >= u.above {
			whole, rest := d/u.unit, d%u.unit/u.next
			if rest == 0 {
				return fmt.Sprintf("%d %s", whole, u.name)
			}
			return fmt.Sprintf("%d %s %d %s", whole, u.name, rest, u.nextName)
		}
	}
	return fmt.Sprintf("%d s", d/time.Second)
}

// chart is the last hour, drawn.
type chart struct {
	Bars                     []bar
	Requests, Failed, Waited float64 // in the hour
	Most                     float64 // in a minute: the top of the chart
}

// bar is one minute; measures are in the units of the chart's view box, 600 by 100.
type bar struct {
	X, Y, Height    float64
	FailY, FailHigh float64
	Ago             int // minutes
	minute
}

const chartWidth, chartHeight = 600.0, 100.0

func newChart(hour [minutes]minute) chart {
	var c chart
	for _, m := range hour {
		c.Requests, c.Failed, c.Waited = c.Requests+m.Requests, c.Failed+m.Failed, c.Waited+m.Waited
		c.Most = math.Max(c.Most, m.Requests)
	}
	for i, m := range hour {
		if m.Requests == 0 {
			continue
		}
		high := m.Requests / c.Most * chartHeight
		fail := m.Failed / c.Most * chartHeight
		c.Bars = append(c.Bars, bar{
			X: float64(i) * chartWidth / minutes, Y: chartHeight - high, Height: high, FailY: chartHeight - fail, FailHigh: fail,
			Ago: minutes - 1 - i, minute: m,
		})
	}
	return c
}
