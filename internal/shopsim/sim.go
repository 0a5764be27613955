package shopsim

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"
)

// maxBody bounds what is read of a request. It is far above anything that the
// simulated endpoints accept.
const maxBody = 16 << 20

// Sim is a simulated Shopify. Its methods may be called at any time, from any
// goroutine. Methods that take a shop accept "acme" and "acme.myshopify.com",
// and "" for the first one; those that take a client id accept "" for the first
// app. An unknown shop or app is a mistake in the test and panics.
type Sim struct {
	opts Options

	mu    sync.Mutex
	state *state
	hooks []func(TokenEvent)

	onAnswer []func(Entry)

	epoch time.Time
	seen  int       // requests, since the report was cleared
	found []Finding // by conduct
}

// state is everything that Reset brings back to the beginning.
type state struct {
	rng      *rand.Rand
	settings Settings
	shops    map[string]*shop // by myshopify domain
	custom   map[string]*shop // by custom domain
	apps     map[string]*app  // by client id
	tokens   map[string]*token
	sweepAt  int // number of tokens at which expired ones are forgotten
	codes    map[string]code
	chains   map[grantKey]*chain
	refresh  map[string]*refreshToken
	migrated map[string]migration // by the token that was given up
	faults   []*armedFault
	faultSeq int
	journal  journal
	writes   []Write
	files    map[string]*stagedFile // by path
	stats    stats
	memos    map[string]*memo
	given    map[*fixtureReply]int // how often
}

// New returns a simulator. It panics on options that Validate refuses.
func New(o Options) *Sim {
	if err := o.Validate(); err != nil {
		panic(fmt.Sprintf("shopsim: %v", err))
	}
	s := &Sim{opts: o.withDefaults(), epoch: time.Now(), found: make([]Finding, conducts)}
	s.state = newState(s.opts)
	return s
}

func newState(o Options) *state {
	seed := o.Seed
	if seed == 0 {
		seed = rand.Uint64()
	}
	st := &state{
		rng:      rand.New(rand.NewPCG(seed, seed)),
		settings: o.Settings,
		shops:    map[string]*shop{},
		custom:   map[string]*shop{},
		apps:     map[string]*app{},
		tokens:   map[string]*token{},
		codes:    map[string]code{},
		chains:   map[grantKey]*chain{},
		refresh:  map[string]*refreshToken{},
		migrated: map[string]migration{},
		files:    map[string]*stagedFile{},
		sweepAt:  minSweep,
		journal:  newJournal(o.JournalSize, o.JournalBody),
		stats:    newStats(),
		memos:    map[string]*memo{},
		given:    map[*fixtureReply]int{},
	}
	for _, a := range o.Apps {
		st.apps[a.ClientID] = newApp(a)
	}
	for _, cfg := range o.Shops {
		sh := st.open(cfg, o.Fixtures)
		for _, d := range cfg.CustomDomains {
			st.custom[strings.ToLower(d)] = sh
		}
	}
	return st
}

// open makes a shop.
func (st *state) open(cfg Shop, f *Fixtures) *shop {
	sh := newShop(cfg, len(st.shops))
	_ = sh.applyFixtures(f) // which has succeeded when they were read
	st.shops[sh.domain] = sh
	for id := range st.apps {
		sh.installed[id] = !cfg.NotInstalled
	}
	return sh
}

// mostShops bounds what clients can make with AnyShop.
const mostShops = 1_000_000

// shopNamed finds the shop of a domain, or makes it if any name is a shop's; nil: there is none.
func (s *Sim) shopNamed(domain string) *shop {
	sh := s.state.shops[domain]
	if sh == nil && s.opts.AnyShop && len(s.state.shops) < mostShops && shopPattern().MatchString(domain) {
		cfg := s.opts.Shops[0]
		cfg.Domain, cfg.Name, cfg.CustomDomains = domain, "", nil
		sh = s.state.open(cfg, s.opts.Fixtures)
	}
	return sh
}

// Reset forgets everything that happened since New: tokens, products, faults,
// settings, counters, journal. Functions given to OnToken stay.
func (s *Sim) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = newState(s.opts)
}

// Settings returns the switches as they are now.
func (s *Sim) Settings() Settings {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.settings
}

// Change edits the settings in place: sim.Change(func(c *Settings) { c.Gzip = true }).
// A field set to zero takes its default. It panics if the result is invalid.
func (s *Sim) Change(edit func(*Settings)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.state.settings
	edit(&next)
	if err := next.Validate(); err != nil {
		panic(fmt.Sprintf("shopsim: %v", err))
	}
	s.state.settings = next.withDefaults()
}

// Handler returns the simulated Shopify as an http.Handler. The shop is the
// one that the Host header names.
func (s *Sim) Handler() http.Handler { return http.HandlerFunc(s.serve) }

