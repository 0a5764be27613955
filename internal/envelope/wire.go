package envelope

import (
	"encoding/json"
	"errors"
	"time"
	"unicode/utf8"

	"evergate/internal/token"
)

// The types below are the stored form of token.Record: its own, so that renaming a field
// there does not change what lies on disks. Fields that are zero are left out.

type wireRecord struct {
	Shop        exact            `json:"shop"`
	ClientID    exact            `json:"client_id,omitzero"`
	Grant       exact            `json:"grant,omitzero"`
	Epoch       exact            `json:"epoch,omitzero"`
	Generation  uint64           `json:"generation,omitzero"`
	Writer      exact            `json:"writer,omitzero"`
	Written     stamp            `json:"written,omitzero"`
	Current     wirePair         `json:"current"`
	Previous    *wirePrevious    `json:"previous,omitzero"`
	Attempt     *wireAttempt     `json:"attempt,omitzero"`
	Original    exact            `json:"original,omitzero"`
	Reauthorize *wireReauthorize `json:"reauthorize,omitzero"`
}

type wirePair struct {
	Access         exact         `json:"access,omitzero"`
	Scopes         []exact       `json:"scopes,omitzero"` // nil and empty differ
	Issued         stamp         `json:"issued,omitzero"`
	Life           time.Duration `json:"life_ns,omitzero"`
	Assumed        bool          `json:"assumed,omitzero"`
	Refresh        exact         `json:"refresh,omitzero"`
	RefreshExpires stamp         `json:"refresh_expires,omitzero"`
}

type wirePrevious struct {
	Refresh   exact `json:"refresh,omitzero"`
	Expires   stamp `json:"expires,omitzero"`
	FirstUsed stamp `json:"first_used,omitzero"`
	Tried     bool  `json:"tried,omitzero"`
}

type wireAttempt struct {
	Fingerprint exact `json:"fingerprint,omitzero"`
	Started     stamp `json:"started,omitzero"`
}

type wireReauthorize struct {
	Since  stamp `json:"since,omitzero"`
	Reason exact `json:"reason,omitzero"`
}

func toWire(r token.Record) wireRecord {
	t := r.Current.Token
	w := wireRecord{
		Shop: exact(r.Shop), ClientID: exact(r.ClientID), Grant: exact(r.Grant), Original: exact(r.Original.Reveal()),
		Epoch: exact(r.Epoch), Generation: r.Generation, Writer: exact(r.Writer), Written: stamp{r.Written},
		Current: wirePair{
			Access: exact(t.Access.Reveal()), Scopes: convert[exact](t.Scopes), Issued: stamp{t.Issued}, Life: t.Life, Assumed: t.Assumed,
			Refresh: exact(r.Current.Refresh.Reveal()), RefreshExpires: stamp{r.Current.RefreshExpires},
		},
	}
	if p := r.Previous; p != nil {
		w.Previous = &wirePrevious{Refresh: exact(p.Refresh.Reveal()), Expires: stamp{p.Expires}, FirstUsed: stamp{p.FirstUsed}, Tried: p.Tried}
	}
	if a := r.Attempt; a != nil {
		w.Attempt = &wireAttempt{Fingerprint: exact(a.Fingerprint), Started: stamp{a.Started}}
	}
	if a := r.Reauthorize; a != nil {
		w.Reauthorize = &wireReauthorize{Since: stamp{a.Since}, Reason: exact(a.Reason)}
	}
	return w
}

func (w wireRecord) record() token.Record {
	c := w.Current
	r := token.Record{
		Shop: string(w.Shop), ClientID: string(w.ClientID), Grant: string(w.Grant), Original: w.Original.secret(),
		Epoch: string(w.Epoch), Generation: w.Generation, Writer: string(w.Writer), Written: w.Written.t,
		Current: token.Pair{
			Token:   token.Token{Access: c.Access.secret(), Scopes: convert[string](c.Scopes), Issued: c.Issued.t, Life: c.Life, Assumed: c.Assumed},
			Refresh: c.Refresh.secret(), RefreshExpires: c.RefreshExpires.t,
		},
	}
	if p := w.Previous; p != nil {
		r.Previous = &token.Previous{Refresh: p.Refresh.secret(), Expires: p.Expires.t, FirstUsed: p.FirstUsed.t, Tried: p.Tried}
	}
	if a := w.Attempt; a != nil {
		r.Attempt = &token.Attempt{Fingerprint: string(a.Fingerprint), Started: a.Started.t}
	}
	if a := w.Reauthorize; a != nil {
		r.Reauthorize = &token.Reauthorize{Since: a.Since.t, Reason: string(a.Reason)}
	}
	return r
}

// convert keeps nil nil.
func convert[To, From ~string](from []From) []To {
	if from == nil {
		return nil
	}
	to := make([]To, len(from))
	for i, s := range from {
		to[i] = To(s)
	}
	return to
}

// exact is a string that JSON does not change. A JSON string cannot hold bytes that are
// not UTF-8, as an error text that was cut within a rune has: encoding/json replaces them
// silently. Such a string is stored as {"base64": "…"}.
type exact string

type exactBytes struct {
	Bytes []byte `json:"base64"`
}

// secret gives a zero Secret for an empty one: the two are the same to everybody.
func (e exact) secret() token.Secret {
	if e == "" {
		return token.Secret{}
	}
	return token.NewSecret(string(e))
}

// MarshalJSON implements json.Marshaler.
func (e exact) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(e)) {
		return json.Marshal(string(e))
	}
	return json.Marshal(exactBytes{[]byte(e)})
}

// UnmarshalJSON implements json.Unmarshaler.
func (e *exact) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err == nil {
		*e = exact(s)
		return nil
	}
	var raw exactBytes
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	*e = exact(raw.Bytes)
	return nil
}

// stamp is a moment on the wall clock, stored in UTC to the nanosecond.
type stamp struct{ t time.Time }

// IsZero makes omitzero leave out a time that is not set, in whatever zone.
func (s stamp) IsZero() bool { return s.t.IsZero() }

// MarshalJSON implements json.Marshaler.
func (s stamp) MarshalJSON() ([]byte, error) { return s.t.UTC().MarshalJSON() }

// UnmarshalJSON implements json.Unmarshaler.
func (s *stamp) UnmarshalJSON(b []byte) error {
	var t time.Time
	if err := t.UnmarshalJSON(b); err != nil {
		return err
	}
	t = t.UTC()
	if year := t.Year(); year < 0 || year > 9999 { // by its offset; it could not be written again
		return errors.New("the year is out of range")
	}
	s.t = t
	return nil
}
