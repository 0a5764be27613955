package refresh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"evergate/internal/shopsim"
	"evergate/internal/store"
	"evergate/internal/token"
)

// world is Shopify, one store, and the processes that share it. What it knows beside is
// what a person who sees everything would know; no process can see it.
type world struct {
	seed   uint64
	shop   token.Shop
	sim    *shopsim.Sim
	stored *store.MemoryStore
	lives  time.Duration // of an access token
	rules  shopsim.Rotation
	procs  [2]*process // nil: not running
	over   chan struct{}
	trace  io.Writer
	count  func(string)

	mu        sync.Mutex
	rng       *rand.Rand
	violation string               // the first; empty: none
	expiry    map[string]time.Time // of every access token that was ever made
	accounted map[string]bool      // access tokens that were stored, or could not be
	broughtBy map[string]string    // refresh token → the one whose use brought it
	refused   map[string]bool      // refresh tokens that Shopify has refused
	inFlight  map[*process]int
	posts     int
	broken    map[write]bool
	unread    bool // the store cannot be read
	hangs     bool // writes do not end by themselves
	doubtful  int  // writes to come that take effect and are reported as failed
	newest    string
	deployed  string // the client secret that the processes know

	erred     bool      // Shopify has called a living refresh token dead
	excused   string    // why the grant may be lost; empty: it may not
	until     time.Time // how long the grant cannot end by itself
	holder    *process  // that alone knows a living refresh token; nil: others do, too
	began     time.Time
	allowance float64 // how many POSTs are none too many
}

// write is what a Swap is for.
type write int

const (
	writesNote write = iota
	writesPair
	writesVerdict // that a person is needed
)

func kindOf(before, next token.Record) write {
	switch {
	case !before.Current.Refresh.Equal(next.Current.Refresh):
		return writesPair
	case next.Attempt != nil:
		return writesNote
	}
	return writesVerdict
}

func (w *world) violate(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.violation == "" {
		w.violation = fmt.Sprintf(format, args...)
		fmt.Fprintf(w.trace, "VIOLATION %s\n", w.violation)
	}
}

func (w *world) saw(what string) {
	w.count(what)
	fmt.Fprintf(w.trace, "-- %s\n", what)
}

func (w *world) secret() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.deployed
}

func (w *world) latency() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Millisecond + time.Duration(w.rng.Int64N(int64(min(w.lives, shortLife)/40)))
}

var errDisk = errors.New("no space left on device")

func (w *world) readFailure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.unread {
		return errors.New("input/output error")
	}
	return nil
}

func (w *world) writesHang() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.hangs
}

// writeFailure says how a write fails, and whether it takes effect all the same.
func (w *world) writeFailure(kind write) (err error, tookEffect bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.broken[kind]:
		return errDisk, false
	case w.doubtful > 0:
		w.doubtful--
		return errors.New("the connection broke before the answer"), true
	}
	return nil, false
}

func (w *world) recordOf(pair token.Pair) token.Record {
	return token.Record{Shop: w.shop.Domain(), ClientID: shopsim.DefaultClientID, Grant: "offline", Current: pair}
}

// put stores what a person brought, whatever was there.
func (w *world) put(ctx context.Context, pair token.Pair) error {
	return store.Replace(ctx, w.stored, func(token.Record) (token.Record, error) { return w.recordOf(pair), nil })
}

// judgePost holds what must be true when a refresh token is sent.
func (w *world) judgePost(p *process, sent string) {
	record, _, err := w.stored.Load(context.Background())
	e, unsaved, failed := p.source.current.Load(), p.source.Status().Unsaved, p.noteFailed.Load()
	now := p.source.now()
	w.mu.Lock()
	w.posts++
	w.inFlight[p]++
	flying := 0
	for _, n := range w.inFlight {
		flying += n
	}
	unread := w.unread
	w.mu.Unlock()
	switch hasTime := e != nil && e.plan.state(now) != expired && !p.wasRefused(e.token.Access); {
	case p.isDead():
	case flying > 1:
		w.violate("%d refreshes at once", flying)
	case unsaved != nil:
		w.violate("%s refreshes although its last pair is not written", p.name)
	case err != nil || unread:
	case record.Current.Refresh.Reveal() != sent && (record.Previous == nil || record.Previous.Refresh.Reveal() != sent):
		w.violate("%s sends a refresh token that is not in the store", p.name)
	case record.Attempt != nil && record.Attempt.Fingerprint == fingerprintOf(record.Current.Refresh):
	case !failed:
		w.violate("%s sends a refresh token without a note", p.name)
	case hasTime:
		w.violate("%s goes ahead without a note although its token has %s left", p.name, e.plan.left(now))
	default:
		w.saw("refresh without a note")
	}
}

