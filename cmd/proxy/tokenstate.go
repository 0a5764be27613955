package main

import (
	"fmt"
	"strings"
	"time"

	"evergate/internal/token"
)

// What a stored grant can be.
const (
	kindExpiring  = "expiring"  // an access token with an end
	kindPermanent = "permanent" // an access token without one
	kindSeed      = "seed"      // a refresh token that has not been used here yet
)

// migrationWindow is how long Shopify brings the same pair back for a migrated token.
const migrationWindow = 7 * 24 * time.Hour

// grantState is a stored grant without its secrets, for people and as JSON.
type grantState struct {
	Shop     string `json:"shop"`
	ClientID string `json:"client_id"`
	Store    string `json:"store"`
	Grant    string `json:"grant"`
	Kind     string `json:"kind"`
	// OtherApp says that the record is of another app than the one that is configured.
	OtherApp bool     `json:"other_app"`
	Scopes   []string `json:"scopes"`

	Issued  time.Time `json:"issued,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
	// AgeSeconds and LeftSeconds are of the access token; LeftSeconds is zero after its end.
	AgeSeconds  int64 `json:"age_seconds,omitzero"`
	LeftSeconds int64 `json:"left_seconds,omitzero"`
	Usable      bool  `json:"usable"`
	// Assumed says that Shopify named no life that can be believed.
	Assumed bool `json:"life_assumed"`

	RefreshToken        bool      `json:"refresh_token_kept"`
	RefreshTokenExpires time.Time `json:"refresh_token_expires,omitzero"`
	PreviousKept        bool      `json:"previous_refresh_token_kept"`
	AttemptSince        time.Time `json:"attempt_since,omitzero"`

	// Migration is "begun" or "done" while the token before it is kept, and Until the end
	// of the way back.
	Migration string    `json:"migration,omitempty"`
	Until     time.Time `json:"original_until,omitzero"`

	Reauthorize *reauthorize `json:"reauthorize"`

	age, left time.Duration
}

type reauthorize struct {
	Since  time.Time `json:"since"`
	Reason string    `json:"reason"`
}

// stateOf describes a record at a moment.
func stateOf(r token.Record, now time.Time) grantState {
	t := r.Current.Token
	s := grantState{
		Shop: r.Shop, ClientID: r.ClientID, Grant: r.Grant, Scopes: t.Scopes, Assumed: t.Assumed, Issued: t.Issued,
		RefreshToken: !r.Current.Refresh.Empty(), RefreshTokenExpires: r.Current.RefreshExpires, PreviousKept: r.Previous != nil,
		age: now.Sub(t.Issued),
	}
	switch {
	case t.Access.Empty():
		s.Kind = kindSeed
	case t.Expires():
		s.Kind, s.Expires = kindExpiring, t.Issued.Add(t.Life)
		s.left = s.Expires.Sub(now)
		s.Usable = s.left > 0
	default:
		s.Kind, s.Usable = kindPermanent, true
	}
	s.LeftSeconds = int64(max(0, s.left).Seconds())
	if s.Kind != kindSeed {
		s.AgeSeconds = int64(s.age.Seconds())
	}
	if a := r.Attempt; a != nil {
		s.AttemptSince = a.Started
	}
	if a := r.Reauthorize; a != nil {
		s.Reauthorize = &reauthorize{a.Since, a.Reason}
	}
	switch {
	case r.Original.Empty():
	case isPermanent(r.Current):
		s.Migration = "begun"
	default:
		s.Migration, s.Until = "done", t.Issued.Add(migrationWindow)
	}
	return s
}

func (s grantState) usable() bool { return s.Usable }

// ended says since when there is no usable access token.
func (s grantState) ended() string {
	if s.Kind == kindSeed {
		return "only a refresh token was stored, which had not been used yet"
	}
	return fmt.Sprintf("the stored access token ended %s ago", span(-s.left))
}

// lines are the state as people read it.
func (s grantState) lines() [][2]string {
	list := [][2]string{
		{"shop", s.Shop}, {"app", orDash(s.ClientID)}, {"store", s.Store}, {"grant", s.Grant + ", " + s.kind()}, {"access token", s.access()},
		{"scopes", orDash(strings.Join(s.Scopes, ", "))}, {"refresh token", s.refresh()},
	}
	add := func(name, format string, args ...any) {
		list = append(list, [2]string{name, fmt.Sprintf(format, args...)})
	}
	if s.PreviousKept {
		add("previous one", "the refresh token before is kept until this one has been used")
	}
	if !s.AttemptSince.IsZero() {
		add("attempt", "a refresh began on %s and its outcome is not known: the next one sends the same refresh token", stamp(s.AttemptSince))
	}
	switch s.Migration {
	case "begun":
		add("migration", "begun and not finished: run `evergate token migrate` again")
	case "done":
		add("migration", "the token before it is kept until the first refresh; until %s at most it brings the same pair back", stamp(s.Until))
	}
	if s.OtherApp {
		add("attention", "it belongs to another app than SHOPIFY_CLIENT_ID names, so the sidecar will not use it")
	}
	if r := s.Reauthorize; r != nil {
		add("attention", "must be authorised anew since %s: %s", stamp(r.Since), r.Reason)
	}
	return list
}

func (s grantState) kind() string {
	switch s.Kind {
	case kindSeed:
		return "not used yet"
	case kindPermanent:
		return "does not expire"
	}
	return "expires and is renewed"
}

func (s grantState) access() string {
	if s.Kind == kindSeed {
		return "none yet: the sidecar obtains one with the refresh token"
	}
	age := fmt.Sprintf("issued on %s (%s ago)", stamp(s.Issued), span(s.age))
	switch {
	case s.Kind == kindPermanent:
		return age + ", does not expire"
	case !s.Usable:
		return fmt.Sprintf("%s, ended %s ago", age, span(-s.left))
	}
	return fmt.Sprintf("%s, ends in %s", age, span(s.left))
}

func (s grantState) refresh() string {
	switch {
	case !s.RefreshToken:
		return "-"
	case s.RefreshTokenExpires.IsZero():
		return "kept; its end is not known"
	}
	return "kept; ends on " + stamp(s.RefreshTokenExpires) + " unless it is used before"
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// stamp is a moment for people, and span a duration to as much as matters.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

func span(d time.Duration) string {
	switch day := 24 * time.Hour; {
	case d >= 2*day:
		return fmt.Sprintf("%d days", d/day)
	case d >= time.Hour:
		return strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s")
	}
	return d.Truncate(time.Second).String()
}
