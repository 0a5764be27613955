package refresh

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"evergate/internal/clock"
	"evergate/internal/grant"
	"evergate/internal/shopify"
	"evergate/internal/shopsim"
	"evergate/internal/store"
	"evergate/internal/token"
)

// point is where a process can be made to die. Each is on one side of something that
// cannot be undone.
type point int

const (
	nowhere     point = iota
	beforeNote        // the note is not written
	afterNote         // the note is written, nothing was sent
	beforePost        // the request was sent and never arrives
	latePost          // the request arrives when its sender is long dead
	afterCommit       // Shopify has replaced the refresh token, the answer finds nobody
	beforePair        // the answer was read, the pair is not written
	afterPair         // the pair is written, its access token was never used
	points
)

func (p point) String() string {
	return [...]string{"nowhere", "before_note", "after_note", "before_post", "late_post", "after_commit", "before_pair", "after_pair"}[p]
}

var errCrashed = errors.New("this process is dead")

// process is one Evergate: a Source that runs, with its own ways to the store and to
// Shopify. When it dies, all of them end at once and nothing is cleaned up.
type process struct {
	w      *world
	name   string
	source *Source
	life   context.Context
	end    context.CancelFunc // of the life, at once
	stop   context.CancelFunc // in good order
	ended  chan struct{}      // Run has returned
	step   atomic.Int64       // of the wall clock
	// noteFailed says that the note could not be written under the present lease.
	noteFailed atomic.Bool

	mu    sync.Mutex
	dead  bool
	armed point
	late  time.Duration // how long after the death a latePost arrives
	held  token.Secret  // the refresh token of the last answer that it read

	revoked token.Secret // the access token that the API refused last

	good      token.Token // the last that Shopify's API took from it
	goodSince int64       // the wall clock's step then
}

func (w *world) startProcess(name string) *process {
	p := &process{w: w, name: name, ended: make(chan struct{})}
	p.life, p.end = context.WithCancel(context.Background())
	endpoint := &grant.Endpoint{
		API: &shopify.Client{Shop: w.shop, Base: &url.URL{Scheme: "https", Host: w.shop.Domain()}, Transport: wire{p}, UserAgent: "model"},
		Client: func() (grant.Client, error) {
			return grant.Client{ID: shopsim.DefaultClientID, Secret: token.NewSecret(w.secret())}, nil
		},
	}
	p.source = New(Options{
		Shop: w.shop, Obtainer: Rotating(grant.Offline{Endpoint: endpoint}, tap{p}, shopsim.DefaultClientID),
		Log: slog.New(slog.NewTextHandler(io.MultiWriter(w.trace, sentinelFinder{w}), nil)).With("process", name),
	})
	draw := rand.New(rand.NewPCG(w.seed, uint64(len(name))))
	p.source.draw = func() float64 { w.mu.Lock(); defer w.mu.Unlock(); return draw.Float64() }
	p.source.ahead = func() time.Duration { return time.Duration(p.step.Load()) }
	work, stop := context.WithCancel(p.life)
	p.stop = stop
	go func() { defer close(p.ended); p.source.Run(work) }()
	return p
}

func (p *process) isDead() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead
}

// crash ends the process like SIGKILL.
func (p *process) crash() {
	p.mu.Lock()
	p.dead = true
	p.mu.Unlock()
	p.end()
}

// arm makes the process die at a point that it may or may not come to.
func (p *process) arm(at point, late time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed, p.late = at, late
}

// reach reports whether the process is dead at this point, which may be its doing.
func (p *process) reach(at point) bool {
	p.mu.Lock()
	hit := !p.dead && p.armed == at
	p.mu.Unlock()
	if hit {
		p.w.saw("death " + at.String())
		p.crash()
	}
	return p.isDead()
}

// rest waits; false means that the process died meanwhile.
func (p *process) rest(d time.Duration) bool { return clock.Sleep(p.life, d) == nil && !p.isDead() }

// tap is a process's way to the store that all of them share.
type tap struct{ p *process }

func (s tap) Load(ctx context.Context) (token.Record, token.Handle, error) {
	if s.p.isDead() {
		return token.Record{}, "", errCrashed
	}
	if err := s.p.w.readFailure(); err != nil {
		return token.Record{}, "", err
	}
	return s.p.w.stored.Load(ctx)
}

func (s tap) Changed(ctx context.Context, old token.Handle) (bool, error) {
	if s.p.isDead() {
		return false, errCrashed
	}
	if err := s.p.w.readFailure(); err != nil {
		return false, err
	}
	return s.p.w.stored.Changed(ctx, old)
}

func (s tap) Lease(ctx context.Context) (func(), error) {
	ctx, cancel := context.WithCancel(ctx)
	defer context.AfterFunc(s.p.life, cancel)()
	defer cancel()
	release, err := s.p.w.stored.Lease(ctx)
	if err == nil {
		s.p.noteFailed.Store(false)
	}
	return release, err
}

