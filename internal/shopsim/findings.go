package shopsim

import (
	"net/http"
	"time"
)

// Report is what the simulator noticed of the conduct of its clients, which answers alone do not tell.
type Report struct {
	Requests int       `json:"requests"`
	Findings []Finding `json:"findings"`
}

// Finding is something that a client should not do.
type Finding struct {
	Code    string   `json:"code"`
	Count   int      `json:"count"`
	What    string   `json:"what"`    // it did
	Shopify string   `json:"shopify"` // what Shopify makes of it
	First   Occasion `json:"first"`
}

// Occasion is the request at which something was noticed.
type Occasion struct {
	Request int       `json:"request"` // its number in the journal
	Time    time.Time `json:"time"`
	Method  string    `json:"method"`
	Address string    `json:"address"`
}

// A conduct is one entry of the list of what can be found.
type conduct int

const (
	refreshParallel conduct = iota
	refreshReused
	refreshSuperseded
	refreshAfterRefusal
	tokenParallel
	tokenPerCall
	tokenEarly
	expiredToken
	refusedToken
	foreignToken
	secretAsToken
	noToken
	wrongHeader
	misplacedToken
	credentialInURL
	unversioned
	retiredVersion
	unknownVersion
	retryAfterIgnored
	throttledAgain
	pageInfoMisused
	pageTooLarge
	queryTooExpensive
	writeRepeated
	keptAsking
	conducts
)

// conductTexts are the code of each conduct, what was done, and what Shopify makes of it.
var conductTexts = [conducts][3]string{
	refreshParallel: {"refresh_parallel", "refreshed with one refresh token several times at once",
		"replaces the refresh token each time: of the pairs that it hands out, only the last one's refresh token works"},
	refreshReused: {"refresh_reused", "refreshed again with a refresh token whose replacement had been delivered",
		"honours it until the replacement is used, then never again: two holders of one grant end it for each other"},
	refreshSuperseded: {"refresh_superseded", "refreshed with a refresh token that a newer one had replaced for good",
		"answers 401 invalid_request; whoever kept no newer one has to send the merchant through the login again"},
	refreshAfterRefusal: {"refresh_after_refusal", "sent a refresh token again that had been refused with 401",
		"means it: the answer stays the same however often one asks"},
	tokenParallel: {"token_parallel", "asked for several tokens at once",
		"hands out each; what a repeated request does to the token before it is not documented"},
	tokenPerCall: {"token_per_call", "asked for a new token after no more than one call with the last one",
		"lets a token of client credentials live for a day, one of a refresh for an hour: keep it until it is about to end"},
	tokenEarly: {"token_early", "asked for a new token with more than half of the last one's life left",
		"lets the last one work until it expires; a refresh replaces the refresh token each time"},
	expiredToken: {"expired_token", "called with a token whose expires_in had passed",
		"answers 401, as for any token that is wrong"},
	refusedToken: {"refused_token", "called again with a token that had been refused with 401",
		"goes on answering 401: a new token has to be obtained"},
	foreignToken: {"foreign_token", "called one shop with the token of another",
		"answers 401; a token is good for one shop"},
	secretAsToken: {"secret_as_token", "sent the client id, the client secret or a refresh token as the access token",
		"answers 401; they are good at the token endpoint alone"},
	noToken: {"no_token", "called without a token", "answers 401"},
	wrongHeader: {"wrong_header", "sent Authorization, but no X-Shopify-Access-Token",
		"ignores Authorization and answers 401"},
	misplacedToken: {"misplaced_token", "sent an access token to a path or host that takes none",
		"ignores it at best; with a redirect it reaches another host"},
	credentialInURL: {"credential_in_url", "sent a credential in the path or query",
		"does not read it there; logs and proxies do"},
	unversioned: {"unversioned", "called a path without an API version",
		"serves the oldest version that it supports, which changes every quarter"},
	retiredVersion: {"retired_version", "called a version of the API that is no longer supported",
		"serves the oldest supported one instead and says so in X-Shopify-API-Version"},
	unknownVersion: {"unknown_version", "called a version of the API that does not exist", "answers 404"},
	retryAfterIgnored: {"retry_after_ignored", "called again before Retry-After had passed",
		"goes on answering 429 while the bucket is full"},
	throttledAgain: {"throttled_again", "was THROTTLED again before the points that the query demands could be there",
		"sends no Retry-After: the wait is (requestedQueryCost - currentlyAvailable) / restoreRate seconds"},
	pageInfoMisused: {"page_info_misused", "sent a page_info that is not one, or with other parameters than limit and fields",
		"answers 400; follow the URLs of the Link header as they are"},
	pageTooLarge: {"page_too_large", "asked for more than 250 items on a page", "answers 400"},
	queryTooExpensive: {"query_too_expensive", "sent a GraphQL query that costs more than one query may",
		"answers MAX_COST_EXCEEDED whatever the bucket holds"},
	writeRepeated: {"write_repeated", "sent a write again that had taken effect, after its answer was lost",
		"carries it out twice, unless it is @idempotent with the same key"},
	keptAsking: {"kept_asking", "sent a request for the third time that was refused with 402, 403 or 423 before",
		"goes on refusing until a person changes something"},
}

// Report returns what has been noticed since New or the last ClearReport; Reset leaves it alone.
func (s *Sim) Report() Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := Report{Requests: s.seen, Findings: []Finding{}}
	for c, f := range s.found {
		if f.Count > 0 {
			f.Code, f.What, f.Shopify = conductTexts[c][0], conductTexts[c][1], conductTexts[c][2]
			r.Findings = append(r.Findings, f)
		}
	}
	return r
}

// ClearReport forgets what has been noticed, such as by a test that did it on purpose.
func (s *Sim) ClearReport() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found, s.seen = make([]Finding, conducts), 0
}

// notice counts a conduct.
func (s *Sim) notice(q *request, c conduct) {
	f := &s.found[c]
	if f.Count++; f.Count == 1 {
		f.First = Occasion{q.entry.Seq, q.entry.Time, q.Method, q.entry.Address()}
	}
}

func (s *Sim) controlReport(w http.ResponseWriter, _ *http.Request) {
	writeControl(w, http.StatusOK, s.Report())
}
