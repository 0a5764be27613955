// Package fleet keeps what a process has of each of many shops: made when somebody calls, kept while somebody does, and
// forgotten when others need the room.
//
// Invariants:
//
//   - A shop that nobody calls costs nothing here: no memory, no timer, no goroutine. Its record rests in the store.
//   - Of a shop there is one Member at a time, however many callers come at once.
//   - A Member that has something to lose is not forgotten.
//   - One schedule does all that is due, with a bounded number of workers; renewals that have time are spread, so that shops
//     that were first called together are not renewed together for ever.
//   - A request for a shop that is here takes no lock that other shops' requests take, but for one in a second.
package fleet

import (
	"container/heap"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/sync/singleflight"

	"evergate/internal/clock"
	"evergate/internal/token"
)

// Member is what a process has of one shop while somebody calls it. Its methods are safe for concurrent use.
type Member interface {
	// Due says for how long Step has nothing to do; it is never more than about a minute.
	Due() time.Duration
	// Step does what is due.
	Step(ctx context.Context)
	// Look takes over what others may have stored.
	Look(ctx context.Context)
	// Rest is what is left of the life of the token, and the whole of it; zero: there is none, or it does not end.
	Rest() (left, life time.Duration)
	// Renews reports whether what is due is to obtain a token, which is counted.
	Renews() bool
	// MayForget reports whether nothing is lost with the Member.
	MayForget() bool
	// Stop ends it: what has begun is waited for, and what is unsaved is written.
	Stop()
}

// Options configures New.
type Options[M Member] struct {
	// Make makes the Member of a shop, with what is stored for it. woke is to be called when its Due may have become less; it
	// does not block. ErrUnknown says that there is no such shop, which is remembered for a few seconds.
	Make func(ctx context.Context, shop token.Shop, woke func()) (M, error)
	// Most is how many Members there are at most, beside those that must not be forgotten.
	Most int
	// Idle reports whether a Member may be left alone while nobody calls; nil: every one may.
	Idle func(M) bool
	// PerSecond is how many renewals are begun at most in a second, of all shops together.
	PerSecond float64
	// Evicted is told of each Member that makes room for others, or whose making was overtaken by a change, before its shop's next one is made,
	// so that this one can go on where it was. It must not block, nor call the Fleet. Nil: nobody has to know.
	Evicted func(token.Shop, M)
}

// ErrUnknown says that a shop is none of the fleet's.
var ErrUnknown = errors.New("there is no such shop")

const (
	// workers are the Steps and Looks that run at a time: each waits for a store or for Shopify nearly all of its time.
	workers = 32
	// unknownFor is how long it is remembered that there is no such shop, for at most mostUnknown names: whoever asks for names that
	// are none costs the store one call for each of them in that time.
	unknownFor  = 5 * time.Second
	mostUnknown = 4096
	// never is when a Member was called that was made for a Visit.
	never = -1 << 62
	// mostVisited bounds the Members that were made for Visits and cannot go, because they have something to lose.
	mostVisited = 256
	// touchEvery is how exactly it is known which shop was called last.
	touchEvery = time.Second
	// makeWait bounds the making of a Member, which goes on when its callers have left.
	makeWait = 20 * time.Second
)

// Fleet is the shops of one process. It is safe for concurrent use.
type Fleet[M Member] struct {
	opt   Options[M]
	epoch time.Time

	members sync.Map // token.Shop → *seat[M]
	making  singleflight.Group
	woken   chan struct{}

	mu      sync.Mutex
	recent  *simplelru.LRU[token.Shop, *seat[M]] // by the last call, to touchEvery
	unknown *simplelru.LRU[token.Shop, time.Time]
	leaving map[*seat[M]]struct{} // forgotten, and with something to lose
	visited map[*seat[M]]struct{} // made for a Visit, and not called
	unborn  map[token.Shop]bool   // being made, and whether others may have stored something meanwhile
	due     schedule[M]
	turns   schedule[M] // renewals that are due, by when they have no time any more
	rate    throttle
	// forgets and changes count the calls of Forget and Changed: what was made or looked for meanwhile may be of before.
	forgets, changes atomic.Int64
}

// seat is a Member's place.
type seat[M Member] struct {
	shop   token.Shop
	member M
	called atomic.Int64 // when it was called last, since the Fleet's epoch

	// The rest is the schedule's; it is guarded by the Fleet's lock.
	state state
	at    time.Time // of its turn, while it waits; when it has no time any more, while it queues
	index int       // in the heap, while it waits or queues
	again bool      // its turn has come while somebody was at work
	gone  bool      // its place was taken away
	look  bool      // others may have stored something
	// visitors are those of a Visit that are here now; a seat of the Fleet's visited goes with the last of them.
	visitors int
}

