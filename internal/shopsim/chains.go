package shopsim

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"
)

// Generation is one refresh token of a chain, without the token itself.
type Generation struct {
	Fingerprint string // of the refresh token
	AccessToken string // fingerprint of the access token that came with it
	Created     time.Time
	Expires     time.Time
	FirstUsed   time.Time // zero: never
	Successor   string    // fingerprint of what its latest use brought, "" if it was never used
	Honoured    bool      // a refresh with it would succeed now
	Delivered   bool      // an answer that carried it went out undamaged, or is on its way
	Retired     string    // why it is refused for good, "" if it is not
}

// Fingerprint names a token without showing it: twelve digits of its SHA-256.
func Fingerprint(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:6])
}

// Generations lists the refresh tokens that the app was given on the shop, in
// the order of their making. Of a very long chain the oldest dead ones are
// missing.
func (s *Sim) Generations(shopName, clientID string) []Generation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.generations(grantKey{s.mustApp(clientID), s.mustShop(shopName)}, time.Now())
}

func (st *state) generations(k grantKey, now time.Time) []Generation {
	ch := st.chains[k]
	if ch == nil {
		return nil
	}
	out := make([]Generation, 0, len(ch.tokens))
	for _, r := range ch.tokens {
		g := Generation{
			Fingerprint: Fingerprint(r.value), AccessToken: Fingerprint(r.access.value),
			Created: r.created, Expires: r.expires, FirstUsed: r.firstUsed,
			Honoured: r.honoured(st.settings, now), Delivered: r.deliveries > 0, Retired: r.retired,
		}
		if r.successor != nil {
			g.Successor = Fingerprint(r.successor.value)
		}
		out = append(out, g)
	}
	return out
}

// ChainAlive tells whether any refresh token of the app on the shop would be
// honoured now, be it one that no answer ever delivered.
func (s *Sim) ChainAlive(shopName, clientID string) bool {
	return s.askChain(shopName, clientID, (*chain).alive)
}

// ChainHeld tells whether any refresh token that was delivered to the app would
// be honoured now: whether a client that forgets nothing can still refresh.
func (s *Sim) ChainHeld(shopName, clientID string) bool {
	return s.askChain(shopName, clientID, (*chain).held)
}

func (s *Sim) askChain(shopName, clientID string, question func(*chain, Settings, time.Time) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	ch := s.state.chains[grantKey{s.mustApp(clientID), s.mustShop(shopName)}]
	return ch != nil && question(ch, s.state.settings, time.Now())
}

func (ch *chain) alive(c Settings, now time.Time) bool {
	return slices.ContainsFunc(ch.tokens, func(r *refreshToken) bool { return r.honoured(c, now) })
}

func (ch *chain) held(c Settings, now time.Time) bool {
	return slices.ContainsFunc(ch.tokens, func(r *refreshToken) bool { return r.deliveries > 0 && r.honoured(c, now) })
}

// EndChain makes every refresh token of the app on the shop dead for good, with
// the app still installed and access tokens untouched. It tells how many were
// honoured until now.
func (s *Sim) EndChain(shopName, clientID string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := grantKey{s.mustApp(clientID), s.mustShop(shopName)}
	return s.state.retireRefresh("revoked", func(r *refreshToken) bool { return r.grantKey == k }, time.Now())
}

// undeliver takes back what handOver noted, when the client hung up first.
func (s *Sim) undeliver(q *request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.handed != nil {
		q.handed.deliveries--
	}
	if q.minted != nil {
		s.state.memo(q.minted.Token).delivered = false
	}
}
