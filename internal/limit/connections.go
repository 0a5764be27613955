package limit

import (
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"evergate/internal/clock"
	"evergate/internal/socket"
)

const (
	// young is how long nobody is closed for a newcomer if another can be.
	young = time.Second
	// stuckFor is how long a request may wait for its client before its connection may be closed for a newcomer. Servers of short
	// answers, which fit into what the kernel keeps, have no more patience than for whoever has just come.
	stuckFor = 2 * time.Second
	// looked bounds how many connections are looked at to find the one to close.
	looked = 512
	// justCome is how long nobody at all is closed: what a client sends at once is read meanwhile. Where there are few places it is
	// eachComes for each, so that a flood of those who say nothing lets some hundred newcomers in each second.
	justCome  = 100 * time.Millisecond
	eachComes = 3 * time.Millisecond
	// An honest client has not always a processor to spare. So the first request may be later than justCome of as many as leave one
	// place of so many to the rest, while others' places become free, and of one of so many where others hardly move.
	leftByLate = 4
	fewOf      = 8
	// looks bounds how many connections are asked, for one newcomer, whether bytes wait in the kernel.
	looks = 4
	// mostKept bounds how many are found, for one newcomer, that may stay for a moment.
	mostKept = 64
	// crowded is how long newcomers have to find no place, one after the other, before what waits for something else makes room,
	// and after how long without one that begins anew.
	crowded = time.Second
	// lookAgain is how soon another look is taken where nobody could be closed.
	lookAgain = 50 * time.Millisecond

	// freeHead are the bytes of a request's head that are part of what a connection is reckoned to cost.
	freeHead = 8 << 10
	// headCost is how many bytes net/http is reckoned to need for each byte of a head while it reads it.
	headCost = 4
)

// Connections counts the open connections of some listeners and holds them to a limit. When it is reached, a
// newcomer takes the place of a connection that waits: one that has never asked for anything first, the one
// that has waited longest. Where all are being served, it takes that of one whose
// body or answer hardly moves; where all of these get on, the newcomer waits in the listener's queue. While newcomers go on
// waiting, requests that wait for something else are told to make room, see OnCrowd, and then those of whoever has more than its part
// of the places, see Hold.
type Connections struct {
	limit    int
	budget   *Budget // for large heads
	stall    time.Duration
	stuckFor time.Duration
	justCome time.Duration

	closed atomic.Int64 // for a newcomer
	// multiplexed is how many may carry many requests at a time.
	multiplexed atomic.Int64
	room        chan struct{} // somebody may have left

	opened  atomic.Int64 // as many as there are in open
	streams atomic.Int64 // requests under way beside the first one of each connection

	lingering sync.WaitGroup // connections that do, see Linger

	mu   sync.Mutex // taken when a client comes or goes, not for a request
	open map[*Conn]struct{}
	// newcomers wait for a place, one of each listener, in the order in which they came.
	newcomers []*Conn
	crowd     atomic.Int32 // how many they are
	// One after the other has found no place at once from since on, and the last one at until.
	since, until time.Time

	makeRoomFor func() bool // see OnCrowd
	freed       time.Time   // when a place was last given up that had not to be taken

	nextDue time.Time // when a place has to become free if newcomers wait, see turned
}

// OnCrowd sets what is called, again and again, while newcomers wait and no connection can be closed: it ends a request that
// holds its place and only waits. It must be called before Wrap.
func (s *Connections) OnCrowd(makeRoom func() bool) { s.makeRoomFor = makeRoom }

// NewConnections returns a Connections for up to limit connections, whose large heads are counted in budget. stall is
// how long an answer may wait for its client and a body may stand still; zero leaves that to the server, whose answers are short.
func NewConnections(limit int, budget *Budget, stall time.Duration) *Connections {
	s := &Connections{limit: limit, budget: budget, stall: stall, stuckFor: stuckFor, justCome: min(justCome, time.Duration(limit)*eachComes),
		room: make(chan struct{}, 1), open: map[*Conn]struct{}{}}
	if stall == 0 {
		s.stuckFor = s.justCome
	}
	return s
}

// Open is how many connections there are, Limit how many there may be, and Closed how many were closed for newcomers.
func (s *Connections) Open() int { s.mu.Lock(); defer s.mu.Unlock(); return len(s.open) }

// Limit is how many connections there may be.
func (s *Connections) Limit() int { return s.limit }

// Closed is how many connections were closed for a newcomer.
func (s *Connections) Closed() int64 { return s.closed.Load() }

// Wrap returns l with its connections counted. The server's ConnState must call State.
func (s *Connections) Wrap(l net.Listener) net.Listener {
	return &listener{Listener: l, set: s, ended: make(chan struct{})}
}