// state is what a seat is in.
type state int

const (
	made    state = iota // and not yet in its place
	waiting              // until something is due
	queuing              // for its turn to renew
	working
	resting // until somebody calls
)

// New returns a Fleet without Members. Run does what is due.
func New[M Member](o Options[M]) *Fleet[M] {
	f := &Fleet[M]{opt: o, epoch: time.Now(), woken: make(chan struct{}, 1), leaving: map[*seat[M]]struct{}{}, visited: map[*seat[M]]struct{}{}, unborn: map[token.Shop]bool{}}
	f.recent, _ = simplelru.NewLRU[token.Shop, *seat[M]](1<<30, nil) // its own bound cannot keep what must be kept; it fails for a size of 0 only
	f.unknown, _ = simplelru.NewLRU[token.Shop, time.Time](mostUnknown, nil)
	f.rate.perSecond = o.PerSecond
	return f
}

func (f *Fleet[M]) now() int64 { return int64(time.Since(f.epoch)) }

// Of returns the Member of a shop, and makes it if there is none. The error is Make's, or ctx's cause.
func (f *Fleet[M]) Of(ctx context.Context, shop token.Shop) (M, error) {
	if s, ok := f.members.Load(shop); ok {
		seat := s.(*seat[M])
		f.touch(seat)
		return seat.member, nil
	}
	s, err := f.make(ctx, shop, false)
	if err != nil {
		var none M
		return none, err
	}
	f.touch(s) // it may have been made for a Visit
	return s.member, nil
}

// touch notes that a shop was called.
func (f *Fleet[M]) touch(s *seat[M]) {
	now, before := f.now(), s.called.Load()
	if now-before < int64(touchEvery) || !s.called.CompareAndSwap(before, now) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, visited := f.visited[s]; visited {
		delete(f.visited, s)
		f.recent.Add(s.shop, s)
		f.makeRoom()
	}
	f.recent.Get(s.shop)
	if s.state == resting {
		f.put(s, time.Now())
	}
}

func (f *Fleet[M]) make(ctx context.Context, shop token.Shop, visit bool) (*seat[M], error) {
	shop = shop.Clone() // its name may be a piece of a request
	if f.isUnknown(shop) {
		return nil, ErrUnknown
	}
	made := f.making.DoChan(shop.Domain(), func() (any, error) {
		if s, ok := f.members.Load(shop); ok {
			return s, nil // somebody was faster
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), makeWait)
		defer cancel()
		f.conceive(shop)
		defer f.born(shop)
		for {
			forgets, changes := f.forgets.Load(), f.changes.Load()
			s := &seat[M]{shop: shop}
			m, err := f.opt.Make(ctx, shop, func() { f.woke(s) })
			if err != nil {
				f.note(shop, err, changes)
				return nil, err
			}
			s.member = m
			s.called.Store(never)
			if !visit {
				s.called.Store(f.now())
			}
			if f.seat(s, forgets) {
				return s, nil
			}
			if f.opt.Evicted != nil { // another is made in its place
				f.opt.Evicted(shop, m)
			}
		}
	})
	select {
	case r := <-made:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*seat[M]), nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// conceive has what others store noticed of a shop that is being made.
func (f *Fleet[M]) conceive(shop token.Shop) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unborn[shop] = false
}

func (f *Fleet[M]) born(shop token.Shop) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.unborn, shop)
}

func (f *Fleet[M]) isUnknown(shop token.Shop) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, ok := f.unknown.Get(shop)
	return ok && time.Since(at) < unknownFor
}

func (f *Fleet[M]) note(shop token.Shop, err error, changes int64) {
	if !errors.Is(err, ErrUnknown) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if changes == f.changes.Load() {
		f.unknown.Add(shop, time.Now())
	}
}

// seat gives a Member its place, and takes that of others if there are too many. False: others were forgotten since it was begun, and
// it may be made of what is no longer so.
func (f *Fleet[M]) seat(s *seat[M], forgets int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if forgets != f.forgets.Load() {
		return false
	}
	f.unknown.Remove(s.shop)
	if s.called.Load() == never {
		f.visited[s] = struct{}{}
	} else {
		f.recent.Add(s.shop, s)
	}
	f.members.Store(s.shop, s)
	f.put(s, time.Now().Add(s.member.Due()))
	if f.unborn[s.shop] {
		f.lookAt(s)
	}
	f.makeRoom()
	return true
}

