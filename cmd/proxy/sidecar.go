package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"evergate/internal/admin"
	"evergate/internal/clock"
	"evergate/internal/config"
	"evergate/internal/guard"
	"evergate/internal/idle"
	"evergate/internal/inject"
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

	headerTimeout   = 10 * time.Second // a header that never ends is cut off
	clientIdle      = 2 * time.Minute
	clientSilence   = 20 * time.Millisecond // then a connection that waits costs less; see internal/idle
	largestHeader   = 128 << 10
	adminDrain      = time.Second // scrapes and probes are short
	adminAnswerTime = 30 * time.Second
)

// sidecar is everything that `serve`, `run` and `demo` have in common.
type sidecar struct {
	cfg       *config.Config
	log       logger
	source    *refresh.Source
	transport *upstream.Transport
	history   *admin.History
	pace      *pace.Pacer     // nil when it is off
	tracer    *tracing.Tracer // nil when it is off
	// notice is what Shopify said that a person must act on; see retired.
	notice atomic.Pointer[string]
	login  *login.Flow // nil when the grant needs no login

	proxy, admin *http.Server
	listeners    []net.Listener
	adminOn      net.Listener
	manager      manager
	accepting    sync.WaitGroup // the loops that accept tools' connections
	newcomers    newcomers

	quit     chan struct{} // closed by POST /-/quit
	quitOnce sync.Once
	stopping atomic.Bool
}

// newSidecar wires the house together. It opens no listener yet. getenv is for what others
// have standardised.
func newSidecar(c *connection, log logger, getenv func(string) string) (*sidecar, error) {
	cfg := c.cfg
	s := &sidecar{cfg: cfg, log: log, transport: c.transport, quit: make(chan struct{})}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	met := metrics.New(registry, version, commitOrVCS(), runtime.Version())

	door, err := guard.NewDoor(guard.Options{Shop: cfg.Shop, AllowedHosts: cfg.AllowedHosts, Access: cfg.Access})
	if err != nil {
		return nil, err // config.Load has tried it
	}
	if s.tracer, err = openTracer(getenv, log.Logger); err != nil {
		return nil, err
	}
	c.endpoint.ClockSkew = met.ClockSkew
	s.source = c.newSource(log.Logger, met)
	met.RegisterTokens(registry, s.tokenStates)
	s.pace = newPacer(cfg, met)
	met.RegisterBuckets(registry, s.bucketStates)

	errorLog := slog.NewLogLogger(log.Handler(), slog.LevelWarn)
	s.proxy = &http.Server{
		Handler: inject.New(inject.Options{
			Shop: cfg.Shop, Base: cfg.Base, Door: door, Tokens: s.source, Transport: s.transport,
			Pace: s.pace, ReplayBuffer: int64(cfg.ReplayBuffer), Metrics: met, Log: log.Logger, PermanentRetired: s.retired,
			Access: accessLog(cfg, log.Logger), Tracer: s.tracer,
		}),
		ReadHeaderTimeout: headerTimeout, IdleTimeout: clientIdle, MaxHeaderBytes: largestHeader, ErrorLog: errorLog,
		DisableGeneralOptionsHandler: true, // the door judges OPTIONS * like everything else
		ConnState:                    func(c net.Conn, state http.ConnState) { idle.State(c, state); s.newcomers.state(c, state) },
		BaseContext:                  cfg.Access.BaseContext, ConnContext: cfg.Access.ConnContext,
	}
	s.history = admin.NewHistory(registry)
	operators := admin.Options{
		Tokens: s.source, Door: door, Gatherer: registry, History: s.history, Quit: s.beginQuit, Stopping: s.stopping.Load, Version: version,
		Notice: s.said, LogLevel: log.setLevel,
	}
	s.mountLogin(c, &operators)
	s.admin = &http.Server{
		Handler:           admin.New(operators),
		ReadHeaderTimeout: headerTimeout, ReadTimeout: headerTimeout, WriteTimeout: adminAnswerTime + headerTimeout,
		IdleTimeout: clientIdle, MaxHeaderBytes: largestHeader, ErrorLog: errorLog,
	}
	return s, nil
}

// retired is told that Shopify does not accept tokens any more that do not expire. It is
// said once; every request would say it otherwise.
func (s *sidecar) retired() {
	const notice = "Shopify no longer accepts tokens that do not expire from this app: run `evergate token migrate`, or log in again with `evergate login`"
	text := notice
	if s.notice.CompareAndSwap(nil, &text) {
		s.log.Error(notice, "shop", s.cfg.Shop.Domain())
	}
}

