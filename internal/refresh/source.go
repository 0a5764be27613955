// Package refresh decides when a token is obtained, and owns the only copy in memory.
//
// Invariants:
//   - At most one grant is in flight per Source; a caller's deadline bounds its waiting,
//     never the shared work.
//   - Token and error are two things: a failed attempt never displaces a usable token.
//   - An expired token is never handed out. Age is taken at each use, by the wall clock or
//     the monotonic clock, whichever says more; timers are hints.
//   - Handing out a usable token is one atomic load: no lock, no allocation.
package refresh

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"evergate/internal/clock"
	"evergate/internal/remedy"
	"evergate/internal/token"
)

// Observer is told of each attempt. It must not block.
type Observer interface {
	Refreshed(shop, grant, result string, took time.Duration)
	// Alarmed is told that something is wrong with a chain of refresh tokens; reason is one of Alarms.
	Alarmed(reason string)
}

// Options configures a Source. Shop, Log and Obtainer are required.
type Options struct {
	Shop token.Shop
	Log  *slog.Logger
	// Remedies writes the commands that errors name.
	Remedies remedy.Shop
	// Obtainer is how the Source obtains tokens.
	Obtainer Obtainer
	// Observer is told of each attempt; nil for none.
	Observer Observer
	// Published is told of each token that becomes the current one, one after the other; nil for none. It must not block.
	Published func(token.Token)
	// Woke is called, instead of waking Run, when Due may have become less; it must not block. Nil: there is a Run.
	Woke func()
	// Told says that somebody calls Look when the store may have been changed; else Due and Step look every few seconds.
	Told bool
	// Remade says that Sources are made for this shop again and again, as its callers come and go. So what the store says of a dead
	// grant is believed at first, and the refresh token is sent only to probe, after a back-off.
	Remade bool
	// Failing is what the Source before this one left, see Source.Failing; nil: nothing.
	Failing *Failing
	// Stored is what whoever makes the Source has just read of the store; nil: nothing. The Source then does not read it again to begin with.
	Stored *Stored
	// Wait is the longest a caller waits for a token that is being obtained. Zero: 5 seconds.
	Wait time.Duration
	// Alive asks Shopify whether it accepts a token, at no cost to the rate limits; the error
	// says that it is not known. Without it several 401s in a row decide.
	Alive func(ctx context.Context, access token.Secret) (bool, error)
	// Scopes are those the operator expects; a token that lacks some is used all the
	// same, and the missing ones are logged.
	Scopes []string
}

// Source keeps one shop's token usable. Its methods are safe for concurrent use.
type Source struct {
	opt      Options
	name     string // of the grant
	obtainer obtainer
	epoch    time.Time
	// ahead, if set, is by how much a test has set the wall clock. Everything else about time is the
	// runtime's own.
	ahead func() time.Duration
	// draw returns a number from [0, 1).
	draw func() float64

	current atomic.Pointer[entry]
	// before is what the Source before this one left, until the first attempt; nil: nothing.
	before atomic.Pointer[Failing]
	// published counts the entries, and told the alarms that the Observer knows of; both are touched in flights only.
	published uint64
	told      alarmCounts
	flights   singleflight.Group
	turn      chan struct{} // holds one token; see do
	woken     chan struct{} // tells Run that Due has changed; nil: Options.Woke does

	mu     sync.Mutex // never held while waiting or granting
	health health
}

// entry is a token with its plan; immutable except for the atomic fields.
type entry struct {
	number   uint64 // of the tokens since the start
	token    token.Token
	plan     plan
	woke     atomic.Bool  // Run has been told that this token is stale
	refusals atomic.Int32 // 401s in a row that stood
	suspect  atomic.Bool  // they were several, and Shopify is to be asked
	dead     atomic.Bool  // and it does not accept the token
	cleared  atomic.Bool  // it has been said that 401s are not the token's fault
}

