package refresh

import (
	"context"
	"math/rand/v2"
	"net/http"
	"time"

	"evergate/internal/shopsim"
	"evergate/internal/token"
)

// operation is something that can happen to the world.
type operation struct {
	name   string
	weight int
	do     func(*world, context.Context, *call)
}

// call is an operation's share of randomness, and the process it is about.
type call struct {
	*rand.Rand
	who int
	p   *process // nil: not running
}

func (c *call) upTo(d time.Duration) time.Duration { return time.Duration(c.Int64N(int64(d) + 1)) }

var operations []operation

func init() {
	operations = []operation{
		{"pass", 16, opPass},
		{"use", 14, opUse},
		{"start", 10, opStart},
		{"crash", 3, func(w *world, _ context.Context, c *call) { w.kill(c.who) }},
		{"arm", 12, opArm},
		{"stop", 2, opStop},
		{"down_for_long", 2, opDown},
		{"lose_answers", 6, opLoseAnswers},
		{"trouble", 4, opTrouble},
		{"looks_dead", 1, opLooksDead},
		{"break_note", 2, func(w *world, _ context.Context, _ *call) { w.breakWrite(writesNote) }},
		{"break_pair", 3, func(w *world, _ context.Context, _ *call) { w.breakWrite(writesPair) }},
		{"break_writes", 2, func(w *world, _ context.Context, _ *call) { w.breakWrite(writesNote, writesPair, writesVerdict) }},
		{"hang_writes", 1, func(w *world, _ context.Context, _ *call) { w.mu.Lock(); w.hangs = true; w.mu.Unlock() }},
		{"break_reads", 1, func(w *world, _ context.Context, _ *call) { w.mu.Lock(); w.unread = true; w.mu.Unlock() }},
		{"doubtful_write", 3, func(w *world, _ context.Context, c *call) { w.mu.Lock(); w.doubtful += 1 + c.IntN(2); w.mu.Unlock() }},
		{"mend", 8, func(w *world, _ context.Context, _ *call) { w.mend() }},
		{"calm", 5, func(w *world, _ context.Context, _ *call) { w.sim.ClearFaults() }},
		{"new_secret", 2, opNewSecret},
		{"deploy_secret", 3, opDeploySecret},
		{"revoke_secret", 1, opRevokeSecret},
		{"uninstall", 1, opUninstall},
		{"login", 2, opLogin},
		{"import", 1, opImport},
		{"end_tokens", 3, func(w *world, _ context.Context, _ *call) { w.sim.RevokeTokens("") }},
		{"step_clock", 2, opStepClock},
		{"ask", 2, opAsk},
	}
}

func (w *world) canWrite() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.broken) == 0 && w.doubtful == 0 && !w.unread && !w.hangs
}

func (w *world) do(ctx context.Context, s step) {
	c := &call{Rand: rand.New(rand.NewPCG(s.dice, 2)), who: s.who, p: w.procs[s.who]}
	for _, o := range operations {
		if o.name == s.op {
			o.do(w, ctx, c)
		}
	}
}

func (w *world) breakWrite(kinds ...write) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, k := range kinds {
		w.broken[k] = true
	}
}

func opPass(w *world, _ context.Context, c *call) { w.pass(c.upTo(2 * w.lives)) }

func opUse(w *world, ctx context.Context, c *call) {
	if c.p != nil {
		_ = w.use(ctx, c.p) // whether it should have worked is judged inside
	}
}

func opStart(w *world, _ context.Context, c *call) {
	if c.p == nil {
		w.procs[c.who] = w.startProcess([]string{"a", "b"}[c.who])
	}
}

// opArm has a process die at its next refresh, which a revocation of its token may hasten.
func opArm(w *world, ctx context.Context, c *call) {
	if c.p == nil {
		return
	}
	c.p.arm(point(1+c.IntN(int(points)-1)), c.upTo(3*w.lives))
	if c.IntN(3) > 0 {
		w.sim.RevokeTokens("")
		_ = w.use(ctx, c.p)
	}
}

// opStop ends a process as SIGTERM does.
func opStop(w *world, _ context.Context, c *call) {
	if c.p == nil {
		return
	}
	writable := w.canWrite()
	c.p.stop()
	<-c.p.ended
	if c.p.source.Status().Unsaved != nil && writable && !c.p.isDead() {
		w.violate("%s ended with a pair that could have been written", c.p.name)
	}
	c.p.end()
	w.procs[c.who] = nil
}