type listener struct {
	net.Listener
	set   *Connections
	ended chan struct{}
	once  sync.Once
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	began := time.Now()
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &Conn{Conn: socket.Wrap(inner), set: l.set}
	came := time.Now()
	c.since.Store(clock.MonoOf(came))
	queued := came.Sub(began) < atOnce
	for next := (time.Time{}); !l.set.admit(c); {
		now := time.Now()
		if !now.Before(next) && l.set.press(c) {
			wait := lookAgain // whoever makes room for c is given time for it
			if !l.set.makeRoomFor() && (queued || now.Sub(came) > crowded) {
				wait = l.set.makeRoom(now)
			}
			next = now.Add(wait)
		}
		look := min(lookAgain, l.set.justCome)
		if next.After(now) {
			look = min(look, next.Sub(now))
		}
		again := time.NewTimer(look)
		select {
		case <-l.set.room:
		case <-again.C:
		case <-l.ended: // whoever came before is still served
			l.set.add(c)
			return c, nil
		}
		again.Stop()
	}
	return c, nil
}

// Close implements net.Listener.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.ended) })
	return l.Listener.Close()
}

func (s *Connections) add(c *Conn) {
	s.mu.Lock()
	s.arrive(c)
	s.take(c)
	s.mu.Unlock()
}

// take and drop keep the count of those that are open. s.mu is held.
func (s *Connections) take(c *Conn) {
	s.open[c] = struct{}{}
	s.opened.Store(int64(len(s.open)))
}

func (s *Connections) drop(c *Conn) {
	delete(s.open, c)
	s.opened.Store(int64(len(s.open)))
}

// admit takes c in, if need be in another's place. Whoever came before takes a place first, or a busy listener would
// leave none to the others.
func (s *Connections) admit(c *Conn) bool {
	s.mu.Lock()
	if len(s.newcomers) > 0 && s.newcomers[0] != c {
		s.wait(c)
		s.mu.Unlock()
		return false
	}
	var leaves *Conn
	if len(s.open)+int(s.streams.Load()) >= s.limit {
		if leaves = s.pickForNewcomer(func(*Conn) bool { return true }); leaves == nil {
			s.wait(c)
			s.mu.Unlock()
			return false
		}
		s.drop(leaves)
	}
	s.arrive(c)
	s.take(c)
	s.mu.Unlock()
	if leaves != nil {
		s.leave(leaves)
	}
	return true
}

// wait and arrive put c among the newcomers that wait and take it out. s.mu is held.
func (s *Connections) wait(c *Conn) {
	now := time.Now()
	if now.Sub(s.until) > crowded {
		s.since = now
	}
	s.until = now
	if !slices.Contains(s.newcomers, c) {
		s.newcomers = append(s.newcomers, c)
		s.crowd.Store(int32(len(s.newcomers)))
	}
}

func (s *Connections) arrive(c *Conn) {
	c.since.Store(clock.Mono()) // the time in the queue was not its own
	if i := slices.Index(s.newcomers, c); i >= 0 {
		s.newcomers = slices.Delete(s.newcomers, i, i+1)
		s.crowd.Store(int32(len(s.newcomers)))
		if len(s.newcomers) > 0 {
			s.hint()
		}
	}
}

// press reports whether room has to be made for c, because newcomers have waited for a while.
func (s *Connections) press(c *Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.makeRoomFor != nil && s.newcomers[0] == c && time.Since(s.since) > crowded
}

// pick returns the connection to close; nil: all are being served. s.mu is held.
func (s *Connections) pick(among func(*Conn) bool) *Conn {
	worst, late, _ := s.worst(among)
	if late.before(worst) {
		worst = late
	}
	return worst.conn
}

// pickForNewcomer is pick for somebody else's place. It spares those who have lately come while they are not too many and others' places
// become free, those who may stay for a moment, see keeps, and those whose bytes the kernel has and the server has not yet read. s.mu is held.
func (s *Connections) pickForNewcomer(among func(*Conn) bool) *Conn {
	var spared [looks]*Conn
	now := time.Now()
	othersEnd := s.makeRoomFor != nil && (now.Sub(s.until) > crowded || now.Sub(s.since) <= crowded || now.Sub(s.freed) <= crowded)
	for i, kept := 0, 0; i < looks && kept < mostKept; {
		worst, late, part := s.worst(func(c *Conn) bool { return among(c) && !slices.Contains(spared[:i], c) })
		spare := worst.conn != nil && part <= 1.0/fewOf || othersEnd && part <= 1-1.0/leftByLate
		if late.before(worst) && !spare {
			worst = late
		}
		if worst.rank == waitsShortly && s.keepsNow(worst.conn) {
			kept++
			continue
		}
		// What carries another's bytes, or does not read its answer, may leave bytes there for ever.
		if c := worst.conn; c == nil || c.serving.Load() || c.many.Load() || c.ending.Load() != open || !c.unread() {
			return c
		}
		spared[i] = worst.conn
		i++
	}
	return nil
}

// candidate is a connection that may be closed.
type candidate struct {
	conn  *Conn
	rank  int
	since int64
}

