// Package admin is the listener for operators: health, metrics, a page for people.
//
// Invariants: no secret is on any of its answers; /livez never depends on Shopify; what
// changes something can be called from this machine only, and never by a web page; nothing but
// health and metrics answers what has come through a proxy; the merchant's login is not here.
package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"evergate/internal/brief"
	"evergate/internal/denial"
	"evergate/internal/guard"
	"evergate/internal/refresh"
	"evergate/internal/request"
)

// Tokens is what the listener asks and orders.
type Tokens interface {
	Status() refresh.Status
	// Refresh obtains a token now and returns why it could not.
	Refresh(ctx context.Context) error
	// Want waits for a usable token, which is obtained if there is none.
	Want(ctx context.Context) error
}

// Options configures New; every field is required, unless it says otherwise.
type Options struct {
	// Tokens are those of the one shop. With Shops they stand for the process.
	Tokens Tokens
	// Shops are those of a process with many; nil: it has one.
	Shops     Shops
	Admission *guard.Admission
	// Gatherer is what pages and reports are made from.
	Gatherer prometheus.Gatherer
	// Scraped is what /metrics has, with all of that; nil: the same.
	Scraped prometheus.Gatherer
	// History is what the page's charts show; nil: nothing.
	History *History
	// Quit begins a clean shutdown.
	Quit func()
	// Stopping reports whether a shutdown has begun.
	Stopping func() bool
	// Notices are what Shopify said that a person must act on, and files that cannot be read; nil: there are none.
	Notices func() []Notice
	// Failures are the ways in which calls did not succeed since the start; nil: they are not known.
	Failures func() []Failure
	// Entrances are where tools call, and Policy says what they may do; nil: it is not shown.
	Entrances func() []Entrance
	Policy    func() string
	// Waits says who waited for the rate limit; nil: it is not known. Unpaced says that nobody does.
	Waits   func() []Wait
	Unpaced bool
	// Setup is what advice has to know.
	Setup Setup
	// LogLevel changes the log level by its name; nil: it cannot be changed.
	LogLevel func(name string) error
	// MayCommand judges who gives an order, when it is known to come from this machine; nil:
	// everybody may. Its error is a denial.
	MayCommand func(*request.Request) error
	// Version is shown to people.
	Version string
	// Roots are the roots of the local CA, in PEM form, which is made if there is none.
	Roots func() ([]byte, error)
	// Exchange, if set, answers POST /-/token-exchange.
	Exchange http.Handler
}

type handler struct {
	Options
	started time.Time
	streams streams
}

// New returns the listener's handler.
func New(o Options) http.Handler {
	h := &handler{Options: o, started: time.Now()}
	mux := http.NewServeMux()
	// OpenMetrics carries exemplars, protobuf native histograms too; who asks for neither gets
	// Prometheus' text. Prometheus asks for what it can store.
	mux.Handle("GET /metrics", h.named(scraped(promhttp.HandlerFor(cmp.Or(o.Scraped, o.Gatherer), promhttp.HandlerOpts{EnableOpenMetrics: true}))))
	mux.Handle("GET /livez", h.named(h.livez))
	mux.Handle("GET /readyz", h.named(h.forShop(h.readyz)))
	mux.Handle("GET /startupz", h.named(h.forShop(h.startupz)))
	mux.Handle("GET /ca.pem", h.named(h.roots))
	mux.Handle("GET /{$}", h.local(h.forShop(h.page)))
	mux.Handle("GET /events", h.local(h.forShop(h.events)))
	mux.Handle("GET /status", h.local(h.forShop(h.status)))
	mux.Handle("POST /-/refresh", h.local(h.order(h.forShop(h.refresh))))
	mux.Handle("POST /-/quit", h.local(h.order(h.quit)))
	mux.Handle("POST /-/log-level", h.local(h.order(h.logLevel)))
	if o.Exchange != nil {
		mux.Handle("POST /-/token-exchange", h.local(h.order(o.Exchange.ServeHTTP)))
	}
	return denyUnrouted(mux)
}

// named keeps out web pages whose name was made to resolve to this machine. What is left are the
// names by which monitoring calls: addresses, and those of a cluster.
func (h *handler) named(next http.HandlerFunc) http.Handler {
	return checked(h.Admission.CheckScrape, next)
}

// local keeps out other hosts' names, web pages of other sites, and what has come through
// something that may have let in anybody.
func (h *handler) local(next http.HandlerFunc) http.Handler {
	return checked(h.Admission.CheckLocal, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next(w, r)
	})
}

