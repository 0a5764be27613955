// Package sidecar wires the house together and runs it: it opens the way to Shopify and the
// store, makes what is needed for a shop, listens for tools and operators, tells the service
// manager how it fares, and ends so that no request is lost that can be answered and no token
// that Shopify has handed out.
//
// It reads no environment of its own and ends no process: whoever calls it passes both.
package sidecar

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"evergate/internal/access"
	"evergate/internal/admin"
	"evergate/internal/clock"
	"evergate/internal/config"
	"evergate/internal/guard"
	"evergate/internal/inject"
	"evergate/internal/limit"
	"evergate/internal/listen"
	"evergate/internal/login"
	"evergate/internal/metrics"
	"evergate/internal/pace"
	"evergate/internal/refresh"
	"evergate/internal/token"
	"evergate/internal/tracing"
	"evergate/internal/upstream"
)

const (
	// warmConnections are dialled ahead: one for the first call, one for the second.
	warmConnections = 2
	// ownConnections to Shopify are for the token and for checks, whatever the tools do.
	ownConnections = 8

	headerTimeout   = 10 * time.Second // a header that never ends is cut off
	clientIdle      = 2 * time.Minute
	clientSilence   = 20 * time.Millisecond // then a connection that waits costs less; see internal/idle
	largestHeader   = 128 << 10
	adminDrain      = time.Second // scrapes and probes are short
	adminAnswerTime = 30 * time.Second
)

// Build says which build of Evergate this is.
type Build struct{ Version, Commit string }

// UserAgent is what we call ourselves at Shopify.
func (b Build) UserAgent() string { return "Evergate/" + b.Version }

// Sidecar is everything that `serve`, `run` and `demo` have in common.
type Sidecar struct {
	cfg       *config.Config
	access    *access.Access
	log       Logger
	source    *refresh.Source
	transport *upstream.Transport
	alive     func(context.Context, token.Secret) (bool, error)
	made      time.Time
	history   *admin.History
	pace      *pace.Pacer     // nil when it is off
	tracer    *tracing.Tracer // nil when it is off
	// notice is what Shopify said that a person must act on; see retired.
	notice atomic.Pointer[string]
	login  *login.Flow // nil when the grant needs no login

	proxy, admin *http.Server
	listeners    []listen.Opened // for tools
	adminOn      []listen.Opened // for operators
	merchants    *http.Server    // nil: there is no login for a merchant elsewhere
	merchantsOn  []listen.Opened
	manager      manager
	accepting    sync.WaitGroup // the loops that accept tools' connections
	pending      pending
	limits       limits

	quit     chan struct{} // closed by POST /-/quit
	quitOnce sync.Once
	stopping atomic.Bool
	reread   chan struct{} // see Reread
}

// Assemble makes a sidecar for `serve` and `run`.
func Assemble(settings Settings, log Logger, environ []string, build Build) (*Sidecar, error) {
	m, err := newManager(environ)
	if err != nil {
		return nil, err
	}
	c, err := Connect(settings.Config, environ, build)
	if err != nil {
		return nil, err
	}
	logWarnings(c.Config, log.Logger)
	if via, err := c.Transport.Via(); err == nil && via.URL != nil {
		log.Info("the way to Shopify leads through a proxy", "proxy", via.Name(), "setting", via.Setting)
	}
	ctx, cancel := context.WithTimeout(context.Background(), StoreWait)
	defer cancel()
	if err := c.seed(ctx); err != nil {
		return nil, fmt.Errorf("the grant cannot be begun with SHOPIFY_REFRESH_TOKEN: %w", err)
	}
	s, err := New(c, settings.Access, log, config.Getenv(environ))
	if err != nil {
		return nil, err
	}
	s.manager = m
	return s, nil
}

