// Package sidecar puts the packages together and runs them: it opens the way to Shopify and the
// store, makes what is needed for a shop, listens for tools and operators, tells the service
// manager how it fares, and ends so that no request is lost that can be answered and no token
// that Shopify has handed out.
//
// It reads no environment of its own and ends no process: whoever calls it passes both.
package sidecar

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"evergate/internal/access"
	"evergate/internal/admin"
	"evergate/internal/config"
	"evergate/internal/front"
	"evergate/internal/guard"
	"evergate/internal/inject"
	"evergate/internal/listen"
	"evergate/internal/localca"
	"evergate/internal/metrics"
	"evergate/internal/token"
	"evergate/internal/tracing"
	"evergate/internal/tunnel"
)

// Build says which build of Evergate this is.
type Build struct {
	Version, Commit string
	// Program is how the command was called; empty: evergate.
	Program string
}

// UserAgent is what we call ourselves at Shopify.
func (b Build) UserAgent() string { return "Evergate/" + b.Version }

// Sidecar is everything that `serve`, `run` and `demo` have in common.
type Sidecar struct {
	cfg    *config.Config
	access *access.Access
	ca     *localca.Authority
	log    Logger
	app    *App
	served tenants
	shop   *shop // the only one that is served; nil: there may be more
	many   *many // nil: there is only one
	// admission is what every request has to pass.
	admission *guard.Admission
	history   *admin.History
	tracer    *tracing.Tracer // nil when it is off

	tunnels       *tunnel.Server
	admin         *http.Server
	handler       *inject.Handler
	tools         *front.Server   // before proxy
	listeners     []listen.Opened // for tools, beside shops' own
	own           ownListeners
	adminOn       []listen.Opened // for operators
	merchants     *http.Server    // nil: there is no login for a merchant elsewhere
	merchantsOn   []listen.Opened
	manager       manager
	accepting     sync.WaitGroup // the loops that accept tools' connections
	announcements []func()
	// acceptingInside is the one that accepts what is inside of their tunnels.
	acceptingInside sync.WaitGroup
	pending         pending
	limits          limits

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
	s, err := assemble(settings, log, environ, build)
	if err != nil {
		return nil, err
	}
	s.manager = m
	return s, nil
}

func assemble(settings Settings, log Logger, environ []string, build Build) (*Sidecar, error) {
	ctx, cancel := context.WithTimeout(context.Background(), StoreWait)
	defer cancel()
	if settings.directory.isFleet() {
		app, err := openApp(settings.Config, settings.directory, environ, build)
		if err != nil {
			return nil, err
		}
		sayWay(app, log)
		return wire(app, settings, log, config.Getenv(environ), func(s *Sidecar, met *metrics.Metrics) error {
			s.many = openFleet(app, settings.directory, met, log)
			s.many.edited = s.followFile
			s.served = s.many
			return nil
		})
	}
	in, err := OpenInstallation(settings.Config, environ, build)
	if err != nil {
		return nil, err
	}
	sayWay(in.App, log)
	if err := in.seed(ctx); err != nil {
		return nil, fmt.Errorf("the grant cannot be begun with SHOPIFY_REFRESH_TOKEN: %w", err)
	}
	return New(in, settings, log, config.Getenv(environ))
}

// sayWay logs what people should know of the settings, and of the way to Shopify.
func sayWay(app *App, log Logger) {
	logWarnings(app.Config, log.whole)
	if via, err := app.Transport.Via(); err == nil && via.URL != nil {
		log.Info("the way to Shopify leads through a proxy", "proxy", via.Name(), "setting", via.Setting)
	}
}

// New is a sidecar for one shop. It opens no listener yet. getenv is for what others have
// standardised.
func New(in *Installation, settings Settings, log Logger, getenv func(string) string) (*Sidecar, error) {
	return wire(in.App, settings, log, getenv, func(s *Sidecar, met *metrics.Metrics) (err error) {
		s.shop, err = newShop(in, met, log)
		s.served = s.shop
		return err
	})
}

// tenants are the shops that are served. All methods but run are safe for concurrent use.
type tenants interface {
	inject.Shops
	// run does the work of the background until ctx ends, and waits for what has begun.
	run(ctx context.Context)
	// reread has secrets and files read again now.
	reread()
	// notices are what a person must do or look at.
	notices() []admin.Notice
	tokenStates() []metrics.TokenState
	bucketStates() []metrics.BucketState
	// makeRoom has one give way of those that wait for a rate limit, if they are about that many.
	makeRoom(connections int) bool
	// started reports whether requests can be served, or could be once.
	started() bool
	// sentence says for people how it goes.
	sentence() string
}

