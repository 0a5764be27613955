package inject

import (
	"strings"

	"evergate/internal/guard"
)

// links rewrites addresses of one shop to the address the client used.
// The zero links changes nothing.
type links struct {
	domain string // acme.myshopify.com
	tls    bool   // the client called by https
	host   string // that the client used, with the port
	prefix string // what it wrote before the path to name the shop
}

// linksFor returns how to rewrite links for a client; one that uses the shop's own name, on the port that Shopify's links
// mean, needs no change.
func linksFor(p *guard.Admitted) links {
	if _, port, hasPort := strings.Cut(p.Host, ":"); p.OwnName && (!hasPort || p.TLS && port == "443") {
		return links{}
	}
	return links{p.Shop.Domain(), p.TLS, p.Host, p.Prefix}
}

// origin is the scheme and the host that the client used.
func (l links) origin() string {
	if l.tls {
		return "https://" + l.host
	}
	return "http://" + l.host
}

// rewrite returns the values of a field with each address of the shop moved to where the
// client called. Everything else keeps its bytes, and other fields than Link and Location all.
func (l links) rewrite(name string, values []string) []string {
	if l.domain == "" || name != "Link" && name != "Location" {
		return values
	}
	out := make([]string, len(values))
	for i, v := range values {
		if name == "Link" {
			out[i] = l.link(v)
		} else {
			out[i] = l.address(v)
		}
	}
	return out
}

// link rewrites the targets of a Link field (RFC 8288): what stands between < and >, unless
// that is part of a quoted parameter. Commas and semicolons may stand inside a target, so it
// does not split at them.
func (l links) link(v string) string {
	var b strings.Builder
	for {
		open := openTarget(v)
		if open < 0 {
			break
		}
		end := strings.IndexByte(v[open:], '>')
		if end < 0 {
			break
		}
		b.WriteString(v[:open+1])
		b.WriteString(l.address(v[open+1 : open+end]))
		v = v[open+end:]
	}
	if b.Len() == 0 {
		return v
	}
	b.WriteString(v)
	return b.String()
}

// openTarget returns where the next target begins; below zero when there is none.
func openTarget(v string) int {
	quoted := false
	for i := 0; i < len(v); i++ {
		switch {
		case v[i] == '"':
			quoted = !quoted
		case v[i] == '\\' && quoted:
			i++
		case v[i] == '<' && !quoted:
			return i
		}
	}
	return -1
}

// address rewrites an http or https URL whose host is exactly the shop's, on the default
// port. One without a scheme is read as the client would read it, relative to Shopify's
// https. One without a host needs the prefix, if there is one. Anything else, another host
// or a path relative to the one that was called, is returned as it is.
func (l links) address(u string) string {
	scheme, rest, ok := strings.Cut(u, "://")
	switch {
	case strings.HasPrefix(u, "//"):
		scheme, rest = "https", u[len("//"):]
	case strings.HasPrefix(u, "/"):
		return l.prefix + u
	case !ok || !(strings.EqualFold(scheme, "https") || strings.EqualFold(scheme, "http")):
		return u
	}
	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, tail = rest[:i], rest[i:]
	}
	host, port, hasPort := strings.Cut(authority, ":")
	if !strings.EqualFold(host, l.domain) || hasPort && port != defaultPort(scheme) {
		return u
	}
	return l.origin() + l.prefix + tail
}

func defaultPort(scheme string) string {
	if strings.EqualFold(scheme, "https") {
		return "443"
	}
	return "80"
}
