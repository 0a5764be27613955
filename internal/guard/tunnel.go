package guard

import (
	"net/http"
	"net/netip"
	"strings"

	"evergate/internal/ascii"
	"evergate/internal/caller"
	"evergate/internal/denial"
	"evergate/internal/policy"
	"evergate/internal/request"
)

// Tunnels says which CONNECT requests are served (RFC 9110, 9.3.6).
type Tunnels int

// The values of Tunnels.
const (
	NoTunnels   Tunnels = iota
	ShopTunnels         // to the shop that is served; they end here
	AllTunnels          // and to port 443 of other hosts, untouched
)

// httpsPort is the only one that tunnels lead to.
const httpsPort = "443"

// Tunnel is what a CONNECT that may pass asks for.
type Tunnel struct {
	// Host is the name or the address, without port and brackets.
	Host string
	// Ours says that Host is the shop that is served, so that what comes through the tunnel are requests for us.
	Ours bool
	// Caller is who asks. It is known of a request that is refused, too.
	Caller caller.Caller
}

// AdmitTunnel judges a CONNECT: who sends it, and where it leads. Where it leads to another host, nothing is known of its
// address: whoever dials has to look at that.
func (a *Admission) AdmitTunnel(r *request.Request) (Tunnel, error) {
	who, rules, err := a.access.Identify(r)
	if err != nil {
		return Tunnel{Caller: who}, err
	}
	t, err := a.admitTunnel(r, who, rules)
	t.Caller = who
	return t, err
}

func (a *Admission) admitTunnel(r *request.Request, who caller.Caller, rules *policy.Policy) (Tunnel, error) {
	switch {
	case a.tunnels == NoTunnels:
		return Tunnel{}, deniedConnect("CONNECT is not served here. Call the address of EVERGATE_LISTEN without a proxy, or set EVERGATE_CONNECT=shops.")
	case caller.InsideTunnel(r):
		return Tunnel{}, deniedConnect("This CONNECT came through a tunnel, and there are no tunnels in tunnels. Send it on a connection of its own.")
	case r.Length != 0:
		return Tunnel{}, deniedConnect("This CONNECT has a body, which nobody would know from the tunnel. Send it without.")
	}
	host, port, ok := splitAuthority(r.Target)
	if !ok {
		return Tunnel{}, deniedConnect("The target " + denial.Quote(r.Target) + " is not host:port. Send for example CONNECT " + a.anExample() + ":443.")
	}
	if port != httpsPort {
		return Tunnel{}, deniedConnect("A tunnel leads to port 443 alone, not to that of " + denial.Quote(r.Target) + ". Use https there, or have the client go there without a proxy (NO_PROXY).")
	}
	if shop, ok := a.ownDomain(host); ok {
		if own := caller.ListenerShop(r); !own.IsZero() && own != shop {
			return Tunnel{}, deniedConnect("This address is for the shop " + own.Domain() + " alone: CONNECT " + own.Domain() + ":443.")
		}
		if !who.MayUse(shop) {
			return Tunnel{}, deniedShop(shop)
		}
		return Tunnel{Host: shop.Domain(), Ours: true}, nil
	}
	if err := a.admitOther(host, rules); err != nil {
		return Tunnel{}, err
	}
	return Tunnel{Host: host}, nil
}

// admitOther judges a tunnel to another host.
func (a *Admission) admitOther(host string, rules *policy.Policy) error {
	bare := strings.TrimSuffix(host, ".")
	_, local := localName(bare)
	shop, ours := a.ownDomain(bare)
	switch {
	case ours:
		return deniedConnect("The shop's name is written without a dot at its end: CONNECT " + shop.Domain() + ":443.")
	case local || a.hosts.has(bare) || isAddress(host) && !public(host) || !isAddress(host) && isPrivateName(bare):
		return deniedConnect("A tunnel leads neither to this machine nor to its network, and " + denial.Quote(host) + " is there. Have the client go there without a proxy (NO_PROXY).")
	case a.tunnels != AllTunnels && ascii.HasSuffixFold(bare, shopSuffix):
		return deniedConnect("The shop " + denial.Quote(host) + " is not served here. " + a.whichServed())
	case a.tunnels != AllTunnels:
		return deniedConnect("A tunnel leads to " + a.forWhom() + " alone, not to " + denial.Quote(host) + ". Have the client go there without a proxy (NO_PROXY), or set EVERGATE_CONNECT=tunnel.")
	case rules.Nothing():
		return deniedConnect("This caller's policy lets it do nothing, tunnels to other hosts included. Have it call with a key that may.")
	}
	return nil
}

