package refresh

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"evergate/internal/clock"
	"evergate/internal/token"
)

// The model of a chain on a store that is shared and replicated: what a failover, a pause and the network can do to it.
// Shopify is its rule of August 2026 and nothing else here, so that many histories can be told in a second; the model of
// one store that loses nothing (model_test.go) has the whole simulator.

// rule is Shopify's, for one chain.
type rule struct {
	samePair bool // a refresh token that is used again brings the same pair, not another
	strict   bool // a refresh token works once
	revokes  bool // an access token ends when it is replaced
	life     time.Duration

	mu     sync.Mutex
	tokens map[string]*ruled
	access map[string]bool // those that were ended before their time
	newest string          // access token
	made   int
	posts  int
}

type ruled struct {
	access                 string
	used, retired          bool
	successor, predecessor *ruled
	value                  string
}

func newRule(rng *rand.Rand, life time.Duration) *rule {
	return &rule{samePair: rng.IntN(2) == 0, revokes: rng.IntN(3) == 0, life: life, tokens: map[string]*ruled{}, access: map[string]bool{}}
}

func (r *rule) mint(predecessor *ruled) *ruled {
	r.made++
	n := &ruled{value: "refresh-" + strconv.Itoa(r.made), access: "access-" + strconv.Itoa(r.made), predecessor: predecessor}
	r.tokens[n.value] = n
	if r.revokes {
		r.access[r.newest] = true
	}
	r.newest = n.access
	return n
}

// acquire is an authorisation: it retires every refresh token there was.
func (r *rule) acquire() *ruled {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.tokens {
		t.retired = true
	}
	return r.mint(nil)
}

func (r *rule) honours(t *ruled) bool {
	switch {
	case t == nil || t.retired:
		return false
	case t.successor == nil:
		return true
	}
	return !r.strict && !t.successor.used
}

// refresh is the token endpoint; nil: it requires an active refresh token.
func (r *rule) refresh(value string) *ruled {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.posts++
	t := r.tokens[value]
	if !r.honours(t) {
		return nil
	}
	if t.predecessor != nil {
		t.predecessor.retired = true
		t.predecessor = nil
	}
	t.used = true
	if t.successor != nil {
		if r.samePair && !t.successor.retired {
			if r.access[t.successor.access] {
				r.made++
				t.successor.access = "access-" + strconv.Itoa(r.made)
				r.newest = t.successor.access
			}
			return t.successor
		}
		t.successor.retired = true
	}
	t.successor = r.mint(t)
	return t.successor
}

func (r *rule) isHonoured(value token.Secret) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.honours(r.tokens[value.Reveal()])
}

func (r *rule) accepts(access token.Secret) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.access[access.Reveal()]
}

// revoke ends the newest access token, as an incident does.
func (r *rule) revoke() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.access[r.newest] = true
}

func (r *rule) pairOf(t *ruled, issued time.Time) token.Pair {
	return token.Pair{Token: token.Token{Access: token.NewSecret(t.access), Issued: issued, Life: r.life}, Refresh: token.NewSecret(t.value)}
}

// replicated is a store whose failovers lose the last writes, and its lease.
type replicated struct {
	term time.Duration // of a lease

	mu      sync.Mutex
	writes  []written
	handles int
	down    time.Time // until when nobody can reach it
	holder  *replica
}

type written struct {
	at     time.Time
	handle token.Handle
	record token.Record
}

var errAway = errors.New("the store cannot be reached")

func (s *replicated) newest() written {
	if len(s.writes) == 0 {
		return written{}
	}
	return s.writes[len(s.writes)-1]
}

func (s *replicated) put(r token.Record) token.Handle {
	s.handles++
	s.writes = append(s.writes, written{time.Now(), token.Handle(strconv.Itoa(s.handles)), r})
	s.writes = s.writes[max(0, len(s.writes)-200):]
	return s.newest().handle
}

// failOver loses what was written in the last while, and mostly the lease.
func (s *replicated) failOver(lost, down time.Duration, leaseToo bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := time.Now().Add(-lost)
	kept := slices.IndexFunc(s.writes, func(w written) bool { return w.at.After(from) })
	if kept >= 0 {
		s.writes = s.writes[:max(kept, 1)] // the first was there before the replica was
	}
	s.down = time.Now().Add(down)
	if leaseToo && s.holder != nil {
		s.holder.loseLease(s.term / 3) // it hears of it at its next renewal
		s.holder = nil
	}
}

// acquired stores the pair of an authorisation under the lease, if it is to be had, which retires all others.
func (s *replicated) acquired(f *fleet, record *token.Record) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holder != nil && s.holder.LeaseLeft() > -f.life/100 || time.Now().Before(s.down) {
		return false
	}
	s.holder = nil
	record.Current = f.rule.pairOf(f.rule.acquire(), time.Now().Round(0))
	record.Written = record.Current.Token.Issued
	s.put(*record)
	return true
}

// replica is one Evergate of several that share a chain. Its store and its token endpoint are itself.
type replica struct {
	f    *fleet
	name string
	rng  *rand.Rand

	mu       sync.Mutex
	dead     bool
	cutUntil time.Time
	holds    bool
	until    time.Time // when the lease ends that is not renewed; zero: it is
}

