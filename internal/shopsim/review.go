package shopsim

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// memo is what is remembered of a token, of a rate limit or of a request, so as to judge what comes later. Times are
// those since the simulator was made; 0 is never.
type memo struct {
	since     time.Duration // when it was handed out, or a wait was asked for
	until     time.Duration // when a token ends as its client was told, or how long it was asked to wait
	refused   time.Duration // when a token was first refused with 401
	used      time.Duration // when a refresh token was first sent
	count     int           // of calls with a token, or of refusals of a request
	delivered bool          // a token's answer went out undamaged
	lost      bool          // a write took effect, and its answer got lost
	latest    *memo         // of an app on a shop: the access token that was handed out last
}

const (
	// inFlight is how long an answer may be on its way: what arrives sooner was sent without knowing it.
	inFlight = 100 * time.Millisecond
	maxMemos = 5000 // what is forgotten is not judged
)

// memo finds what is remembered under a key, or begins with it.
func (st *state) memo(key string) *memo {
	m := st.memos[key]
	if m == nil {
		if len(st.memos) >= maxMemos {
			for some := range st.memos {
				delete(st.memos, some)
				break
			}
		}
		m = &memo{}
		st.memos[key] = m
	}
	return m
}

// clock is a time as memos have it; at the very beginning it is not 0.
func (s *Sim) clock(now time.Time) time.Duration { return now.Sub(s.epoch) + 1 }

// isAPI tells whether a request wants an access token.
func (q *request) isAPI() bool {
	return q.shop != nil && !slices.Contains([]string{routeToken, routeAuthorize, routeFiles, routeOther}, q.route.name)
}

// limitKey names a rate limit as the client of a request knows it.
func (q *request) limitKey() string {
	limit := q.route.name
	if q.route.isREST() {
		limit = "rest"
	}
	return "limit " + limit + " " + q.Host + " " + q.entry.Token + q.params["client_id"]
}

// repeatKey is the same for two requests of which the second repeats the first.
func (q *request) repeatKey() string {
	return "request " + q.Method + " " + q.Host + q.entry.RequestURI + " " + q.entry.Token + q.entry.BodySHA256
}

// arrives judges a request by what is known before it is answered.
func (s *Sim) arrives(q *request) {
	s.seen++
	q.at = s.clock(q.now)
	if urlHasCredential(q.URL) {
		s.notice(q, credentialInURL)
	}
	if q.isAPI() {
		s.judgeToken(q)
	} else if q.entry.Token != "" {
		s.notice(q, misplacedToken)
	}
	limit := s.state.memo(q.limitKey())
	q.early = q.at < limit.until && q.at-limit.since > inFlight
	if q.early && q.route.name != routeGraphQL {
		s.notice(q, retryAfterIgnored)
	}
	if q.grant != GrantRefresh {
		return
	}
	r := s.state.memo(q.params["refresh_token"])
	switch {
	case r.refused > 0:
		s.notice(q, refreshAfterRefusal)
	case r.used > 0 && q.at-r.used < inFlight:
		s.notice(q, refreshParallel)
	case r.used == 0:
		r.used = q.at
	}
}

// judgeToken judges token and version of a call to the API.
func (s *Sim) judgeToken(q *request) {
	value := q.entry.Token
	living, t := s.state.tokens[value], s.state.memo(value)
	t.count++
	switch {
	case value == "" && q.Header.Get("Authorization") != "":
		s.notice(q, wrongHeader)
	case value == "":
		s.notice(q, noToken)
	case living != nil && living.shop != q.shop:
		s.notice(q, foreignToken)
	case living != nil && living.alive(q.now):
	case t.until > 0 && q.at >= t.until:
		s.notice(q, expiredToken)
	case s.state.apps[value] != nil || s.state.refresh[value] != nil || strings.HasPrefix(value, "shpss_") || strings.HasPrefix(value, "shprt_"):
		s.notice(q, secretAsToken)
	case t.refused > 0 && q.at-t.refused > inFlight:
		s.notice(q, refusedToken)
	}
	if q.route.name == routeScopes || q.route.name == routeUninstall {
		return
	}
	served, fellForward := s.serveVersion(q.route.version)
	switch {
	case q.route.version == "":
		s.notice(q, unversioned)
	case served == "":
		s.notice(q, unknownVersion)
	case fellForward:
		s.notice(q, retiredVersion)
	}
}