func (a candidate) before(b candidate) bool {
	return a.rank < b.rank || a.rank == b.rank && a.since < b.since
}

// worst returns the first one to close of all but those who have lately come, the first one of these, and which part of all they
// are. s.mu is held.
func (s *Connections) worst(among func(*Conn) bool) (worst, late candidate, part float64) {
	now, seen, came := time.Now(), 0, 0
	worst.rank, late.rank = never, never
	for c := range s.open {
		if seen++; seen > looked {
			break
		}
		r, at := c.rank(now)
		if r == asksFirst {
			came++
		}
		if r == never || !among(c) {
			continue
		}
		best := &worst
		if r == asksFirst {
			best = &late
		}
		if one := (candidate{c, r, at}); one.before(*best) {
			*best = one
		}
	}
	return worst, late, float64(came) / float64(max(1, min(seen, looked)))
}

// The order in which connections are closed for newcomers.
const (
	lingers    = iota // its request is over
	neverAsked        // and is not young
	waits             // for a next request, for longer than a moment
	stuck             // its client does not go on
	waitsShortly
	asksFirst // lately come, and more than a few have
	crawls    // what is under way hardly moves
	never
)

func (c *Conn) rank(now time.Time) (rank int, since int64) {
	since = c.since.Load()
	if c.ending.Load() == lingering {
		return lingers, since
	}
	if c.serving.Load() {
		if at := c.told.Load(); at != 0 {
			if clock.MonoOf(now)-at > int64(comply) {
				return stuck, at
			}
			return never, 0
		}
		at := c.stuckSince.Load()
		if at == 0 && c.many.Load() {
			at = c.streams.stuckSince()
		}
		if at != 0 && clock.MonoOf(now)-at > int64(c.set.stuckFor) {
			return stuck, at
		}
		if at, slow := c.progress.crawls(c.streams.under.Load(), clock.MonoOf(now)); slow {
			return crawls, at
		}
		return never, 0
	}
	age := clock.MonoOf(now) - since
	old := age > int64(young)
	switch asked := c.asked.Load(); {
	case !old && c.kept.Load():
		return never, 0
	case old && !asked:
		return neverAsked, since
	case old:
		return waits, since
	case asked:
		return waitsShortly, since
	case age < int64(c.set.justCome):
		return never, 0
	}
	return asksFirst, since
}

func (s *Connections) forget(c *Conn) {
	s.mu.Lock()
	if _, has := s.open[c]; has {
		s.freed = time.Now()
		if !c.MustLeave() {
			s.turned(s.freed)
		}
	}
	s.drop(c)
	s.mu.Unlock()
	s.hint()
}

func (s *Connections) hint() {
	select {
	case s.room <- struct{}{}:
	default:
	}
}

// closeForHead closes the connection that has waited longest with a large head unfinished, so that a few strangers do
// not keep everybody's large heads out. It reports false where there is none.
func (s *Connections) closeForHead(newcomer *Conn) bool {
	return s.closeOne(s.pick, func(c *Conn) bool { return c != newcomer && c.charged.Load() > 0 })
}

// closeOne closes the connection that pick finds. It reports false where there is none.
func (s *Connections) closeOne(pick func(among func(*Conn) bool) *Conn, among func(*Conn) bool) bool {
	s.mu.Lock()
	c := pick(among)
	if c != nil {
		s.drop(c)
	}
	s.mu.Unlock()
	if c == nil {
		return false
	}
	s.leave(c)
	return true
}

// State is for http.Server.ConnState and ignores connections of others.
func State(served net.Conn, state http.ConnState) {
	c := ConnOf(served)
	if c == nil {
		return
	}
	switch state {
	case http.StateNew:
		c.since.Store(clock.Mono())
	case http.StateActive:
		if c.many.Load() {
			c.streams.since.Store(0)
		}
		c.began.Store(0)
		c.serving.Store(true)
		if !c.asked.Load() && !c.many.Load() && isHTTP2(served) {
			c.many.Store(true)
			c.headEnded()
		}
	case http.StateIdle:
		c.asked.Store(true)
		c.since.Store(clock.Mono())
		c.headEnded()
		c.serving.Store(false)
		switch crowded := c.set.crowd.Load() > 0; {
		case crowded && !c.set.keeps(c):
			c.set.leave(c) // its next request may have come already, and then another
		case !crowded && c.kept.Load():
			c.kept.Store(false)
		}
	}
}

// leave gives c's place to a newcomer.
func (s *Connections) leave(c *Conn) {
	s.closed.Add(1)
	_ = c.end()
}

// isHTTP2 reports whether a connection's handshake has settled on HTTP/2. One without TLS tells at no cost.
func isHTTP2(served net.Conn) bool {
	secured, ok := served.(interface{ ConnectionState() tls.ConnectionState })
	return ok && secured.ConnectionState().NegotiatedProtocol == "h2"
}
