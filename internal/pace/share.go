package pace

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Ledger accounts for the buckets of one shop, for all the processes that draw on them.
type Ledger interface {
	// Account enters e and says what there is now. It waits no longer than ctx. An error says that e may have been entered or not.
	Account(ctx context.Context, api API, e Entry) (Balance, error)
}

// Entry is what a process has to say of a bucket. All amounts are in calls or in points.
type Entry struct {
	// Size and Rate are the bucket's, as far as is known.
	Size, Rate float64
	// Spent has been filled in, beyond what was promised or lent; less than zero: of what was, so much will not be.
	Spent float64
	// Need is what somebody waits for: it is promised, in the order of the asking.
	Need float64
	// Extra is lent if there is room beside.
	Extra float64
	// Full is how full the bucket is at least, by what Shopify says.
	Full float64
}

// Balance is what a Ledger answers.
type Balance struct {
	// Due is when Need can be used, from now on; it is promised only if Promised.
	Due      time.Duration
	Promised bool
	// Lent is what of Extra can be used at once, and Free what there is room for after that.
	Lent, Free float64
	// Returned counts what was ever given back: by so much everything that is due later is due earlier.
	Returned float64
}

const (
	// batch is for how long what is spent is collected before it is told.
	batch = 50 * time.Millisecond
	// lending is how long a process keeps what it was lent and does not use.
	lending = time.Second
	// lookAgain is how often it is looked whether a promise can be kept earlier, while something is given back, and else twice as late
	// each time, up to longestLook: of calls nothing is given back, and of points much.
	lookAgain   = 100 * time.Millisecond
	longestLook = 2 * time.Second
	// ledgerWait is how long a ledger may take. One that takes longer is away, and each process is on its own for a while.
	ledgerWait = 500 * time.Millisecond
	ledgerAway = 2 * time.Second
	// part of a bucket is what a process may spend before it tells of it, while less than half of the bucket is full, and what it is lent
	// at a time. Five that do not know of each other then fill a quarter.
	part = 20
	// thousandths make whole numbers of what is given back.
	thousandths = 1000
	// creditWait is when those who wait for credit look for it at the latest; they are woken when it is there.
	creditWait = time.Second
)

// share is what a process may put into a bucket that it shares with others, without asking anybody: credit that the ledger has
// given, or, while the bucket is far from full, a little that the ledger is told of afterwards. So most requests wait for no answer of
// the ledger's, and those that do wait for one. The model of the bucket holds beside that, as without a share.
type share struct {
	ledger Ledger
	api    API
	bucket *bucket
	wake   func() // those who wait for credit
	now    func() int64

	// have is the credit, in thousandths; below zero what the ledger does not know of yet, which is never below floor unless by force.
	have, floor atomic.Int64
	// used is when some of it was spent last.
	used atomic.Int64
	// full is when the bucket will be empty at the earliest, by what Shopify said since the ledger was told last.
	full atomic.Int64
	// away is until when nobody asks the ledger, because it did not answer; zero: it answers.
	away atomic.Int64
	// armed says that what was spent will be told.
	armed atomic.Bool

	mu      sync.Mutex
	posting bool  // an entry is on its way
	wanted  int64 // what the first in the queue lacks; zero: nobody waits for credit
	promise promise
	look    time.Duration
	pause   int64 // until when nothing is asked, because too much has been promised to others
	timer   *time.Timer
	timerAt int64 // zero: it is not set
}

// promise is credit that can be used from a moment on.
type promise struct {
	amount   int64 // zero: there is none
	due      int64
	returned float64
}

func newShare(l Ledger, api API, b *bucket, wake func(), now func() int64) *share {
	s := &share{ledger: l, api: api, bucket: b, wake: wake, now: now}
	s.floor.Store(-int64(b.limit.Load().size * thousandths / part))
	return s
}

// spend takes units from the credit, if they are there. If not, they are asked for.
func (s *share) spend(now int64, units float64) bool {
	if away := s.away.Load(); away != 0 {
		if now > away && s.away.CompareAndSwap(away, now+int64(ledgerAway)) {
			s.tell(0)
		}
		return true
	}
	cost := rounded(units)
	for {
		have := s.have.Load()
		if have-cost < s.floor.Load() {
			s.want(cost)
			return false
		}
		if s.have.CompareAndSwap(have, have-cost) {
			s.spent(now, have-cost)
			return true
		}
	}
}

func rounded(units float64) int64 { return int64(math.Round(units * thousandths)) }

// spent sees to it that the ledger hears of what it has not given.
func (s *share) spent(now, have int64) {
	s.used.Store(now)
	if have < 0 {
		s.tell(batch)
	}
}

// force spends whether it is there or not: what is sent after the longest wait, and what was lacking of the room that there should have
// been. The ledger cannot see the latter by how full the bucket was, because it has promised room to others beside.
func (s *share) force(now int64, units float64) {
	if s.away.Load() == 0 && units > 0 {
		s.spent(now, s.have.Add(-rounded(units)))
	}
}

// refund puts back what was not used after all.
func (s *share) refund(units float64) {
	if s.away.Load() == 0 && units != 0 {
		s.have.Add(rounded(units))
		s.tell(batch)
	}
}

// observed is told when the bucket will be empty at the earliest.
func (s *share) observed(empty int64) {
	for {
		full := s.full.Load()
		if empty <= full || s.full.CompareAndSwap(full, empty) {
			return
		}
	}
}

