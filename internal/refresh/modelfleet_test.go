package refresh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/clock"
	"evergate/internal/token"
)

// fleet is five replicas on one chain, for some lives of its tokens.
type fleet struct {
	life  time.Duration
	store *replicated
	rule  *rule
	plot
	log *slog.Logger

	killRate, pauseRate, cutRate int // in a thousand steps
	askEvery                     int // turns, until somebody asks for another token by force

	healed atomic.Bool
	over   atomic.Bool
	asked  atomic.Int64 // times that a person was asked for
	seen   atomic.Value // the epoch that a replica has seen last
	late   sync.WaitGroup
	count  func(string)
}

const replicas = 5

func (f *fleet) saw(what string) { f.count(what) }

// plot is what kind of histories are told.
type plot struct {
	without mutation
	// strict has each refresh token work once.
	strict bool
	// backups has the store fall back by more than a failover loses, while every replica lives.
	backups bool
}

// history tells one and returns why its chain is broken; empty: it is not.
func history(t *testing.T, seed uint64, kind plot, trace io.Writer, count func(string)) (broken string) {
	synctest.Test(t, func(*testing.T) {
		rng := rand.New(rand.NewPCG(seed, 0xf1ee7))
		life := []time.Duration{5 * time.Second, 10 * time.Second, time.Minute, 10 * time.Minute, time.Hour}[rng.IntN(5)]
		f := &fleet{
			life: life, rule: newRule(rng, life), plot: kind, count: count, log: slog.New(slog.NewTextHandler(trace, nil)),
			killRate: rng.IntN(6), pauseRate: rng.IntN(12), cutRate: rng.IntN(6), askEvery: 2 + rng.IntN(20),
		}
		f.rule.strict = kind.strict
		if kind.backups {
			f.killRate = 0
		}
		f.store = &replicated{term: time.Duration(float64(life) * (0.1 + 0.5*rng.Float64()))}
		first := token.Record{Current: f.rule.pairOf(f.rule.mint(nil), time.Now().Round(0))}
		if rng.IntN(4) > 0 {
			first = token.Begin(first)
		}
		f.store.put(first)
		var all sync.WaitGroup
		for i := range replicas {
			all.Go(func() { f.keepRunning(i, seed) })
		}
		f.haveTrouble(rng)
		f.healed.Store(true)
		_ = clock.Sleep(context.Background(), 4*life)
		broken = f.verdict()
		// Until whoever remembers comes back, an old backup looks like a dead grant.
		if broken == "" && f.asked.Load() > 0 && !kind.backups {
			broken = "a person was asked for, needlessly"
		}
		f.over.Store(true)
		all.Wait()
		f.late.Wait()
	})
	return broken
}

// haveTrouble has the store fail over, and Shopify end access tokens, for some lives. No failover loses a write that is
// older than the confirm window allows.
func (f *fleet) haveTrouble(rng *rand.Rand) {
	window, hadLogin := confirmation(f.life), false
	for end := time.Now().Add(time.Duration(8+rng.IntN(10)) * f.life); time.Now().Before(end); {
		_ = clock.Sleep(context.Background(), time.Duration(rng.Int64N(int64(f.life))))
		switch rng.IntN(4) {
		case 0, 1:
			f.saw("failover")
			f.store.failOver(time.Duration(rng.Int64N(int64(window)*8/10)), time.Duration(rng.Int64N(int64(window)*2/10)), rng.IntN(3) > 0)
		case 2:
			f.saw("access token ended")
			f.rule.revoke()
		case 3:
			switch n := rng.IntN(6); {
			case f.backups && n == 0:
				f.saw("backup restored")
				f.store.failOver(time.Duration(rng.Int64N(3*int64(f.life))), 0, true)
			case f.backups && n == 1 && !hadLogin: // of two, a replica that has seen only the second takes the first for news
				f.login()
				hadLogin = true
			}
		}
	}
}

// login is a person who authorises the app anew; it lasts until some replica has seen it.
func (f *fleet) login() {
	record := token.Begin(token.Record{})
	for !f.store.acquired(f, &record) {
		_ = clock.Sleep(context.Background(), f.life/100)
	}
	f.saw("login")
	for f.seen.Load() != record.Epoch {
		_ = clock.Sleep(context.Background(), f.life/100)
	}
}

// verdict is about what is left when all is well again.
func (f *fleet) verdict() string {
	f.store.mu.Lock()
	r := f.store.newest().record
	f.store.mu.Unlock()
	switch {
	case r.Reauthorize != nil:
		return "a person is asked for"
	case f.rule.isHonoured(r.Current.Refresh), r.Previous != nil && f.rule.isHonoured(r.Previous.Refresh):
		return ""
	}
	return "Shopify honours nothing that is stored"
}

// keepRunning is a replica and, when it was killed, another one after a while.
func (f *fleet) keepRunning(slot int, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, uint64(slot)))
	for n := 0; !f.over.Load(); n++ {
		p := &replica{f: f, name: strconv.Itoa(slot) + "/" + strconv.Itoa(n), rng: rng}
		ended := make(chan struct{})
		go func() { defer close(ended); p.live() }()
		<-ended
		if p.dead {
			_ = clock.Sleep(context.Background(), time.Duration(rng.Int64N(int64(f.life)/2)))
		}
	}
}

