package refresh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/clock"
	"evergate/internal/shopsim"
	"evergate/internal/store"
	"evergate/internal/token"
)

// The model test drives the real Source, the real grant and a real store against the
// simulator, through everything that can happen to them, and after each step holds what
// must always be true (modelworld_test.go). A run is a list of operations made from a seed.
// One that fails is cut down to the operations that matter, and printed with its log.
//
// MODEL_RUNS is how many runs there are, MODEL_SEED the seed of the first.

const (
	modelSteps   = 60
	modelBatches = 10
)

func TestGrantSurvivesWhateverHappens(t *testing.T) {
	runs, first := fromEnv(t, "MODEL_RUNS", 300), fromEnv(t, "MODEL_SEED", 1)
	if testing.Short() {
		runs = min(runs, 40)
	}
	seen := &tally{of: map[string]int{}}
	t.Run("runs", func(t *testing.T) {
		for batch := range modelBatches {
			t.Run(strconv.Itoa(batch), func(t *testing.T) {
				t.Parallel()
				for seed := first + batch; seed < first+runs && !t.Failed(); seed += modelBatches {
					mustHold(t, uint64(seed), seen)
				}
			})
		}
	})
	t.Logf("%d runs of %d operations:%s", runs, modelSteps, seen)
	if runs < 300 || t.Failed() {
		return
	}
	// A model in which nothing ever goes wrong proves nothing.
	for _, what := range []string{
		"death before_note", "death after_note", "death before_post", "death late_post", "death after_commit", "death before_pair", "death after_pair",
		"late arrival", "refresh without a note", "pair that could not be written", "previous refresh token brought the grant back",
		"login", "person needed", "grant lost in mode strict", "all well at the end",
	} {
		if seen.of[what] == 0 {
			t.Errorf("never seen: %s", what)
		}
	}
}

func fromEnv(t *testing.T, name string, otherwise int) int {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// tally counts what was seen over all runs.
type tally struct {
	mu sync.Mutex
	of map[string]int
}

func (y *tally) add(what string) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.of[what]++
}

func (y *tally) String() string {
	y.mu.Lock()
	defer y.mu.Unlock()
	var b strings.Builder
	for _, what := range slices.Sorted(mapKeys(y.of)) {
		fmt.Fprintf(&b, "\n%6d %s", y.of[what], what)
	}
	return b.String()
}

func mapKeys(m map[string]int) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// mustHold makes one run and, if it fails, finds out how little it takes to fail.
func mustHold(t *testing.T, seed uint64, seen *tally) {
	steps := makeSteps(seed)
	if tryOut(t, seed, steps, io.Discard, seen.add) == "" {
		return
	}
	steps = shrink(steps, func(some []step) bool { return tryOut(t, seed, some, io.Discard, func(string) {}) != "" })
	var log bytes.Buffer
	violation := tryOut(t, seed, steps, &log, func(string) {})
	t.Errorf("seed %d: %s\nAfter %v the log is:\n%s", seed, violation, steps, tailOf(log.String(), 24<<10))
}

func tailOf(s string, n int) string { return s[max(0, len(s)-n):] }

// shrink leaves out operations as long as the rest still fails.
func shrink(steps []step, fails func([]step) bool) []step {
	tries := 400
	for size := len(steps) / 2; size > 0; size /= 2 {
		for from := 0; from < len(steps) && tries > 0; tries-- {
			some := slices.Concat(steps[:from], steps[min(from+size, len(steps)):])
			if fails(some) {
				steps = some
			} else {
				from += size
			}
		}
	}
	return steps
}

// step is one operation: on a process, with a random number of its own, so that leaving
// out another one does not change it.
type step struct {
	op   string
	who  int
	dice uint64
}

func (s step) String() string { return fmt.Sprintf("%s/%d", s.op, s.who) }

func makeSteps(seed uint64) []step {
	rng := rand.New(rand.NewPCG(seed, 0xe5e))
	var bag []string
	for _, o := range operations {
		for range o.weight {
			bag = append(bag, o.name)
		}
	}
	steps := make([]step, modelSteps)
	for i := range steps {
		steps[i] = step{bag[rng.IntN(len(bag))], rng.IntN(2), rng.Uint64()}
	}
	return steps
}

// tryOut makes a run and returns what was violated.
func tryOut(t *testing.T, seed uint64, steps []step, trace io.Writer, count func(string)) (violation string) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(seed, trace, count)
		defer w.close()
		for i, s := range steps {
			fmt.Fprintf(trace, "## %d %s at %s\n", i, s, time.Now().Format(time.DateTime))
			w.do(t.Context(), s)
			w.check()
			if w.violation != "" {
				violation = w.violation
				return
			}
		}
		fmt.Fprintf(trace, "## everything heals at %s\n", time.Now().Format(time.DateTime))
		w.heal(t.Context())
		violation = w.violation
	})
	return violation
}

