package limit

import (
	"net"
	"net/netip"
	"time"

	"evergate/internal/clock"
)

const (
	// turn is how long a request keeps its place in any case, and while newcomers wait behind others as many places become free as if
	// each were given up after that long, by themselves or because somebody has more than its part of them.
	turn = 2 * time.Second
	// fairRate is how many bytes have to move each second for whoever has more than its part of the places not to be slow.
	fairRate = 64 << 10
	// atOnce is how soon a listener has the next newcomer that has been waiting in its queue.
	atOnce = 10 * time.Millisecond
	// comply is how long a request that is told to make room may take for its answer.
	comply = time.Second
)

// holder is for whom a request is under way.
type holder struct {
	key   any // can be compared
	known bool
}

// Hold says whose the request is that is under way, and since when. Each caller that is known has a part of the places for
// itself, and all others have one together, of which each peer gets its part. A nil Conn does nothing.
func (c *Conn) Hold(key any, known bool, began int64) {
	if c == nil {
		return
	}
	c.mu.Lock()
	c.holder = holder{key, known}
	c.mu.Unlock()
	c.began.Store(began)
}

// MustLeave reports whether the request under way has been told to make room for a newcomer: its context has ended, and so has its body.
// A nil Conn's never is.
func (c *Conn) MustLeave() bool { return c != nil && c.told.Load() != 0 }

// part is what one caller, or one peer of those who are not known, has of the places.
type part struct {
	places int
	first  candidate // to make room
}

// The order in which requests make room of those who have more than their part.
const (
	slow      = iota // less moves than fairRate; the slowest first
	unserved         // waits for something else than its client; the longest first
	moves            // the slowest first
	keepsTurn        // has not had its turn
)

// makeRoom has a request make room whose caller has more than its part of the places, and returns how soon another look is worth it.
func (s *Connections) makeRoom(now time.Time) time.Duration {
	s.mu.Lock()
	leaves := s.pickByShare(now)
	if leaves.conn == nil {
		s.mu.Unlock()
		return lookAgain
	}
	if wait := s.ahead(now); wait > 0 && leaves.rank != slow {
		s.mu.Unlock()
		return min(wait, lookAgain)
	}
	s.turned(now)
	// An answer that has begun is cut off; anything else gets one.
	cut := leaves.conn.answers()
	if cut {
		s.drop(leaves.conn)
	}
	s.mu.Unlock()
	if cut {
		s.leave(leaves.conn)
		return 0
	}
	leaves.conn.told.Store(clock.MonoOf(now))
	leaves.conn.Linger()
	return lookAgain
}

// answers reports whether a part of the answer may have been sent.
func (c *Conn) answers() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	under := c.progress.under.Load()
	if c.uploading.Load() {
		under--
	}
	return under > 0
}

// pickByShare returns the request to make room of the one who has the most places, and more than an equal part; of one alone half of
// them is a part, because nobody knows who the newcomers are. s.mu is held.
func (s *Connections) pickByShare(now time.Time) candidate {
	parts := map[holder]*part{}
	seen, all, unknown, peers := 0, 0, 0, 0
	for c := range s.open {
		if seen++; seen > looked {
			break
		}
		places := max(1, int(c.streams.under.Load()))
		all += places
		if !c.serving.Load() || c.MustLeave() {
			continue
		}
		h := c.heldBy()
		p := parts[h]
		if p == nil {
			p = &part{first: candidate{rank: keepsTurn}}
			parts[h] = p
			if !h.known {
				peers++
			}
		}
		p.places += places
		if !h.known {
			unknown += places
		}
		if r, at := c.turnOf(clock.MonoOf(now)); r != keepsTurn {
			if one := (candidate{c, r, at}); one.before(p.first) {
				p.first = one
			}
		}
	}
	groups := len(parts) - peers
	if peers > 0 {
		groups++
	}
	groups = max(groups, 2)
	var leaves candidate
	most := 0
	for h, p := range parts {
		n := p.places
		if !h.known {
			if p.places*peers < unknown {
				continue
			}
			n = unknown
		}
		if p.first.conn == nil || n*groups <= all || n < most || n == most && !p.first.before(leaves) {
			continue
		}
		leaves, most = p.first, n
	}
	return leaves
}

// keeps reports whether a connection that has got its answer stays while newcomers wait, for a moment: that of a caller that is known and has no
// more than an equal part of the places, newcomers having one, too. If it had to come again for each call, it would wait behind all the others each time.
func (s *Connections) keeps(c *Conn) bool {
	h := c.heldBy()
	if h.known {
		s.mu.Lock()
		h.known = s.isWithinPart(h)
		s.mu.Unlock()
	}
	c.kept.Store(h.known)
	return h.known
}

// keepsNow is keeps for a connection that got its answer when nobody waited, and whose place is wanted a moment later. s.mu is held.
func (s *Connections) keepsNow(c *Conn) bool {
	h := c.heldBy()
	if !h.known || !s.isWithinPart(h) {
		return false
	}
	c.kept.Store(true)
	return true
}

// isWithinPart reports whether a known caller has no more than an equal part of the places, if newcomers have one. s.mu is held.
func (s *Connections) isWithinPart(h holder) bool {
	others := map[holder]struct{}{}
	seen, own := 0, 0
	for c := range s.open {
		if seen++; seen > looked {
			break
		}
		one := c.heldBy()
		if one == h {
			own++
			continue
		}
		if !one.known {
			one = holder{}
		}
		others[one] = struct{}{}
	}
	return own*(len(others)+2) <= min(seen, looked)
}

// heldBy is who has the place.
func (c *Conn) heldBy() holder {
	c.mu.Lock()
	h := c.holder
	c.mu.Unlock()
	if h.known {
		return h
	}
	at, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return h
	}
	peer := at.AddrPort().Addr().Unmap()
	if peer.Is6() {
		network, _ := peer.WithZone("").Prefix(64) // what one host has
		return holder{key: network}
	}
	return holder{key: netip.PrefixFrom(peer, peer.BitLen())}
}

// turnOf returns when the request under way is to make room. Of HTTP/2 none is: all of them together have at most half of the places.
func (c *Conn) turnOf(now int64) (rank int, order int64) {
	began := c.began.Load()
	switch {
	case began == 0 || now-began < int64(turn) || c.many.Load():
		return keepsTurn, 0
	case c.progress.under.Load() == 0:
		return unserved, began
	}
	_, rate, measured := c.progress.rate(now, turn)
	switch {
	case !measured:
		return keepsTurn, 0
	case rate < fairRate:
		return slow, rate
	}
	return moves, rate
}

// perPlace is how often a place has to become free while newcomers wait.
func (s *Connections) perPlace() time.Duration { return turn / time.Duration(s.limit) }

// ahead is how long it takes until another place has to become free, by how many did of late. s.mu is held.
func (s *Connections) ahead(now time.Time) time.Duration { return s.nextDue.Sub(now) }

// turned is told that a place becomes free. No crowd of them counts for more than a turn. s.mu is held.
func (s *Connections) turned(now time.Time) {
	if s.nextDue.Before(now) {
		s.nextDue = now
	}
	s.nextDue = s.nextDue.Add(s.perPlace())
	if latest := now.Add(turn); s.nextDue.After(latest) {
		s.nextDue = latest
	}
}