// checked answers what check refuses.
func checked(check func(*request.Request) error, next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		view := request.Of(r)
		if refused := denial.Of(check(&view)); refused != nil {
			refused.Answer(w)
			return
		}
		next(w, r)
	})
}

// order keeps out callers from other machines, where the listener can be reached from one, and
// those who are nobody where callers have to be known.
func (h *handler) order(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		view := request.Of(r)
		if !guard.FromLoopback(&view) {
			(&denial.Error{Status: http.StatusForbidden, Code: denial.CodeNotLocal,
				Message: r.URL.Path + " can be called from this machine only."}).Answer(w)
			return
		}
		if refused := denial.Of(h.Admission.CheckOrder(&view)); refused != nil {
			refused.Answer(w)
			return
		}
		if h.MayCommand != nil {
			if refused := denial.Of(h.MayCommand(&view)); refused != nil {
				refused.Answer(w)
				return
			}
		}
		next(w, r)
	}
}

func (h *handler) livez(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") }

func (h *handler) readyz(w http.ResponseWriter, r *http.Request, t Tokens) {
	if t == nil {
		h.readyFleet(w)
		return
	}
	if h.Shops != nil { // it may not have been called yet: then there is no token because nobody has asked for one
		ctx, stop := context.WithTimeout(r.Context(), askWait)
		defer stop()
		_ = t.Want(ctx) // what comes of it is in its status
	}
	switch st := t.Status(); {
	case h.Stopping():
		sayUnavailable(w, denial.CodeStopping, "shutting down")
	case st.Usable:
		say(w, http.StatusOK, "ok")
	default:
		sayUnavailable(w, denial.CodeNoToken, "no usable token: "+h.reason(st))
	}
}

// askWait is how long a probe waits for the token of a shop that nobody has called yet.
const askWait = 2 * time.Second

func (h *handler) startupz(w http.ResponseWriter, r *http.Request, t Tokens) {
	if t == nil {
		h.startedFleet(w)
		return
	}
	if h.Shops != nil {
		ctx, stop := context.WithTimeout(r.Context(), askWait)
		defer stop()
		_ = t.Want(ctx) // as for readyz
	}
	if st := t.Status(); !st.Obtained {
		sayUnavailable(w, denial.CodeNoToken, "no token yet: "+h.reason(st))
		return
	}
	say(w, http.StatusOK, "ok")
}

// roots hands out what clients have to trust. It is no secret, and who asks may be in another container.
func (h *handler) roots(w http.ResponseWriter, _ *http.Request) {
	text, err := h.Roots()
	if err != nil {
		deny(w, http.StatusServiceUnavailable, denial.CodeNoLocalCA, "There is no local CA: "+err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/x-pem-file")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(text)
}

// reason is why there is no usable token, and what to do if nobody but a person can change that.
func (h *handler) reason(st refresh.Status) string {
	setup := h.Setup.forShop(st.Shop)
	switch {
	case st.Err != nil:
		return brief.Text(st.Err.Error(), longestText)
	case st.Reauthorize:
		return "a person must authorise the app anew. " + setup.loginAgain()
	case st.Refused && st.State != "expired":
		return "Shopify refuses it, and there is no other. " + setup.replaceToken(st.Grant)
	}
	return "it is being obtained"
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text)
}

// sayUnavailable answers a probe, which shows people the text as it is: it is in no JSON.
func sayUnavailable(w http.ResponseWriter, code, text string) {
	w.Header().Set(denial.Header, code)
	say(w, http.StatusServiceUnavailable, text)
}

func (h *handler) refresh(w http.ResponseWriter, r *http.Request, t Tokens) {
	if t == nil {
		deny(w, http.StatusNotFound, denial.CodeUnknownShop, "More than one shop is served here: say which with ?shop=NAME.")
		return
	}
	if err := t.Refresh(r.Context()); err != nil {
		deny(w, http.StatusServiceUnavailable, denial.CodeRefreshFailed, err.Error())
		return
	}
	answerJSON(w, http.StatusOK, h.report(h.facts(t)))
}

func (h *handler) quit(w http.ResponseWriter, _ *http.Request) {
	answerJSON(w, http.StatusAccepted, map[string]string{"status": "shutting down"})
	h.Quit()
}

// logLevel changes the level until the next start.
func (h *handler) logLevel(w http.ResponseWriter, r *http.Request) {
	level := r.URL.Query().Get("level")
	if h.LogLevel == nil {
		notFound(w)
		return
	}
	if err := h.LogLevel(level); err != nil {
		deny(w, http.StatusBadRequest, denial.CodeInvalidLogLevel, err.Error())
		return
	}
	answerJSON(w, http.StatusOK, map[string]string{"level": level})
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v)
}