// urlHasCredential tells whether a path or query has what belongs into a header or a body.
func urlHasCredential(u *url.URL) bool {
	for name, values := range u.Query() {
		if slices.Contains([]string{"access_token", "client_secret", "refresh_token", "subject_token"}, name) || hasTokenPrefix(values[0]) {
			return true
		}
	}
	return hasTokenPrefix(u.Path)
}

// answered judges a request by its answer, and remembers that.
func (s *Sim) answered(q *request, resp *response) {
	arrives := Fault{Kind: q.entry.Fault}.keepsAnswer()
	if q.minted != nil && !q.minted.Repeated {
		s.judgeMinted(q, arrives)
	}
	if resp.status == http.StatusUnauthorized && (q.isAPI() || q.grant == GrantRefresh) {
		if t := s.state.memo(q.entry.Token + q.params["refresh_token"]); t.refused == 0 {
			t.refused = s.clock(time.Now())
		}
	}
	s.judgeLimits(q, resp)
	m := s.state.memo(q.repeatKey())
	if m.count++; resp.status != http.StatusPaymentRequired && resp.status != http.StatusForbidden && resp.status != http.StatusLocked {
		m.count = 0
	} else if m.count >= 3 {
		s.notice(q, keptAsking)
	}
	if q.wrote {
		if m.lost {
			s.notice(q, writeRepeated)
		}
		m.lost = !arrives
	}
}

// judgeMinted judges how soon a token was asked for, after the one before it.
func (s *Sim) judgeMinted(q *request, arrives bool) {
	e := q.minted
	app := s.state.memo("app " + e.ClientID + " " + e.Shop)
	last := app.latest
	if last != nil && last.delivered && last.refused == 0 && 2*(last.until-q.at) > last.until-last.since &&
		(q.grant == GrantClientCredentials || q.grant == GrantRefresh) {
		switch {
		case last.count == 0 && q.at-last.since < inFlight:
			s.notice(q, tokenParallel)
		case last.count <= 1:
			s.notice(q, tokenPerCall)
		default:
			s.notice(q, tokenEarly)
		}
	}
	app.latest = s.state.memo(e.Token)
	app.latest.since, app.latest.delivered = q.at, arrives
	if e.Life > 0 {
		app.latest.until = q.at + e.Life
	}
}

// judgeLimits judges what was asked for against what may be, and remembers how long the client has been asked to wait.
func (s *Sim) judgeLimits(q *request, resp *response) {
	if query := q.URL.Query(); resp.status == http.StatusBadRequest && q.route.isREST() {
		if limit, _ := strconv.Atoi(query.Get("limit")); limit > maxLimit {
			s.notice(q, pageTooLarge)
		} else if query.Has("page_info") {
			s.notice(q, pageInfoMisused)
		}
	}
	if q.cost > s.state.settings.MaxQueryCost {
		s.notice(q, queryTooExpensive)
	}
	if q.restored > 0 && q.early {
		s.notice(q, throttledAgain)
	}
	wait := q.restored
	if resp.header != nil && wait == 0 {
		value := resp.header.Get("Retry-After")
		wait, _ = strconv.ParseFloat(value, 64)
		if at, err := http.ParseTime(value); err == nil {
			wait = time.Until(at).Seconds()
		}
	}
	if wait > 0 && wait < 1e6 {
		limit := s.state.memo(q.limitKey())
		now := s.clock(time.Now())
		if limit.until <= now {
			limit.since = now // or one who never stops calling would never have heard
		}
		limit.until = max(limit.until, now+time.Duration(wait*float64(time.Second)))
	}
}
