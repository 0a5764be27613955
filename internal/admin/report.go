package admin

import (
	"slices"
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

	// Tools is where tools call, and Policy what they may do there, in words.
	Tools  []Entrance `json:"tools,omitempty"`
	Policy string     `json:"policy,omitempty"`
	// Calls are those of the last hour and of the last minutes; nil: they are not known.
	Calls *CallReport `json:"calls,omitempty"`
	// Unsuccessful and Callers are the most frequent since the start, RateLimits and APIVersions what is known.
	Unsuccessful []FailureReport `json:"unsuccessful,omitempty"`
	Callers      []CallerReport  `json:"callers,omitempty"`
	RateLimits   []LimitReport   `json:"rate_limits,omitempty"`
	Pacing       PacingReport    `json:"pacing"`
	APIVersions  []VersionReport `json:"api_versions,omitempty"`
}

// Entrance is one listener for tools.
type Entrance struct {
	URL string `json:"url"`
	Try string `json:"try"` // a command for a shell that makes a call there; with AnyShop, if it may be for any
}

// AnyShop stands for a shop's domain in a call that may be for any.
const AnyShop = "$SHOP.myshopify.com"

// CallReport counts calls. What failed is as of Failure.
type CallReport struct {
	HourCalls     float64 `json:"hour"`
	HourFailed    float64 `json:"hour_failed"`
	HourWaited    float64 `json:"hour_waited"`
	RecentMinutes int     `json:"recent_minutes"`
	RecentCalls   float64 `json:"recent"`
	RecentFailed  float64 `json:"recent_failed"`
}

// FailureReport is a way in which calls did not succeed. Failed says that it counts as a failure; else Evergate refused it
// by its rules.
type FailureReport struct {
	Route  string    `json:"route"`
	Status int       `json:"status"`
	Code   string    `json:"code,omitempty"` // X-Evergate-Error; empty: Shopify answered
	Failed bool      `json:"failed"`
	Count  uint64    `json:"count"`
	Last   time.Time `json:"last"`
}

// CallerReport is who called since the start, and how often it was denied or waited.
type CallerReport struct {
	Name   string  `json:"name"`
	Calls  float64 `json:"calls"`
	Denied float64 `json:"denied"`
	Waits  uint64  `json:"waits"`
}

// LimitReport is one of Shopify's rate limits: its bucket has room for so much.
type LimitReport struct {
	API       string  `json:"api"`
	Available float64 `json:"available"`
	Capacity  float64 `json:"capacity"`
}

// PacingReport is what became of calls at the rate limits since the start.
type PacingReport struct {
	On        bool    `json:"on"`
	Waited    float64 `json:"waited"`
	Refused   float64 `json:"refused"`   // by Evergate: their turn would not have come in time
	Throttled float64 `json:"throttled"` // by Shopify; most are sent again and no tool sees it
	// The longest wait; all zero: nobody has waited.
	LongestSeconds float64   `json:"longest_wait_seconds,omitempty"`
	LongestCaller  string    `json:"longest_wait_caller,omitempty"`
	LongestAt      time.Time `json:"longest_wait_at,omitzero"`
}

// VersionReport is a version of the Admin API that tools ask for.
type VersionReport struct {
	Version string    `json:"version"`
	Calls   float64   `json:"calls"`
	Retires time.Time `json:"retires,omitzero"`
	Level   Level     `json:"level"`
}

// Wait is how a caller waited for the rate limit since the start.
type Wait struct {
	Caller    string
	Count     uint64
	Longest   time.Duration
	LongestAt time.Time
}

// mostRows bounds each list of a report.
const mostRows = 12

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
	h.reportCalls(&r, f)
	if st.Unsaved != nil {
		r.Unsaved = brief.Text(st.Unsaved.Error(), longestText)
	}
	if st.Err != nil {
		r.LastError = brief.Text(h.Setup.keysIn(st.Err.Error(), st.Shop), longestText)
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

// reportCalls adds what is known of calls.
func (h *handler) reportCalls(r *Report, f facts) {
	s := f.snapshot
	if h.Entrances != nil {
		r.Tools = h.Entrances()
	}
	if f.status.Shop != "" { // of a process with many shops one is meant here
		for i := range r.Tools {
			r.Tools[i].Try = strings.ReplaceAll(r.Tools[i].Try, AnyShop, f.status.Shop)
		}
	}
	if h.Policy != nil {
		r.Policy = brief.Text(h.Policy(), longestText)
	}
	if h.History != nil {
		r.Calls = &CallReport{RecentMinutes: recentMinutes, RecentCalls: f.recent.calls, RecentFailed: f.recent.failed}
		for _, m := range h.History.hour(*s) {
			r.Calls.HourCalls, r.Calls.HourFailed, r.Calls.HourWaited = r.Calls.HourCalls+m.Requests, r.Calls.HourFailed+m.Failed, r.Calls.HourWaited+m.Waited
		}
	}
	var unsuccessful []*FailureReport // pointers, as the snapshot sorts them
	for _, u := range s.failures {
		if u.failed() || u.Code != "" {
			unsuccessful = append(unsuccessful, &FailureReport{u.Route, u.Status, u.Code, u.failed(), u.Count, u.Last})
		}
	}
	slices.SortStableFunc(unsuccessful, func(a, b *FailureReport) int {
		if a.Failed != b.Failed {
			return map[bool]int{true: -1, false: 1}[a.Failed]
		}
		return b.Last.Compare(a.Last)
	})
	for _, u := range unsuccessful[:min(len(unsuccessful), mostRows)] {
		r.Unsuccessful = append(r.Unsuccessful, *u)
	}
	for _, b := range s.buckets {
		r.RateLimits = append(r.RateLimits, LimitReport(b))
	}
	for _, v := range s.versions {
		r.APIVersions = append(r.APIVersions, VersionReport{v.Version, v.Calls, v.Retires, v.support(f.now)})
	}
	r.Pacing = PacingReport{On: !h.Unpaced, Waited: s.waited, Refused: s.queueFull, Throttled: s.throttled}
	waits := map[string]uint64{}
	if h.Waits != nil {
		for _, w := range h.Waits() {
			waits[w.Caller] = w.Count
			if seconds := w.Longest.Seconds(); seconds > r.Pacing.LongestSeconds {
				r.Pacing.LongestSeconds, r.Pacing.LongestCaller, r.Pacing.LongestAt = seconds, w.Caller, w.LongestAt
			}
		}
	}
	for _, c := range s.callers[:min(len(s.callers), mostRows)] {
		r.Callers = append(r.Callers, CallerReport{c.Name, c.Calls, c.Denied, waits[c.Name]})
	}
}