// makeRoom takes the places of those away that have not been called for longest, if there are too many. The lock is held.
func (f *Fleet[M]) makeRoom() {
	for tries := f.recent.Len() - f.opt.Most; tries > 0; tries-- {
		shop, oldest, _ := f.recent.GetOldest()
		if !f.forget(oldest) {
			f.recent.Get(shop) // it has its turn again when all others had theirs
		}
	}
}

// forget takes a Member's place away, unless something would be lost. The lock is held.
func (f *Fleet[M]) forget(s *seat[M]) bool {
	if s.state == working || !s.member.MayForget() {
		return false
	}
	if f.opt.Evicted != nil {
		f.opt.Evicted(s.shop, s.member)
	}
	f.drop(s)
	return true
}

// drop takes a Member's place away. What it has to lose is looked after until it is safe. The lock is held.
func (f *Fleet[M]) drop(s *seat[M]) {
	s.gone = true
	if _, visited := f.visited[s]; visited {
		delete(f.visited, s)
	} else {
		f.recent.Remove(s.shop)
	}
	f.members.Delete(s.shop)
	if s.state == working || !s.member.MayForget() {
		f.leaving[s] = struct{}{}
		f.hurry(s)
		return
	}
	switch s.state {
	case waiting:
		heap.Remove(&f.due, s.index)
	case queuing:
		heap.Remove(&f.turns, s.index)
	}
	s.state = made
}

// Forget takes the places of those Members away that are no longer to be as they are, because what they were made of has changed.
// Requests that have one go on with it; the next call makes another.
func (f *Fleet[M]) Forget(changed func(M) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forgets.Add(1)
	for _, s := range f.all() {
		if changed(s.member) {
			f.drop(s)
		}
	}
}

// Active calls yield with each Member until it returns false.
func (f *Fleet[M]) Active(yield func(token.Shop, M) bool) {
	f.members.Range(func(shop, s any) bool { return yield(shop.(token.Shop), s.(*seat[M]).member) })
}

// Len is how many Members there are.
func (f *Fleet[M]) Len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.recent.Len()
}

// Peek returns the Member of a shop if there is one; it does not count as a call.
func (f *Fleet[M]) Peek(shop token.Shop) (M, bool) {
	s, ok := f.members.Load(shop)
	if !ok {
		var none M
		return none, false
	}
	return s.(*seat[M]).member, true
}

// Reconsider has shops looked for again that there were not.
func (f *Fleet[M]) Reconsider() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changes.Add(1)
	f.unknown.Purge()
}

// Changed is told that the record of a shop may have been changed by others; an empty domain stands for all of them.
func (f *Fleet[M]) Changed(domain string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changes.Add(1)
	if domain == "" {
		f.unknown.Purge()
		for shop := range f.unborn {
			f.unborn[shop] = true
		}
		for _, s := range f.all() {
			f.lookAt(s)
		}
		return
	}
	shop, err := token.ParseShop(domain)
	if err != nil {
		return
	}
	f.unknown.Remove(shop)
	if _, making := f.unborn[shop]; making {
		f.unborn[shop] = true
	}
	if s, ok := f.members.Load(shop); ok {
		f.lookAt(s.(*seat[M]))
	}
}

// all are the seats of those that are here. The lock is held.
func (f *Fleet[M]) all() []*seat[M] { return slices.AppendSeq(f.recent.Values(), maps.Keys(f.visited)) }

func (f *Fleet[M]) lookAt(s *seat[M]) {
	s.look = true
	f.hurry(s)
}

func (f *Fleet[M]) woke(s *seat[M]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.gone && s.state == made && !s.member.MayForget() { // a request that had it has obtained something
		f.leaving[s] = struct{}{}
		f.put(s, time.Now())
		return
	}
	f.hurry(s)
}

// hurry has a Member's turn come at once. The lock is held.
func (f *Fleet[M]) hurry(s *seat[M]) {
	switch s.state {
	case waiting:
		s.at = time.Now()
		heap.Fix(&f.due, s.index)
		f.wake()
	case queuing:
		heap.Remove(&f.turns, s.index)
		f.put(s, time.Now())
	case working:
		s.again = true
	case resting:
		f.put(s, time.Now())
	}
}

// put places a Member in the schedule. The lock is held.
func (f *Fleet[M]) put(s *seat[M], at time.Time) {
	s.state, s.at = waiting, at
	heap.Push(&f.due, s)
	if s.index == 0 {
		f.wake()
	}
}

