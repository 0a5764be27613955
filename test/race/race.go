// Package race has replicas of the real binary share the refresh chains of many shops while everything around them fails, and
// holds that no chain is ever broken. The tests of each shared store run it.
package race

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"evergate/internal/envelope"
	"evergate/internal/shopsim"
	"evergate/internal/store"
	"evergate/internal/token"
	"evergate/test/process"
)

const (
	// life is what Shopify gives an access token here.
	life = 5 * time.Second
	// lostAnswers is the share of refreshes whose answer is lost after they took effect.
	lostAnswers = 0.2
	// callers call at a time, each a random shop of a random replica.
	callers = 16
	// rest is between two things that go wrong.
	rest = 1500 * time.Millisecond
	// longestPause is several times a lease.
	longestPause = 9 * time.Second
	// dearest is how many token POSTs there may be for each that is needed.
	dearest = 1.05
)

// storeKey is 32 bytes.
const storeKey = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

// Options is what Run needs.
type Options struct {
	// Binary is the program under test.
	Binary string
	// Store is EVERGATE_STORE of a replica that reaches the store at an address, which is Address or that of a proxy.
	Store func(address string) string
	// Address is where the store is; empty: replicas are not cut off from it.
	Address string
	// Disturb does something to the store itself, and returns when it is there again; nil: nothing happens to it.
	Disturb func()
	// Environ is what a replica that reaches the store at an address needs beside that; nil: nothing.
	Environ func(address string) []string
	// Length is how long things go wrong, unless EVERGATE_RACE_LENGTH says otherwise. Zero: 40 seconds.
	Length time.Duration
	// Shops and Replicas are how many there are. Zero: 200 and 5.
	Shops, Replicas int
}

// race is one run.
type race struct {
	Options
	t        *testing.T
	retries  []shopsim.Retry
	sim      *shopsim.Sim
	environ  []string
	shops    []string
	replicas []*replica

	calls, failed, refused atomic.Int64
	// away is until when the store, or the way to it, has been away; in Unix nanoseconds.
	away atomic.Int64

	mu     sync.Mutex
	minted map[string]time.Time // by shop: when the last pair was handed out whose answer was not lost
	posts  int
	early  int // that came long before they were needed
	errs   map[string]int
}

// Run runs the replicas, has things go wrong, and looks at the chains in the end.
func Run(t *testing.T, o Options) {
	t.Helper()
	if o.Length == 0 {
		o.Length = 40 * time.Second
	}
	if text := os.Getenv("EVERGATE_RACE_LENGTH"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		o.Length = d
	}
	if o.Environ == nil {
		o.Environ = func(string) []string { return nil }
	}
	if o.Shops == 0 {
		o.Shops, o.Replicas = 200, 5
	}
	r := &race{Options: o, t: t, retries: retries(t), minted: map[string]time.Time{}, errs: map[string]int{}}
	for i := range o.Shops {
		r.shops = append(r.shops, fmt.Sprintf("shop-%03d", i))
	}
	r.shopify()
	r.seed()
	for i := range o.Replicas {
		r.replicas = append(r.replicas, r.newReplica(i))
	}
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for range callers {
		load.Go(func() { r.call(ctx) })
	}
	r.havoc()
	stop()
	load.Wait()
	r.mustBeWhole()
}

// retries are Shopify's answers to a refresh token that was used before and is still honoured, which it does not document: each for a
// part of the race, or that of EVERGATE_RACE_RETRY for all of it.
func retries(t *testing.T) []shopsim.Retry {
	t.Helper()
	both := []shopsim.Retry{shopsim.RetryNewPair, shopsim.RetrySamePair}
	only := shopsim.Retry(os.Getenv("EVERGATE_RACE_RETRY"))
	switch {
	case only == "":
		return both
	case !slices.Contains(both, only):
		t.Fatalf("EVERGATE_RACE_RETRY=%s is none of %q", only, both)
	}
	return []shopsim.Retry{only}
}

// shopify starts the simulated Shopify.
func (r *race) shopify() {
	settings := shopsim.Settings{OfflineLife: life, Retry: r.retries[0], RESTSize: 1e6, RESTLeak: 1e6}
	o := shopsim.Options{Settings: settings, JournalSize: 1, JournalBody: 1,
		Apps: []shopsim.App{{ClientID: shopsim.DefaultClientID, ClientSecret: shopsim.DefaultClientSecret, Scopes: shopsim.AllScopes}}}
	for _, name := range r.shops {
		o.Shops = append(o.Shops, shopsim.Shop{Domain: name})
	}
	r.sim = shopsim.New(o)
	server, err := r.sim.Start("127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = server.Close() })
	dir := r.t.TempDir()
	ca, file := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "shops.yaml")
	text := fmt.Sprintf("defaults:\n  client_id: %s\n  client_secret: %s\nstored: true\n", shopsim.DefaultClientID, shopsim.DefaultClientSecret)
	for path, content := range map[string]string{ca: string(server.CAPEM), file: text} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
	r.environ = []string{
		"EVERGATE_SHOPS_FILE=" + file, "EVERGATE_STORE_KEY=" + storeKey, "EVERGATE_LISTEN=127.0.0.1:0", "EVERGATE_ADMIN_LISTEN=127.0.0.1:0",
		"EVERGATE_LOG_FORMAT=json", "EVERGATE_CA_DIR=memory:", "EVERGATE_UPSTREAM_URL=" + server.URL, "EVERGATE_UPSTREAM_CA_FILE=" + ca,
		"EVERGATE_TOKEN_WAIT=8s", "EVERGATE_MAX_RENEWALS=100000",
	}
}