// health is what is known of the attempts, and what a waiter needs to know.
type health struct {
	failures   int     // in a row
	err        error   // of the last attempt; nil after a success
	failedAt   instant // when err happened
	said       saying  // of the last failure that the log has
	notBefore  instant // no attempt before this, unless a person asks
	nextPoll   instant // when the store or the file is looked at again
	proofAt    instant // Shopify is not asked about a token before this
	heldUntil  instant // no forced refresh before this
	askedAt    instant // when a person last asked
	rotatedAt  instant // when a chain was last rotated because a person asked
	obtained   bool    // a token has been obtained since the start
	closed     bool
	publishing chan struct{} // closed at the next success; nil: nobody waits for it
}

const (
	defaultWait = 5 * time.Second
	// rejectionHold follows a refresh that a 401 forced: if the new token is refused as
	// well, more of them will not help, and each costs Shopify a POST.
	rejectionHold = 30 * time.Second
	// askHold is the least time between two refreshes that a person asked for.
	askHold = time.Second
	// rotateHold is the same after one that rotated a chain: each retires the refresh token
	// before, for whoever shares the grant, and Shopify remembers all of them.
	rotateHold = 30 * time.Second
	// rotateShare makes that pause shorter where tokens live short: this share of their life.
	rotateShare = 20
	// lookAgain bounds the background loop's sleep, because a timer stands still while
	// the machine sleeps.
	lookAgain = time.Minute
	// pollEvery is how often a store or a file is looked at for what others put there.
	pollEvery = 2 * time.Second
)

// New returns a Source without a token. Run keeps it fresh in the background; without
// Run it obtains tokens when asked for one.
func New(opt Options) *Source {
	if opt.Wait == 0 {
		opt.Wait = defaultWait
	}
	s := &Source{
		opt:   opt,
		epoch: time.Now(),
		draw:  rand.Float64,
		turn:  make(chan struct{}, 1),
	}
	if opt.Woke == nil {
		s.woken = make(chan struct{}, 1)
	}
	s.obtainer = opt.Obtainer(opt)
	s.name = s.obtainer.name()
	s.opt.Stored = nil // it has secrets, and is old soon
	s.before.Store(opt.Failing)
	return s
}

func (s *Source) now() instant {
	t := time.Now() // reading it is not free, and this is asked for each request
	at := instant{wall: t.Round(0), mono: t.Sub(s.epoch)}
	if s.ahead != nil {
		at.wall = at.wall.Add(s.ahead())
	}
	return at
}

// Token returns a usable token. It returns at once while there is one; else it waits for
// the attempt in flight, or the next one, for at most Options.Wait and never longer than
// ctx. The error is a *token.UnavailableError, or ctx's cause if ctx ended first.
func (s *Source) Token(ctx context.Context) (token.Token, error) {
	if t, ok := s.usable(); ok {
		return t, nil
	}
	return s.wait(ctx)
}

// usable is the read path: one atomic load.
func (s *Source) usable() (token.Token, bool) {
	e := s.current.Load()
	if e == nil {
		return token.Token{}, false
	}
	switch e.plan.state(s.now()) {
	case fresh:
		return e.token, true
	case stale:
		if !e.woke.Load() && e.woke.CompareAndSwap(false, true) {
			s.wake()
		}
		return e.token, true
	}
	return token.Token{}, false
}

