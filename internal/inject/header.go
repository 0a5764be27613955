package inject

import (
	"net/http"
	"strings"

	"evergate/internal/guard"
	"evergate/internal/shopify"
)

// neverUpstream are the request headers that end here: credentials of the client's, which
// must not reach Shopify beside ours, what a browser or a proxy in front says of itself,
// and the hop-by-hop headers of RFC 9110 section 7.6.1.
var neverUpstream = set(
	shopify.HeaderAccessToken, "Authorization", "Cookie", "Forwarded", "Origin", "Referer",
	"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings",
)

// neverDownstream are the response headers that end here. Strict-Transport-Security and
// Alt-Svc speak of Shopify's host and would be taken as speaking of localhost; cookies are
// the edge's own; Connection and its kin are per hop.
var neverDownstream = set(
	"Set-Cookie", "Strict-Transport-Security", "Alt-Svc",
	"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
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

// incomingHeader copies what goes back to the client into out.
func (h *Handler) incomingHeader(out, in http.Header, p guard.Passage) {
	for name, values := range in {
		if !droppedDownstream(name) {
			out[name] = h.rewritten(name, values, p)
		}
	}
	dropNamed(out, in["Connection"])
	if _, sent := out["Content-Type"]; !sent {
		out["Content-Type"] = nil // net/http would guess one
	}
}

func droppedDownstream(name string) bool {
	_, drop := neverDownstream[name]
	return drop || strings.HasPrefix(name, "Access-Control-")
}

// rewritten returns the values of a field as the client is to see them.
func (h *Handler) rewritten(name string, values []string, p guard.Passage) []string {
	if p.OwnName || name != "Link" && name != "Location" {
		return values
	}
	return h.links.rewrite(name, values, p.Origin(), p.Prefix)
}