// getenv is the environment of who reaches the store directly.
func (r *race) getenv(name string) string {
	for _, line := range r.Environ(r.Address) {
		if value, ok := strings.CutPrefix(line, name+"="); ok {
			return value
		}
	}
	return os.Getenv(name)
}

// seed gives each shop a grant, as logins would.
func (r *race) seed() {
	r.t.Helper()
	key, err := envelope.ParseKey(storeKey)
	if err != nil {
		r.t.Fatal(err)
	}
	b, err := store.OpenBackend(store.Options{Spec: r.Store(r.Address), Keys: envelope.Keys{Current: key}, ClientID: shopsim.DefaultClientID, Getenv: r.getenv})
	if err != nil {
		r.t.Fatal(err)
	}
	defer b.Close()
	for _, name := range r.shops {
		shop, err := token.ParseShop(name)
		if err != nil {
			r.t.Fatal(err)
		}
		s, err := b.Shop(shop)
		if err != nil {
			r.t.Fatal(err)
		}
		access, refresh := r.sim.IssuePair(name, shopsim.DefaultClientID)
		now := time.Now()
		if _, err := s.Swap(r.t.Context(), "", token.Record{
			Shop: shop.Domain(), ClientID: shopsim.DefaultClientID, Grant: "offline", Epoch: "seed", Generation: 1, Writer: "the test",
			Current: token.Pair{Token: token.Token{Access: token.NewSecret(access), Issued: now, Life: life}, Refresh: token.NewSecret(refresh), RefreshExpires: now.AddDate(0, 0, 90)},
		}); err != nil {
			r.t.Fatal(err)
		}
	}
	r.sim.Inject(shopsim.Fault{Kind: shopsim.FaultDrop, Endpoint: shopsim.TokenEndpoint, Grant: shopsim.GrantRefresh, AfterCommit: true, Probability: lostAnswers})
	r.sim.OnAnswer(r.tokenAnswered)
}

// tokenAnswered counts the POSTs that were answered, and those of them that nobody needed: the pair before had not lived for half of its
// life.
func (r *race) tokenAnswered(e shopsim.Entry) {
	if e.Route != "token" || e.Status != http.StatusOK || e.Fault != "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.posts++
	now := time.Now()
	if before, ok := r.minted[e.Shop]; ok && now.Sub(before) < life/2 {
		r.early++
	}
	r.minted[e.Shop] = now
}

// call calls random shops at random replicas until ctx ends.
func (r *race) call(ctx context.Context) {
	for ctx.Err() == nil {
		name, p := r.shops[rand.IntN(len(r.shops))], r.replicas[rand.IntN(len(r.replicas))]
		life := p.current()
		if life == nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		began := time.Now()
		status, code, err := r.get(ctx, life.url+"/"+name+".myshopify.com/admin/api/2026-10/shop.json")
		r.calls.Add(1)
		switch {
		case ctx.Err() != nil || err != nil: // it was killed, or paused for too long
		case status == http.StatusOK:
		case code == "no_token" || code == "unknown_shop":
			r.refused.Add(1)
			if began.UnixNano() > r.away.Load() && !p.disturbedSince(began.Add(-2*lifeOfATrouble)) {
				r.fail(fmt.Sprintf("%s: %d %s", "for want of a token", status, code))
			}
		default:
			r.fail(fmt.Sprintf("%d %s", status, code))
		}
	}
}

// lifeOfATrouble is how long what was done to a replica may be felt there: its token may have ended meanwhile.
const lifeOfATrouble = life

func (r *race) fail(what string) {
	r.failed.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs[what]++
}

var client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 2 * callers}}

func (r *race) get(ctx context.Context, url string) (status int, code string, _ error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Header.Get("X-Evergate-Error"), err
}

