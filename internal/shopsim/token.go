package shopsim

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// app is an app while the simulator runs.
type app struct {
	id         string
	secrets    []string // that have not been revoked, newest last
	scopes     []string
	mustExpire bool
}

func newApp(cfg App) *app {
	return &app{
		id:         cfg.ClientID,
		secrets:    []string{cfg.ClientSecret},
		scopes:     splitScopes(orDefault(cfg.Scopes, DefaultScopes)),
		mustExpire: cfg.MustExpire,
	}
}

// token is an access token that works. Tokens that stopped working are
// forgotten: the API answers expired, revoked and invented ones alike.
type token struct {
	value   string
	app     *app
	shop    *shop
	scopes  []string
	secret  string    // minted under this secret, and dies with it
	seq     int       // order of minting
	expires time.Time // zero: never
}

func (t *token) alive(now time.Time) bool { return t.expires.IsZero() || now.Before(t.expires) }

// TokenEvent tells of a token that was handed out.
type TokenEvent struct {
	Time     time.Time
	Shop     string
	ClientID string
	Grant    string // "client_credentials"
	Token    string // the whole token: keep it out of logs
	Life     time.Duration
	Repeated bool // the same token as before
}

// OnToken has f called for each token that the token endpoint hands out, before
// the answer is sent, also when a fault then loses that answer. f must not block.
func (s *Sim) OnToken(f func(TokenEvent)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks = append(slices.Clone(s.hooks), f)
}

// mint makes a token. A life of 0 means that it never expires.
func (s *Sim) mint(a *app, sh *shop, secret string, life time.Duration, now time.Time) *token {
	st := s.state
	t := &token{
		value:  fmt.Sprintf("shpat_%016x%016x", st.rng.Uint64(), st.rng.Uint64()),
		app:    a,
		shop:   sh,
		scopes: a.scopes,
		secret: secret,
		seq:    st.stats.minted,
	}
	if life > 0 {
		t.expires = now.Add(life)
	}
	st.tokens[t.value] = t
	st.stats.minted++
	st.sweep(now)
	return t
}

// sweep forgets expired tokens whenever their number has doubled, or a long run
// would collect them.
func (st *state) sweep(now time.Time) {
	if len(st.tokens) < st.sweepAt {
		return
	}
	st.dropTokens(func(t *token) bool { return !t.alive(now) })
	st.sweepAt = max(minSweep, 2*len(st.tokens))
}

const minSweep = 1000

// newest finds the youngest living token of the app on the shop, if any.
func (st *state) newest(a *app, sh *shop, now time.Time) *token {
	var best *token
	for _, t := range st.tokens {
		if t.app == a && t.shop == sh && t.alive(now) && (best == nil || t.seq > best.seq) {
			best = t
		}
	}
	return best
}

// dropTokens ends tokens and tells how many.
func (st *state) dropTokens(end func(*token) bool) int {
	before := len(st.tokens)
	maps.DeleteFunc(st.tokens, func(_ string, t *token) bool { return end(t) })
	return before - len(st.tokens)
}

// authenticate finds the living token of a request. X-Shopify-Access-Token is
// the only header that counts; Authorization is ignored whatever it says.
func (s *Sim) authenticate(q *request) *token {
	t := s.state.tokens[q.Header.Get("X-Shopify-Access-Token")]
	if t == nil || t.shop != q.shop || !t.alive(q.now) {
		return nil
	}
	return t
}

// admit is what every API request must pass: a token, a healthy shop.
func (s *Sim) admit(q *request) (*token, *response) {
	t := s.authenticate(q)
	switch {
	case t == nil:
		return nil, jsonErrors(http.StatusUnauthorized, badTokenText)
	case q.shop.condition != Healthy:
		return nil, q.shop.condition.answer()
	case t.app.mustExpire && t.expires.IsZero():
		return nil, jsonErrors(http.StatusForbidden, nonExpiringText)
	}
	return t, nil
}

// allows tells whether the token carries the scope. write_x implies read_x.
func (t *token) allows(scope string) bool {
	if scope == "" || slices.Contains(t.scopes, scope) {
		return true
	}
	noun, isRead := strings.CutPrefix(scope, "read_")
	return isRead && slices.Contains(t.scopes, "write_"+noun)
}

// IssueToken makes a token without the token endpoint, as the store admin does
// for a custom app. A life of 0 means that it never expires.
func (s *Sim) IssueToken(shopName, clientID string, life time.Duration) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.mustApp(clientID)
	return s.mint(a, s.mustShop(shopName), a.newestSecret(), life, time.Now()).value
}

// RevokeTokens ends one token (given whole), or all tokens of all shops when
// value is "". It tells how many ended.
func (s *Sim) RevokeTokens(value string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.dropTokens(func(t *token) bool { return value == "" || t.value == value })
}

// ExpireTokens makes every token that has an expiry reach it now.
func (s *Sim) ExpireTokens() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.dropTokens(func(t *token) bool { return !t.expires.IsZero() })
}

// Uninstall removes the app from the shop; all its tokens there end.
func (s *Sim) Uninstall(shopName, clientID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uninstall(s.mustShop(shopName), s.mustApp(clientID))
}

func (s *Sim) uninstall(sh *shop, a *app) {
	sh.installed[a.id] = false
	s.state.dropTokens(func(t *token) bool { return t.app == a && t.shop == sh })
}

// Install puts the app on the shop, again or for the first time. Tokens from
// before an uninstallation stay dead.
func (s *Sim) Install(shopName, clientID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mustShop(shopName).installed[s.mustApp(clientID).id] = true
}

// SetScopes changes what the app's next tokens may do.
func (s *Sim) SetScopes(clientID, scopes string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mustApp(clientID).scopes = splitScopes(scopes)
}

// RotateSecret gives the app a new client secret beside the old one; "" has one
// made up. With revokeOld the old ones end, and all tokens minted under them.
func (s *Sim) RotateSecret(clientID, secret string, revokeOld bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.mustApp(clientID)
	if secret == "" {
		secret = fmt.Sprintf("shpss_%016x%016x", s.state.rng.Uint64(), s.state.rng.Uint64())
	}
	a.secrets = append(a.secrets, secret)
	if revokeOld {
		a.secrets = []string{secret}
		s.state.dropTokens(func(t *token) bool { return t.app == a && t.secret != secret })
	}
	return secret
}

func (a *app) newestSecret() string { return a.secrets[len(a.secrets)-1] }

// mustApp finds an app by client id, "" being the first one.
func (s *Sim) mustApp(clientID string) *app {
	a, err := s.findApp(clientID)
	if err != nil {
		panic(fmt.Sprintf("shopsim: %v", err))
	}
	return a
}

func (s *Sim) findApp(clientID string) (*app, error) {
	a := s.state.apps[orDefault(clientID, s.opts.Apps[0].ClientID)]
	if a == nil {
		return nil, fmt.Errorf("no app with client id %q: list it in Apps", clientID)
	}
	return a, nil
}

func splitScopes(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}