// opDown has nothing running for up to 100 days.
func opDown(w *world, _ context.Context, c *call) {
	w.kill(0)
	w.kill(1)
	days := []time.Duration{1, 10, 29, 31, 89, 91, 100}[c.IntN(7)]
	w.pass(days * 24 * time.Hour)
	w.check()
	w.procs[c.who] = w.startProcess([]string{"a", "b"}[c.who])
}

func opLoseAnswers(w *world, _ context.Context, c *call) {
	f := append(failures, shopsim.Fault{Kind: shopsim.FaultTruncate}, shopsim.Fault{Kind: shopsim.FaultCut})[c.IntN(len(failures)+2)]
	f.Endpoint, f.Grant, f.AfterCommit, f.Count = shopsim.TokenEndpoint, shopsim.GrantRefresh, true, 1+c.IntN(4)
	w.sim.Inject(f)
}

func opTrouble(w *world, _ context.Context, c *call) {
	f := append(failures, shopsim.Fault{Kind: shopsim.FaultStatus, Status: http.StatusTooManyRequests, RetryAfter: "400"},
		shopsim.Fault{Kind: shopsim.FaultStatus, Status: http.StatusForbidden})[c.IntN(len(failures)+2)]
	f.Endpoint, f.Grant, f.Count = shopsim.TokenEndpoint, shopsim.GrantRefresh, 1+c.IntN(6)
	w.sim.Inject(f)
}

// opLooksDead has Shopify err in the words that end a grant.
func opLooksDead(w *world, _ context.Context, c *call) {
	w.erred = true
	w.sim.Inject(shopsim.Fault{Kind: shopsim.FaultStatus, Status: http.StatusUnauthorized, Body: deadBody, ContentType: "application/json",
		Endpoint: shopsim.TokenEndpoint, Grant: shopsim.GrantRefresh, Count: 1 + c.IntN(3)})
}

// The three steps of changing a client secret, in any order, as people do it.

func opNewSecret(w *world, _ context.Context, _ *call) { w.newest = w.sim.RotateSecret("", "", false) }

func opDeploySecret(w *world, _ context.Context, _ *call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deployed = w.newest
}

// opRevokeSecret ends every token that is bound to an older secret. If a refresh token that
// nobody got is bound to the new one, it alone survives.
func opRevokeSecret(w *world, _ context.Context, _ *call) {
	w.excused = "the client secret of the only refresh token in reach was revoked"
	w.sim.RotateSecret("", w.newest, true)
}

func opUninstall(w *world, _ context.Context, _ *call) { w.sim.Uninstall("", "") }

func opLogin(w *world, ctx context.Context, _ *call) {
	if err := w.login(ctx); err != nil {
		w.violate("login: %v", err)
		return
	}
	w.saw("login")
	w.noticed(ctx)
}

// opImport puts a refresh token into the store that was obtained elsewhere.
func opImport(w *world, ctx context.Context, _ *call) {
	_, refresh := w.sim.IssuePair("", "")
	if err := w.put(ctx, token.Pair{Refresh: token.NewSecret(refresh)}); err != nil {
		w.violate("import: %v", err)
		return
	}
	w.saw("import")
	w.noticed(ctx)
}

// noticed holds that what a person stored is used within seconds, if nothing is in the way.
func (w *world) noticed(ctx context.Context) {
	w.sim.ClearFaults()
	w.mend()
	w.mu.Lock()
	w.deployed = w.newest
	w.mu.Unlock()
	w.pass(2 * pollEvery)
	if !w.lookAround().known() {
		return // a process died with it meanwhile, in a mode in which that ends a grant
	}
	for i, p := range w.procs {
		if p == nil || p.isDead() || p.willDie() || p.source.Status().Unsaved != nil {
			continue
		}
		if err := w.use(ctx, p); err != nil {
			w.violate("%s did not notice what a person stored: %v", []string{"a", "b"}[i], err)
		}
	}
}

func opStepClock(_ *world, _ context.Context, c *call) {
	if c.p != nil {
		c.p.step.Add(int64(c.upTo(48*time.Hour) - 24*time.Hour))
	}
}

// opAsk is a person who asks for a refresh on the admin listener.
func opAsk(_ *world, ctx context.Context, c *call) {
	if c.p != nil {
		_ = c.p.source.Refresh(ctx)
	}
}
