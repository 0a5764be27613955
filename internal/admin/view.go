package admin

import (
	"evergate/internal/brief"
	"fmt"
	"math"
	"net/http"
	"time"
)

// view is everything the page shows, in words and numbers made for people.
type view struct {
	Report Report
	// Verdicts are what is to be said now, the worst first; never none.
	Verdicts []Verdict
	// LastError has commands as they are called here.
	LastError string
	// Age, Left and Life are of the token; empty when it has none.
	Age, Left, Life string
	LeftShare       float64 // part of the life that is left, 0 to 1
	Buckets         []bucketView
	Versions        []versionRow
	Chart           chart
	MoreCallers     int // than the report has
	// Fleet is of a process with many shops, where none is chosen, and Search what the names of those shown contain.
	Fleet  *FleetReport
	Search string
	// OneOfMany says that the page is of one shop of a process with many, whose calls are counted together.
	OneOfMany bool
	Updated   time.Time
}

// versionRow is a version of the API with what is to be said of it.
type versionRow struct {
	versionView
	State string
	Level Level
}

// facts are of now.
func (h *handler) facts(t Tokens) facts {
	if t == nil {
		t = h.Tokens // of the process
	}
	st := t.Status()
	snap := takeSnapshot(h.Gatherer, h.Failures)
	if h.Shops != nil {
		snap.buckets = snap.ofShop(h.Gatherer, st.Shop)
	}
	f := facts{now: time.Now(), status: st, stopping: h.Stopping(), setup: h.Setup.forShop(st.Shop), snapshot: &snap}
	if h.Shops != nil && st.Shop == "" {
		n := h.Shops.Count()
		f.fleet = &n
	}
	if h.Notices != nil {
		f.notices = h.Notices()
	}
	if h.History != nil {
		f.recent = h.History.recent(snap)
	}
	return f
}

func (h *handler) view(t Tokens, r *http.Request) view {
	f := h.facts(t)
	st, now := f.status, f.now
	v := view{Report: h.report(f), Verdicts: judge(f), Buckets: f.snapshot.buckets, Updated: now}
	if f.fleet != nil {
		v.Search = brief.Text(r.URL.Query().Get("search"), longestShopError)
		all := h.fleetReport(f, r.URL.Query().Get("after"), v.Search)
		v.Fleet = &all
	}
	v.LastError = h.Setup.commandsIn(v.Report.LastError)
	v.OneOfMany = h.Shops != nil && f.fleet == nil
	v.MoreCallers = len(f.snapshot.callers) - len(v.Report.Callers)
	if !st.Issued.IsZero() {
		v.Age = span(st.Age)
	}
	if life := st.Expires.Sub(st.Issued); !st.Expires.IsZero() && life > 0 {
		v.Left, v.Life = span(st.Left), span(life.Round(time.Minute))
		if life < time.Hour {
			v.Life = span(life)
		}
		v.LeftShare = min(1, st.Left.Seconds()/life.Seconds())
	}
	for _, one := range f.snapshot.versions {
		v.Versions = append(v.Versions, rowOf(one, now))
	}
	if h.History != nil {
		v.Chart = newChart(h.History.hour(*f.snapshot))
	}
	return v
}

// retiresSoon is when a version's end is worth a warning.
const retiresSoon = 45 * 24 * time.Hour

// support says how well Shopify supports a version.
func (v versionView) support(now time.Time) Level {
	switch left := v.Retires.Sub(now); {
	case v.Retires.IsZero() || left >= retiresSoon:
		return LevelOK
	case left < 0:
		return LevelError
	}
	return LevelWarning
}

// isDated reports whether a version has an end: 2026-10 has, unstable has not.
func isDated(version string) bool {
	_, err := time.Parse("2006-01", version)
	return err == nil
}

func rowOf(v versionView, now time.Time) versionRow {
	row := versionRow{versionView: v, Level: v.support(now)}
	switch {
	case v.Retires.IsZero() && isDated(v.Version):
		row.State = "not asked for in the last 24 hours" // else its end would be published
	case v.Retires.IsZero():
		row.State = "no end is known"
	case row.Level == LevelError:
		row.State = "no longer supported: Shopify serves a newer one in its place"
	case row.Level == LevelWarning:
		row.State = "supported for another " + span(v.Retires.Sub(now))
	default:
		row.State = "supported until " + v.Retires.UTC().Format("2 January 2006")
	}
	return row
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

// shortSpan is a time that is short and of which fractions matter.
func shortSpan(seconds float64) string {
	if seconds < 10 {
		return number(seconds, 1) + " s"
	}
	return span(time.Duration(seconds * float64(time.Second)))
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