// troubles are the next ten things that go wrong, so that none is left to chance.
func (r *race) troubles() []string {
	all := []string{"kill", "kill", "kill", "pause", "pause", "pause"}
	for range 2 {
		cut, store := "kill", "kill"
		if r.Address != "" {
			cut = "cut off"
		}
		if r.Disturb != nil {
			store = "store"
		}
		all = append(all, cut, store)
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// havoc has one thing after another go wrong.
func (r *race) havoc() {
	counts := map[string]int{}
	var troubles sync.WaitGroup
	part := r.Length / time.Duration(len(r.retries))
	var next []string
	for began := time.Now(); time.Since(began) < r.Length; {
		if len(next) == 0 {
			next = r.troubles()
		}
		retry := r.retries[min(int(time.Since(began)/part), len(r.retries)-1)]
		r.sim.Change(func(s *shopsim.Settings) { s.Retry = retry })
		p := r.replicas[rand.IntN(len(r.replicas))]
		what := next[0]
		next = next[1:]
		counts[what]++
		switch what {
		case "kill":
			troubles.Go(p.kill)
		case "pause":
			troubles.Go(func() { p.pause(time.Duration(rand.Int64N(int64(longestPause)))) })
		case "cut off":
			troubles.Go(func() { p.cutOff(time.Duration(rand.Int64N(int64(longestPause)))) })
		case "store":
			began := time.Now()
			r.away.Store(began.Add(time.Hour).UnixNano())
			r.Disturb()
			r.away.Store(time.Now().Add(2 * life).UnixNano())
		}
		time.Sleep(rest)
	}
	troubles.Wait()
	r.t.Logf("what went wrong: %v", counts)
}

// mustBeWhole holds what is true of every shop when all is well again.
func (r *race) mustBeWhole() {
	t := r.t
	t.Helper()
	for what, n := range r.errs {
		t.Errorf("%d calls failed: %s", n, what)
	}
	for _, name := range r.shops {
		p := r.replicas[rand.IntN(len(r.replicas))]
		process.Eventually(t, func() error {
			status, code, err := r.get(t.Context(), p.current().url+"/"+name+".myshopify.com/admin/api/2026-10/shop.json")
			if err == nil && status != http.StatusOK {
				err = fmt.Errorf("%s is lost: %d %s; Shopify honours what it handed out: %t\n%s", name, status, code, r.sim.ChainAlive(name, shopsim.DefaultClientID), r.toldOf(name))
			}
			return err
		})
	}
	for _, p := range r.replicas {
		for _, text := range p.told() {
			if strings.Contains(text, `"result":"reauthorize"`) {
				t.Errorf("a person was asked for by replica %d", p.number)
				break
			}
		}
	}
	r.mu.Lock() // replicas go on renewing
	defer r.mu.Unlock()
	share := float64(r.posts) / float64(max(1, r.posts-r.early))
	t.Logf("%d calls, %d of them without a token in trouble; %d token POSTs answered, %d of them early: %.3f for each that was needed",
		r.calls.Load(), r.refused.Load(), r.posts, r.early, share)
	if share > dearest {
		t.Errorf("%.3f token POSTs for each that was needed", share)
	}
}

// replica is one of the processes, in all of its lives.
type replica struct {
	r       *race
	number  int
	way     *way
	mu      sync.Mutex
	now     *alive
	busy    bool // something is being done to it
	trouble time.Time
	past    []*process.Process
}

// alive is one life of a replica.
type alive struct {
	*process.Process
	url string
}

func (r *race) newReplica(n int) *replica {
	p := &replica{r: r, number: n}
	if r.Address != "" {
		p.way = newWay(r.t, r.Address)
	}
	p.start()
	return p
}

func (p *replica) start() {
	address := ""
	if p.way != nil {
		address = p.way.address
	}
	c := process.Launch(p.r.t, process.Command(p.r.t, p.r.Binary, slices.Concat([]string{"EVERGATE_STORE=" + p.r.Store(address)}, p.r.Environ(address), p.r.environ), "serve"))
	p.r.t.Cleanup(c.Kill)
	a := &alive{c, "http://" + c.AwaitLog(p.r.t, "listening for tools").Address}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now, p.past = a, append(p.past, c)
}

// current is what can be called; nil: it is down.
func (p *replica) current() *alive {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

// take has one thing at a time done to a replica.
func (p *replica) take() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy {
		return false
	}
	p.busy, p.trouble = true, time.Now().Add(time.Hour)
	return true
}

func (p *replica) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy, p.trouble = false, time.Now()
}

// disturbedSince reports whether something was done to it after a moment.
func (p *replica) disturbedSince(moment time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.trouble.After(moment)
}

func (p *replica) kill() {
	if !p.take() {
		return
	}
	defer p.leave()
	p.mu.Lock()
	was := p.now
	p.now = nil
	p.mu.Unlock()
	was.Kill()
	p.start()
}

func (p *replica) pause(d time.Duration) {
	if !p.take() {
		return
	}
	defer p.leave()
	process := p.current().Cmd.Process
	_ = process.Signal(syscall.SIGSTOP)
	time.Sleep(d)
	_ = process.Signal(syscall.SIGCONT)
}

func (p *replica) cutOff(d time.Duration) {
	if !p.take() {
		return
	}
	defer p.leave()
	p.way.close()
	time.Sleep(d)
	p.way.open()
}

// toldOf is what the replicas have last said of a shop.
func (r *race) toldOf(name string) string {
	var lines []string
	for _, p := range r.replicas {
		for _, text := range p.told() {
			for line := range strings.Lines(text) {
				if strings.Contains(line, name+".") {
					lines = append(lines, fmt.Sprintf("replica %d: %s", p.number, line))
				}
			}
		}
	}
	return strings.Join(lines[max(0, len(lines)-30):], "")
}

func (p *replica) told() (all []string) {
	for _, c := range p.past {
		all = append(all, c.Err.String())
	}
	return all
}
