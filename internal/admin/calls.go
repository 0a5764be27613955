package admin

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"evergate/internal/denial"
)

// Failure is one way in which calls of one route did not succeed.
type Failure struct {
	Route string
	// Code is X-Evergate-Error; empty: Shopify answered, with Status.
	Code   string
	Status int
	Count  uint64 // since the start
	Last   time.Time
}

// failed reports whether it counts as a failure of a call. What Evergate refuses by its rules does not, and
// neither does what says that the tool asked for something wrong, such as 404 and 422.
func (f Failure) failed() bool {
	return f.Status >= 500 || f.Code == "" && slices.Contains(failedStatuses, f.Status)
}

// failedStatuses are those below 500 with which Shopify does not serve what it was asked for, for a reason that is not in the
// single call: the token, the app's scopes, a shop that is frozen or locked, the rate limit, a rule of its security.
var failedStatuses = []int{
	http.StatusUnauthorized, http.StatusPaymentRequired, http.StatusForbidden, http.StatusLocked, http.StatusTooManyRequests, 430,
}

// whatFails says it to people.
const whatFails = "A call failed if it was answered with 401, 402, 403, 423, 429, 430, or a status from 500 on. " +
	"What a tool asked for wrongly (such as 404 and 422) and what Evergate refused by its rules are not among them."

// recentMinutes is how far back calls count for the verdict.
const recentMinutes = 5

// recent is what became of calls in the last minutes.
type recent struct {
	calls, failed float64
	worst         *Failure // the answer that came most often, on the route where it did; nil: it is not known
	worstCount    uint64   // of that answer, on all routes
	worstRoutes   int      // on which it came
}

// sumUp says which answer came most often. At a tie it is one of Evergate's own, which says where the cause is.
func (r *recent) sumUp(all []Failure, countOf func(Failure) uint64) {
	type answer struct {
		code   string
		status int
	}
	type tally struct {
		sum, most uint64
		routes    int
		worst     *Failure // on the route where there were most
	}
	tallies := map[answer]*tally{}
	for i, f := range all {
		n, a := countOf(f), answer{f.Code, f.Status}
		if n == 0 {
			continue
		}
		if tallies[a] == nil {
			tallies[a] = &tally{}
		}
		t := tallies[a]
		t.sum, t.routes = t.sum+n, t.routes+1
		if n > t.most {
			t.most, t.worst = n, &all[i]
		}
	}
	for _, f := range all { // in their order, so that a tie always ends alike
		t := tallies[answer{f.Code, f.Status}]
		if t != nil && (t.sum > r.worstCount || t.sum == r.worstCount && r.worst.Code == "" && f.Code != "") {
			r.worst, r.worstCount, r.worstRoutes = t.worst, t.sum, t.routes
		}
	}
}

// share says how many of the calls that failed got the worst answer.
func (r recent) share() string {
	switch n := float64(r.worstCount); {
	case n >= r.failed:
		return "all"
	case 2*n > r.failed:
		return "most"
	}
	return strconv.FormatUint(r.worstCount, 10)
}

// From which share of failed calls on there is something to say. A few single ones say nothing.
const (
	warningShare = 0.05
	errorShare   = 0.2
	errorCount   = 5
)

// level says how bad it is.
func (r recent) level() Level {
	share := r.failed / max(1, r.calls)
	switch {
	case share >= errorShare && r.failed >= errorCount:
		return LevelError
	case share >= warningShare:
		return LevelWarning
	}
	return LevelOK
}

func ofCalls(f facts) []Verdict {
	level := f.recent.level()
	if level == LevelOK {
		return nil
	}
	v := Verdict{Level: level, Code: codeCallsFail, label: "Calls fail",
		Text: fmt.Sprintf("%s of %s calls failed in the last %d minutes", number(f.recent.failed, 0), number(f.recent.calls, 0), recentMinutes)}
	if worst := f.recent.worst; worst != nil {
		v.Text += ", " + f.recent.share() + " of them with " + worst.answer() + " (" + worst.Route
		if f.recent.worstRoutes > 1 {
			v.Text += " and other routes"
		}
		v.Text += ")"
		v.WhatToDo = f.setup.afterAnswer(*worst)
	}
	v.Text += "."
	return []Verdict{v}
}

// answer says what the caller got.
func (f Failure) answer() string {
	if f.Code != "" {
		return f.Code
	}
	if text := http.StatusText(f.Status); text != "" {
		return fmt.Sprintf("%d %s", f.Status, text)
	}
	return fmt.Sprint(f.Status)
}

// afterAnswer is what to do where calls get this answer.
func (s Setup) afterAnswer(f Failure) string {
	switch f.Code {
	case "":
	case denial.CodeRateLimitQueueFull:
		return "Tools send more than Shopify's rate limit lets through. Have them send fewer calls at a time, or spread them over a longer time."
	case denial.CodeTooManyConnections:
		return s.tellHow("raise EVERGATE_MAX_CONNECTIONS and the limit of descriptors, or have the tools send fewer requests at a time")
	case denial.CodeUpstreamUnreachable:
		return "Run " + s.shopCommand("check") + ", which says where the way to Shopify ends."
	case denial.CodeUpstreamTimeout:
		return "No answer came in time. Run " + s.shopCommand("check") + ", which says whether the way to " + s.upstream() + " is good. If it is, " +
			s.seeUpstream() + ", and whether the tools ask for too much at once."
	case denial.CodeMemoryBudget:
		return s.tellHow("raise EVERGATE_MEMORY_BUDGET, or have the tools send fewer large bodies at a time")
	default:
		return ""
	}
	switch f.Status {
	case http.StatusUnauthorized:
		return "Shopify does not take the token. Run " + s.shopCommand("check") + ", which asks it why."
	case http.StatusPaymentRequired, http.StatusLocked:
		return "The shop is frozen or locked: someone with access to its admin must look. This ends by itself when that is mended."
	case http.StatusForbidden:
		return "The app may not do this. Run " + s.shopCommand("check") + ", which compares its scopes with those that the settings name."
	case http.StatusTooManyRequests:
		return "The rate limit has no room within the longest wait. Have the tools send fewer calls at a time; see EVERGATE_PACE and EVERGATE_PACE_MAX_WAIT."
	case 430:
		return "Shopify's protection against abuse refuses these calls. Look at what the tools send, and how much."
	}
	if s.Upstream != "" {
		return "The errors come from `" + s.Upstream + "`, which EVERGATE_UPSTREAM_URL names in Shopify's place: " + s.seeUpstream() + "."
	}
	return "The errors are Shopify's own: " + s.seeUpstream() + ". They end by themselves."
}

// upstream is who answers calls.
func (s Setup) upstream() string {
	if s.Upstream != "" {
		return "`" + s.Upstream + "`"
	}
	return "Shopify"
}

// seeUpstream is where to look for what is wrong with who answers calls.
func (s Setup) seeUpstream() string {
	if s.Upstream != "" {
		return "see what its own log says"
	}
	return "see https://www.shopifystatus.com"
}
