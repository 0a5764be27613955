// Package race has replicas of the real binary share the refresh chains of many shops while everything around them fails, and
// holds that no chain is ever broken, and, as far as the machine allows to tell, that no call is refused for want of a token while there has to be one. The tests of each shared
// store run it.
package race

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
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
	// rest is the least time between two things that go wrong.
	rest = 1500 * time.Millisecond
	// longestPause is several times a lease.
	longestPause = 9 * time.Second
	// dearest is how many token POSTs there may be for each that is needed.
	dearest = 1.05
	// fewAtOnce and mostAtOnce are how many of the POSTs, and which share of them, may be made at once, which nothing but a lease prevents: for a replica that
	// waits for a processor between its look at the lease and its POST. Without leases the share was 0.12.
	fewAtOnce, mostAtOnce = 2, 0.005
	// mostExcused is the greatest share of the POSTs that may come early because the store, or a replica, was not there.
	mostExcused = 0.1
	// mostLost is how many pairs of a shop go with one absence of the store: what it had not passed on, and what could not be written until its successor
	// was found.
	mostLost = 2
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
	// Mend does what is left to do then, before the store can be disturbed again; nil: nothing.
	Mend func()
	// Loses says that the store, when it is disturbed, may lose what it was told last. A pair that is lost so has to be made again.
	Loses bool
	// Lease is the term of a lease where tokens live as long as they do here. Zero: a second.
	Lease time.Duration
	// Hears is the longest pause before a replica that could not reach the store tries again to be told of changes, and before it finds the successor of one
	// that Loses. Zero: two seconds.
	Hears time.Duration
	// Environ is what a replica that reaches the store at an address needs beside that; nil: nothing.
	Environ func(address string) []string
	// Length is how long things go wrong, and LengthOfAll where everything is tested: process.Everything. EVERGATE_RACE_LENGTH is
	// stronger than both. Zero: 40 seconds, and Length.
	Length, LengthOfAll time.Duration
	// LeastOwed is the least share of the calls to which a token has to be owed with EVERGATE_RACE_STRICT: too much trouble would excuse
	// everything. Zero: 0.45.
	LeastOwed float64
	// MostAmid is the greatest share of the calls to which a token is owed that may be refused amid trouble without EVERGATE_RACE_STRICT. Zero: any.
	MostAmid float64
	// Shops and Replicas are how many there are. Zero: 200 and 5.
	Shops, Replicas int
}

// race is one run.
type race struct {
	Options
	t        *testing.T
	retries  []shopsim.Retry
	sim      *shopsim.Sim
	tls      *tls.Config // of each replica's way to Shopify
	environ  []string
	shops    []string
	replicas []*replica

	tally tally
	// strict is EVERGATE_RACE_STRICT: each refusal has to be explained by what was away. Else one is excused by any trouble of the last ten
	// seconds as well, because on a machine that is busy, renewals that 20 % lost answers delay take longer than a token's rest.
	strict bool
	// away are the times in which the store was.
	away spans

	mu     sync.Mutex
	minted map[string][]mint // by domain: the pairs that were handed out and whose answer was not lost
	posts  int
	early  int // that came long before they were needed
	atOnce int // of those, that came while the lease of the one before had to have time left
	lost   int // that came as early, for a pair that the store may have lost
	gone   int // that came as early, because a replica stood still, was killed or was cut off
	again  map[loss]int
}

// mint is a pair that was handed out.
type mint struct {
	at time.Time
	to *replica // nil: the test itself had it stored
}

