package refresh

import (
	"errors"
	"math"
	"time"

	"evergate/internal/token"
)

// This file is pure: it reads no clock, draws no random number and keeps no state.

const (
	// Renewal happens at a random point between these parts of a token's life: early
	// enough to sit out hours of trouble with a 24-hour token, late enough not to waste
	// one, and spread so that a thousand sidecars started together drift apart.
	renewEarliest = 0.70
	renewLatest   = 0.80

	// Lives below shortLife scale every margin down, so that the tokens of a demo or a
	// test, which live for seconds, are treated like real ones seen from afar.
	shortLife = 60 * time.Second

	transientBase, transientMax = time.Second, time.Minute
	configBase, configMax       = 30 * time.Second, 5 * time.Minute
	// A dead grant is probed slowly: only a person brings it back, and what a person puts
	// into the store is noticed without a probe.
	probeBase, probeMax = 45 * time.Minute, 75 * time.Minute
	// A pair of tokens rests in a place that can fail over before its refresh token is used: for longer than a failover and
	// the lag of a replica take. Six tenths of a short life leave a tenth of it before the earliest planned renewal, for
	// the POST and the write, so that a planned renewal never waits for this.
	confirmWindow = time.Minute
	confirmShare  = 0.6
	// shortestBackOff keeps full jitter from drawing no wait at all.
	shortestBackOff = 100 * time.Millisecond
	// longestRetryAfter caps what the token endpoint may ask of us: it is not going to
	// keep a shop without a token for longer than this.
	longestRetryAfter = 5 * time.Minute
)

// instant is one moment on both clocks. The wall clock can be stepped; the monotonic one
// stands still while a laptop sleeps. Neither alone tells how old a token is.
type instant struct {
	wall time.Time     // without a monotonic reading
	mono time.Duration // since an arbitrary start
}

// since returns the time from then to now by whichever clock says more.
func (now instant) since(then instant) time.Duration {
	return max(now.wall.Sub(then.wall), now.mono-then.mono)
}

// add returns the moment d later on both clocks.
func (now instant) add(d time.Duration) instant {
	return instant{now.wall.Add(d), now.mono + d}
}

// until returns the time from now to a moment by whichever clock gets there first; not
// positive when it has come.
func (now instant) until(moment instant) time.Duration {
	return min(moment.wall.Sub(now.wall), moment.mono-now.mono)
}

// plan is what is decided once about a token: when it is renewed and when it ends.
type plan struct {
	issued  instant
	renewIn time.Duration // from issued on
	life    time.Duration // from issued on; zero: no end
}

// newPlan places the renewal by draw, a number from [0, 1).
func newPlan(issued instant, life time.Duration, draw float64) plan {
	part := renewEarliest + (renewLatest-renewEarliest)*draw
	return plan{issued: issued, life: life, renewIn: time.Duration(float64(life) * part)}
}

type state int

const (
	expired state = iota // never sent; callers wait
	stale                // sent, and renewed in the background
	fresh                // sent
)

func (s state) String() string { return [...]string{"expired", "stale", "fresh"}[s] }

func (p plan) state(now instant) state {
	switch age := now.since(p.issued); {
	case p.life == 0 || age < p.renewIn:
		return fresh
	case age < p.life:
		return stale
	}
	return expired
}

// untilRenewal is not positive once the token should be renewed.
func (p plan) untilRenewal(now instant) time.Duration {
	if p.life == 0 {
		return math.MaxInt64
	}
	return p.renewIn - now.since(p.issued)
}

// left is the rest of the token's life; never negative.
func (p plan) left(now instant) time.Duration {
	if p.life == 0 {
		return math.MaxInt64
	}
	return max(0, p.life-now.since(p.issued))
}

// scale shortens a margin in proportion for lives below shortLife. A life of zero, that
// is none known or none at all, leaves it as it is.
func scale(margin, life time.Duration) time.Duration {
	if life <= 0 || life >= shortLife {
		return margin
	}
	return time.Duration(float64(margin) * life.Seconds() / shortLife.Seconds())
}

// confirmation is how long a pair rests after it was written. A life of zero is none known.
func confirmation(life time.Duration) time.Duration {
	if life <= 0 {
		return confirmWindow
	}
	return min(confirmWindow, time.Duration(confirmShare*float64(life)))
}

// backOff is how long to wait after the nth failure in a row (n from 1 on). draw is from
// [0, 1). Passing failures back off with full jitter, configuration errors in a slower
// band, because only a person ends those.
func backOff(err error, n int, life time.Duration, draw float64) time.Duration {
	low, high := shortestBackOff, doubled(transientBase, n-1, transientMax)
	switch {
	case errors.Is(err, token.ErrReauthorize):
		low, high = probeBase, probeMax
	case !errors.Is(err, token.ErrTransient):
		low, high = configBase, doubled(2*configBase, n-1, configMax)
	}
	d := scale(low+time.Duration(float64(high-low)*draw), life)
	return max(d, askedFor(err))
}

// askedFor is the Retry-After of the answer, capped.
func askedFor(err error) time.Duration {
	var asked interface{ Wait() time.Duration }
	if errors.As(err, &asked) {
		return min(asked.Wait(), longestRetryAfter)
	}
	return 0
}

func doubled(base time.Duration, times int, limit time.Duration) time.Duration {
	if times > 16 {
		return limit
	}
	return min(base<<times, limit)
}

// resultOf names the decision an attempt's error asks for, as the metrics call it.
func resultOf(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, token.ErrReauthorize):
		return "reauthorize"
	case errors.Is(err, token.ErrConfig):
		return "config"
	}
	return "transient"
}
