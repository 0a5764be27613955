package guard

import (
	"net/http"
	"slices"
	"strings"

	"evergate/internal/ascii"
	"evergate/internal/denial"
	"evergate/internal/request"
)

// relays are headers that a request has only when something passed it on: what stands behind a
// proxy takes it for local by its address alone. Names vary from product to product, and each has
// more than are written down, so that all that begin or end like one count.
var relays = struct{ whole, begin, end, within []string }{
	whole: []string{
		"Client-Cert", "Client-Cert-Chain", "Connect-Time", "Disguised-Host", "Early-Data", "Front-End-Https", "Max-Forwards", "Proxy-Connection", "Remote-Addr", "Remote-Email", "Remote-Groups", "Remote-Ip", "Remote-Name",
		"Remote-User", "Surrogate-Capability", "Total-Route-Time", "Via", "Was-Default-Hostname", "X-Coming-From", "X-Device-User-Agent", "X-Host", "X-Http-Host-Override", "X-Http-Scheme", "X-Https", "X-Loop",
		"X-Nginx-Proxy", "X-Queue-Start", "X-Remote-Addr", "X-Request-Start", "X-Rewrite-Url", "X-Scheme", "X-Url-Scheme", "X-Varnish", "X-Webauth-User",
	},
	begin: []string{
		"Akamai-", "Ali-Cdn-", "Cdn-", "Cf-", "Cloudfront-", "Eagleeye-", "Fastly-", "Fly-", "Heroku-", "Incap-", "Ngrok-", "Render-", "Rndr-", "Ssl-Client-", "Tailscale-", "X-Akamai-", "X-Amz-Cf-", "X-Amzn-", "X-Appengine-",
		"X-Appservice-", "X-Arr-", "X-Auth-Request-", "X-Authentik-", "X-Azure-", "X-Bluecoat-", "X-Caddy-", "X-Cdn-", "X-Client-Cert", "X-Client-Port", "X-Client-Verify", "X-Cloud-Trace-", "X-Edge-", "X-Envoy-",
		"X-Fastly-", "X-Fd-", "X-Fly-", "X-Gfe-", "X-Goog-", "X-Google-", "X-Haproxy-", "X-Heroku-", "X-Istio-", "X-Kong-", "X-Lb-", "X-Litespeed-", "X-Nf-", "X-Ngrok-", "X-Original-", "X-Originating-", "X-Pomerium-", "X-Proxy",
		"X-Railway-", "X-Real-", "X-Remote-User", "X-Render-", "X-Serverless-", "X-Ssl-", "X-Sucuri-", "X-Tailscale-", "X-Tls-", "X-Traefik-", "X-Tunnel-", "X-Vercel-", "X-Waws-", "Xroxy-",
	},
	end:    []string{"-Clientip", "-Remote-Ip", "-User-Ip", "-Via"},
	within: []string{"Client-Ip", "Connecting-Ip", "Forwarded", "Forward-For", "Forward-Host", "Forward-Proto", "Real-Ip"},
}

// relayed returns a header that says that a request has come through a proxy; empty: none does.
func relayed(fields request.Fields) string {
	for name := range fields.Names {
		if isRelay(strings.ReplaceAll(name, "_", "-")) {
			return name
		}
	}
	return ""
}

func isRelay(name string) bool {
	is := func(known string) bool { return ascii.EqualFold(name, known) }
	begins := func(known string) bool { return len(name) > len(known) && ascii.EqualFold(name[:len(known)], known) }
	ends := func(known string) bool { return ascii.HasSuffixFold(name, known) }
	holds := func(known string) bool {
		for i := range max(len(name)-len(known)+1, 0) {
			if ascii.EqualFold(name[i:i+len(known)], known) {
				return true
			}
		}
		return false
	}
	return slices.ContainsFunc(relays.whole, is) || slices.ContainsFunc(relays.begin, begins) ||
		slices.ContainsFunc(relays.end, ends) || slices.ContainsFunc(relays.within, holds)
}

// plainFields are what clients of this machine send: programs, shells and browsers. What obeys an order would have to know
// every proxy's marks otherwise; so whatever else there is could be one.
var plainFields = [...]string{
	"Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "Authorization", "Cache-Control", "Connection", "Content-Encoding", "Content-Language", "Content-Length", "Content-Type", "Cookie", "Date", "Dnt", "Expect",
	"Host", "Http2-Settings", "Keep-Alive", "Origin", "Pragma", "Priority", "Proxy-Authorization", "Referer", "Save-Data", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Upgrade-Insecure-Requests", "User-Agent", "X-Requested-With",
	"X-Shopify-Access-Token",
	// Of tracing: a client's own, and neither says that somebody has passed it on.
	"B3", "Baggage", "Elastic-Apm-Traceparent", "Newrelic", "Sentry-Trace", "Traceparent", "Tracestate", "Uber-Trace-Id",
}

// plainBeginnings are those of which there are many.
var plainBeginnings = [...]string{"Sec-Ch-", "Sec-Fetch-", "Sec-Gpc", "Sec-Purpose", "X-B3-", "X-Datadog-", "X-Shopify-"}

// unfamiliar returns a header that no client of this machine sends by itself; empty: there is none.
func unfamiliar(fields request.Fields) string {
	for name := range fields.Names {
		is := func(known string) bool { return ascii.EqualFold(name, known) }
		begins := func(known string) bool { return len(name) >= len(known) && ascii.EqualFold(name[:len(known)], known) }
		if !slices.ContainsFunc(plainFields[:], is) && !slices.ContainsFunc(plainBeginnings[:], begins) {
			return name
		}
	}
	return ""
}

// byNginx reports whether a request looks as nginx passes it on where nothing is configured, without any mark: in HTTP/1.0, whose
// clients do not ask for the close that comes anyway.
func byNginx(r *request.Request) bool {
	return r.HTTP10 && slices.ContainsFunc(r.Fields.Values("Connection"), func(value string) bool { return ascii.EqualFold(value, "close") })
}

func notLocal(mark string) error {
	return denial.New(http.StatusForbidden, denial.CodeNotLocal,
		"This request has come through a proxy (it has "+mark+"), so it may be anybody's. "+
			"Call the admin listener from this machine, and let no proxy lead to it.")
}

// CheckOrder judges a call that commands something, beside CheckLocal: it must look as if a client of this machine had
// sent it.
func (a *Admission) CheckOrder(r *request.Request) error {
	switch name := unfamiliar(r.Fields); {
	case byNginx(r):
		return notLocal("HTTP/1.0 and Connection: close, as of nginx")
	case name != "":
		return denial.New(http.StatusForbidden, denial.CodeNotLocal,
			"This request has the header "+denial.Quote(name)+", and an order must have none but those that clients send by themselves, because others come from proxies. "+
				"Leave it out, and let no proxy lead to the admin listener.")
	}
	return nil
}