// New wires the house together. It opens no listener yet. getenv is for what others have
// standardised.
func New(c *Connection, who *access.Access, log Logger, getenv func(string) string) (*Sidecar, error) {
	cfg := c.Config
	s := &Sidecar{cfg: cfg, access: who, log: log, transport: c.Transport, alive: c.alive, made: time.Now(), quit: make(chan struct{}), reread: make(chan struct{}, 1)}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	met := metrics.New(registry, c.Build.Version, c.Build.Commit, runtime.Version())

	door, err := guard.NewDoor(guard.Options{Shop: cfg.Shop, AllowedHosts: cfg.AllowedHosts, TrustedProxies: cfg.Proxies, Access: who})
	if err != nil {
		return nil, err // config.Load has tried it
	}
	if s.tracer, err = openTracer(getenv, log.Logger, c.Build.Version); err != nil {
		return nil, err
	}
	c.Endpoint.ClockSkew = met.ClockSkew
	s.source = c.newSource(log.Logger, met)
	met.RegisterLog(registry, log.dropped)
	met.RegisterTokens(registry, s.tokenStates)
	s.pace = newPacer(cfg, met)
	met.RegisterBuckets(registry, s.bucketStates)
	s.limits = newLimits(c.limits)
	met.RegisterLimits(registry, s.limits.connectionStates, s.limits.memoryState)

	errorLog := slog.NewLogLogger(log.Handler(), slog.LevelWarn)
	s.proxy = &http.Server{
		Handler: inject.New(inject.Options{
			Shop: cfg.Shop, Base: cfg.Base, Door: door, Tokens: s.source, Transport: s.transport,
			Pace: s.pace, ReplayBuffer: int64(cfg.ReplayBuffer), Memory: s.limits.memory, Metrics: met, Log: log.Logger, PermanentRetired: s.retired,
			Access: accessLog(cfg, log.Logger), Tracer: s.tracer,
		}),
		ReadHeaderTimeout: headerTimeout, IdleTimeout: clientIdle, MaxHeaderBytes: largestHeader, ErrorLog: errorLog,
		DisableGeneralOptionsHandler: true, // the door judges OPTIONS * like everything else
		ConnState:                    s.connState,
		BaseContext:                  who.BaseContext, ConnContext: s.connContext,
	}
	s.history = admin.NewHistory(registry)
	operators := admin.Options{
		Tokens: s.source, Door: door, Gatherer: registry, History: s.history, Quit: s.beginQuit, Stopping: s.stopping.Load, Version: c.Build.Version,
		Notice: s.said, LogLevel: log.setLevel, MayCommand: who.MayCommand,
	}
	s.mountLogin(c, &operators, errorLog)
	s.admin = &http.Server{
		Handler:           admin.New(operators),
		ReadHeaderTimeout: headerTimeout, ReadTimeout: headerTimeout, WriteTimeout: adminAnswerTime + headerTimeout,
		IdleTimeout: clientIdle, MaxHeaderBytes: largestHeader, ErrorLog: errorLog, ConnState: limit.State,
		BaseContext: who.BaseContext, ConnContext: who.ConnContext,
	}
	return s, nil
}

// retired is told that Shopify does not accept tokens any more that do not expire. It is
// said once; every request would say it otherwise.
func (s *Sidecar) retired() {
	const notice = "Shopify no longer accepts tokens that do not expire from this app: run `evergate token migrate`, or log in again with `evergate login`"
	text := notice
	if s.notice.CompareAndSwap(nil, &text) {
		s.log.Error(notice, "shop", s.cfg.Shop.Domain())
	}
}

// said is the notice for people; empty while there is none.
func (s *Sidecar) said() string {
	broken := s.access.Broken()
	if n := s.notice.Load(); n != nil {
		return strings.TrimSpace(*n + "\n" + broken)
	}
	return broken
}

// tokenStates translates the source's status for the metrics, which know nobody.
func (s *Sidecar) tokenStates() []metrics.TokenState {
	st := s.source.Status()
	return []metrics.TokenState{{
		Shop: st.Shop, Present: !st.Issued.IsZero(), Usable: st.Usable, Age: st.Age, Issued: st.Issued, Expires: st.Expires,
		RefreshExpires: st.RefreshExpires, Reauthorize: st.Reauthorize, Failing: st.Failing,
	}}
}

// Reread has the files read now that are otherwise looked at every few seconds, or when they are needed:
// policy, keys, certificates, and the secrets if Shopify has to be asked again. A mistake in one of
// them changes nothing and is logged.
func (s *Sidecar) Reread() {
	s.log.Info("reading the files again")
	s.source.Reread()
	select {
	case s.reread <- struct{}{}:
	default: // it will be done
	}
}

func (s *Sidecar) beginQuit() { s.quitOnce.Do(func() { close(s.quit) }) }

// errForced says that the end did not wait for the requests under way.
var errForced = errors.New("ended before every request was answered")

