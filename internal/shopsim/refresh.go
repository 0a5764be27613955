package shopsim

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// chain is what an app holds on a shop besides access tokens: refresh tokens
// in the order of their making, and the permanent token of the installation.
type chain struct {
	tokens    []*refreshToken
	permanent *token
	lost      bool // counted as lost already
}

// grantKey names a chain: there is one for each app on each shop.
type grantKey struct {
	app  *app
	shop *shop
}

// refreshToken is one generation of a chain.
type refreshToken struct {
	grantKey
	value       string
	scopes      []string
	secret      string // the client secret that it is bound to, and dies with
	access      *token // handed out together with it
	created     time.Time
	expires     time.Time
	firstUsed   time.Time     // zero: never
	successor   *refreshToken // what its latest use brought
	predecessor *refreshToken // whose successor it is, until that one is retired
	retired     string        // why it is refused for good; "" if it is not
	deliveries  int           // answers with it that went out undamaged
}

func (r *refreshToken) used() bool { return !r.firstUsed.IsZero() }

func (r *refreshToken) retire(why string) {
	if r.retired == "" {
		r.retired = why
	}
	r.predecessor = nil // or the whole history would stay in memory
}

// honoured tells whether a refresh with r would succeed now. It is the one
// place that knows the rules of rotation.
func (r *refreshToken) honoured(c Settings, now time.Time) bool {
	switch {
	case r.retired != "" || !now.Before(r.expires) || !r.shop.installed[r.app.id]:
		return false
	case r.successor == nil:
		return true
	}
	since := now.Sub(r.firstUsed)
	switch c.Rotation {
	case RotationStrict:
		return false
	case RotationWindow60m:
		return since <= time.Hour
	default:
		return !r.successor.used() && since <= c.RetryWindow
	}
}

// chainOf finds or starts the chain of an app on a shop.
func (st *state) chainOf(k grantKey) *chain {
	c := st.chains[k]
	if c == nil {
		c = &chain{}
		st.chains[k] = c
	}
	return c
}

// maxGenerations bounds the history of a chain in a long run.
const maxGenerations = 1000

// newPair makes an access token and the refresh token that goes with it.
func (st *state) newPair(k grantKey, scopes []string, secret string, now time.Time) *refreshToken {
	c := st.settings
	if c.RevokeReplaced {
		st.endTokens(func(t *token) bool { return t.kind == kindOffline && t.grantKey == k && !t.expires.IsZero() })
	}
	access := st.mint(token{grantKey: k, kind: kindOffline, scopes: scopes, secret: secret}, c.OfflineLife, now)
	r := &refreshToken{
		grantKey: k,
		value:    "shprt_" + st.randomHex(),
		scopes:   scopes,
		secret:   secret,
		access:   access,
		created:  now,
		expires:  now.Add(c.RefreshLife),
	}
	st.refresh[r.value] = r
	ch := st.chainOf(k)
	ch.tokens = append(ch.tokens, r)
	if extra := len(ch.tokens) - maxGenerations; extra > 0 {
		st.forget(ch, extra, now)
	}
	return r
}

// forget removes up to n of the oldest generations that are refused anyway: a
// refresh token that is unknown gets the same answer as one that is known dead.
func (st *state) forget(ch *chain, n int, now time.Time) {
	ch.tokens = slices.DeleteFunc(ch.tokens, func(r *refreshToken) bool {
		if n == 0 || r.honoured(st.settings, now) {
			return false
		}
		n--
		delete(st.refresh, r.value)
		return true
	})
}

// acquire starts a chain anew: whatever refresh tokens there were are retired.
func (st *state) acquire(k grantKey, scopes []string, secret string, now time.Time) *refreshToken {
	ch := st.chainOf(k)
	for _, r := range ch.tokens {
		r.retire("a new token was acquired")
	}
	ch.lost = false
	return st.newPair(k, scopes, secret, now)
}

// The reasons to retire a refresh token that its holder could know of.
const (
	replaced      = "its replacement was used"
	replacedAgain = "its predecessor was used again"
)

