package admin

import (
	"evergate/internal/denial"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// loginPaths is below which a merchant's login is.
const loginPaths = "/oauth/"

// inPublic answers under the public address, and leaves everything else to next. A request
// comes from there by its Host alone, so what passes it on must leave that as it is; there is
// no CheckOrigin, because Shopify sends the browser there from its own pages.
func (h *handler) inPublic(next http.Handler) http.Handler {
	if h.Public == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		isLogin := strings.HasPrefix(r.URL.Path, loginPaths)
		switch {
		case isLogin && isHostOf(h.Public, r.Host):
			h.Login.ServeHTTP(w, r)
		case isLogin:
			misdirected("The login is at " + h.Public.String() + " only, and whatever passes requests on must leave their Host as it is.").Answer(w)
		case !isLocal(h.Public.Hostname()) && strings.EqualFold(nameIn(r.Host), h.Public.Hostname()):
			misdirected("Under this name there is the login only.").Answer(w)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func misdirected(message string) *denial.Error {
	return &denial.Error{Status: http.StatusMisdirectedRequest, Code: denial.CodeMisdirectedHost, Message: message}
}

// isHostOf reports whether a Host header names u, with or without the port that goes
// without saying.
func isHostOf(u *url.URL, host string) bool {
	usual := map[string]string{"https": ":443", "http": ":80"}[u.Scheme]
	return strings.EqualFold(strings.TrimSuffix(host, usual), strings.TrimSuffix(u.Host, usual))
}

// nameIn is the name in a Host header, however it is written: it is what must be refused.
func nameIn(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.TrimSuffix(strings.Trim(host, "[]"), ".")
}

// isLocal reports the names under which the listener must go on to be an operator's.
func isLocal(name string) bool {
	ip, err := netip.ParseAddr(name)
	return strings.EqualFold(name, "localhost") || err == nil && ip.IsLoopback()
}
