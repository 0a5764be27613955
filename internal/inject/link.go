package inject

import "strings"

// links rewrites addresses of one shop to the address the client used.
type links struct {
	domain string // acme.myshopify.com
}

// rewrite returns values with each address of the shop moved to base, which is scheme,
// host and prefix without a slash at the end. Everything else keeps its bytes.
func (l links) rewrite(name string, values []string, base string) []string {
	out := make([]string, len(values))
	for i, v := range values {
		if name == "Link" {
			out[i] = l.link(v, base)
		} else {
			out[i] = l.address(v, base)
		}
	}
	return out
}

// link rewrites the targets of a Link field (RFC 8288): what stands between < and >.
// Commas and semicolons may stand inside a target, so it does not split at them.
func (l links) link(v, base string) string {
	var b strings.Builder
	for {
		open := strings.IndexByte(v, '<')
		if open < 0 {
			break
		}
		end := strings.IndexByte(v[open:], '>')
		if end < 0 {
			break
		}
		b.WriteString(v[:open+1])
		b.WriteString(l.address(v[open+1:open+end], base))
		v = v[open+end:]
	}
	if b.Len() == 0 {
		return v
	}
	b.WriteString(v)
	return b.String()
}

// address rewrites one absolute http or https URL whose host is exactly the shop's, on
// the default port. Anything else, another host or a relative URL, is returned as it is.
func (l links) address(u, base string) string {
	scheme, rest, ok := strings.Cut(u, "://")
	if !ok || !(strings.EqualFold(scheme, "https") || strings.EqualFold(scheme, "http")) {
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
	return base + tail
}

func defaultPort(scheme string) string {
	if strings.EqualFold(scheme, "https") {
		return "443"
	}
	return "80"
}