// Run runs the replicas, has things go wrong, and looks at the chains in the end.
func Run(t *testing.T, o Options) {
	t.Helper()
	if o.Length == 0 {
		o.Length = 40 * time.Second
	}
	if o.LengthOfAll != 0 && process.Everything() {
		o.Length = o.LengthOfAll
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
	if o.Mend == nil {
		o.Mend = func() {}
	}
	if o.Lease == 0 {
		o.Lease = time.Second
	}
	if o.LeastOwed == 0 {
		o.LeastOwed = 0.45
	}
	if o.Hears == 0 {
		o.Hears = 2 * time.Second
	}
	if o.Shops == 0 {
		o.Shops, o.Replicas = 200, 5
	}
	r := &race{Options: o, t: t, retries: retries(t), minted: map[string][]mint{}, again: map[loss]int{}, strict: os.Getenv("EVERGATE_RACE_STRICT") != ""}
	for i := range o.Shops {
		r.shops = append(r.shops, fmt.Sprintf("shop-%03d", i))
	}
	release, err := process.Alone() // a machine that stands still has no token renewed
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	r.shopify()
	r.seed()
	for i := range o.Replicas {
		r.replicas = append(r.replicas, r.newReplica(i))
	}
	for _, p := range r.replicas {
		p.start()
	}
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for _, p := range r.replicas {
		load.Go(func() { r.load(ctx, p) })
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
	authority, err := shopsim.NewCA()
	if err != nil {
		r.t.Fatal(err)
	}
	if r.tls, err = authority.ServerConfig(); err != nil {
		r.t.Fatal(err)
	}
	dir := r.t.TempDir()
	ca, file := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "shops.yaml")
	text := fmt.Sprintf("defaults:\n  client_id: %s\n  client_secret: %s\nstored: true\n", shopsim.DefaultClientID, shopsim.DefaultClientSecret)
	for path, content := range map[string]string{ca: string(authority.PEM), file: text} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
	r.environ = []string{
		"EVERGATE_SHOPS_FILE=" + file, "EVERGATE_STORE_KEY=" + storeKey, "EVERGATE_LISTEN=127.0.0.1:0", "EVERGATE_ADMIN_LISTEN=127.0.0.1:0",
		"EVERGATE_LOG_FORMAT=json", "EVERGATE_CA_DIR=memory:", "EVERGATE_UPSTREAM_CA_FILE=" + ca,
		"EVERGATE_MAX_RENEWALS=100000",
	}
}

// replicaHeader names the replica that a request came from. Its way to Shopify adds it.
const replicaHeader = "Race-Replica"

// wayToShopify is where a replica reaches Shopify, and no other does.
func (r *race) wayToShopify(number int) (url string) {
	r.t.Helper()
	shopify := r.sim.Handler()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		req.Header.Set(replicaHeader, strconv.Itoa(number))
		shopify.ServeHTTP(w, req)
	}))
	server.TLS, server.Config.ErrorLog = r.tls.Clone(), log.New(io.Discard, "", 0)
	server.StartTLS()
	r.t.Cleanup(server.Close)
	return server.URL
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
		r.minted[shop.Domain()] = []mint{{at: now}}
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
// life, the store had not lost it, and who had it was there.
func (r *race) tokenAnswered(e shopsim.Entry) {
	if e.Route != "token" || e.Status != http.StatusOK || e.Fault != "" {
		return
	}
	number, err := strconv.Atoi(e.Header.Get(replicaHeader))
	if err != nil {
		panic("a request of no replica: " + err.Error())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.posts++
	now := mint{at: time.Now(), to: r.replicas[number]}
	all := r.minted[e.Shop]
	if last := all[len(all)-1]; now.at.Sub(last.at) < life/2 {
		switch {
		case r.mayBeLost(e.Shop, last, now):
			r.lost++
		case r.mayBeGone(e.Shop, last, now):
			r.gone++
		default:
			r.early++
			if r.atOnceWith(last, now) {
				r.atOnce++
			}
		}
	}
	r.minted[e.Shop] = append(all, now)
}

// mayBeLost reports whether the store may have lost the pair before: because it was away in between, or had been away so short a time before that who made
// the pair had not found its successor, and not for the third time in one absence. Its successor keeps POSTs apart from the beginning. The lock is held.
func (r *race) mayBeLost(shop string, last, now mint) bool {
	since := last.at
	if !r.atOnceWith(last, now) {
		since = since.Add(-r.Hears)
	}
	return r.Loses && r.excuses(loss{shop, &r.away, r.away.between(since, now.at)}, mostLost)
}

// atOnceWith reports whether a POST came while the lease of the one before had to have time left: half of it, or that one had not begun.
func (r *race) atOnceWith(last, now mint) bool { return now.at.Sub(last.at) < r.Lease/2 }

// mayBeGone reports whether the pair before, which only who made it knew, is not in the store because that replica was not there when it was to store it; its
// lease lasted on. Or whether one of the two stood still when it had the right to POST, and used it when it had lost it. It is so once at most each time. The
// lock is held.
func (r *race) mayBeGone(shop string, last, now mint) bool {
	if p := last.to; p != nil {
		if r.excuses(loss{shop, &p.still, p.still.pause(last.at.Add(-r.Lease), last.at)}, 1) {
			return true
		}
		stored := last.at.Add(r.Lease)
		if stored.After(now.at) {
			stored = now.at
		}
		if !r.atOnceWith(last, now) &&
			(r.excuses(loss{shop, &p.still, p.still.between(last.at, stored)}, 1) || r.excuses(loss{shop, &p.cut, p.cut.between(last.at, stored)}, 1)) {
			return true
		}
	}
	p := now.to
	return r.excuses(loss{shop, &p.still, p.still.pause(now.at.Add(-r.Lease), now.at)}, 1)
}

// excuses counts what an absence, if there was one, explains, and reports whether it was no more than so many times. The lock is held.
func (r *race) excuses(l loss, most int) bool {
	if l.absence < 0 {
		return false
	}
	r.again[l]++
	return r.again[l] <= most
}

// loss is what may not be in the store of a shop because something was away once.
type loss struct {
	shop    string
	of      *spans
	absence int
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
			store = theStore
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
		calm := rest
		switch what {
		case "kill":
			troubles.Go(p.kill)
		case "pause":
			troubles.Go(func() { p.pause(time.Duration(rand.Int64N(int64(longestPause)))) })
		case "cut off":
			troubles.Go(func() { p.cutOff(time.Duration(rand.Int64N(int64(longestPause)))) })
		case theStore:
			away := r.disturbStore()
			if calm = max(calm, away); r.strict {
				calm += away // until all have what they need again, and then as long
			}
		}
		time.Sleep(calm)
	}
	troubles.Wait()
	r.t.Logf("what went wrong in %s: %v", r.Length, counts)
}

