package login

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"evergate/internal/denial"
	"evergate/internal/grant"
)

// The two paths of a login behind a public address.
const (
	StartPath    = "/oauth/start"
	CallbackPath = "/oauth/callback"
)

// cookieName has the prefix with which a browser takes the cookie over TLS only, and from
// no other name of the same site (RFC 6265bis section 4.1.3.2).
const cookieName = "__Host-evergate_login"

// Hosted answers StartPath and CallbackPath for merchants' browsers, which reach them as
// public, and nothing else: it is what a listener of the internet's serves. A request comes from
// there by its Host alone, so what passes it on must leave that as it is. There is no look at
// where the browser comes from, because Shopify sends it from its own pages. The browser that starts is bound to its login by a cookie: the link of somebody
// else's login, or its callback, is worth nothing in it.
func (f *Flow) Hosted(public *url.URL, log *slog.Logger) http.Handler {
	h := hosted{public, log, reader{where: hostedHint, app: f.AppName}}
	return h.handler(func(*http.Request) (*Flow, reader, error) { return f, h.merchant, nil })
}

// handler answers with the logins of the shop that a request is about.
func (h hosted) handler(flowOf func(*http.Request) (*Flow, reader, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header())
		if !isHostOf(h.public, r.Host) {
			denial.Of(denial.New(http.StatusMisdirectedRequest, denial.CodeMisdirectedHost,
				"The login is at "+h.public.String()+" only, and whatever passes requests on must leave their Host as it is.")).Answer(w)
			return
		}
		path := r.URL.EscapedPath()
		switch {
		case path != StartPath && path != CallbackPath:
			denyPath(w, r, h.merchant)
			return
		case r.Method != http.MethodGet: // a HEAD must not use up a code
			denyMethod(w)
			return
		}
		f, to, err := flowOf(r)
		switch {
		case err != nil:
			h.refuse(w, err)
		case path == StartPath:
			h.start(w, r, f, to)
		default:
			h.callback(w, r, f, to)
		}
	})
}

type hosted struct {
	public   *url.URL
	log      *slog.Logger
	merchant reader // who reads the pages here
}

// refuse answers a request that is about no shop that may log in. Anybody can send these, so they are no news.
func (h hosted) refuse(w http.ResponseWriter, err error) {
	h.log.Debug("a login was refused", "err", err)
	if errors.Is(err, ErrNobody) {
		writeErrorPage(w, http.StatusForbidden, denial.CodeLoginRefused, notHerePage(h.merchant))
		return
	}
	writeErrorPage(w, http.StatusBadRequest, denial.CodeLoginRefused, whichShopPage(h.merchant))
}

func (h hosted) start(w http.ResponseWriter, r *http.Request, f *Flow, to reader) {
	redirect := url.URL{Scheme: h.public.Scheme, Host: h.public.Host, Path: CallbackPath}
	authorize, state, err := f.Begin(redirect.String())
	if err != nil {
		h.log.Error("a login cannot begin", "shop", f.Grant.Endpoint.API.Shop.Domain(), "err", err)
		writeErrorPage(w, http.StatusServiceUnavailable, denial.CodeLoginFailed, failurePage(err, to))
		return
	}
	h.setCookie(w, state, int(Life/time.Second))
	http.Redirect(w, r, authorize, http.StatusFound)
}

// callback takes the state from the cookie and leaves it to Finish to compare: without the
// cookie no callback is good.
func (h hosted) callback(w http.ResponseWriter, r *http.Request, f *Flow, to reader) {
	var state string
	if c, err := r.Cookie(cookieName); err == nil {
		state = c.Value
	}
	g, err := f.Finish(r.Context(), state, r.URL.RawQuery)
	log := h.log.With("shop", f.Grant.Endpoint.API.Shop.Domain())
	switch {
	case errors.Is(err, grant.ErrMalformed), errors.Is(err, grant.ErrState):
		log.Debug("a callback was refused", "err", err) // anybody can send these
	case err != nil:
		log.Warn("a login failed", "err", err)
	default:
		logGranted(log, "a merchant has authorised the app", g)
	}
	if err == nil || IsOver(err) {
		h.setCookie(w, "", -1)
	}
	writeOutcome(w, g, err, to)
}

// setCookie is Lax, because the callback is a navigation that another site begins.
func (h hosted) setCookie(w http.ResponseWriter, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: value, Path: "/", MaxAge: maxAge, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// isHostOf reports whether a Host header names u, with or without its scheme's
// default port.
func isHostOf(u *url.URL, host string) bool {
	usual := map[string]string{"https": ":443", "http": ":80"}[u.Scheme]
	return strings.EqualFold(strings.TrimSuffix(host, usual), strings.TrimSuffix(u.Host, usual))
}