func newWorld(seed uint64, trace io.Writer, count func(string)) *world {
	rng := rand.New(rand.NewPCG(seed, 1))
	pick := func(n int) int { return rng.IntN(n) }
	shop, err := token.ParseShop(shopsim.DefaultShop)
	if err != nil {
		panic(err)
	}
	w := &world{
		seed: seed, shop: shop, stored: store.Memory(shop), trace: &locked{w: trace}, count: count, rng: rng, over: make(chan struct{}),
		lives:  []time.Duration{20 * time.Second, time.Minute, 5 * time.Minute, time.Hour}[[]int{0, 0, 0, 1, 1, 1, 2, 2, 2, 3}[pick(10)]],
		rules:  []shopsim.Rotation{shopsim.RotationCurrent, shopsim.RotationStrict, shopsim.RotationWindow60m}[max(0, pick(12)-9)],
		expiry: map[string]time.Time{}, accounted: map[string]bool{}, broughtBy: map[string]string{}, refused: map[string]bool{},
		inFlight: map[*process]int{}, broken: map[write]bool{}, newest: shopsim.DefaultClientSecret, deployed: shopsim.DefaultClientSecret,
		began: time.Now(),
	}
	w.sim = shopsim.New(shopsim.Options{Seed: seed, Settings: shopsim.Settings{
		OfflineLife: w.lives, Rotation: w.rules, RevokeReplaced: pick(4) == 0, RESTSize: 1e6, RESTLeak: 1e6,
		Retry:       []shopsim.Retry{shopsim.RetryNewPair, shopsim.RetrySamePair}[pick(2)],
		DeadRefresh: []shopsim.DeadAnswer{shopsim.DeadPlain, shopsim.DeadFullStop, shopsim.DeadLong, shopsim.DeadInvalidGrant}[pick(4)],
	}})
	w.sim.OnToken(func(e shopsim.TokenEvent) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.expiry[e.Token] = e.Time.Add(e.Life)
	})
	_, refresh := w.sim.IssuePair("", "")
	if err := w.put(context.Background(), token.Pair{Refresh: token.NewSecret(refresh)}); err != nil {
		panic(err)
	}
	w.procs[0] = w.startProcess("a")
	return w
}

// locked is a trace that several processes write to.
type locked struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

func (w *world) close() {
	close(w.over)
	for i := range w.procs {
		w.kill(i)
	}
}

// check holds what must be true between operations.
func (w *world) check() {
	synctest.Wait()
	for i, p := range w.procs {
		if p != nil && p.isDead() {
			w.kill(i)
		}
	}
	w.judgeGrant()
	w.mu.Lock()
	posts := w.posts
	w.mu.Unlock()
	w.allowance += 10
	if most := w.allowance + 12*time.Since(w.began).Seconds()/min(w.lives, shortLife).Seconds(); float64(posts) > most {
		w.violate("%d POSTs in %s and so few operations: %.0f would be enough", posts, time.Since(w.began), most)
	}
	for _, p := range w.procs {
		if p != nil && p.source.Status().Unsaved != nil {
			w.saw("pair that could not be written")
		}
	}
}

// heal ends every trouble but those that are Shopify's last word, and holds that requests
// then work without a person, or that a person is asked for.
func (w *world) heal(ctx context.Context) {
	w.mend()
	w.sim.ClearFaults()
	w.mu.Lock()
	w.deployed = w.newest
	w.mu.Unlock()
	for i, name := range []string{"a", "b"} {
		if w.procs[i] == nil {
			w.procs[i] = w.startProcess(name)
		}
		w.procs[i].arm(nowhere, 0)
	}
	// The longest pauses: after a configuration error or for a Retry-After five minutes,
	// between probes of a grant that looks dead seventy-five.
	w.pass(11 * time.Minute)
	if w.procs[0].source.Status().Reauthorize || w.procs[1].source.Status().Reauthorize {
		w.pass(80 * time.Minute)
	}
	for w.isFlying() { // in the middle of a refresh a single-use token looks lost
		w.pass(time.Second)
	}
	w.check()
	if !w.lookAround().known() {
		w.pass(2 * w.lives) // until the last access token has ended
		for _, p := range w.procs {
			if err := w.use(ctx, p); !errors.Is(err, token.ErrReauthorize) || !p.source.Status().Reauthorize {
				w.violate("the grant is dead, and %s does not ask for a person: %v", p.name, err)
			}
		}
		w.saw("person needed")
		if err := w.login(ctx); err != nil {
			w.violate("login: %v", err)
		}
		w.pass(2 * pollEvery)
	}
	for _, p := range w.procs {
		if err := w.use(ctx, p); err != nil {
			w.violate("all is well again, but not for %s: %v", p.name, err)
		}
		if st := p.source.Status(); st.Reauthorize || st.Unsaved != nil {
			w.violate("all is well again, and %s says reauthorize %v, unsaved %v", p.name, st.Reauthorize, st.Unsaved)
		}
	}
	w.check()
	w.saw("all well at the end")
}

func (w *world) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.broken)
	w.unread, w.hangs, w.doubtful = false, false, 0
}

// pass lets time pass.
func (w *world) pass(d time.Duration) { _ = clock.Sleep(context.Background(), d) }

// kill makes sure that a process is dead and gone.
func (w *world) kill(i int) {
	if p := w.procs[i]; p != nil {
		p.crash()
		<-p.ended
		w.procs[i] = nil
	}
}

const deadBody = `{"error":"invalid_request","error_description":"This request requires an active refresh_token"}`

// failures are what the token endpoint can do to a refresh, before and after it took effect.
var failures = []shopsim.Fault{
	{Kind: shopsim.FaultDrop},
	{Kind: shopsim.FaultStatus, Status: 520},
	{Kind: shopsim.FaultStatus, Status: http.StatusServiceUnavailable},
	{Kind: shopsim.FaultEmpty},
	{Kind: shopsim.FaultHTML},
	{Kind: shopsim.FaultDelay, Delay: time.Minute}, // longer than anyone waits
}