// said is the notice for people; empty while there is none.
func (s *sidecar) said() string {
	broken := s.cfg.Access.Broken()
	if n := s.notice.Load(); n != nil {
		return strings.TrimSpace(*n + "\n" + broken)
	}
	return broken
}

// tokenStates translates the source's status for the metrics, which know nobody.
func (s *sidecar) tokenStates() []metrics.TokenState {
	st := s.source.Status()
	return []metrics.TokenState{{
		Shop: st.Shop, Present: !st.Issued.IsZero(), Usable: st.Usable, Age: st.Age, Issued: st.Issued, Expires: st.Expires,
		RefreshExpires: st.RefreshExpires, Reauthorize: st.Reauthorize, Failing: st.Failing,
	}}
}

func (s *sidecar) beginQuit() { s.quitOnce.Do(func() { close(s.quit) }) }

// listen opens every listener, so that nobody who starts beside us is refused a
// connection; requests are answered with 503 until there is a token.
func (s *sidecar) listen(ctx context.Context) error {
	if err := s.adopt(); err != nil {
		return err
	}
	if len(s.listeners) == 0 {
		if err := s.listenForTools(ctx); err != nil {
			return err
		}
	}
	if s.adminOn != nil {
		return nil
	}
	l, err := guard.Listen(ctx, s.cfg.Admin)
	if err != nil {
		s.closeListeners()
		return fmt.Errorf("EVERGATE_ADMIN_LISTEN: %w", err)
	}
	s.adminOn = l
	s.log.Info("listening for operators", "address", l.Addr().String())
	return nil
}

func (s *sidecar) listenForTools(ctx context.Context) error {
	for _, a := range s.cfg.Listeners {
		l, err := s.cfg.Access.Listen(ctx, a, restful)
		if err != nil {
			s.closeListeners()
			return fmt.Errorf("EVERGATE_LISTEN: %w", err)
		}
		s.listeners = append(s.listeners, l)
		s.log.Info("listening for tools", "address", l.Addr().String(), "shop", s.cfg.Shop.Domain(), "grant", s.cfg.Grant)
	}
	return nil
}

// restful makes connections cheap that wait for their next request. One with TLS cannot be
// taken from the server and given back.
func restful(l net.Listener) net.Listener { return idle.Wrap(l, clientSilence) }

func (s *sidecar) closeListeners() {
	for _, l := range s.listeners {
		_ = l.Close()
	}
}

// url is the address for tools: the first listener's.
func (s *sidecar) url() string {
	url := urlOf(s.listeners[0])
	if len(s.manager.sockets) == 0 && s.cfg.Listeners[0].TLS {
		url = strings.Replace(url, "http:", "https:", 1)
	}
	return url
}

func urlOf(l net.Listener) string {
	if l.Addr().Network() == "unix" {
		return "unix:" + l.Addr().String()
	}
	return "http://" + strings.Replace(l.Addr().String(), "[::]", "localhost", 1)
}

// errForced says that the end did not wait for the requests under way.
var errForced = errors.New("ended before every request was answered")

// serve runs until begin, POST /-/quit or a failure, and then shuts down cleanly; force
// ends that at once. listen must have succeeded.
func (s *sidecar) serve(begin, force <-chan struct{}) error {
	work, stopWork := context.WithCancel(context.Background())
	defer stopWork()
	var background sync.WaitGroup
	background.Go(func() { s.source.Run(work) })
	background.Go(func() { s.transport.KeepWarm(work) })
	background.Go(func() { s.history.Run(work) })
	background.Go(func() { s.cfg.Access.Watch(work, s.log.Logger) })
	background.Go(func() { s.tellManager(work) })
	if s.login != nil {
		background.Go(func() { <-work.Done(); s.login.Close() })
	}

	failed := make(chan error, len(s.listeners)+1)
	for _, l := range s.listeners {
		s.accepting.Go(func() { failed <- s.proxy.Serve(l) })
	}
	go func() { failed <- s.admin.Serve(s.adminOn) }()

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
func (s *sidecar) drain(force <-chan struct{}) error {
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
	s.newcomers.heard(limited)
	if err := s.proxy.Shutdown(limited); err != nil {
		_ = s.proxy.Close()
		return errForced
	}
	return nil
}

func (s *sidecar) close() {
	_ = s.proxy.Close()
	ctx, cancel := context.WithTimeout(context.Background(), adminDrain)
	defer cancel()
	if s.admin.Shutdown(ctx) != nil {
		_ = s.admin.Close()
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

// tokenNow waits for the first token; it is for `run`, which starts its command after it.
// What only a person can mend is not waited for.
func (s *sidecar) tokenNow(ctx context.Context) error {
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