func (s tap) Swap(ctx context.Context, old token.Handle, next token.Record) (token.Handle, error) {
	before, _, _ := s.p.w.stored.Load(ctx)
	kind := kindOf(before, next)
	handle, err := s.swap(ctx, old, before, next, kind)
	if kind == writesNote {
		s.p.noteFailed.Store(err != nil)
	}
	return handle, err
}

func (s tap) swap(ctx context.Context, old token.Handle, before, next token.Record, kind write) (token.Handle, error) {
	w, p := s.p.w, s.p
	if kind == writesNote && p.reach(beforeNote) || kind == writesPair && p.reach(beforePair) {
		return "", errCrashed
	}
	if kind == writesPair && p.holds(next.Current.Token.Access) && p.source.Status().Unsaved == nil {
		w.violate("%s published an access token before it was stored", p.name)
	}
	if !p.rest(time.Millisecond) {
		return "", errCrashed
	}
	if w.writesHang() {
		w.account(next.Current.Token.Access)
		select {
		case <-ctx.Done():
			return "", context.Cause(ctx)
		case <-p.life.Done():
			return "", errCrashed
		}
	}
	fails, tookEffect := w.writeFailure(kind)
	if fails != nil && !tookEffect {
		w.account(next.Current.Token.Access)
		return "", fails
	}
	handle, err := w.stored.Swap(ctx, old, next)
	if err != nil {
		return "", err
	}
	w.judgeSwap(p.name, before, next)
	if kind == writesNote && p.reach(afterNote) || kind == writesPair && p.reach(afterPair) {
		return "", errCrashed
	}
	return handle, fails
}

// holds reports whether the access token is the one that callers get.
func (p *process) holds(access token.Secret) bool {
	e := p.source.current.Load()
	return e != nil && e.token.Access.Equal(access)
}

// wire is a process's way to Shopify's token endpoint.
type wire struct{ p *process }

func (t wire) RoundTrip(req *http.Request) (*http.Response, error) {
	p, w := t.p, t.p.w
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	w.judgePost(p, form.Get("refresh_token"))
	defer w.leave(p)
	if p.reach(beforePost) {
		return nil, errCrashed
	}
	if p.reach(latePost) || !p.rest(w.latency()) {
		go w.arriveLate(req, body, p.late)
		return nil, errCrashed
	}
	status, header, answer, err := w.send(req, body)
	if p.reach(afterCommit) || !p.rest(w.latency()) {
		return nil, errCrashed
	}
	if err != nil {
		return nil, err
	}
	p.remember(form.Get("refresh_token"), status, answer)
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(bytes.NewReader(answer)), Request: req}, nil
}

// send delivers a request to Shopify and reads the whole answer.
func (w *world) send(req *http.Request, body []byte) (int, http.Header, []byte, error) {
	req.Body = io.NopCloser(bytes.NewReader(body))
	resp, err := w.sim.RoundTripper().RoundTrip(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, answer, err
}

// arriveLate is what becomes of a request whose sender died with it on the way.
func (w *world) arriveLate(req *http.Request, body []byte, after time.Duration) {
	timer := time.NewTimer(after)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.over:
		return
	}
	w.saw("late arrival")
	_, _, _, _ = w.send(req.Clone(context.Background()), body) // nobody is left to care
}

// remember notes what an answer that was read says about refresh tokens.
func (p *process) remember(sent string, status int, answer []byte) {
	var v struct {
		Refresh string `json:"refresh_token"`
	}
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	switch {
	case status == http.StatusOK && json.Unmarshal(answer, &v) == nil && v.Refresh != "":
		p.w.broughtBy[v.Refresh] = sent
		p.mu.Lock()
		p.held = token.NewSecret(v.Refresh)
		p.mu.Unlock()
	case strings.Contains(string(answer), "active refresh_token") || strings.Contains(string(answer), "invalid_grant"):
		p.w.refused[sent] = true
	}
}

// login is a person who authorises the app anew, as the command does it.
func (w *world) login(ctx context.Context) error {
	endpoint := &grant.Endpoint{
		API: &shopify.Client{Shop: w.shop, Base: &url.URL{Scheme: "https", Host: w.shop.Domain()}, Transport: w.sim.RoundTripper(), UserAgent: "model"},
		Client: func() (grant.Client, error) {
			return grant.Client{ID: shopsim.DefaultClientID, Secret: token.NewSecret(w.newest)}, nil
		},
	}
	return store.Replace(ctx, w.stored, func(token.Record) (token.Record, error) {
		code := w.sim.IssueCode(w.shop.Domain(), shopsim.DefaultClientID)
		pair, err := (grant.Offline{Endpoint: endpoint}).ExchangeCode(ctx, token.NewSecret(code), true)
		w.account(pair.Token.Access)
		return w.recordOf(pair), err
	})
}

// isGone reports whether it has died or was stopped.
func (p *process) isGone() bool { return p.life.Err() != nil }

// wasRefused reports whether the API has refused the access token.
func (p *process) wasRefused(access token.Secret) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.revoked.Equal(access)
}

func (p *process) willDie() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.armed != nowhere
}