// disturbStore returns for how long the store was away. All replicas were, so they are to have calm after it, or on a slow machine there would be none.
func (r *race) disturbStore() time.Duration {
	began, back := time.Now(), r.away.begin(theStore)
	r.Disturb()
	back()
	away := time.Since(began)
	r.Mend()
	return away
}

// mustBeWhole holds what is true of every shop when all is well again.
func (r *race) mustBeWhole() {
	t := r.t
	t.Helper()
	for what, n := range r.tally.failures {
		t.Errorf("%d calls failed: %s", n, what)
	}
	for _, text := range r.tally.examples {
		t.Log(text)
	}
	for _, name := range r.shops {
		p := r.replicas[rand.IntN(len(r.replicas))]
		process.Eventually(t, func() error {
			got, err := r.get(t.Context(), p.current().url+"/"+name+".myshopify.com/admin/api/2026-10/shop.json")
			if err == nil && got.status != http.StatusOK {
				err = fmt.Errorf("%s is lost: %s; Shopify honours what it handed out: %t\n%s", name, got, r.sim.ChainAlive(name, shopsim.DefaultClientID), r.toldOf(name))
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
	if n, owed := r.tally.amid.Load(), r.tally.owed.Load(); r.MostAmid > 0 && float64(n) > r.MostAmid*float64(owed) {
		t.Errorf("%d of %d calls to which a token was owed were refused, amid trouble: more than a busy machine explains", n, owed)
	} else if n > 0 {
		t.Logf("%d calls to which a token was owed were refused amid trouble, %d of them by a replica that stood still; the others fail with EVERGATE_RACE_STRICT=1, on a machine that is not busy", n, r.tally.stood.Load())
	}
	share := float64(r.posts) / float64(max(1, r.posts-r.early))
	t.Logf("%d calls were due and %d answered, %d of them without a token; %d token POSTs answered, %d of them early (%d at once), %d for what the store may have lost and %d for what a replica did not store or asked for too late because it was not there: %.3f for each that was needed",
		r.tally.due.Load(), r.tally.answered.Load(), r.tally.refused.Load(), r.posts, r.early, r.atOnce, r.lost, r.gone, share)
	if share := r.tally.share(); r.strict && share < r.LeastOwed {
		t.Errorf("a token was owed to %.1f %% of the calls alone, so little is proven", 100*share)
	}
	t.Logf("a token was owed to %.1f %% of the calls that were due; the longest of those took %s", 100*r.tally.share(), r.tally.longest)
	if share > dearest {
		t.Errorf("%.3f token POSTs for each that was needed", share)
	}
	if share := float64(r.lost+r.gone) / float64(max(1, r.posts)); share > mostExcused {
		t.Errorf("%.1f %% of the token POSTs came early because something was not there", 100*share)
	}
	if share := float64(r.atOnce) / float64(max(1, r.posts)); r.atOnce > fewAtOnce && share > mostAtOnce {
		t.Errorf("%.1f %% of the token POSTs were made at once: a lease did not keep them apart", 100*share)
	}
}