// step lets time pass, in which the process can be paused or killed.
func (p *replica) step() {
	d := p.rng.Int64N(int64(p.f.life) / 100)
	if clock.Sleep(context.Background(), time.Duration(d)); p.f.healed.Load() {
		return
	}
	switch n := p.rng.IntN(1000); {
	case n < p.f.killRate:
		p.f.saw("kill")
		p.loseLease(p.f.store.term)
		p.mu.Lock()
		p.dead = true
		p.mu.Unlock()
		runtime.Goexit() // nothing is tidied up; see release
	case n < p.f.killRate+p.f.pauseRate:
		p.f.saw("pause")
		p.pause(time.Duration(p.rng.Int64N(3 * int64(p.f.life))))
	case n < p.f.killRate+p.f.pauseRate+p.f.cutRate:
		p.f.saw("cut off")
		p.cut(time.Duration(p.rng.Int64N(2 * int64(p.f.life))))
	}
}

// loseLease has the lease at hand end, if there is one, because it is not renewed any more.
func (p *replica) loseLease(in time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if end := time.Now().Add(in); p.holds && (p.until.IsZero() || end.Before(p.until)) {
		p.until = end
	}
}

func (p *replica) pause(d time.Duration) {
	p.loseLease(p.f.store.term)
	_ = clock.Sleep(context.Background(), d)
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Now().Before(p.until) {
		p.until = time.Time{} // it is renewed again, in time
	}
}

func (p *replica) cut(d time.Duration) {
	p.loseLease(p.f.store.term)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cutUntil = time.Now().Add(d)
}

// LeaseLeft implements token.Expiring.
func (p *replica) LeaseLeft() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !p.holds:
		return 0
	case p.until.IsZero():
		return p.f.store.term * 4 / 5
	}
	return time.Until(p.until)
}

func (p *replica) reach() error {
	p.mu.Lock()
	cut := time.Now().Before(p.cutUntil)
	p.mu.Unlock()
	p.f.store.mu.Lock()
	defer p.f.store.mu.Unlock()
	if cut || time.Now().Before(p.f.store.down) {
		return errAway
	}
	return nil
}

// Lease implements token.Store.
func (p *replica) Lease(ctx context.Context) (func(), error) {
	for {
		p.step()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err := p.reach(); err != nil {
			return nil, err
		}
		if p.acquire() {
			return p.release, nil
		}
		if clock.Sleep(ctx, p.f.life/50) != nil {
			return nil, context.Cause(ctx)
		}
	}
}

func (p *replica) acquire() bool {
	s := p.f.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holder != nil && s.holder != p {
		if s.holder.LeaseLeft() > -p.f.life/100 { // the server's clock starts later
			return false
		}
	}
	s.holder = p
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holds, p.until = true, time.Time{}
	return true
}

func (p *replica) release() {
	s := p.f.store
	s.mu.Lock()
	defer s.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return // as after SIGKILL
	}
	if s.holder == p {
		s.holder = nil
	}
	p.holds = false
}

// Load implements token.Store.
func (p *replica) Load(context.Context) (token.Record, token.Handle, error) {
	p.step()
	if err := p.reach(); err != nil {
		return token.Record{}, "", err
	}
	p.f.store.mu.Lock()
	defer p.f.store.mu.Unlock()
	w := p.f.store.newest()
	if w.handle == "" {
		return token.Record{}, "", token.ErrNotFound
	}
	return w.record, w.handle, nil
}

// Changed implements token.Store.
func (p *replica) Changed(_ context.Context, old token.Handle) (bool, error) {
	if err := p.reach(); err != nil {
		return false, err
	}
	p.f.store.mu.Lock()
	defer p.f.store.mu.Unlock()
	return p.f.store.newest().handle != old, nil
}

// Swap implements token.Store. Its answer can be lost.
func (p *replica) Swap(_ context.Context, old token.Handle, next token.Record) (token.Handle, error) {
	p.step()
	if err := p.reach(); err != nil {
		return "", err
	}
	handle, err := p.swap(old, next)
	p.step()
	if err == nil && !p.f.healed.Load() && p.rng.IntN(40) == 0 {
		p.f.saw("lost answer of the store")
		return "", errAway
	}
	return handle, err
}

func (p *replica) swap(old token.Handle, next token.Record) (token.Handle, error) {
	s := p.f.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.newest().handle != old {
		return "", token.ErrConflict
	}
	p.tell("stores %s, generation %d", next.Current.Refresh.Reveal(), next.Generation)
	return s.put(next), nil
}

// Name implements Refresher.
func (*replica) Name() string { return "offline" }

var (
	errLostAnswer = token.Decide(token.ErrTransient, errors.New("no answer"))
	errNotActive  = token.Decide(token.ErrReauthorize, errors.New("not active"))
)

// Refresh implements Refresher. One answer in five is lost, and some of those POSTs take effect long after.
func (p *replica) Refresh(_ context.Context, refresh token.Secret) (token.Pair, error) {
	p.step()
	issued := time.Now().Round(0)
	if !p.f.healed.Load() && p.rng.IntN(5) == 0 {
		p.f.saw("lost answer of Shopify")
		switch p.rng.IntN(3) {
		case 0: // it never arrives
		case 1:
			p.f.rule.refresh(refresh.Reveal())
		case 2:
			after := time.Duration(p.rng.Int64N(int64(p.f.life)))
			p.f.late.Go(func() {
				_ = clock.Sleep(context.Background(), after)
				p.f.saw("late arrival")
				p.f.rule.refresh(refresh.Reveal())
			})
		}
		p.step()
		return token.Pair{}, errLostAnswer
	}
	got := p.f.rule.refresh(refresh.Reveal())
	p.tell("spends %s, gets %v", refresh.Reveal(), got != nil)
	if got == nil {
		p.f.saw("refused")
		p.step()
		return token.Pair{}, errNotActive
	}
	pair := p.f.rule.pairOf(got, issued)
	p.step()
	return pair, nil
}

// tell writes into the trace of a history that has failed.
func (p *replica) tell(format string, args ...any) {
	p.f.log.Info(fmt.Sprintf(format, args...), "process", p.name)
}