func (f *Fleet[M]) wake() {
	select {
	case f.woken <- struct{}{}:
	default:
	}
}

// Run does what is due until ctx ends, and stops every Member then.
func (f *Fleet[M]) Run(ctx context.Context) {
	places := make(chan struct{}, workers)
	var running sync.WaitGroup
	for ctx.Err() == nil {
		s, wait := f.next()
		if s == nil {
			_, _ = clock.SleepOrWake(ctx, wait, f.woken) // the loop looks at ctx
			continue
		}
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			continue
		}
		running.Go(func() {
			defer func() { <-places }()
			f.work(ctx, s)
		})
	}
	running.Wait()
	f.stop()
}

// longestSleep bounds a wait, because a timer stands still while the machine sleeps.
const longestSleep = time.Minute

// next takes the Member out of the schedule whose turn has come, or says how long there is none.
func (f *Fleet[M]) next() (*seat[M], time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.due) > 0 {
		s := f.due[0]
		if time.Until(s.at) > 0 {
			break
		}
		heap.Pop(&f.due)
		if f.judge(s) {
			return s, 0
		}
	}
	for len(f.turns) > 0 {
		s := f.turns[0]
		if due := s.member.Due(); due > 0 { // a call has renewed it meanwhile
			heap.Pop(&f.turns)
			f.put(s, time.Now().Add(due))
			continue
		}
		// Who comes first has the least time: while its turn has not come, nobody's has, however many there are.
		if wait := f.rate.wait(s.member, len(f.due)+len(f.turns)); wait > 0 {
			return nil, min(wait, f.untilDue())
		}
		heap.Pop(&f.turns)
		s.state = working
		return s, 0
	}
	return nil, f.untilDue()
}

func (f *Fleet[M]) untilDue() time.Duration {
	if len(f.due) == 0 {
		return longestSleep
	}
	return min(time.Until(f.due[0].at), longestSleep)
}

// judge reports whether a Member that was taken out of the schedule is to be worked on now, or places it where it belongs. The lock is held.
func (f *Fleet[M]) judge(s *seat[M]) bool {
	_, leaving := f.leaving[s]
	s.state = made
	if leaving && s.member.MayForget() { // what it had to lose is safe
		delete(f.leaving, s)
		return false
	}
	if f.leave(s) {
		return false
	}
	if s.look {
		s.state = working
		return true
	}
	due := s.member.Due()
	switch {
	case due > 0:
		f.put(s, time.Now().Add(due))
	case !s.member.MayForget(): // what is unsaved waits for nobody
		s.state = working
	case f.rests(s), f.isVisited(s):
		s.state = resting
	case !s.member.Renews():
		s.state = working
	default:
		s.state, s.at = queuing, time.Now().Add(slack(s.member))
		heap.Push(&f.turns, s)
	}
	return s.state == working
}

// rests reports whether a Member's token need not be renewed, because nobody has called since it was obtained.
func (f *Fleet[M]) rests(s *seat[M]) bool {
	if f.opt.Idle != nil && !f.opt.Idle(s.member) || !s.member.MayForget() {
		return false
	}
	left, life := s.member.Rest()
	if life == 0 {
		return false
	}
	obtained := f.now() - int64(life-left)
	return s.called.Load() < obtained
}

func (f *Fleet[M]) work(ctx context.Context, s *seat[M]) {
	if f.tookLook(s) {
		s.member.Look(ctx)
	} else {
		s.member.Step(ctx)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, leaving := f.leaving[s]; leaving && s.member.MayForget() {
		delete(f.leaving, s)
		s.state = made
		return
	}
	at := time.Now()
	if !s.again {
		at = at.Add(max(s.member.Due(), leastPause))
	}
	s.again = false
	s.state = made
	if !f.leave(s) {
		f.put(s, at)
	}
}

// leastPause keeps a Member that has something to do again and again from taking all turns.
const leastPause = 10 * time.Millisecond

func (f *Fleet[M]) tookLook(s *seat[M]) (look bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	look, s.look = s.look, false
	return look
}

func (f *Fleet[M]) stop() {
	f.mu.Lock()
	all := slices.AppendSeq(f.all(), maps.Keys(f.leaving))
	f.mu.Unlock()
	var stopping sync.WaitGroup
	places := make(chan struct{}, workers)
	for _, s := range all {
		places <- struct{}{}
		stopping.Go(func() {
			s.member.Stop()
			<-places
		})
	}
	stopping.Wait()
}
