package sidecar

import (
	"encoding/json"
	"log"
	"net/http"

	"evergate/internal/admin"
	"evergate/internal/config"
	"evergate/internal/grant"
	"evergate/internal/limit"
	"evergate/internal/login"
)

// largestLoginHeader is plenty for a cookie and a callback.
const largestLoginHeader = 32 << 10

// mountLogin makes what obtains an offline grant in a running sidecar: the exchange of a session
// token, on the admin listener, and the login behind the public address if there is one, on a
// listener that serves nothing else. The source notices by itself what is stored.
func (s *Sidecar) mountLogin(c *Connection, o *admin.Options, errorLog *log.Logger) {
	if s.cfg.Grant != config.GrantOffline {
		if s.cfg.Public != nil {
			s.log.Warn("configuration", "warning", "EVERGATE_PUBLIC_URL has no effect, because a login obtains an offline grant: set EVERGATE_GRANT=offline")
		}
		o.Exchange = http.HandlerFunc(noExchange)
		return
	}
	s.login = login.New(login.Options{Grant: grant.Offline{Endpoint: c.Endpoint}, Store: c.Store, Scopes: s.cfg.Scopes})
	o.Exchange = s.login.ExchangeHandler(s.log.Logger)
	if s.cfg.Public != nil {
		s.merchants = &http.Server{
			Handler:           s.login.Hosted(s.cfg.Public, s.log.Logger),
			ReadHeaderTimeout: headerTimeout, ReadTimeout: headerTimeout, WriteTimeout: adminAnswerTime + headerTimeout,
			IdleTimeout: clientIdle, MaxHeaderBytes: largestLoginHeader, ErrorLog: errorLog, ConnState: limit.State,
		}
		s.log.Info("a merchant can authorise the app", "address", s.cfg.Public.JoinPath(login.StartPath).String())
	}
}

func noExchange(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(http.StatusConflict)
	_ = json.NewEncoder(w).Encode(map[string]string{"errors": "a session token is exchanged for an offline grant: set EVERGATE_GRANT=offline"})
}
