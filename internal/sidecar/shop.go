package sidecar

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"evergate/internal/admin"
	"evergate/internal/brief"
	"evergate/internal/clock"
	"evergate/internal/config"
	"evergate/internal/denial"
	"evergate/internal/grant"
	"evergate/internal/inject"
	"evergate/internal/login"
	"evergate/internal/metrics"
	"evergate/internal/pace"
	"evergate/internal/refresh"
	"evergate/internal/remedy"
	"evergate/internal/shopsfile"
	"evergate/internal/token"
	"evergate/internal/upstream"
)

// shop is everything that one shop has for itself. What a process has once (listeners, metrics,
// the log) is the Sidecar's.
type shop struct {
	in        *Installation
	log       Logger
	source    *refresh.Source
	transport *upstream.Transport
	pacer     *pace.Pacer // nil when it is off
	login     *login.Flow // nil when the grant needs no login
	tokenFile *tokenFile  // nil: there is none
	made      time.Time
	// retired says that Shopify has retired the tokens that do not expire.
	retired atomic.Bool
	// explained are the routes that Shopify refuses without a known reason.
	explained *inject.Unexplained
	requests  *inject.Shop // what the requests for it need
	// care looks after the store of the only shop; nil: a fleet does that, or the store is this machine's.
	care *storeCare
	// said is what the shops file says of it; nil: the settings do.
	said *shopsfile.Settings
	// outgrown reports whether what is stored now asks for another grant than the one that was settled; nil: nothing does. grown is told.
	outgrown func() bool
	grown    func()
}

func newShop(in *Installation, met *metrics.Metrics, log Logger) (*shop, error) {
	cfg := in.Config
	in.Endpoint.ClockSkew = met.ClockSkew
	if in.Store != nil {
		met.AnnounceAlarms(refresh.Alarms())
	}
	s := &shop{in: in, log: log, transport: in.Transport, pacer: newPacer(cfg, in.Shop, in.Backend, met, nil), made: time.Now(), explained: new(inject.Unexplained)}
	var published func(token.Token)
	if cfg.TokenFile != "" {
		s.tokenFile = newTokenFile(cfg.TokenFile, log.Logger)
		published = s.tokenFile.published
	}
	if in.isShared() {
		s.care = new(storeCare)
	}
	var err error
	if s.source, err = in.newSource(log.Logger, func(o *refresh.Options) { o.Observer, o.Published = met, published }); err != nil {
		return nil, err
	}
	s.requests = s.forRequests()
	if in.Grant == config.GrantOffline {
		s.login = login.New(login.Options{Grant: grant.Offline{Endpoint: in.Endpoint}, Store: in.Store, Scopes: in.Scopes, AppName: cfg.AppName})
	}
	return s, nil
}

// forRequests is what the requests for the shop need.
func (s *shop) forRequests() *inject.Shop {
	return &inject.Shop{Shop: s.in.Shop, Base: s.in.Base, Tokens: s.source, Pace: s.pacer, PermanentRetired: s.permanentRetired, Unexplained: s.explained}
}

const permanentRetired = "Shopify no longer accepts tokens that do not expire from this app"

func (s *shop) permanentRetiredRemedy() string {
	return "run " + s.in.Remedies().Command("token migrate") + ", or log in again with " + s.in.Remedies().Command("login")
}

// permanentRetired is told that Shopify does not accept tokens any more that do not expire. It is
// logged once; every request would log it otherwise.
func (s *shop) permanentRetired() {
	if s.retired.CompareAndSwap(false, true) {
		s.log.Error(permanentRetired+": "+s.permanentRetiredRemedy(), "shop", s.in.Shop.Domain())
	}
}

// notices are what a person must do or look at for this shop.
func (s *shop) notices() (all []admin.Notice) {
	if s.care != nil {
		all = s.care.notices()
	}
	if s.retired.Load() {
		do := s.permanentRetiredRemedy()
		all = append(all, admin.Notice{Level: admin.LevelError, Code: admin.CodePermanentRetired, Label: "Token retired",
			Text: permanentRetired, Do: do, Whole: permanentRetired + ": " + do})
	}
	if refused := s.explained.Refused(); refused != "" {
		all = append(all, admin.Notice{Level: admin.LevelWarning, Code: admin.CodeRefusedUnexplained, Label: "Calls refused",
			Text: refused, Do: inject.AllowlistRemedy, Whole: s.explained.Notice()})
	}
	return all
}

// exchange obtains an offline grant for a session token. The source notices by itself what is stored.
func (s *shop) exchange() http.Handler {
	if s.login == nil {
		return http.HandlerFunc(noExchange)
	}
	return s.login.ExchangeHandler(s.log.Logger)
}

