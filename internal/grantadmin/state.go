package grantadmin

import (
	"fmt"
	"strings"
	"time"

	"evergate/internal/remedy"
	"evergate/internal/token"
)

// What a stored grant can be.
const (
	Expiring  = "expiring"  // an access token with an end
	Permanent = "permanent" // an access token without one
	Seed      = "seed"      // a refresh token that has not been used here yet
)

// migrationWindow is how long Shopify brings the same pair back for a migrated token.
const migrationWindow = 7 * 24 * time.Hour

// State is a stored grant without its secrets, for people and as JSON.
type State struct {
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
	// of the time in which that one brings the same pair back.
	Migration string    `json:"migration,omitempty"`
	Until     time.Time `json:"original_until,omitzero"`

	Reauthorize *reauthorize `json:"reauthorize"`

	// Remedies writes the commands that Lines names.
	Remedies remedy.Shop `json:"-"`
	// Left is what the access token has to live; negative after its end.
	Left time.Duration `json:"-"`
	age  time.Duration
}

type reauthorize struct {
	Since  time.Time `json:"since"`
	Reason string    `json:"reason"`
}

// StateOf describes a record at a moment.
func StateOf(r token.Record, now time.Time) State {
	t := r.Current.Token
	s := State{
		Shop: r.Shop, ClientID: r.ClientID, Grant: r.Grant, Scopes: t.Scopes, Assumed: t.Assumed, Issued: t.Issued,
		RefreshToken: !r.Current.Refresh.Empty(), RefreshTokenExpires: r.Current.RefreshExpires, PreviousKept: r.Previous != nil,
		age: now.Sub(t.Issued),
	}
	switch {
	case t.Access.Empty():
		s.Kind = Seed
	case t.Expires():
		s.Kind, s.Expires = Expiring, t.Issued.Add(t.Life)
		s.Left = s.Expires.Sub(now)
		s.Usable = s.Left > 0
	default:
		s.Kind, s.Usable = Permanent, true
	}
	s.LeftSeconds = int64(max(0, s.Left).Seconds())
	if s.Kind != Seed {
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
	case IsPermanent(r.Current):
		s.Migration = "begun"
	default:
		s.Migration, s.Until = "done", t.Issued.Add(migrationWindow)
	}
	return s
}

// Ended says since when there is no usable access token.
func (s State) Ended() string {
	if s.Kind == Seed {
		return "only a refresh token was stored, which had not been used yet"
	}
	return fmt.Sprintf("the stored access token ended %s ago", Span(-s.Left))
}

// Lines are the state as people read it.
func (s State) Lines() [][2]string {
	list := [][2]string{
		{"shop", s.Shop}, {"app", orDash(s.ClientID)}, {"store", s.Store}, {"grant", s.Grant + ", " + s.Says()}, {"access token", s.Access()},
		{"scopes", orDash(strings.Join(s.Scopes, ", "))}, {"refresh token", s.refresh()},
	}
	add := func(name, format string, args ...any) {
		list = append(list, [2]string{name, fmt.Sprintf(format, args...)})
	}
	if s.PreviousKept {
		add("previous one", "the refresh token before is kept until this one has been used")
	}
	if !s.AttemptSince.IsZero() {
		add("attempt", "a refresh began on %s and its outcome is not known: the next one sends the same refresh token", Stamp(s.AttemptSince))
	}
	switch s.Migration {
	case "begun":
		add("migration", "begun and not finished: run %s again", s.Remedies.Command("token migrate"))
	case "done":
		add("migration", "the token before it is kept until the first refresh; until %s at most it brings the same pair back", Stamp(s.Until))
	}
	if s.OtherApp {
		add("attention", "it belongs to another app than SHOPIFY_CLIENT_ID names, so the sidecar will not use it")
	}
	if r := s.Reauthorize; r != nil {
		add("attention", "must be authorised anew since %s: %s", Stamp(r.Since), r.Reason)
	}
	return list
}

// Says is the kind in words.
func (s State) Says() string {
	switch s.Kind {
	case Seed:
		return "not used yet"
	case Permanent:
		return "does not expire"
	}
	return "expires and is renewed"
}

// Access is how the access token stands, in words.
func (s State) Access() string {
	if s.Kind == Seed {
		return "none yet: the sidecar obtains one with the refresh token"
	}
	age := fmt.Sprintf("issued on %s (%s ago)", Stamp(s.Issued), Span(s.age))
	switch {
	case s.Kind == Permanent:
		return age + ", does not expire"
	case !s.Usable:
		return fmt.Sprintf("%s, ended %s ago", age, Span(-s.Left))
	}
	return fmt.Sprintf("%s, ends in %s", age, Span(s.Left))
}

func (s State) refresh() string {
	switch {
	case !s.RefreshToken:
		return "-"
	case s.RefreshTokenExpires.IsZero():
		return "kept; its end is not known"
	}
	return "kept; ends on " + Stamp(s.RefreshTokenExpires) + " unless it is used before"
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// Stamp is a moment for people.
func Stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

// Span is a duration for people, to as much as matters.
func Span(d time.Duration) string {
	switch day := 24 * time.Hour; {
	case d >= 2*day:
		return fmt.Sprintf("%d days", d/day)
	case d >= time.Hour:
		return strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s")
	}
	return d.Truncate(time.Second).String()
}