// wire puts the rooms together. serve makes what serves the shops.
func wire(app *App, settings Settings, log Logger, getenv func(string) string, serve func(*Sidecar, *metrics.Metrics) error) (*Sidecar, error) {
	who := settings.Access
	s := &Sidecar{cfg: app.Config, app: app, access: who, ca: settings.CA, log: log, quit: make(chan struct{}), reread: make(chan struct{}, 1)}
	registry := prometheus.NewRegistry()
	s.ca.WarnTo(log.Logger)
	met := metrics.New(registry, app.Build.Version, app.Build.Commit, runtime.Version())

	var err error
	if s.admission, err = guard.New(guard.Options{
		Shops: settings.directory, AllowedHosts: app.Config.AllowedHosts, TrustedProxies: app.Config.Proxies, Tunnels: tunnelsOf(app.Config), Access: who,
	}); err != nil {
		return nil, err // config.Load has tried it
	}
	app.Transport.Resent = func() { met.Replayed(inject.Stalled) }
	if err = serve(s, met); err != nil {
		return nil, err
	}
	if s.tracer, err = openTracer(getenv, log.Logger, app.Build.Version); err != nil {
		return nil, err
	}
	met.RegisterLog(registry, log.dropped)
	met.RegisterTokens(registry, s.served.tokenStates)
	met.RegisterBuckets(registry, s.served.bucketStates)
	s.limits = newLimits(app.limits)
	s.limits.tools.OnCrowd(func() bool { return s.served.makeRoom(app.limits.Connections) })
	met.RegisterLimits(registry, s.limits.connectionStates, s.limits.memoryState)
	met.RegisterLocalCA(registry, s.ca.Ends)
	if s.many != nil {
		met.RegisterFleet(registry, s.many.state)
		met.RegisterStore(registry, s.many.care.unfit)
	} else if s.shop.care != nil {
		met.RegisterStore(registry, s.shop.care.unfit)
	}
	s.history = admin.NewHistory(registry, failuresOf(met))
	s.history.OnQuiet(s.rest)
	s.tunnels = s.newTunnels()

	errorLog := log.serverErrors()
	s.tools = s.serverForTools(met, errorLog)
	s.admin = s.serverForOperators(registry, met, app.Build, getenv, errorLog)
	s.merchants = s.serverForMerchants(errorLog)
	return s, nil
}

// certificateEndsSoon is when the end of a certificate is worth a warning.
const certificateEndsSoon = 14 * 24 * time.Hour

// notices are what a person must act on.
func (s *Sidecar) notices() []admin.Notice {
	all := append(s.served.notices(), s.ownNotices()...)
	if broken := s.access.Broken(); broken != "" {
		all = append(all, admin.Notice{Level: admin.LevelWarning, Code: admin.CodeFileNotInForce, Label: "File not in force", Text: broken, Whole: broken})
	}
	if ends, ok := s.access.CertificateEnds(); ok {
		all = append(all, certificateNotice(ends, time.Now())...)
	}
	return all
}

// certificateNotice says that the certificate of tls: listeners has to be followed by another. A file that is replaced is read again.
func certificateNotice(ends, now time.Time) []admin.Notice {
	n := admin.Notice{Level: admin.LevelWarning, Code: admin.CodeCertificateEnds, Label: "Certificate ends",
		Text: "the certificate in EVERGATE_TLS_CERT_FILE ends on " + ends.UTC().Format(time.DateOnly), Do: "put one that lasts into its place; it is read again by itself"}
	switch left := ends.Sub(now); {
	case left >= certificateEndsSoon:
		return nil
	case left <= 0:
		n.Level, n.Label = admin.LevelError, "Certificate ended"
		n.Text = "the certificate in EVERGATE_TLS_CERT_FILE ended on " + ends.UTC().Format(time.DateOnly) + ": tools refuse it"
	}
	n.Whole = n.Text + ": " + n.Do
	return []admin.Notice{n}
}

// Reread has the files read now that are otherwise looked at every few seconds, or when they are needed:
// policy, keys, certificates, and the secrets if Shopify has to be asked again. A mistake in one of
// them changes nothing and is logged.
func (s *Sidecar) Reread() {
	s.log.Info("reading the files again")
	s.served.reread()
	s.followFile() // with what could not be opened before
	select {
	case s.reread <- struct{}{}:
	default: // it will be done
	}
}

// ProveToken asks Shopify whether it takes the token of a shop, unless it has just handed it out. If not,
// another one is obtained; the error says that there is none. It is for `run`: its
// command would otherwise meet a 401 with every call.
func (s *Sidecar) ProveToken(ctx context.Context, shop token.Shop) error {
	one, err := s.meant(ctx, shop)
	if one == nil || err != nil {
		return err
	}
	return one.proveToken(ctx)
}

// WaitForToken waits for the first token of a shop; it is for `run`, which starts its command after
// it. What only a person can mend is not waited for.
func (s *Sidecar) WaitForToken(ctx context.Context, shop token.Shop) error {
	one, err := s.meant(ctx, shop)
	if one == nil || err != nil {
		return err
	}
	return one.waitForToken(ctx)
}

// meant is the one shop, or of many that which is named; nil: which the command will call is not known.
func (s *Sidecar) meant(ctx context.Context, named token.Shop) (*shop, error) {
	if s.many == nil || named.IsZero() {
		return s.shop, nil
	}
	return s.many.member(ctx, named)
}