// judgeRefresh notices a refresh token that should not have been used any more.
func (s *Sim) judgeRefresh(q *request, r *refreshToken) {
	switch {
	case q.at-s.state.memo(r.value).used < inFlight: // see refreshParallel, or it is the first time
	case r.retired == replaced || r.retired == replacedAgain:
		s.notice(q, refreshSuperseded)
	case r.successor != nil && r.successor.deliveries > 0:
		s.notice(q, refreshReused)
	}
}

// rotate makes the successor of r. With that, r's predecessor has had its
// time, and so has what an earlier use of r brought.
func (st *state) rotate(r *refreshToken, now time.Time) *refreshToken {
	if r.predecessor != nil {
		r.predecessor.retire(replaced)
		r.predecessor = nil
	}
	if r.successor != nil {
		r.successor.retire(replacedAgain)
	}
	if !r.used() {
		r.firstUsed = now
	}
	next := st.newPair(r.grantKey, r.scopes, r.app.newestSecret(), now)
	r.successor, next.predecessor = next, r
	return next
}

// refreshGrant answers grant_type=refresh_token.
func (s *Sim) refreshGrant(q *request, a *app, f Fault) *response {
	st := s.state
	value := q.params["refresh_token"]
	if value == "" {
		return missing("refresh_token")
	}
	r := st.refresh[value]
	k := grantKey{a, q.shop}
	if r != nil {
		s.judgeRefresh(q, r)
	}
	if r == nil || r.grantKey != k || !r.honoured(st.settings, q.now) {
		return s.deadRefresh(k, q.now)
	}
	switch {
	case r.successor == nil:
		st.stats.refreshes++
	case st.settings.Retry == RetrySamePair && r.successor.honoured(st.settings, q.now):
		st.stats.retries++
		return s.handOver(q, st.liveAccess(r.successor, q.now), r.successor, true, f)
	default:
		st.stats.retries++
	}
	next := st.rotate(r, q.now)
	return s.handOver(q, next.access, next, false, f)
}

// liveAccess is the access token of a pair that is handed out again. It gets a
// life of its own once more if it had expired, or would within the second that
// expires_in cannot tell, and is replaced if it was ended.
func (st *state) liveAccess(r *refreshToken, now time.Time) *token {
	t := r.access
	switch {
	case t.ended:
		r.access = st.mint(token{grantKey: r.grantKey, kind: kindOffline, scopes: r.scopes, secret: r.secret},
			st.settings.OfflineLife, now)
	case !t.alive(now.Add(time.Second)):
		t.expires = now.Add(st.settings.OfflineLife)
		st.tokens[t.value] = t
	}
	return r.access
}

const deadRefreshText = "This request requires an active refresh_token"

// deadRefresh refuses a refresh token, for whatever reason: the answer never
// tells. A chain of which the client holds nothing that works is lost.
func (s *Sim) deadRefresh(k grantKey, now time.Time) *response {
	st := s.state
	st.stats.dead++
	if ch := st.chains[k]; ch != nil && len(ch.tokens) > 0 && !ch.lost && !ch.held(st.settings, now) {
		ch.lost = true
		st.stats.chainsLost++
	}
	switch st.settings.DeadRefresh {
	case DeadFullStop:
		return oauthJSON(http.StatusUnauthorized, "invalid_request", deadRefreshText+".")
	case DeadLong:
		return oauthJSON(http.StatusUnauthorized, "invalid_request",
			fmt.Sprintf("Oauth error invalid_request: %s for %s.", deadRefreshText, k.shop.domain))
	case DeadInvalidGrant:
		return oauthJSON(http.StatusBadRequest, "invalid_grant", "The refresh token is invalid, expired or revoked")
	}
	return oauthJSON(http.StatusUnauthorized, "invalid_request", deadRefreshText)
}

// retireRefresh refuses some refresh tokens for good and tells how many that
// ended: those that were honoured until now.
func (st *state) retireRefresh(why string, which func(*refreshToken) bool, now time.Time) int {
	n := 0
	for _, r := range st.refresh {
		if which(r) {
			if r.honoured(st.settings, now) {
				n++
			}
			r.retire(why)
		}
	}
	return n
}