// isFlying reports whether a refresh is under way.
func (w *world) isFlying() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range w.inFlight {
		if n > 0 {
			return true
		}
	}
	return false
}

func (w *world) leave(p *process) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inFlight[p]--
}

// account notes an access token that may be handed out from now on.
func (w *world) account(access token.Secret) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.accounted[access.Reveal()] = true
}

// judgeSwap holds that a record is never replaced by one with less.
func (w *world) judgeSwap(who string, before, next token.Record) {
	w.account(next.Current.Token.Access)
	w.mu.Lock()
	refused := w.refused[before.Current.Refresh.Reveal()]
	bringer := w.broughtBy[next.Current.Refresh.Reveal()]
	w.mu.Unlock()
	old, previous := before.Current.Refresh, before.Previous
	switch {
	case old.Empty():
	case next.Current.Refresh.Empty():
		w.violate("%s deleted the refresh token", who)
	case next.Current.Refresh.Equal(old):
		if previous != nil && (next.Previous == nil || !next.Previous.Refresh.Equal(previous.Refresh)) {
			w.violate("%s dropped the previous refresh token although its replacement was not used", who)
		}
		// The previous refresh token may bring the same pair again, with another access token.
		if !next.Current.Token.Access.Equal(before.Current.Token.Access) && (next.Previous == nil || next.Previous.Refresh.Reveal() != bringer) {
			w.violate("%s replaced the access token by one that no refresh brought", who)
		}
	case next.Previous == nil || next.Previous.Refresh.Reveal() != bringer:
		w.violate("%s stored a pair without the refresh token that brought it", who)
	case next.Previous.Refresh.Equal(old):
	case previous != nil && next.Previous.Refresh.Equal(previous.Refresh) && refused:
		w.saw("previous refresh token brought the grant back")
	default:
		w.violate("%s replaced a record that it did not start from", who)
	}
}

// reach is where something is that Shopify would honour.
type reach struct {
	anywhere bool // if only at Shopify
	stored   bool
	holder   *process  // that has it in memory, because it could not write it; nil: none
	until    time.Time // when the last of what is stored ends by itself
}

func (r reach) known() bool { return r.stored || r.holder != nil }

// lookAround finds what could go on with the grant.
func (w *world) lookAround() (r reach) {
	at := map[string]*process{} // by fingerprint; nil: in the store
	for _, p := range w.procs {
		if p != nil && !p.isDead() && p.source.Status().Unsaved != nil {
			p.mu.Lock()
			at[shopsim.Fingerprint(p.held.Reveal())] = p
			p.mu.Unlock()
		}
	}
	if record, _, err := w.stored.Load(context.Background()); err == nil {
		at[shopsim.Fingerprint(record.Current.Refresh.Reveal())] = nil
		if p := record.Previous; p != nil && !p.Tried {
			at[shopsim.Fingerprint(p.Refresh.Reveal())] = nil
		}
	}
	for _, g := range w.sim.Generations("", "") {
		holder, known := at[g.Fingerprint]
		if !g.Honoured {
			continue
		}
		r.anywhere = true
		if !known {
			continue
		}
		r.stored = r.stored || holder == nil
		if holder != nil {
			r.holder = holder
			continue
		}
		end := g.Expires
		if window := g.FirstUsed.Add(w.sim.Settings().RetryWindow); !g.FirstUsed.IsZero() && window.Before(end) {
			end = window
		}
		if end.After(r.until) {
			r.until = end
		}
	}
	return r
}

