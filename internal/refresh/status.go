package refresh

import (
	"errors"
	"time"

	"evergate/internal/token"
)

// Status is what is known of a Source at one moment. It holds no secret.
type Status struct {
	Shop  string
	Grant string
	// State is "none" before the first token, then "fresh", "stale" or "expired", or
	// "refused" once Shopify, asked about it, has refused a living token.
	State string
	// Obtained says that a token was obtained since the start, whatever became of it.
	Obtained bool
	// Usable says that a request sent now would carry a token.
	Usable bool
	// Age is the token's, by whichever clock says more. Left is the rest of its life.
	Age, Left time.Duration
	// Issued, Expires and Renews are on the wall clock; the last two are zero for a token
	// that does not expire.
	Issued, Expires, Renews time.Time
	// Assumed says that the life is an assumption of ours.
	Assumed bool
	// Scopes are those that Shopify granted.
	Scopes []string
	// MissingScopes are those of Options.Scopes that it did not grant.
	MissingScopes []string
	// Refused says that Shopify, asked about the token, has refused it.
	Refused bool
	// RefreshExpires is when the stored refresh token ends if it is not used; zero if there
	// is none or its end is not known.
	RefreshExpires time.Time
	// Reauthorize says that a person must authorise anew, and ReauthorizeSince since when.
	Reauthorize      bool
	ReauthorizeSince time.Time
	// Unsaved is why the newest grant could not be written; nil when it is, or need not be.
	Unsaved error
	// Alarm is what a person should look into although the grant may work: a store that was rolled back, or a chain
	// that something else uses too. It has a remedy, and is shown for an hour; nil: nothing.
	Alarm error
	// Err is why the last attempt failed; nil after a success.
	Err error
	// Failing names what Err asks for: transient, config or reauthorize; empty without Err.
	Failing string
	// FailedAt, Failures and NextAttempt belong to Err.
	FailedAt, NextAttempt time.Time
	Failures              int
}

// StoreError says that the place failed where the grant rests, and not Shopify or the way there.
type StoreError struct{ Err error }

func (e *StoreError) Error() string { return e.Err.Error() }
func (e *StoreError) Unwrap() error { return e.Err }

// Status returns the present state.
func (s *Source) Status() Status {
	now, h, e := s.now(), s.look(), s.current.Load()
	st := Status{Shop: s.opt.Shop.Domain(), Grant: s.name, State: "none", Obtained: h.obtained}
	if h.err != nil {
		st.Err, st.Failing, st.Failures = h.err, resultOf(h.err), h.failures
		st.FailedAt, st.NextAttempt = h.failedAt.wall, h.notBefore.wall
	}
	kept := s.obtainer.status()
	st.RefreshExpires, st.Unsaved, st.Alarm = kept.refreshExpires, kept.unsaved, kept.alarm.err
	if errors.Is(h.err, token.ErrReauthorize) {
		st.Reauthorize, st.ReauthorizeSince = true, h.failedAt.wall
	}
	if r := kept.reauthorize; r != nil {
		st.Reauthorize, st.ReauthorizeSince = true, r.Since
	}
	if e == nil {
		return st
	}
	state := e.plan.state(now)
	st.Refused = e.dead.Load()
	st.State, st.Usable = state.String(), state != expired && !st.Refused
	if st.Refused && state != expired {
		st.State = "refused"
	}
	st.Age, st.Issued = now.since(e.plan.issued), e.plan.issued.wall
	st.Scopes, st.MissingScopes, st.Assumed = e.token.Scopes, s.missingScopes(e), e.token.Assumed
	if e.token.Expires() {
		st.Left = e.plan.left(now)
		st.Expires = now.wall.Add(st.Left)
		if st.Left == 0 {
			st.Expires = e.plan.issued.wall.Add(e.plan.life)
		}
		st.Renews = now.wall.Add(e.plan.untilRenewal(now))
	}
	return st
}
