package sidecar

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"evergate/internal/admin"
	"evergate/internal/clock"
	"evergate/internal/config"
	"evergate/internal/denial"
	"evergate/internal/fleet"
	"evergate/internal/grant"
	"evergate/internal/guard"
	"evergate/internal/inject"
	"evergate/internal/login"
	"evergate/internal/metrics"
	"evergate/internal/pace"
	"evergate/internal/refresh"
	"evergate/internal/remedy"
	"evergate/internal/shopsfile"
	"evergate/internal/token"
)

// many are the shops of a fleet: those of a file, and those that have a grant in the store. What is kept of each is
// made at its first call.
type many struct {
	app   *App
	log   Logger
	quiet *slog.Logger // for what one shop says in its normal life
	met   *metrics.Metrics
	dir   *directory
	fleet *fleet.Fleet[*shop]
	paces *pace.Common
	// unexplained is shared: what an allowlist refuses it refuses to every shop.
	unexplained inject.Unexplained
	again       chan struct{} // the shops file is to be read now
	logins      *login.Shops  // nil: no shop's grant is kept
	failed      backOffs
	refused     atomic.Int64 // when it was last logged that a shop cannot be served; of clock.Mono; 0: never
	// edited is told of another state of the shops file, after all else; nil: nobody has to know.
	edited func()

	// reachable is why the store could not be read when it was looked at last; nil: it could. opened says that it could once.
	reachable atomic.Pointer[error]
	opened    atomic.Bool
	doubt     chan struct{} // a record could not be read: the store is to be looked at now
	care      storeCare
	stored    atomic.Int64 // grants in the store, as the keeper counted them; -1: it has not yet
}

// openFleet opens what the shops of a fleet share.
func openFleet(app *App, dir *directory, met *metrics.Metrics, log Logger) *many {
	m := &many{app: app, log: log, met: met, dir: dir, paces: pace.NewCommon(), again: make(chan struct{}, 1), doubt: make(chan struct{}, 1), quiet: slog.New(belowInfo{log.Handler()})}
	m.stored.Store(-1)
	m.fleet = fleet.New(fleet.Options[*shop]{Make: m.make, Most: app.Config.MaxActiveShops, Idle: m.mayRest, PerSecond: app.Config.MaxRenewals, Evicted: m.failed.keep})
	dir.changed = m.fileChanged
	if app.Backend != nil {
		met.AnnounceAlarms(refresh.Alarms())
		m.logins = login.NewShops(login.ShopsOptions{Of: m.loginOf, Only: dir.Only, AppName: app.Config.AppName})
	}
	if file := dir.file.Load(); len(file.Shops) > 0 {
		app.Transport.Expect(app.Config.BaseOf(file.Shops[0].Name))
	}
	return m
}

// fileChanged has those shops made anew of which the shops file says something else now.
func (m *many) fileChanged(before, now *shopsfile.File) {
	m.fleet.Reconsider() // a name that was none may be one
	m.fleet.Forget(func(s *shop) bool {
		e, served := m.dir.entry(s.in.Shop)
		return !served || !reflect.DeepEqual(e.said, s.said)
	})
	m.log.Info("the shops file has changed", "shops", len(now.Shops), "before", len(before.Shops))
	if m.edited != nil {
		m.edited()
	}
}

// make makes what is kept of a shop.
func (m *many) make(ctx context.Context, name token.Shop, woke func()) (*shop, error) {
	e, ok := m.dir.entry(name)
	if !ok {
		return nil, fleet.ErrUnknown
	}
	in := m.app.install(name, e.credentials, e.grant, e.scopes)
	in.Endpoint.ClockSkew = m.met.ClockSkew
	var stored token.Store
	var read *refresh.Stored
	if m.app.Backend != nil && in.Grant != config.GrantStatic {
		var err error
		stored, err = m.app.Backend.Shop(name)
		switch {
		case err == nil:
			read, err = m.settle(ctx, in, e, stored)
		case e.listed && in.Grant == config.GrantClientCredentials:
			m.doubtStore()
			m.log.Warn("going on without the store", "shop", name.Domain(), "err", err)
			stored, err = nil, nil
		}
		if err != nil {
			return nil, err
		}
	}
	s := &shop{in: in, log: m.log, transport: m.app.Transport, said: e.said, made: time.Now(), explained: &m.unexplained}
	s.pacer = newPacer(m.app.Config, name, m.app.Backend, m.met, m.paces)
	if stored != nil && e.inferred && in.Grant == config.GrantClientCredentials { // a merchant may log in, here or at another replica
		s.outgrown = func() bool { return in.storesOffline(stored) }
		s.grown = func() { m.fleet.Forget(func(other *shop) bool { return other == s }) }
	}
	var err error
	s.source, err = in.newSource(m.quiet, func(o *refresh.Options) {
		o.Observer, o.Woke, o.Told, o.Stored = m.met, woke, in.Store != nil, read
		o.Remade, o.Failing = true, m.failed.take(name, e.said)
	})
	s.requests = s.forRequests()
	return s, err
}