// live does what a Source does, with less machinery.
func (p *replica) live() {
	defer runtime.Gosched()
	f, ctx := p.f, context.Background()
	shop, _ := token.ParseShop("blue-finch")
	g := newRotating(p, newPersister(p, Options{Shop: shop, Log: f.log.With("process", p.name)}, "", "offline"))
	g.writer, g.persister.without = p.name, f.without
	var current token.Token
	var renewal, notBefore time.Time
	failures := 0
	adopt := func(t token.Token) {
		current, failures, notBefore = t, 0, time.Time{}
		renewal = t.Issued.Add(time.Duration((renewEarliest + (renewLatest-renewEarliest)*p.rng.Float64()) * float64(f.life)))
	}
	for turn := 1; !f.over.Load(); turn++ {
		if t, ok := g.poll(ctx); ok && !t.Access.Empty() && !t.Access.Equal(current.Access) {
			adopt(t)
		}
		f.seen.Store(g.record.Epoch)
		req := request{current: current.Access, left: f.life - time.Since(current.Issued)}
		refused := !current.Access.Empty() && !f.rule.accepts(current.Access)
		req.force = !f.healed.Load() && p.rng.IntN(f.askEvery) == 0
		if refused {
			req.left = 0
		}
		if now := time.Now(); !now.Before(notBefore) && (refused || !now.Before(renewal)) || req.force {
			t, err := g.obtain(ctx, req)
			if err == nil {
				adopt(t)
			} else if !req.force || !isResting(err) {
				failures++
				notBefore = time.Now().Add(min(backOff(err, failures, f.life, p.rng.Float64()), f.life/4))
			}
			if errors.Is(err, token.ErrReauthorize) {
				f.saw("a person was asked for")
				f.asked.Add(1)
			}
		}
		_ = clock.Sleep(ctx, f.life/20+time.Duration(p.rng.Int64N(int64(f.life)/20)))
	}
}

// TestAChainOnASharedStoreIsNeverBroken tells histories of failovers that lose writes, pauses, kills, lost answers and late
// arrivals. FLEET_RUNS is how many, FLEET_SEED the first.
func TestAChainOnASharedStoreIsNeverBroken(t *testing.T) {
	t.Parallel()
	runs, first := fromEnv(t, "FLEET_RUNS", 2000), fromEnv(t, "FLEET_SEED", 1)
	if testing.Short() {
		runs = min(runs, 200)
	}
	seen := &tally{of: map[string]int{}}
	broken := tell(t, first, runs, runs, plot{}, seen)
	for _, seed := range broken[:min(len(broken), 3)] {
		var trace bytes.Buffer
		why := history(t, seed, plot{}, &trace, func(what string) { fmt.Fprintf(&trace, "-- %s\n", what) })
		t.Errorf("seed %d: %s\n%s", seed, why, tailOf(trace.String(), 24<<10))
	}
	t.Logf("%d of %d chains are broken:%s", len(broken), runs, seen)
	for _, what := range []string{"failover", "kill", "pause", "cut off", "late arrival", "lost answer of the store", "refused", "access token ended"} {
		if seen.of[what] == 0 {
			t.Errorf("never seen: %s", what)
		}
	}
}

// tell tells histories until enough chains are broken, and returns the seeds of those.
func tell(t *testing.T, first, runs, enough int, kind plot, seen *tally) (broken []uint64) {
	var mu sync.Mutex
	var workers sync.WaitGroup
	next := int64(first)
	draw := func() (seed uint64, ok bool) {
		mu.Lock()
		defer mu.Unlock()
		next++
		return uint64(next), next <= int64(first+runs) && len(broken) < enough
	}
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for seed, ok := draw(); ok; seed, ok = draw() {
				if history(t, seed, kind, io.Discard, seen.add) != "" {
					mu.Lock()
					broken = append(broken, seed)
					mu.Unlock()
				}
			}
		})
	}
	workers.Wait()
	return broken
}

// A part that can be left out without harm does not belong there, or the model does not test it.
func TestEachPartOfTheProtocolIsNeeded(t *testing.T) {
	t.Parallel()
	runs, enough := fromEnv(t, "FLEET_RUNS", 4000), 1
	if os.Getenv("FLEET_RUNS") != "" {
		enough = runs // to know how many
	}
	for name, kind := range map[string]plot{
		"confirm_window": {without: withoutWindow}, "previous_refresh_token": {without: withoutPrevious}, "memory_of_the_newest": {without: withoutMemory, backups: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broken := tell(t, 1, runs, enough, kind, &tally{of: map[string]int{}})
			t.Logf("%d of at most %d chains are broken without it", len(broken), runs)
			if len(broken) == 0 {
				t.Error("no chain is broken without it")
			}
		})
	}
}

// A backup that is restored is older than any window; what the replicas remember is written back.
func TestAStoreThatFallsBackFarIsMendedFromMemory(t *testing.T) {
	t.Parallel()
	runs := fromEnv(t, "FLEET_RUNS", 200)
	seen := &tally{of: map[string]int{}}
	if broken := tell(t, 1, runs, runs, plot{backups: true}, seen); len(broken) > 0 || seen.of["backup restored"] == 0 {
		t.Errorf("%d of %d chains are broken, with seeds %v:%s", len(broken), runs, broken[:min(len(broken), 5)], seen)
	}
}

// Where a refresh token works once, nobody can promise anything: losses are counted.
func TestLossesUnderStrictSingleUseAreCounted(t *testing.T) {
	t.Parallel()
	runs := fromEnv(t, "FLEET_RUNS", 100)
	broken := tell(t, 1, runs, runs, plot{strict: true}, &tally{of: map[string]int{}})
	t.Logf("%d of %d chains are broken where a refresh token works once", len(broken), runs)
}
