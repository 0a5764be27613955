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
	url        string
	redirects  []string
}

func newApp(cfg App) *app {
	return &app{
		id:         cfg.ClientID,
		secrets:    []string{cfg.ClientSecret},
		scopes:     splitScopes(orDefault(cfg.Scopes, DefaultScopes)),
		mustExpire: cfg.MustExpire,
		url:        cfg.AppURL,
		redirects:  cfg.RedirectURLs,
	}
}

// kind is what an access token is for.
type kind string

const (
	kindShort   kind = "client_credentials" // or issued with a life
	kindOffline kind = "offline"            // of the app, from any other grant or issued without a life
	kindOnline  kind = "online"             // of a person
)

// token is an access token that works. Tokens that stopped working are
// forgotten: the API answers expired, revoked and invented ones alike.
type token struct {
	grantKey
	value   string
	kind    kind
	scopes  []string
	user    int64     // of an online token
	secret  string    // minted under this secret, and dies with it
	seq     int       // order of minting
	expires time.Time // zero: never
	ended   bool      // for good, by something other than its expiry
}

func (t *token) alive(now time.Time) bool {
	return !t.ended && (t.expires.IsZero() || now.Before(t.expires))
}

// TokenEvent tells of a token that was handed out.
type TokenEvent struct {
	Time         time.Time
	Shop         string
	ClientID     string
	Grant        Grant
	Token        string        // the whole token: keep it out of logs
	Life         time.Duration // 0: it never expires
	RefreshToken string        // "" if there is none; keep it out of logs too
	Repeated     bool          // the same token as before
}

// OnToken has f called for each token that the token endpoint hands out, before
// the answer is sent, also when a fault then loses that answer. f must not block.
func (s *Sim) OnToken(f func(TokenEvent)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks = append(slices.Clone(s.hooks), f)
}

// mint makes a token like t. A life of 0 means that it never expires.
func (st *state) mint(t token, life time.Duration, now time.Time) *token {
	prefix := "shpat_"
	if t.kind == kindOnline {
		prefix = "shpua_"
	}
	t.value = prefix + st.randomHex()
	t.seq = st.stats.minted
	if life > 0 {
		t.expires = now.Add(life)
	}
	st.tokens[t.value] = &t
	st.stats.minted++
	st.sweep(now)
	return &t
}

// randomHex is 32 digits from the seeded generator.
func (st *state) randomHex() string {
	return fmt.Sprintf("%016x%016x", st.rng.Uint64(), st.rng.Uint64())
}

// sweep forgets expired tokens whenever their number has doubled, or a long run
// would collect them.
func (st *state) sweep(now time.Time) {
	if len(st.tokens) < st.sweepAt {
		return
	}
	maps.DeleteFunc(st.tokens, func(_ string, t *token) bool { return !t.alive(now) })
	st.sweepAt = max(minSweep, 2*len(st.tokens))
}

const minSweep = 1000

// newest finds the youngest living client credentials token, if any.
func (st *state) newest(k grantKey, now time.Time) *token {
	var best *token
	for _, t := range st.tokens {
		if t.grantKey == k && t.kind == kindShort && t.alive(now) && (best == nil || t.seq > best.seq) {
			best = t
		}
	}
	return best
}

// endTokens ends tokens for good and tells how many.
func (st *state) endTokens(which func(*token) bool) int {
	before := len(st.tokens)
	maps.DeleteFunc(st.tokens, func(_ string, t *token) bool {
		t.ended = t.ended || which(t)
		return t.ended
	})
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
	case q.shop.condition.answer() != nil:
		return nil, q.shop.condition.answer()
	case t.expires.IsZero() && s.mustExpire(t, q.now):
		return nil, jsonErrors(http.StatusForbidden, nonExpiringText)
	}
	return t, nil
}

// mustExpire tells whether tokens such as t, which never expires, are refused.
func (s *Sim) mustExpire(t *token, now time.Time) bool {
	end := s.state.settings.NonExpiringEnd
	return t.app.mustExpire || t.shop.condition == NonExpiringEnded || !end.IsZero() && !now.Before(end)
}

// allows tells whether the token carries the scope. write_x implies read_x.
func (t *token) allows(scope string) bool {
	if scope == "" || slices.Contains(t.scopes, scope) {
		return true
	}
	noun, isRead := strings.CutPrefix(scope, "read_")
	return isRead && slices.Contains(t.scopes, "write_"+noun)
}

// IssueToken makes a token without the token endpoint. A life of 0 means that
// it never expires, like that of a custom app made in the store admin.
func (s *Sim) IssueToken(shopName, clientID string, life time.Duration) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.mustApp(clientID)
	t := token{grantKey: grantKey{a, s.mustShop(shopName)}, kind: kindShort, scopes: a.scopes, secret: a.newestSecret()}
	if life == 0 {
		t.kind = kindOffline
	}
	return s.state.mint(t, life, time.Now()).value
}

// RevokeTokens ends one token (given whole; a refresh token too), or all access
// tokens of all shops when value is "". It tells how many ended.
func (s *Sim) RevokeTokens(value string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.state.retireRefresh("revoked", func(r *refreshToken) bool { return r.value == value }, time.Now())
	return n + s.state.endTokens(func(t *token) bool { return value == "" || t.value == value })
}

// ExpireTokens makes every access token that has an expiry reach it now.
func (s *Sim) ExpireTokens() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	before := len(s.state.tokens)
	maps.DeleteFunc(s.state.tokens, func(_ string, t *token) bool {
		if !t.expires.IsZero() && t.alive(now) {
			t.expires = now
		}
		return !t.alive(now)
	})
	return before - len(s.state.tokens)
}

// Uninstall removes the app from the shop. Everything that it holds there ends:
// access tokens, refresh tokens, codes.
func (s *Sim) Uninstall(shopName, clientID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uninstall(s.mustShop(shopName), s.mustApp(clientID), time.Now())
}

func (s *Sim) uninstall(sh *shop, a *app, now time.Time) {
	k := grantKey{a, sh}
	st := s.state
	st.endTokens(func(t *token) bool { return t.grantKey == k })
	st.retireRefresh("the app was uninstalled", func(r *refreshToken) bool { return r.grantKey == k }, now)
	maps.DeleteFunc(st.codes, func(_ string, c code) bool { return c.grantKey == k })
	sh.installed[a.id] = false
}

// Install puts the app on the shop, again or for the first time. Tokens from
// before an uninstallation stay dead.
func (s *Sim) Install(shopName, clientID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mustShop(shopName).installed[s.mustApp(clientID).id] = true
}

// SetScopes changes what the app's next tokens may do. A refresh does not: the
// scopes of a chain are those that it started with.
func (s *Sim) SetScopes(clientID, scopes string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mustApp(clientID).scopes = splitScopes(scopes)
}

// RotateSecret gives the app a new client secret beside the old one; "" has one
// made up. With revokeOld the old ones end, and all tokens bound to them: those
// minted under them and, of a chain, those that no refresh has since replaced.
func (s *Sim) RotateSecret(clientID, secret string, revokeOld bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.mustApp(clientID)
	if secret == "" {
		secret = "shpss_" + s.state.randomHex()
	}
	a.secrets = append(slices.DeleteFunc(a.secrets, func(old string) bool { return old == secret }), secret)
	if revokeOld {
		a.secrets = []string{secret}
		s.state.endTokens(func(t *token) bool { return t.app == a && t.secret != secret })
		s.state.retireRefresh("its client secret was revoked",
			func(r *refreshToken) bool { return r.app == a && r.secret != secret }, time.Now())
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