// loginOf is what a login of a shop needs. Strangers name shops as well: the store is opened for a grant that is about to come.
func (m *many) loginOf(name token.Shop) (login.Options, error) {
	e, ok := m.dir.mayLogin(name)
	if !ok {
		return login.Options{}, login.ErrNobody
	}
	in := m.app.install(name, e.credentials, config.GrantOffline, e.scopes)
	return login.Options{
		Grant: grant.Offline{Endpoint: in.Endpoint}, Scopes: in.Scopes, AppName: m.app.Config.AppName,
		Open:   func() (token.Store, error) { return m.app.Backend.Shop(name) },
		Stored: func() { m.loggedIn(name) },
	}, nil
}

// loggedIn has a shop served with its new grant at once, whatever the store's watch says, and when.
func (m *many) loggedIn(name token.Shop) {
	m.fleet.Forget(func(s *shop) bool { return s.in.Shop == name && s.in.Grant != config.GrantOffline })
	m.fleet.Changed(name.Domain())
}

// settle decides on the grant of a shop by what is stored, and begins it with a refresh token that the settings give. It returns what it has read, so
// that the first call asks the store once; nil: nothing is stored, or it cannot be read.
func (m *many) settle(ctx context.Context, in *Installation, e entry, stored token.Store) (*refresh.Stored, error) {
	ctx, cancel := context.WithTimeout(ctx, StoreWait)
	defer cancel()
	var read *refresh.Stored
	var err error
	asksAnew := e.inferred && in.Grant == config.GrantClientCredentials
	if !e.listed || asksAnew || in.Grant == config.GrantOffline {
		read, err = readStored(ctx, stored)
	}
	none := errors.Is(err, token.ErrNotFound)
	if err != nil && !none {
		m.doubtStore()
	}
	switch {
	case !e.listed && none:
		return nil, fleet.ErrUnknown
	case err != nil && !none && (!e.listed || !asksAnew && errors.Is(err, token.ErrTransient)):
		return nil, fmt.Errorf("the store of grants cannot be read: %w", err) // its source would wait as long once more
	case !e.listed:
		in.Grant = config.GrantOffline
	case asksAnew && !none && (err != nil || in.isOwnOffline(read.Record)): // what cannot be read must not be passed over in silence
		in.Grant, in.fallback = config.GrantOffline, true
	}
	if in.Grant == config.GrantOffline || m.app.Config.Store != "" {
		in.Store = stored
	}
	if in.Store == nil {
		return nil, nil
	}
	if err := in.seed(ctx); err != nil {
		return nil, fmt.Errorf("the grant cannot be begun with the refresh token that is given: %w", err)
	}
	return read, nil
}

