package inject

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"

	"evergate/internal/shopify"
	"evergate/internal/token"
	"evergate/internal/upstream"
)

// outgoing is the request for Shopify of one attempt, with everything that is made for it, in
// one piece. Nothing of it is shared with another attempt, because a transport may go on using
// a request after its answer.
type outgoing struct {
	http.Request
	ctx   upstream.Context
	url   url.URL
	body  bytes.Reader
	token [1]string
}

// outgoing makes the request for Shopify, without body and token.
func (h *Handler) outgoing(rec *record) *outgoing {
	in := rec.in
	out := &outgoing{
		ctx: upstream.Context{Context: in.Context()},
		url: url.URL{
			Scheme: rec.shop.Base.Scheme,
			Host:   rec.shop.Base.Host,
			// Opaque is written as it is; Path would be escaped anew.
			Opaque:     rec.passage.Target.Path,
			RawQuery:   in.URL.RawQuery,
			ForceQuery: in.URL.ForceQuery,
		},
	}
	out.Request = *new(http.Request).WithContext(&out.ctx)
	out.Method, out.URL, out.Host, out.Header = in.Method, &out.url, rec.passage.Shop.Domain(), outgoingHeader(in.Header)
	out.Proto, out.ProtoMajor, out.ProtoMinor = "HTTP/1.1", 1, 1
	return out
}

// setToken comes last: nothing that a client sends can take it away.
func (o *outgoing) setToken(t token.Token) {
	o.token[0] = t.Access.Reveal()
	o.Header[shopify.HeaderAccessToken] = o.token[:]
}

// neverUpstream are the request headers that end here: credentials of the client's, which
// must not reach Shopify beside ours, what a browser or a proxy in front says of itself,
// and the hop-by-hop headers of RFC 9110 section 7.6.1.
var neverUpstream = set(
	shopify.HeaderAccessToken, "Authorization", "Cookie", "Forwarded", "Origin", "Referer",
	"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings",
)

func set(names ...string) map[string]struct{} {
	m := make(map[string]struct{}, len(names))
	for _, n := range names {
		m[n] = struct{}{}
	}
	return m
}

// outgoingHeader returns what goes on to Shopify, without the token. The values are
// shared with in, which nobody changes.
func outgoingHeader(in http.Header) http.Header {
	out := make(http.Header, len(in)+2)
	for name, values := range in {
		if !droppedUpstream(name) {
			out[name] = values
		}
	}
	// After the copy and before the token is set, so that a Connection header can drop
	// what its sender owns and nothing else.
	dropNamed(out, in["Connection"])
	if v, sent := out["User-Agent"]; !sent || len(v) != 1 || v[0] == "" {
		out["User-Agent"] = nil // net/http would invent one, and sends one value at most
		if sent {
			out["user-agent"] = v
		}
	}
	// net/http takes Idempotency-Key as leave to send a POST again when the connection
	// breaks, which is not ours to give: a differently-cased name is the same field to
	// Shopify and none to net/http.
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if v, ok := out[name]; ok {
			delete(out, name)
			out[strings.ToLower(name)] = v
		}
	}
	return out
}

// droppedUpstream also knows X-Forwarded-… and spellings with an underscore, which many
// servers read as a hyphen: X_Shopify_Access_Token must not stand beside the real one, nor
// Content_Length beside the length.
func droppedUpstream(name string) bool {
	if _, drop := neverUpstream[name]; drop || strings.HasPrefix(name, "X-Forwarded-") {
		return true
	}
	if strings.IndexByte(name, '_') >= 0 {
		meant := http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
		return meant == "Content-Length" || droppedUpstream(meant)
	}
	return false
}

// dropNamed deletes the headers that Connection names, but never a Connection of our own.
func dropNamed(h http.Header, connection []string) {
	for _, line := range connection {
		for name := range strings.SplitSeq(line, ",") {
			if name = http.CanonicalHeaderKey(strings.TrimSpace(name)); name != "Connection" {
				delete(h, name)
			}
		}
	}
}
