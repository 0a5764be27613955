package refresh

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"evergate/internal/token"
)

var start = instant{wall: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), mono: time.Hour}

// stepped is a moment d after start on the monotonic clock whose wall clock is off by step.
func stepped(d, step time.Duration) instant {
	i := start.add(d)
	i.wall = i.wall.Add(step)
	return i
}

func TestPlanRenewsBetweenSeventyAndEightyPercent(t *testing.T) {
	for _, life := range []time.Duration{3 * time.Second, time.Minute, time.Hour, 24 * time.Hour} {
		for _, draw := range []float64{0, 0.5, 0.999} {
			p := newPlan(start, life, draw)
			if part := p.renewIn.Seconds() / life.Seconds(); part < 0.6999 || part > 0.8001 {
				t.Errorf("life %v, draw %v: renewed at %.3f of the life", life, draw, part)
			}
			if got := p.state(start.add(p.renewIn - 1)); got != fresh {
				t.Errorf("life %v: %v just before the renewal", life, got)
			}
			if got := p.state(start.add(p.renewIn)); got != stale {
				t.Errorf("life %v: %v at the renewal", life, got)
			}
			if got := p.state(start.add(life - 1)); got != stale {
				t.Errorf("life %v: %v just before the end", life, got)
			}
			if got := p.state(start.add(life)); got != expired {
				t.Errorf("life %v: %v at the end", life, got)
			}
		}
	}
}

func TestAgeIsWhatTheClockThatSaysMoreSays(t *testing.T) {
	p := newPlan(start, 24*time.Hour, 0.5)
	for name, c := range map[string]struct {
		now  instant
		want state
		left time.Duration
	}{
		"both_agree":               {stepped(time.Hour, 0), fresh, 23 * time.Hour},
		"wall_stepped_a_day_ahead": {stepped(time.Hour, 24*time.Hour), expired, 0},
		"wall_stepped_a_day_back":  {stepped(time.Hour, -24*time.Hour), fresh, 23 * time.Hour},
		"old_and_wall_a_day_back":  {stepped(25*time.Hour, -24*time.Hour), expired, 0},
		"slept_for_three_days":     {stepped(time.Minute, 72*time.Hour), expired, 0},
		"slept_for_twenty_hours":   {stepped(0, 20*time.Hour), stale, 4 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			if got := p.state(c.now); got != c.want {
				t.Errorf("state %v, want %v", got, c.want)
			}
			if got := p.left(c.now); got != c.left {
				t.Errorf("left %v, want %v", got, c.left)
			}
		})
	}
}

func TestTokenWithoutEndIsAlwaysFresh(t *testing.T) {
	p := newPlan(start, 0, 0.5)
	if got := p.state(start.add(10 * 365 * 24 * time.Hour)); got != fresh {
		t.Errorf("%v after ten years", got)
	}
}

func TestPauseGrowsWithinItsBand(t *testing.T) {
	transient := fmt.Errorf("x: %w", token.ErrTransient)
	config := fmt.Errorf("x: %w", token.ErrConfig)
	for _, c := range []struct {
		err       error
		n         int
		low, high time.Duration
	}{
		{transient, 1, 100 * time.Millisecond, time.Second},
		{transient, 3, 100 * time.Millisecond, 4 * time.Second},
		{transient, 7, 100 * time.Millisecond, time.Minute},
		{transient, 1000, 100 * time.Millisecond, time.Minute},
		{config, 1, 30 * time.Second, time.Minute},
		{config, 1000, 30 * time.Second, 5 * time.Minute},
	} {
		for _, draw := range []float64{0, 0.25, 0.5, 0.999999} {
			if got := backOff(c.err, c.n, 0, draw); got < c.low || got > c.high {
				t.Errorf("%v, failure %d, draw %v: %v, want %v to %v", c.err, c.n, draw, got, c.low, c.high)
			}
		}
		if lo, hi := backOff(c.err, c.n, 0, 0), backOff(c.err, c.n, 0, 0.9); lo == hi {
			t.Errorf("%v, failure %d: no jitter", c.err, c.n)
		}
	}
}

func TestMarginsScaleWithAShortLife(t *testing.T) {
	if got := backOff(token.ErrTransient, 1, 3*time.Second, 0.999999); got > 50*time.Millisecond {
		t.Errorf("a 3-second token waits %v after its first failure", got)
	}
	if got := scale(rejectionHold, 6*time.Second); got != 3*time.Second {
		t.Errorf("the hold for a 6-second token is %v, want 3s", got)
	}
	if got := scale(rejectionHold, time.Hour); got != rejectionHold {
		t.Errorf("the hold for a one-hour token is %v", got)
	}
}

type askingError time.Duration

func (askingError) Error() string         { return "busy" }
func (e askingError) Wait() time.Duration { return time.Duration(e) }
func (askingError) Is(t error) bool       { return t == token.ErrTransient }

func TestRetryAfterIsHonouredAndCapped(t *testing.T) {
	for asked, want := range map[time.Duration]time.Duration{
		2500 * time.Millisecond: 2500 * time.Millisecond,
		time.Hour:               5 * time.Minute,
	} {
		if got := backOff(fmt.Errorf("wrapped: %w", askingError(asked)), 1, 0, 0); got != want {
			t.Errorf("asked for %v: waits %v, want %v", asked, got, want)
		}
	}
}

func TestResultNamesTheDecision(t *testing.T) {
	for want, err := range map[string]error{
		"ok": nil, "transient": errors.New("anything"), "config": token.ErrConfig, "reauthorize": token.ErrReauthorize,
	} {
		if got := resultOf(err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}