// readStored reads a record. One that is kept in place of none is none.
func readStored(ctx context.Context, from token.Store) (*refresh.Stored, error) {
	read := refresh.Stored{Read: time.Now()}
	var err error
	read.Record, read.Handle, err = from.Load(ctx)
	if err == nil && read.Record.IsNothing() {
		err = token.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return &read, nil
}

// mayRest reports whether a shop that nobody calls may be left alone. Beside an app that keeps its own sessions nothing rests: it would
// exchange a token itself when the one in its row has ended, and that ends our chain.
func (m *many) mayRest(*shop) bool {
	return !keepsSessions(m.app.Config)
}

// Of implements inject.Shops.
func (m *many) Of(ctx context.Context, name token.Shop) (*inject.Shop, error) {
	s, err := m.member(ctx, name)
	if err != nil {
		return nil, err
	}
	return s.requests, nil
}

// member returns what is kept of a shop, and makes it if it is not here. The error is a denial, or ctx's cause.
func (m *many) member(ctx context.Context, name token.Shop) (*shop, error) {
	s, err := m.fleet.Of(ctx, name)
	switch {
	case err == nil:
		return s, nil
	case errors.Is(err, fleet.ErrUnknown):
		return nil, denial.New(http.StatusNotFound, denial.CodeUnknownShop, "The shop "+name.Domain()+
			" has given this app no grant: nothing is stored for it. Have its merchant log in, or name another shop. "+guard.HowToName(name.Domain()))
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	}
	m.sayRefused(name, err)
	return nil, &denial.Error{Status: http.StatusServiceUnavailable, Code: denial.CodeNoToken, RetryAfter: time.Second,
		Message: "Evergate has no usable access token for " + name.Domain() + " now: " + err.Error()}
}

// refusedEvery is how often it is logged at most that a shop cannot be served.
const refusedEvery = time.Minute

// sayRefused logs that a shop cannot be served. Its source, which would say why it has no token, could not be made.
func (m *many) sayRefused(name token.Shop, err error) {
	now, before := clock.Mono(), m.refused.Load()
	if now-before >= int64(refusedEvery) && m.refused.CompareAndSwap(before, now) {
		m.log.Error("a shop cannot be served; this is said once a minute, whichever shops it is", "shop", name.Domain(), "err", err)
	}
}

// run does the work of the background until ctx ends, and stops every shop then.
func (m *many) run(ctx context.Context) {
	var parts sync.WaitGroup
	parts.Go(func() { m.fleet.Run(ctx) })
	parts.Go(func() { m.dir.files.Watch(ctx, m.log.Logger, m.again, func() {}) })
	if b := m.app.Backend; b != nil {
		parts.Go(func() { b.Watch(ctx, m.fleet.Changed) })
		if m.caresForStore() {
			parts.Go(func() { m.keep(ctx) })
			parts.Go(func() { m.watchStore(ctx) })
		}
		if dues, ok := b.(token.Dues); ok && !m.mayRest(nil) && m.caresForStore() {
			parts.Go(func() { m.keepAhead(ctx, dues) })
		}
	}
	if m.logins != nil {
		parts.Go(func() { <-ctx.Done(); m.logins.Close() })
	}
	parts.Wait()
	if b := m.app.Backend; b != nil {
		b.Close()
	}
}

const (
	// aheadEvery is how often the sessions of an app are looked at for tokens that are about to end.
	aheadEvery = 2 * time.Minute
	// aheadBy is how much of an hour's life is left when the token of a session is to be renewed: an app of Shopify's templates
	// exchanges one itself in the last five minutes.
	aheadBy = 17 * time.Minute
	// aheadLeast and aheadMost are the parts of a life that are left when it is done: a random one, so that sessions that began
	// together do not stay together.
	aheadLeast, aheadMost = 0.20, 0.29
	// aheadAtOnce is how many sessions are renewed at a time: each waits for the store and for Shopify nearly all of its time.
	aheadAtOnce = 16
)

// keepAhead has every session of an app renewed before the app would do it, whether or not somebody calls the shop here.
func (m *many) keepAhead(ctx context.Context, sessions token.Dues) {
	for ctx.Err() == nil {
		m.renewDue(ctx, sessions)
		pauseAbout(ctx, aheadEvery)
	}
}

// renewDue renews the sessions that are about to end, some at a time.
func (m *many) renewDue(ctx context.Context, sessions token.Dues) {
	var renewing sync.WaitGroup
	defer renewing.Wait()
	places := make(chan struct{}, aheadAtOnce)
	for domain, err := range sessions.Due(ctx, time.Now().Add(aheadBy)) {
		if domain == "" {
			m.noteStoreOf(ctx, err)
			return
		}
		name, err := token.ParseShop(domain)
		if err != nil || ctx.Err() != nil {
			continue
		}
		places <- struct{}{}
		renewing.Go(func() {
			defer func() { <-places }()
			_ = m.renew(ctx, name, aheadLeast+(aheadMost-aheadLeast)*rand.Float64()) //nolint:gosec // G404: nothing secret
		})
	}
}

// renew has the token of a grant renewed of whose life less than a share is left, whether or not somebody calls the shop. The error, which
// is logged, is that the shop could not be visited.
func (m *many) renew(ctx context.Context, name token.Shop, share float64) error {
	err := m.fleet.Visit(ctx, name, func(s *shop) {
		if s.source.Lasts(ctx, share) || m.fleet.Turn(ctx) != nil {
			return // nothing is begun that the end would not wait for
		}
		if err := s.source.Ahead(ctx, share); err != nil && ctx.Err() == nil {
			m.log.Warn("a grant that nobody uses could not be renewed", "shop", name.Domain(), "err", err)
		}
	})
	if err != nil && ctx.Err() == nil && !errors.Is(err, fleet.ErrUnknown) { // one that the file does not let be served is left alone
		m.log.Warn("a grant that nobody uses cannot be renewed", "shop", name.Domain(), "err", err)
	}
	return err
}

// shortestUsual is the life of the tokens that public apps get.
const shortestUsual = time.Hour

// checkRate says when more renewals are needed than are allowed.
func (m *many) checkRate(stored int64) {
	shops := max(stored, int64(m.dir.count()))
	if needed := float64(shops) / (0.75 * shortestUsual.Seconds()); needed > m.app.Config.MaxRenewals {
		m.log.Error("if every shop were called, more renewals a second would be needed than EVERGATE_MAX_RENEWALS allows, and tokens would end before their turn",
			"shops", shops, "needed", needed, "allowed", m.app.Config.MaxRenewals)
	}
}

func (m *many) reread() {
	select {
	case m.again <- struct{}{}:
	default: // it will be done
	}
	m.failed.clear()
	for _, s := range m.fleet.Active {
		s.source.Reread()
	}
}

func (m *many) notices() (all []admin.Notice) {
	if broken := m.dir.files.Broken(); broken != "" {
		all = append(all, admin.Notice{Level: admin.LevelWarning, Code: admin.CodeFileNotInForce, Label: "File not in force", Text: broken, Whole: broken})
	}
	all = append(all, m.care.notices()...)
	var retired []string
	for name, s := range m.fleet.Active {
		if s.retired.Load() {
			retired = append(retired, name.Domain())
		}
	}
	if n := len(retired); n > 0 {
		slices.Sort(retired)
		text := fmt.Sprintf("%s: %d shops, %s among them", permanentRetired, n, retired[0])
		const do = "run `evergate token migrate --all`, or have their merchants log in again"
		all = append(all, admin.Notice{Level: admin.LevelError, Code: admin.CodePermanentRetired, Label: "Tokens retired", Text: text, Do: do, Whole: text + ": " + do})
	}
	if refused := m.unexplained.Refused(); refused != "" {
		all = append(all, admin.Notice{Level: admin.LevelWarning, Code: admin.CodeRefusedUnexplained, Label: "Calls refused",
			Text: refused, Do: inject.AllowlistRemedy, Whole: m.unexplained.Notice()})
	}
	return all
}

func (m *many) tokenStates() (all []metrics.TokenState) {
	for _, s := range m.fleet.Active {
		all = append(all, s.tokenStates()...)
	}
	return all
}

func (m *many) bucketStates() (all []metrics.BucketState) {
	for _, s := range m.fleet.Active {
		all = append(all, s.bucketStates()...)
	}
	return all
}

func (m *many) makeRoom(connections int) bool {
	for _, s := range m.fleet.Active {
		if s.pacer.MakeRoom(connections) {
			return true
		}
	}
	return false
}

// state is what is published of the fleet.
func (m *many) state() metrics.FleetState {
	return metrics.FleetState{Active: m.fleet.Len(), Stored: m.stored.Load(), Reachable: m.ready() == nil}
}

func (m *many) sentence() string {
	if err := m.ready(); err != nil {
		return "The store of grants cannot be read: " + err.Error()
	}
	return fmt.Sprintf("%d shops are active.", m.fleet.Len())
}

// belowInfo is for what each shop says in its normal life: in a fleet of thousands only what is not normal is told unasked.
type belowInfo struct{ slog.Handler }

// Handle implements slog.Handler.
func (h belowInfo) Handle(ctx context.Context, r slog.Record) error {
	if r.Level == slog.LevelInfo && !h.Handler.Enabled(ctx, slog.LevelDebug) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h belowInfo) WithAttrs(attrs []slog.Attr) slog.Handler {
	return belowInfo{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h belowInfo) WithGroup(name string) slog.Handler { return belowInfo{h.Handler.WithGroup(name)} }

// caresForStore reports whether all that is stored is this process's to care for: not if it is for one of the shops alone.
func (m *many) caresForStore() bool { return m.app.Backend != nil && m.app.Config.OnlyShop == "" }

// hasOpened reports whether the store, if there is one, has been read once.
func (m *many) hasOpened() bool { return m.opened.Load() || !m.caresForStore() }

// started implements tenants: a fleet serves as soon as it listens.
func (m *many) started() bool { return true }

// fleetTokens stands for the tokens of a fleet where one shop's are asked for and none is named.
type fleetTokens struct{ m *many }

// Status implements admin.Tokens: the fleet is well when it can serve.
func (t fleetTokens) Status() refresh.Status {
	st := refresh.Status{State: "none", Obtained: t.m.hasOpened(), Usable: true}
	if err := t.m.ready(); err != nil {
		st.Usable, st.Err = false, err
	}
	return st
}

// Want implements admin.Tokens.
func (t fleetTokens) Want(context.Context) error { return t.m.ready() }

// Refresh implements admin.Tokens.
func (fleetTokens) Refresh(context.Context) error {
	return remedy.New("add ?shop=NAME", "more than one shop is served here, and no shop is named")
}
