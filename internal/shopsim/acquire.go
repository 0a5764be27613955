package shopsim

import (
	"maps"
	"net/http"
	"time"
)

// code is an authorization code that has not been used.
type code struct {
	grantKey
	scopes  []string
	online  bool
	expires time.Time
}

// ownerID is the person who consents on the authorize page.
const ownerID = 70_000_001

// newCode makes a code, and removes those that have expired.
func (st *state) newCode(c code, now time.Time) string {
	maps.DeleteFunc(st.codes, func(_ string, old code) bool { return !now.Before(old.expires) })
	value := st.randomHex()
	c.expires = now.Add(st.settings.CodeLife)
	st.codes[value] = c
	return value
}

// IssueCode installs the app and makes an authorization code for an offline
// token, as if a merchant had consented.
func (s *Sim) IssueCode(shopName, clientID string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.install(shopName, clientID)
	return s.state.newCode(code{grantKey: k, scopes: k.app.scopes}, time.Now())
}

// IssuePair installs the app and makes an expiring offline token with its
// refresh token, as if the app had acquired them. It retires earlier ones.
func (s *Sim) IssuePair(shopName, clientID string) (accessToken, refreshToken string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.install(shopName, clientID)
	r := s.state.acquire(k, k.app.scopes, k.app.newestSecret(), time.Now())
	r.deliveries = 1
	return r.access.value, r.value
}

func (s *Sim) install(shopName, clientID string) grantKey {
	k := grantKey{s.mustApp(clientID), s.mustShop(shopName)}
	k.shop.installed[k.app.id] = true
	return k
}

// codeGrant exchanges an authorization code. It is spent by that, whatever
// becomes of the answer.
func (s *Sim) codeGrant(q *request, a *app, f Fault) *response {
	value := q.params["code"]
	if value == "" {
		return missing("code")
	}
	c, ok := s.state.codes[value]
	if !ok || c.grantKey != (grantKey{a, q.shop}) || !q.now.Before(c.expires) {
		return oauthJSON(http.StatusBadRequest, "invalid_request", "The authorization code was not found or was already used")
	}
	delete(s.state.codes, value)
	if c.online {
		return s.online(q, c.grantKey, c.scopes, ownerID, f)
	}
	return s.offline(q, c.grantKey, c.scopes, f)
}

// offline hands out a token of the app: a new pair, or the one permanent token
// of the installation.
func (s *Sim) offline(q *request, k grantKey, scopes []string, f Fault) *response {
	secret := q.params["client_secret"]
	if q.params.expiring() {
		r := s.state.acquire(k, scopes, secret, q.now)
		return s.handOver(q, r.access, r, false, f)
	}
	ch := s.state.chainOf(k)
	t := ch.permanent
	if t != nil && t.alive(q.now) {
		t.scopes, t.secret = scopes, secret
		return s.handOver(q, t, nil, true, f)
	}
	ch.permanent = s.state.mint(token{grantKey: k, kind: kindOffline, scopes: scopes, secret: secret}, 0, q.now)
	return s.handOver(q, ch.permanent, nil, false, f)
}

// online hands out a token of a person, always a new one.
func (s *Sim) online(q *request, k grantKey, scopes []string, user int64, f Fault) *response {
	t := token{grantKey: k, kind: kindOnline, scopes: scopes, user: user, secret: q.params["client_secret"]}
	return s.handOver(q, s.state.mint(t, s.state.settings.OnlineLife, q.now), nil, false, f)
}
