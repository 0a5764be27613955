package login

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"time"

	"evergate/internal/denial"
	"evergate/internal/grant"
	"evergate/internal/token"
)

// maxSessionBody bounds the body of an exchange. A session token has under 1 KiB.
const maxSessionBody = 16 << 10

var (
	errOtherShop = errors.New("the session token is of another shop than the one that is served here")
	errNoSession = errors.New(`the body names no session token: send {"session_token": "…"} as application/json, or session_token=… as application/x-www-form-urlencoded`)
)

// Exchange trades the session token of a merchant who has the app open in the admin for an
// offline grant, and stores that.
func (f *Flow) Exchange(ctx context.Context, sessionToken token.Secret) (Granted, error) {
	client, secrets, err := f.client()
	if err != nil {
		return Granted{}, err
	}
	shop, err := grant.VerifySessionToken(sessionToken, client.ID, secrets, time.Now())
	if err != nil {
		return Granted{}, err
	}
	if shop != f.Grant.Endpoint.API.Shop {
		return Granted{}, errOtherShop
	}
	return f.acquire(ctx, client.ID, func(ctx context.Context) (token.Pair, error) {
		return f.Grant.ExchangeSession(ctx, sessionToken)
	})
}

// exchanged is the answer to an exchange that succeeded.
type exchanged struct {
	Shop          string    `json:"shop"`
	Scopes        []string  `json:"scopes"`
	MissingScopes []string  `json:"missing_scopes,omitempty"`
	Expires       time.Time `json:"expires,omitzero"`
}

// ExchangeHandler makes Exchange a POST, for a backend on this machine that serves the
// app's pages. Who may call is for its caller to decide.
func (f *Flow) ExchangeHandler(log *slog.Logger) http.Handler {
	log = log.With("shop", f.Grant.Endpoint.API.Shop.Domain())
	return exchangeHandler(log, func(token.Secret) (*Flow, error) { return f, nil })
}

func exchangeHandler(log *slog.Logger, flowOf func(sessionToken token.Secret) (*Flow, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sessionToken, err := readSession(http.MaxBytesReader(w, r.Body, maxSessionBody), r.Header.Get("Content-Type"))
		var f *Flow
		if err == nil {
			f, err = flowOf(sessionToken)
		}
		var g Granted
		if err == nil {
			g, err = f.Exchange(r.Context(), sessionToken)
		}
		if err != nil {
			log.Warn("a session token was not exchanged", "err", err)
			w.Header().Set("Cache-Control", "no-store")
			exchangeDenial(err).Answer(w)
			return
		}
		logGranted(log, "a session token was exchanged for a new grant", g)
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(exchanged{g.Shop.Domain(), append([]string{}, g.Scopes...), g.MissingScopes, g.Expires})
	})
}

func readSession(body io.Reader, contentType string) (token.Secret, error) {
	b, err := io.ReadAll(body)
	if err != nil {
		return token.Secret{}, errNoSession
	}
	var value string
	switch kind, _, _ := mime.ParseMediaType(contentType); kind {
	case "application/x-www-form-urlencoded":
		if form, err := url.ParseQuery(string(b)); err == nil && len(form["session_token"]) == 1 {
			value = form.Get("session_token")
		}
	case "application/json":
		var v struct {
			SessionToken string `json:"session_token"`
		}
		if json.Unmarshal(b, &v) == nil {
			value = v.SessionToken
		}
	}
	if value == "" {
		return token.Secret{}, errNoSession
	}
	return token.NewSecret(value), nil
}

// exchangeDenial tells the caller's mistakes from what may work later.
func exchangeDenial(err error) *denial.Error {
	d := &denial.Error{Status: http.StatusServiceUnavailable, Code: denial.CodeLoginFailed, Message: err.Error()}
	switch {
	case errors.Is(err, errNoSession), errors.Is(err, grant.ErrSessionToken), errors.Is(err, grant.ErrSubjectToken):
		d.Status, d.Code = http.StatusBadRequest, denial.CodeInvalidSessionToken
	case errors.Is(err, errOtherShop), errors.Is(err, ErrNobody):
		d.Status, d.Code = http.StatusForbidden, denial.CodeDeniedShop
	}
	return d
}

func logGranted(log *slog.Logger, message string, g Granted) {
	log.Info(message, "scopes", g.Scopes)
	if g.MissingScopes != nil {
		log.Warn("the new grant lacks scopes that SHOPIFY_SCOPES asks for", "missing", g.MissingScopes)
	}
}