// request is one request on its way through the simulator.
type request struct {
	*http.Request
	now   time.Time
	id    string // x-request-id of the answer
	body  []byte
	route route
	shop  *shop // nil if no shop answers to this host
	entry *Entry

	version string // of the API that serves it

	// Of a request to the token endpoint:
	grant     Grant
	params    params
	paramsErr error
	minted    *TokenEvent
	handed    *refreshToken // that is in the answer, if the answer is to arrive

	// Of a request to the API:
	operation string
	cost      int
	throttled bool
	restored  float64       // seconds until a throttled query fits
	at        time.Duration // now, as memos have it
	isWrite   bool          // it changes something, and each time that it is sent
	wrote     bool          // it did
	early     bool          // it came before its client was told to come again
}

// serve is the life of a request: receive, choose a fault, compute, note, deliver.
func (s *Sim) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		panic(http.ErrAbortHandler) // the client went away while sending, so there is no one to answer
	}
	q, f := s.receive(r, body)
	arrived := false
	defer func() {
		if !arrived {
			s.undeliver(q)
		}
	}()
	if !f.AfterCommit && !pause(r.Context(), f.Delay) {
		panic(http.ErrAbortHandler)
	}
	resp := f.before(q)
	if resp == nil {
		resp = f.after(q, s.process(q, f))
	}
	if !pause(r.Context(), resp.delay) {
		panic(http.ErrAbortHandler)
	}
	s.settle(q, resp)
	if f.AfterCommit && !pause(r.Context(), f.Delay) {
		panic(http.ErrAbortHandler)
	}
	f.deliver(w, r, resp)
	arrived = true
}

// isTokenPost tells whether the request asks for a token.
func (q *request) isTokenPost() bool {
	return q.route.name == routeToken && q.Method == http.MethodPost
}

// receive notes the request and decides which fault it meets, if any.
func (s *Sim) receive(r *http.Request, body []byte) (*request, Fault) {
	q := &request{Request: r, now: time.Now(), body: body, route: parseRoute(r.URL.Path)}
	if q.isTokenPost() {
		q.params, q.paramsErr = parseParams(r.Header.Get("Content-Type"), body)
		q.grant = q.params.grant()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q.id = s.state.requestID()
	q.shop = s.shopByHost(r.Host)
	q.entry = s.state.journal.add(q)
	s.arrives(q)
	f := s.state.pickFault(q)
	q.entry.Fault = f.Kind
	return q, f
}

// settle makes the outcome visible to Stats, Journal and the OnToken functions.
func (s *Sim) settle(q *request, resp *response) {
	s.mu.Lock()
	if resp.header != nil {
		resp.header.Set("Date", time.Now().Add(s.state.settings.ClockSkew).UTC().Format(http.TimeFormat))
	}
	q.entry.Status, q.entry.Operation, q.entry.Cost, q.entry.Throttled = resp.status, q.operation, q.cost, q.throttled
	s.state.stats.count(q, resp.status)
	s.answered(q, resp)
	hooks, onAnswer, entry := s.hooks, s.onAnswer, *q.entry
	s.mu.Unlock()
	for _, f := range onAnswer {
		f(entry)
	}
	if q.minted == nil {
		return
	}
	for _, f := range hooks {
		f(*q.minted)
	}
}

// process computes the answer and makes its effects happen.
func (s *Sim) process(q *request, f Fault) *response {
	s.mu.Lock()
	defer s.mu.Unlock()
	q.now = time.Now() // a fault may have delayed the request until now
	if len(q.body) > maxBody && (q.shop != nil || q.route.name == routeFiles) {
		return jsonErrors(http.StatusRequestEntityTooLarge, "Request body too large")
	}
	if s.state.settings.ExactTLS && q.TLS != nil && q.TLS.ServerName != "" && !strings.EqualFold(q.TLS.ServerName, hostName(q.Host)) {
		return misdirected()
	}
	if q.route.name == routeFiles {
		return s.serveFile(q)
	}
	if q.shop == nil {
		return s.unknownHost(q)
	}
	var resp *response
	switch q.route.name {
	case routeOther, routeToken, routeAuthorize:
		resp = s.canned(q, "", nil)
	}
	switch {
	case resp != nil:
	case q.route.name == routeOther:
		resp = htmlPage(http.StatusNotFound, "404 Not Found", "404", "Page not found")
	case q.route.name == routeToken:
		resp = s.tokenEndpoint(q, f)
	case q.route.name == routeAuthorize:
		resp = s.authorize(q)
	default:
		resp = s.api(q)
	}
	q.wrote = q.isWrite && resp.status/100 == 2
	s.decorate(q, resp)
	return resp
}