func noExchange(w http.ResponseWriter, _ *http.Request) {
	(&denial.Error{Status: http.StatusConflict, Code: denial.CodeWrongGrant,
		Message: "a session token is exchanged for an offline grant: set EVERGATE_GRANT=offline"}).Answer(w)
}

// tokenStates translates the source's status for the metrics, which know nobody.
func (s *shop) tokenStates() []metrics.TokenState {
	st := s.source.Status()
	return []metrics.TokenState{{
		Shop: st.Shop, Present: !st.Issued.IsZero(), Usable: st.Usable, Age: st.Age, Issued: st.Issued, Expires: st.Expires,
		RefreshExpires: st.RefreshExpires, Reauthorize: st.Reauthorize, Failing: st.Failing,
	}}
}

// bucketStates translates the pacer's.
func (s *shop) bucketStates() []metrics.BucketState {
	var all []metrics.BucketState
	for _, b := range s.pacer.States() {
		all = append(all, metrics.BucketState{Shop: s.in.Shop.Domain(), API: b.API, Capacity: b.Capacity, Available: b.Available})
	}
	return all
}

// proveToken asks Shopify whether it takes the token, unless it has just handed it out. If not,
// another one is obtained; the error says that there is none.
func (s *shop) proveToken(ctx context.Context) error {
	t, err := s.source.Token(ctx)
	if err != nil || t.Expires() && t.Issued.After(s.made) {
		return err
	}
	if alive, err := s.in.alive(ctx, t.Access); alive || err != nil {
		return nil // what is not known is no reason to stop
	}
	if _, err := s.source.Replace(ctx, t); err == nil || !errors.Is(err, refresh.ErrRefused) {
		return err
	}
	if err := s.source.Status().Err; err != nil {
		return err
	}
	return remedy.New(s.anotherToken(), "%s does not accept the token: it was revoked, or the app was uninstalled", s.in.Shop)
}

// anotherToken is how a person gets one in the place of a token that is refused.
func (s *shop) anotherToken() string {
	switch s.in.Grant {
	case config.GrantOffline:
		return "log in again with " + s.in.Remedies().Command("login")
	case config.GrantClientCredentials:
		return "see in the store's admin whether the app is still installed"
	case config.GrantStatic:
		if s.said != nil {
			return "create or copy a valid one for access_token in the file of EVERGATE_SHOPS_FILE"
		}
		return "create or copy a valid one for SHOPIFY_ACCESS_TOKEN"
	}
	return "obtain another one"
}

// waitForToken waits for the first token. What only a person can mend is not waited for.
func (s *shop) waitForToken(ctx context.Context) error {
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

// Of implements inject.Shops: this is the one.
func (s *shop) Of(context.Context, token.Shop) (*inject.Shop, error) { return s.requests, nil }

// run does the work of the background until ctx ends, and waits for what has begun.
func (s *shop) run(ctx context.Context) {
	var parts sync.WaitGroup
	parts.Go(func() { s.source.Run(ctx) })
	if s.tokenFile != nil {
		parts.Go(func() { s.tokenFile.run(ctx) })
	}
	if s.login != nil {
		parts.Go(func() { <-ctx.Done(); s.login.Close() })
	}
	if s.care != nil {
		parts.Go(func() { s.lookAfterStore(ctx) })
	}
	parts.Wait()
}

func (s *shop) reread() { s.source.Reread() }

func (s *shop) makeRoom(connections int) bool { return s.pacer.MakeRoom(connections) }

func (s *shop) sentence() string {
	st := s.source.Status()
	words := st.Shop + ": " + admin.Sentence(st)
	if st.Err != nil {
		words += " " + brief.Text(st.Err.Error(), longestReason)
	}
	return words
}

// started reports whether there has been a token.
func (s *shop) started() bool { return s.source.Status().Obtained }

// Due implements fleet.Member.
func (s *shop) Due() time.Duration { return s.source.Due() }

// Step implements fleet.Member.
func (s *shop) Step(ctx context.Context) { s.source.Step(ctx) }

// Look implements fleet.Member.
func (s *shop) Look(ctx context.Context) {
	if s.outgrown != nil && s.outgrown() {
		s.grown()
		return
	}
	s.source.Look(ctx)
}

// Rest implements fleet.Member.
func (s *shop) Rest() (left, life time.Duration) { return s.source.Rest() }

// Renews implements fleet.Member.
func (s *shop) Renews() bool { return s.source.Renews() }

// MayForget implements fleet.Member.
func (s *shop) MayForget() bool { return s.source.MayForget() }

// Stop implements fleet.Member.
func (s *shop) Stop() { s.source.Stop() }