func (s *Source) wake() {
	if s.opt.Woke != nil {
		s.opt.Woke()
		return
	}
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

var errWaited = errors.New("the longest wait for a token is over")

// wait is for callers who find no usable token.
func (s *Source) wait(caller context.Context) (token.Token, error) {
	ctx, cancel := context.WithTimeoutCause(caller, s.opt.Wait, errWaited)
	defer cancel()
	deadline, _ := ctx.Deadline()
	for {
		h := s.lookAndWait()
		due := s.now().until(h.notBefore)
		if due > time.Until(deadline) {
			return token.Token{}, s.unavailable() // nothing is going to change while we wait
		}
		if due <= 0 {
			if _, ended := s.do(ctx, renewal, s.grantIfDue); ended != nil {
				return token.Token{}, s.gaveUp(caller, ctx)
			}
		} else if _, err := clock.SleepOrWake(ctx, due, h.publishing); err != nil {
			return token.Token{}, s.gaveUp(caller, ctx)
		}
		if t, ok := s.usable(); ok {
			return t, nil
		}
		if s.look().closed {
			return token.Token{}, s.unavailable()
		}
	}
}

// gaveUp tells a caller that left from one that waited long enough.
func (s *Source) gaveUp(caller, ctx context.Context) error {
	if caller.Err() != nil && !errors.Is(context.Cause(ctx), errWaited) {
		return context.Cause(caller)
	}
	return s.unavailable()
}

// unavailable says why there is no token and when the next attempt is due.
func (s *Source) unavailable() error {
	h := s.look()
	u := &token.UnavailableError{Err: h.err, RetryAfter: max(s.now().until(h.notBefore), 0)}
	if u.Err == nil {
		u.Err = errors.New("the first token is still being obtained")
		if s.current.Load() != nil {
			u.Err = errors.New("another token is still being obtained")
		}
	}
	return u
}

// The intentions for which work is done; see do. A replacement is one of a certain token.
const (
	renewal     = "renewal"
	replacement = "replacement of token "
	byRequest   = "refresh that a person asked for"
	polling     = "poll"
	ahead       = "renewal ahead"
	looking     = "look at what is stored"
	stop        = "stop"
)

// do has work done for an intention and returns what it returned; ended is ctx's cause if
// ctx ended first, and the work goes on then.
//
// Everybody with one intention shares a flight while it waits for its turn. Once it has
// begun it takes no more callers. So work of different intentions never runs at once, and
// whoever called knows that the work began after the call: that it did what they wanted or
// found, in the state that the work before had left, that there was nothing to do.
func (s *Source) do(ctx context.Context, intention string, work func() error) (err, ended error) {
	done := s.flights.DoChan(intention, func() (any, error) {
		s.turn <- struct{}{}
		defer func() { <-s.turn }()
		s.flights.Forget(intention)
		defer s.tellAlarms()
		return nil, work()
	})
	select {
	case r := <-done:
		return r.Err, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (s *Source) look() health {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.health
}

// lookAndWait is look for somebody who is going to wait for the next success.
func (s *Source) lookAndWait() health {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.health.publishing == nil {
		s.health.publishing = make(chan struct{})
	}
	return s.health
}

// ErrTooSoon says that a person asked for a refresh less than a second ago.
var ErrTooSoon = remedy.New("wait a moment", "a refresh was asked for less than a second ago")

// ErrRotatedJustNow is an ErrTooSoon of a chain that was rotated moments ago.
var ErrRotatedJustNow = error(rotatedJustNow{})

// rotatedJustNow is a kind of ErrTooSoon with a text of its own.
type rotatedJustNow struct{}

func (rotatedJustNow) Error() string {
	return "the chain of refresh tokens was rotated on request less than half a minute ago, and its token is fresh: wait a moment"
}
func (rotatedJustNow) Unwrap() error { return ErrTooSoon }

// Refresh obtains a token now because a person asked: a waiting back-off is skipped, at
// most once a second, and a chain is not rotated again for a while. It returns the attempt's
// error, or ErrTooSoon.
func (s *Source) Refresh(ctx context.Context) error {
	if err := s.mayAsk(); err != nil {
		return err
	}
	err, ended := s.do(ctx, byRequest, func() error {
		if s.rotatedJustNow() { // while this one waited for its turn
			return ErrRotatedJustNow
		}
		req := s.requestNow()
		req.force = true
		err := s.grant(req)
		if err == nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.health.rotatedAt = s.now()
		}
		return err
	})
	return cmp.Or(ended, err)
}

func (s *Source) mayAsk() error {
	if s.rotatedJustNow() {
		return ErrRotatedJustNow
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.health.askedAt != (instant{}) && now.since(s.health.askedAt) < askHold {
		return ErrTooSoon
	}
	s.health.askedAt = now
	return nil
}

// rotatedJustNow reports whether a person had the chain rotated moments ago.
func (s *Source) rotatedJustNow() bool {
	e := s.current.Load()
	if !s.rotates() || e == nil || !e.token.Expires() {
		return false
	}
	at := s.look().rotatedAt
	return at != (instant{}) && s.now().since(at) < max(askHold, min(rotateHold, e.token.Life/rotateShare))
}

// rotates reports whether the current token is one of a rotating chain.
func (s *Source) rotates() bool {
	switch o := s.obtainer.(type) {
	case rotating:
		return true
	case *fallback:
		return !o.using.Load()
	}
	return false
}

// Once obtains a token with one attempt at most, by the rules that hold for a Source that
// runs: a stored one that lives is loaded, else one is obtained and stored. The Source is
// stopped then. An attempt that has begun is always waited for, whatever becomes of ctx:
// what Shopify hands out must not be lost.
func (s *Source) Once(ctx context.Context) (token.Token, error) {
	if ctx.Err() != nil {
		return token.Token{}, context.Cause(ctx)
	}
	err, _ := s.do(context.Background(), renewal, s.grantIfDue)
	s.Stop()
	if t, ok := s.usable(); ok {
		return t, nil
	}
	return token.Token{}, cmp.Or(err, s.unavailable())
}

// Run keeps the token fresh in the background until ctx ends, and then stops the Source.
func (s *Source) Run(ctx context.Context) {
	for ctx.Err() == nil {
		if due := s.Due(); due > 0 {
			_, _ = clock.SleepOrWake(ctx, due, s.woken) // the loop looks at ctx
			continue
		}
		s.Step(ctx)
	}
	s.Stop()
}

// Due says for how long Step has nothing to do. It is to be asked again after each Step,
// and when a request has found the token stale or another token has been published, which
// wakes Run. It is never more than a minute, because a timer stands still while the
// machine sleeps.
func (s *Source) Due() time.Duration {
	due := min(s.untilAttempt(), s.untilProof(), lookAgain)
	if s.polls() {
		due = min(due, s.now().until(s.look().nextPoll))
	}
	return due
}

// polls reports whether somebody has to look every few seconds: for what others store, or to write what could not be written.
func (s *Source) polls() bool {
	return s.obtainer.polls() && (!s.opt.Told || s.obtainer.status().unsaved != nil)
}

// Look takes over what others may have stored, and returns when it is done or ctx has ended.
func (s *Source) Look(ctx context.Context) { _, _ = s.do(ctx, polling, s.poll) }

// Rest is what is left of the current token's life, and how long it lives in all. Both are zero when there is none that can be
// used, or one without an end.
func (s *Source) Rest() (left, life time.Duration) {
	e := s.current.Load()
	if e == nil || !e.token.Expires() {
		return 0, 0
	}
	return e.plan.left(s.now()), e.plan.life
}

// Renews reports whether what is due is to obtain a token.
func (s *Source) Renews() bool { return s.untilAttempt() <= 0 }

// MayForget reports whether nothing is lost when the Source is forgotten: what was obtained is stored, and nothing is under way.
func (s *Source) MayForget() bool {
	return len(s.turn) == 0 && s.obtainer.status().unsaved == nil
}

// Step does what is due, or nothing, and returns when it is done or ctx has ended; what has
// begun goes on.
func (s *Source) Step(ctx context.Context) {
	switch {
	case s.untilAttempt() <= 0:
		_, _ = s.do(ctx, renewal, s.grantIfDue) // a failure is logged, and seen in Status
	case s.untilProof() <= 0:
		s.prove(ctx)
	case s.polls() && s.now().until(s.look().nextPoll) <= 0:
		s.Look(ctx)
	}
}

// untilAttempt is the time until the token goes stale, but not less than what is left of
// the back-off.
func (s *Source) untilAttempt() time.Duration {
	now := s.now()
	wait := now.until(s.look().notBefore)
	if e := s.current.Load(); e != nil {
		wait = max(wait, e.plan.untilRenewal(now))
	}
	return wait
}

// Stop waits for the attempt under way, whoever started it, so that nothing that Shopify
// handed out is lost, and writes what is unsaved. After it returns, no attempt is made any
// more.
func (s *Source) Stop() {
	_, _ = s.do(context.Background(), stop, func() error {
		s.obtainer.finish(context.Background())
		s.mu.Lock()
		defer s.mu.Unlock()
		s.health.closed = true
		return nil
	})
}

// at places a time that was read with time.Now on both clocks.
func (s *Source) at(t time.Time) instant {
	return s.now().add(-time.Since(t))
}

// Want waits for a usable token, as Token does, for a caller that does not use it.
func (s *Source) Want(ctx context.Context) error {
	_, err := s.Token(ctx)
	return err
}