// want asks for what the first in the queue lacks.
func (s *share) want(cost int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted = cost
	if !s.posting && s.mayAsk() {
		s.posting = true
		go s.post()
	}
}

// mayAsk reports whether nothing is promised yet, and something may be. The caller holds mu.
func (s *share) mayAsk() bool { return s.promise.amount == 0 && s.now() >= s.pause }

// tell has the ledger told in a while. While it will be told, that costs nothing.
func (s *share) tell(in time.Duration) {
	if s.armed.Load() || !s.armed.CompareAndSwap(false, true) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.arm(in)
}

// arm sets the timer, if it is not set to an earlier moment. The caller holds mu.
func (s *share) arm(in time.Duration) {
	at := s.now() + int64(in)
	switch {
	case s.timerAt != 0 && s.timerAt <= at:
		return
	case s.timer == nil:
		s.timer = time.AfterFunc(in, s.ring)
	default:
		s.timer.Reset(in)
	}
	s.timerAt = at
}

func (s *share) ring() {
	s.mu.Lock()
	s.timerAt = 0
	posts := !s.posting // else whoever posts looks at everything when that is done
	s.posting = true
	kept := s.keep()
	s.mu.Unlock()
	if kept {
		s.wake() // nobody is to wait for the ledger who has its promise
	}
	if posts {
		s.post()
	}
}

// post tells the ledger what there is to tell, and those who wait what it says, until nothing is left to be asked.
func (s *share) post() {
	for again := true; again; {
		s.mu.Lock()
		e := s.entry()
		s.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), ledgerWait)
		balance, err := s.ledger.Account(ctx, s.api, e)
		cancel()
		s.mu.Lock()
		if err != nil {
			s.lose()
		} else {
			s.book(e, balance)
		}
		s.mu.Unlock()
		s.wake() // who is served now wants nothing any more, and the next one in the queue may
		s.mu.Lock()
		again = s.wanted > 0 && s.mayAsk()
		s.posting = again
		if !again {
			s.rest()
		}
		s.mu.Unlock()
	}
}

// entry collects what there is to tell. The caller holds mu.
func (s *share) entry() Entry {
	s.armed.Store(false)
	lim, now := s.bucket.limit.Load(), s.now()
	e := Entry{Size: lim.size, Rate: lim.rate}
	lend := int64(lim.size * thousandths / part)
	keep := int64(0)
	if now-s.used.Load() < int64(lending) {
		keep = lend
	}
	for {
		have := s.have.Load()
		left := min(have, keep)
		if have >= 0 && s.wanted > 0 {
			left = have // the first in the queue needs it, and more
		}
		if have < 0 {
			left = 0
		}
		if s.have.CompareAndSwap(have, left) {
			e.Spent = float64(left-have) / thousandths
			if s.wanted > left && s.mayAsk() {
				e.Need = min(float64(s.wanted-left)/thousandths, lim.size)
				e.Extra = float64(lend) / thousandths
			}
			break
		}
	}
	if full := s.full.Swap(0); full > now {
		e.Full = float64(full-now) / lim.unitTime()
	}
	return e
}

// book takes over what the ledger says. The caller holds mu.
func (s *share) book(e Entry, b Balance) {
	s.away.Store(0)
	floor := int64(0)
	if b.Free > e.Size/2 {
		floor = -int64(e.Size * thousandths / part)
	}
	s.floor.Store(floor)
	if b.Lent > 0 {
		s.have.Add(int64(b.Lent * thousandths))
	}
	if p := &s.promise; p.amount > 0 {
		s.look = min(2*s.look, longestLook)
		if b.Returned > p.returned {
			s.look = lookAgain
		}
		p.due -= int64((b.Returned - p.returned) * s.bucket.limit.Load().unitTime())
		p.returned = b.Returned
	}
	switch {
	case e.Need > 0 && b.Promised:
		s.promise, s.look = promise{rounded(e.Need), s.now() + int64(b.Due), b.Returned}, lookAgain
	case e.Need > 0:
		s.pause = s.now() + int64(min(max(b.Due, batch), lookAgain))
	}
	s.wanted = 0 // whoever is first says so again
	s.keep()
}

// keep turns a promise that is due into credit. The caller holds mu.
func (s *share) keep() bool {
	if p := s.promise; p.amount == 0 || p.due > s.now() {
		return false
	}
	s.have.Add(s.promise.amount)
	s.promise = promise{}
	return true
}

// lose is told that the ledger does not answer: each process is on its own, as if it were alone. The caller holds mu.
func (s *share) lose() {
	s.away.Store(s.now() + int64(ledgerAway))
	s.have.Store(0)
	s.wanted, s.promise = 0, promise{}
}

// rest sets the timer for what comes next, if anything does. The caller holds mu.
func (s *share) rest() {
	have := s.have.Load()
	switch {
	case s.away.Load() != 0:
	case s.wanted > 0 && s.promise.amount == 0:
		s.arm(max(time.Duration(s.pause-s.now()), 0))
	case s.promise.amount > 0:
		s.arm(min(max(time.Duration(s.promise.due-s.now()), 0), s.look))
	case have < 0:
		s.arm(batch)
	case have > 0:
		s.arm(lending)
	}
}
