package guard

import (
	"net/netip"
	"strings"

	"evergate/internal/ascii"
	"evergate/internal/request"
)

// takeForwarded has links point at the address that the client used, where a proxy that is believed says
// which that is. Nothing is judged by what it says: the Host that it sent is on the allow-list, or the
// request is refused. A value that can be read in two ways counts as none.
func (a *Admission) takeForwarded(r *request.Request, p *Admitted) {
	if len(a.proxies) == 0 || !a.believed(r.Remote) {
		return
	}
	switch proto, _ := single(r.Fields.Values("X-Forwarded-Proto")); {
	case ascii.EqualFold(proto, "https"):
		p.TLS = true
	case ascii.EqualFold(proto, "http"):
		p.TLS = false
	}
	host, ok := single(r.Fields.Values("X-Forwarded-Host"))
	if !ok || !isURLHost(host) {
		return
	}
	name, _ := hostname(host)
	p.Host, p.OwnName = host, ascii.EqualFold(name, p.Shop.Domain())
}

// believed reports whether a connection comes from one of the proxies.
func (a *Admission) believed(remote string) bool {
	from, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false // a Unix socket has no address
	}
	addr := from.Addr().Unmap().WithZone("")
	for _, p := range a.proxies {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// single returns the one value of a field. Proxies that add theirs make a list: which of two different values is
// the client's own invention, nobody can tell.
func single(lines []string) (value string, ok bool) {
	for _, line := range lines {
		for v := range strings.SplitSeq(line, ",") {
			v = strings.Trim(v, " \t")
			if ok && v != value {
				return "", false
			}
			value, ok = v, true
		}
	}
	return value, ok && value != ""
}

// isURLHost reports whether s can stand in a URL as host, or host and port, and be read in one way only.
func isURLHost(s string) bool {
	const longest = 255
	name, ok := hostname(s)
	return ok && len(s) <= longest && (ascii.IsHostName(name) || isAddress(name))
}
