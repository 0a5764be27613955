package login

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"sync"
	"time"
)

// The parts of a state: when it was made, what makes it differ from all others, and what says
// that this process made it, for this shop.
const (
	stateTime  = 8
	stateNonce = 16
	stateBytes = stateTime + stateNonce + sha256.Size
)

// mostUsed bounds the states that are remembered. Each has come back within its life with a
// person's answer, so there are few.
const mostUsed = 1000

// states makes and judges the values that tie callbacks to logins. Nothing is kept of a login
// that waits: anybody can begin one behind a public address, and whoever does so a thousand times
// must not end those of others. What is remembered is which states were used.
type states struct {
	*ledger
	shop string
}

// ledger is what the states of all shops of a process share.
type ledger struct {
	key []byte // of this process alone

	mu   sync.Mutex
	used map[string]time.Time // state → when its life ends
}

func newLedger() *ledger {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // it never fails: it ends the program instead
	return &ledger{key: key, used: map[string]time.Time{}}
}

func newStates(shop string) *states { return &states{newLedger(), shop} }

// issue returns a state that is good from now on for Life.
func (s *states) issue(now time.Time) string {
	b := make([]byte, stateTime+stateNonce, stateBytes)
	binary.BigEndian.PutUint64(b, uint64(now.UnixNano()))
	_, _ = rand.Read(b[stateTime:])
	return base64.RawURLEncoding.EncodeToString(s.sign(b))
}

// sign appends the signature, which is also of the shop.
func (s *states) sign(b []byte) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write(b)
	h.Write([]byte(s.shop))
	return h.Sum(b)
}

// ends says when the life of a state ends; false if this process did not make it for this shop,
// or if its life is over.
func (s *states) ends(state string, now time.Time) (time.Time, bool) {
	if len(state) != base64.RawURLEncoding.EncodedLen(stateBytes) {
		return time.Time{}, false // the decoder passes over ends of lines, so that one state would have many spellings
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(state)
	if err != nil {
		return time.Time{}, false
	}
	signed := s.sign(append(make([]byte, 0, stateBytes), b[:stateTime+stateNonce]...))
	if !hmac.Equal(b, signed) {
		return time.Time{}, false
	}
	ends := time.Unix(0, int64(binary.BigEndian.Uint64(b))).Add(Life)
	return ends, now.Before(ends)
}

// waits reports whether a callback with this state would be answered.
func (s *states) waits(state string, now time.Time) bool {
	if _, good := s.ends(state, now); !good {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, used := s.used[state]
	return !used
}

// use takes a state for the one callback that it is good for; false if another was faster.
func (s *states) use(state string, now time.Time) bool {
	ends, good := s.ends(state, now)
	if !good {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, used := s.used[state]; used {
		return false
	}
	for other, over := range s.used {
		if !now.Before(over) {
			delete(s.used, other)
		}
	}
	if len(s.used) >= mostUsed {
		s.forgetOldest()
	}
	s.used[state] = ends
	return true
}

// forgetOldest makes room: its code was exchanged the longest ago, and Shopify takes none twice.
func (s *states) forgetOldest() {
	oldest := ""
	for state, ends := range s.used {
		if oldest == "" || ends.Before(s.used[oldest]) {
			oldest = state
		}
	}
	delete(s.used, oldest)
}
