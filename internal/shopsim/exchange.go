package shopsim

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

// The token types of the exchange grant.
const (
	idType      = "urn:ietf:params:oauth:token-type:id_token"
	offlineType = "urn:shopify:params:oauth:token-type:offline-access-token"
	onlineType  = "urn:shopify:params:oauth:token-type:online-access-token"
)

// exchangeGrant exchanges a session token for an access token.
func (s *Sim) exchangeGrant(q *request, a *app, f Fault) *response {
	p := q.params
	switch {
	case p["subject_token"] == "":
		return missing("subject_token")
	case p["subject_token_type"] != idType:
		return oauthJSON(http.StatusBadRequest, "invalid_request", "The subject_token_type is not supported")
	case !slices.Contains([]string{offlineType, onlineType}, p["requested_token_type"]):
		return oauthJSON(http.StatusBadRequest, "invalid_request", "The requested_token_type is not supported")
	}
	c, err := parseSessionToken(p["subject_token"], a.secrets)
	if err == nil {
		err = c.check(a.id, q.shop.domain, q.now)
	}
	if err != nil {
		return badSubject("Session token is not valid: " + err.Error())
	}
	if !q.shop.installed[a.id] {
		return badSubject("The app is not installed on this shop")
	}
	k := grantKey{a, q.shop}
	if p["requested_token_type"] == offlineType {
		return s.offline(q, k, a.scopes, f)
	}
	user, err := strconv.ParseInt(c.Subject, 10, 64)
	if err != nil {
		user = ownerID
	}
	return s.online(q, k, a.scopes, user, f)
}

func badSubject(why string) *response {
	return oauthJSON(http.StatusBadRequest, "invalid_subject_token", why)
}

// migration is a permanent token that was given up for a pair.
type migration struct {
	pair *refreshToken
	at   time.Time
}

// migrationGrant exchanges a token that never expires for a pair that does.
// The old one is dead from then on, except for asking for the same pair again.
func (s *Sim) migrationGrant(q *request, a *app, f Fault) *response {
	p := q.params
	switch {
	case p["subject_token"] == "":
		return missing("subject_token")
	case p["requested_token_type"] != offlineType:
		return oauthJSON(http.StatusBadRequest, "invalid_request", "The requested_token_type is not supported")
	case !p.expiring():
		return oauthJSON(http.StatusBadRequest, "invalid_request", "The subject token can only be exchanged for an expiring token")
	}
	st := s.state
	k := grantKey{a, q.shop}
	value := p["subject_token"]
	if m, ok := st.migrated[value]; ok && m.pair.grantKey == k && s.repeatable(m, q.now) {
		return s.handOver(q, st.liveAccess(m.pair, q.now), m.pair, true, f)
	}
	t := st.tokens[value]
	if t == nil || t.grantKey != k || t.kind != kindOffline || !t.expires.IsZero() || !k.shop.installed[a.id] {
		return badSubject("The subject token is not an active non-expiring offline access token")
	}
	st.endTokens(func(old *token) bool { return old == t })
	r := st.acquire(k, t.scopes, p["client_secret"], q.now)
	st.migrated[value] = migration{r, q.now}
	return s.handOver(q, r.access, r, false, f)
}

// repeatable tells whether a migration may be asked for again: within the
// window, until its pair has been refreshed or replaced.
func (s *Sim) repeatable(m migration, now time.Time) bool {
	c := s.state.settings
	return !c.MigrateOnce && now.Sub(m.at) <= c.MigrationWindow && !m.pair.used() && m.pair.honoured(c, now)
}