// judgeGrant holds that the grant is not lost. Nobody can do anything about it when Shopify
// ends the only refresh token that anybody knows, while another one, whose delivery failed,
// would still be honoured; that is excused beforehand. Nor when the store cannot be written
// to, Shopify ends what is stored, and then the process dies that alone knew better.
func (w *world) judgeGrant() {
	r := w.lookAround()
	if r.known() || !r.anywhere {
		w.excused, w.holder, w.until = "", nil, r.until
		// A refresh token that has not been used may be by now: then its window has begun.
		if window := time.Now().Add(w.sim.Settings().RetryWindow); window.Before(w.until) {
			w.until = window
		}
		if !r.stored {
			w.holder = r.holder
		}
		return
	}
	switch {
	case w.rules != shopsim.RotationCurrent:
		w.saw("grant lost in mode " + string(w.rules))
	case w.erred && w.triedIsHonoured():
		w.saw("grant lost, excused: Shopify refused both refresh tokens, and one of them wrongly")
	case !time.Now().Before(w.until):
		w.saw("grant lost, excused: its time ran out while the answer was lost")
	case w.excused != "":
		w.saw("grant lost, excused: " + w.excused)
	case w.holder != nil && w.holder.isGone():
		w.saw("grant lost, excused: the only copy was in memory")
	default:
		w.violate("the grant is lost: Shopify honours a refresh token, and nobody has it")
	}
}

// triedIsHonoured reports whether the previous refresh token, which is tried once, would be
// honoured although it was refused.
func (w *world) triedIsHonoured() bool {
	r, _, err := w.stored.Load(context.Background())
	if err != nil || r.Previous == nil || !r.Previous.Tried {
		return false
	}
	tried := shopsim.Fingerprint(r.Previous.Refresh.Reveal())
	return slices.ContainsFunc(w.sim.Generations("", ""), func(g shopsim.Generation) bool { return g.Fingerprint == tried && g.Honoured })
}

// use is a request through a process: a token, a call, and after a 401 another of both.
func (w *world) use(ctx context.Context, p *process) error {
	began, now := time.Now(), p.source.now()
	hadGood := p.goodSince == p.step.Load() && !p.good.Access.Empty() && now.since(p.source.at(p.good.Issued)) < p.good.Life-time.Second
	t, err := p.source.Token(ctx)
	if p.isDead() {
		return errCrashed
	}
	if waited := time.Since(began); hadGood && (err != nil || waited > 0) {
		w.violate("%s had a usable token and did not serve it: waited %s, %v", p.name, waited, err)
	}
	if err != nil {
		return err
	}
	status := w.call(p, t)
	if status == http.StatusUnauthorized && !p.isDead() {
		if t, err = p.source.Replace(ctx, t); err != nil {
			return err
		}
		status = w.call(p, t)
	}
	if status != http.StatusOK {
		return fmt.Errorf("the API answers %d", status)
	}
	p.source.Accepted(t)
	p.good, p.goodSince = t, p.step.Load()
	return nil
}

// call sends a request with a token that a process handed out, which must be a good one.
func (w *world) call(p *process, t token.Token) int {
	if p.isDead() {
		return 0
	}
	w.mu.Lock()
	end, accounted := w.expiry[t.Access.Reveal()], w.accounted[t.Access.Reveal()]
	w.mu.Unlock()
	// A life that is under a second is announced as none, and so assumed.
	if over := time.Since(end); over > time.Second && !t.Assumed {
		w.violate("%s handed out a token that ended %s ago", p.name, over)
	}
	if !accounted {
		w.violate("%s handed out a token before it was stored", p.name)
	}
	req, err := http.NewRequest(http.MethodGet, "https://"+w.shop.Domain()+"/admin/api/2026-10/shop.json", nil)
	if err != nil {
		panic(err)
	}
	req.Header.Set("X-Shopify-Access-Token", t.Access.Reveal())
	status, _, _, err := w.send(req, nil)
	if err != nil {
		return 0
	}
	if status == http.StatusUnauthorized {
		p.mu.Lock()
		p.good, p.revoked = token.Token{}, t.Access // nothing is usable about it
		p.mu.Unlock()
	}
	return status
}
