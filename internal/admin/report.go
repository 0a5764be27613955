package admin

import (
	"strings"
	"time"

	"evergate/internal/brief"
)

// Report is the JSON of /status. Durations are in seconds, times in RFC 3339. It grows by
// fields; what is there keeps its name and meaning.
type Report struct {
	Version       string    `json:"version"`
	Started       time.Time `json:"started"`
	Ready         bool      `json:"ready"`
	Shop          string    `json:"shop"`
	Grant         string    `json:"grant"`
	State         string    `json:"state"` // none, fresh, stale, refused or expired
	TokenAge      *int64    `json:"token_age_seconds,omitempty"`
	TokenLeft     *int64    `json:"token_left_seconds,omitempty"`
	TokenIssued   time.Time `json:"token_issued,omitzero"`
	TokenExpires  time.Time `json:"token_expires,omitzero"`
	NextRenewal   time.Time `json:"next_renewal,omitzero"`
	LifeAssumed   bool      `json:"life_assumed,omitempty"`
	Scopes        []string  `json:"scopes,omitempty"`
	MissingScopes []string  `json:"missing_scopes,omitempty"`
	// Reauthorize says that the grant is dead and a person must authorise anew.
	Reauthorize      bool      `json:"reauthorization_required,omitempty"`
	ReauthorizeSince time.Time `json:"reauthorization_required_since,omitzero"`
	RefreshExpires   time.Time `json:"refresh_token_expires,omitzero"`
	// Unsaved is why the newest grant is in memory only.
	Unsaved string `json:"unsaved,omitempty"`
	Refused bool   `json:"token_refused,omitempty"`
	Notice  string `json:"notice,omitempty"`

	LastError   string    `json:"last_error,omitempty"`
	LastErrorAt time.Time `json:"last_error_at,omitzero"`
	NextAttempt time.Time `json:"next_attempt,omitzero"`
	Failures    int       `json:"failures_in_a_row,omitempty"`

	// Verdict is the worst that is true now, and Also what is to be said beside it, the worst first.
	Verdict Verdict   `json:"verdict"`
	Also    []Verdict `json:"also,omitempty"`
}

func (h *handler) report(f facts) Report {
	st := f.status
	r := Report{
		Version: h.Version, Started: h.started, Ready: st.Usable && !h.Stopping(),
		Shop: st.Shop, Grant: st.Grant, State: st.State,
		TokenIssued: st.Issued, TokenExpires: st.Expires, NextRenewal: st.Renews,
		LifeAssumed: st.Assumed, Scopes: st.Scopes, MissingScopes: st.MissingScopes,
		LastErrorAt: st.FailedAt, NextAttempt: st.NextAttempt, Failures: st.Failures,
	}
	r.Reauthorize, r.ReauthorizeSince, r.RefreshExpires = st.Reauthorize, st.ReauthorizeSince, st.RefreshExpires
	r.Refused, r.Notice = st.Refused, noticeOf(f.notices)
	verdicts := judge(f)
	r.Verdict, r.Also = verdicts[0], verdicts[1:]
	if st.Unsaved != nil {
		r.Unsaved = brief.Text(st.Unsaved.Error(), longestText)
	}
	if st.Err != nil {
		r.LastError = brief.Text(st.Err.Error(), longestText)
	}
	if !st.Issued.IsZero() {
		r.TokenAge = seconds(st.Age)
	}
	if !st.Expires.IsZero() {
		r.TokenLeft = seconds(st.Left)
	}
	return r
}

func noticeOf(notices []Notice) string {
	var all []string
	for _, n := range notices {
		all = append(all, n.Whole)
	}
	return brief.Text(strings.Join(all, "\n"), longestText)
}

// longestText bounds in bytes what others may decide, so that page and /status stay below 64 KiB.
const longestText = 2 << 10

func seconds(d time.Duration) *int64 {
	s := int64(d / time.Second)
	return &s
}