// Serve runs until begin, POST /-/quit or a failure, and then shuts down cleanly; force
// ends that at once. Listen must have succeeded.
func (s *Sidecar) Serve(begin, force <-chan struct{}) error {
	work, stopWork := context.WithCancel(context.Background())
	defer stopWork()
	var background sync.WaitGroup
	background.Go(func() { s.source.Run(work) })
	background.Go(func() { s.transport.KeepWarm(work) })
	background.Go(func() { s.history.Run(work) })
	background.Go(func() { s.access.Watch(work, s.log.Logger, s.reread) })
	background.Go(func() { s.tellManager(work) })
	if s.login != nil {
		background.Go(func() { <-work.Done(); s.login.Close() })
	}

	failed := make(chan error, len(s.listeners)+len(s.adminOn)+len(s.merchantsOn))
	for _, l := range s.listeners {
		s.accepting.Go(func() { failed <- s.proxy.Serve(l.Listener) })
	}
	for _, l := range s.adminOn {
		go func() { failed <- s.admin.Serve(access.ForOperators(l.Listener)) }()
	}
	for _, l := range s.merchantsOn {
		go func() { failed <- s.merchants.Serve(s.limits.merchants.Wrap(l.Listener)) }()
	}

	var err error
	select {
	case <-begin:
	case <-s.quit:
	case err = <-failed:
		err = fmt.Errorf("a listener failed: %w", err)
	}
	s.stopping.Store(true)
	s.told(s.manager.notify.Stopping())
	if err == nil {
		s.log.Info("shutting down", "delay", s.cfg.ShutdownDelay.String(), "timeout", s.cfg.ShutdownTimeout.String())
		err = s.drain(force)
	}
	stopWork()
	// A token that Shopify has handed out is not thrown away for impatience: only force ends this wait.
	if !waitFor(&background, force) {
		err = errForced
	}
	s.close()
	return err
}

// drain goes on accepting for ShutdownDelay, or until someone says by POST /-/quit that
// nobody will call any more, and then lets the requests under way end.
func (s *Sidecar) drain(force <-chan struct{}) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-force:
			cancel()
		case <-ctx.Done():
		}
	}()
	delay, endDelay := context.WithCancel(ctx)
	defer endDelay()
	go func() {
		select {
		case <-s.quit:
			endDelay()
		case <-delay.Done():
		}
	}()
	if clock.Sleep(delay, s.cfg.ShutdownDelay) != nil && ctx.Err() != nil {
		return errForced
	}
	limited, stop := context.WithTimeout(ctx, s.cfg.ShutdownTimeout)
	defer stop()
	s.closeListeners()
	waitFor(&s.accepting, limited.Done())
	s.pending.heard(limited)
	if err := s.proxy.Shutdown(limited); err != nil {
		_ = s.proxy.Close()
		return errForced
	}
	return nil
}

func (s *Sidecar) close() {
	_ = s.proxy.Close()
	ctx, cancel := context.WithTimeout(context.Background(), adminDrain)
	defer cancel()
	for _, server := range []*http.Server{s.merchants, s.admin} {
		if server != nil && server.Shutdown(ctx) != nil {
			_ = server.Close()
		}
	}
	s.transport.CloseIdleConnections()
	if err := s.tracer.Close(); err != nil {
		s.log.Warn("the last spans could not be sent", "err", err)
	}
}

// waitFor reports false if force came first.
func waitFor(group *sync.WaitGroup, force <-chan struct{}) bool {
	done := make(chan struct{})
	go func() { group.Wait(); close(done) }()
	select {
	case <-done:
		return true
	case <-force:
		return false
	}
}

// ProveToken asks Shopify whether it takes the token, unless it has just handed it out. If not,
// another one is obtained; the error says that there is none. It is for `run`: its
// command would otherwise meet a 401 with every call.
func (s *Sidecar) ProveToken(ctx context.Context) error {
	t, err := s.source.Token(ctx)
	if err != nil || t.Expires() && t.Issued.After(s.made) {
		return err
	}
	if alive, err := s.alive(ctx, t.Access); alive || err != nil {
		return nil // what is not known is no reason to stop
	}
	if _, err := s.source.Replace(ctx, t); err == nil || !errors.Is(err, refresh.ErrRefused) {
		return err
	}
	if err := s.source.Status().Err; err != nil {
		return err
	}
	return fmt.Errorf("%s does not accept the token: it was revoked, or the app was uninstalled: obtain another one, for example with `evergate login`", s.cfg.Shop)
}

// WaitForToken waits for the first token; it is for `run`, which starts its command after
// it. What only a person can mend is not waited for.
func (s *Sidecar) WaitForToken(ctx context.Context) error {
	for {
		_, err := s.source.Token(ctx)
		var unavailable *token.UnavailableError
		if err == nil || !errors.As(err, &unavailable) || errors.Is(err, token.ErrConfig) || errors.Is(err, token.ErrReauthorize) {
			return err
		}
		if clock.Sleep(ctx, max(unavailable.RetryAfter, 10*time.Millisecond)) != nil {
			return err
		}
	}
}