// public reports whether an address literal, which isAddress has found to be one, is on the internet.
func public(host string) bool {
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && IsPublic(ip)
}

// longestName is that of a host name (RFC 1035, 2.3.4).
const longestName = 253

// privateSuffixes end the names that no name server of the internet knows: those of RFC 6762, 6761, 8375 and ICANN's reserved ones, and
// what routers and clusters use beside them. A forward proxy in front of us may know them.
var privateSuffixes = [...]string{
	".local", ".localdomain", ".internal", ".intranet", ".private", ".corp", ".home", ".lan", ".home.arpa", ".svc", ".test", ".invalid", ".onion",
}

// isPrivateName reports whether a name that is no address, without a dot at its end, can only be a host's of this network, or is
// read as an address by some: 127.1, 0x7f.1, 2130706433.
func isPrivateName(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	if len(last) == len(name) || len(name) > longestName || isNumber(last) {
		return true
	}
	for _, suffix := range privateSuffixes {
		if ascii.HasSuffixFold(name, suffix) {
			return true
		}
	}
	return false
}

// isNumber reports whether the last label of a name makes it an address (the URL standard's "ends in a number").
func isNumber(label string) bool {
	if len(label) >= 2 && label[0] == '0' && label[1]|0x20 == 'x' {
		label = label[2:]
		for i := range len(label) {
			if !ascii.IsHex(label[i]) {
				return false
			}
		}
		return true
	}
	for i := range len(label) {
		if label[i] < '0' || label[i] > '9' {
			return false
		}
	}
	return true
}

func deniedConnect(message string) error {
	return denial.New(http.StatusForbidden, denial.CodeDeniedConnect, message)
}

// deniedProxying is the answer to a request that is meant for another host, as a client sends it to a forward proxy.
func (a *Admission) deniedProxying(host string) error {
	return deniedConnect("Evergate is a forward proxy for " + a.forWhom() + " alone, and this request is for " + denial.Quote(host) + ". Have the client go there without a proxy (NO_PROXY).")
}

// splitAuthority parts a CONNECT's target, host:port. It is strict: what is not a host name or an address, and a port in
// the usual spelling, is none.
func splitAuthority(target string) (host, port string, ok bool) {
	host, ok = hostname(target)
	if !ok || len(target) == len(host) {
		return "", "", false
	}
	port = target[len(host)+1:]
	if !isAddress(host) && !ascii.IsHostName(strings.TrimSuffix(host, ".")) {
		return "", "", false
	}
	return host, port, true
}

// notPublic are the addresses that are no host's on the internet (IANA's registries of special-purpose addresses), and those
// that have another address in them, which could be any.
var notPublic = [...]netip.Prefix{
	prefix(0, 0, 0, 8), prefix(10, 0, 0, 8), prefix(100, 64, 0, 10), prefix(127, 0, 0, 8), prefix(169, 254, 0, 16), prefix(172, 16, 0, 12),
	prefix(192, 0, 0, 24), prefix(192, 0, 2, 24), prefix(192, 88, 99, 24), prefix(192, 168, 0, 16), prefix(198, 18, 0, 15), prefix(198, 51, 100, 24),
	prefix(203, 0, 113, 24), prefix(224, 0, 0, 3),
}

// global is where IPv6 addresses of hosts on the internet are (2000::/3), and notGlobal what of it is none: Teredo, ORCHID and
// documentation, 6to4.
var (
	global    = netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20}), 3)
	notGlobal = [...]netip.Prefix{
		netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 0x01}), 23), netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8}), 32),
		netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 0x02}), 16), netip.PrefixFrom(netip.AddrFrom16([16]byte{0x3f, 0xff}), 20),
	}
)

func prefix(a, b, c byte, bits int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{a, b, c}), bits)
}

// IsPublic reports whether an address is a host's on the internet: none of a loopback, a link, a private network, documentation
// or a translation of another address.
func IsPublic(ip netip.Addr) bool {
	if ip.Zone() != "" {
		return false
	}
	if ip = ip.Unmap(); ip.Is4() {
		return !contained(notPublic[:], ip)
	}
	return global.Contains(ip) && !contained(notGlobal[:], ip)
}

func contained(all []netip.Prefix, ip netip.Addr) bool {
	for _, p := range all {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}
