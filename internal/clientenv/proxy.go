package clientenv

import (
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"
)

// local are the names of this machine: EVERGATE_URL is one of them, and the proxy refuses to lead there.
var local = []string{"localhost", "127.0.0.1", "::1"}

// asked are the variables without which some read no proxy from their environment: Node, and Perl's LWP and Mojolicious.
var asked = []string{"NODE_USE_ENV_PROXY", "PERL_LWP_ENV_PROXY", "MOJO_PROXY"}

// setProxy has programs send their calls to the proxy.
func (e *builder) setProxy(proxy *url.URL) {
	address := proxy.String()
	names := []string{"HTTPS_PROXY", "https_proxy", "SHOPIFY_HTTP_PROXY", "SHOPIFY_HTTPS_PROXY"}
	if e.get("REQUEST_METHOD") != "" {
		// In a CGI program HTTP_PROXY is what the web's client has sent as the header Proxy. Libraries that know refuse to
		// work with it, some with http_proxy, too, and look here instead.
		e.unset("HTTP_PROXY")
		e.unset("http_proxy")
		names = append(names, "CGI_HTTP_PROXY")
		e.note("this is a CGI program (REQUEST_METHOD is set), so CGI_HTTP_PROXY takes the place of HTTP_PROXY")
	} else {
		names = append(names, "HTTP_PROXY", "http_proxy")
	}
	for _, name := range names {
		e.set(name, address)
	}
	for _, name := range asked {
		e.set(name, "1")
	}
	e.exempt = e.exemptions(func(entry string) bool { return exempts(entry, e.opt.Shop) })
	list := strings.Join(e.exempt, ",")
	for _, name := range []string{"NO_PROXY", "no_proxy", "SHOPIFY_NO_PROXY"} {
		e.set(name, list)
	}
}

// inheritsProxy reports whether the program's calls go to a proxy already.
func (e *builder) inheritsProxy() bool {
	return slices.ContainsFunc([]string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"}, func(name string) bool { return e.get(name) != "" })
}

// exemptSidecar has a program call the sidecar directly where its environment names a proxy: its calls would go to that
// machine's localhost. What is exempt already stays so.
func (e *builder) exemptSidecar() {
	if !e.inheritsProxy() {
		return
	}
	all := e.exemptions(func(string) bool { return false })
	if slices.Contains(all, "*") {
		all = []string{"*"} // everything; some programs know it only when it is alone
	}
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		e.set(name, strings.Join(all, ","))
	}
}

// exemptions are those that the program inherits, in either spelling, except for those that drop names, and our own.
func (e *builder) exemptions(drop func(entry string) bool) (all []string) {
	var dropped []string
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		for entry := range strings.FieldsFuncSeq(e.get(name), func(r rune) bool { return r == ',' || r == ' ' || r == '\t' }) {
			switch {
			case drop(entry):
				if !slices.Contains(dropped, entry) {
					dropped = append(dropped, entry)
				}
			case !slices.Contains(all, entry):
				all = append(all, entry)
			}
		}
	}
	if dropped != nil {
		e.note("NO_PROXY exempts the shop by " + strings.Join(dropped, ", ") + ", which is left out: calls would pass Evergate by")
	}
	for _, host := range append(slices.Clone(local), hostOf(e.opt.URL)) {
		if host != "" && !slices.Contains(all, host) {
			all = append(all, host)
		}
	}
	return all
}

// exempts reports whether some program would take an entry of NO_PROXY for one that exempts the shop. They differ in what
// they do with dots, asterisks and ports, and some look up the address.
func exempts(entry, shop string) bool {
	entry, shop = strings.ToLower(entry), strings.ToLower(shop)
	if network, err := netip.ParsePrefix(entry); err == nil {
		return network.Bits() == 0 // every address, the shop's too
	}
	if _, err := netip.ParseAddr(strings.Trim(entry, "[]")); err == nil {
		return false
	}
	if strings.HasPrefix(entry, "[") {
		return false // an address with a port
	}
	entry, _, _ = strings.Cut(entry, ":")
	if matched, err := path.Match(entry, shop); matched || err != nil {
		return true
	}
	entry = strings.Trim(strings.TrimPrefix(entry, "*"), ".")
	return entry == "" || strings.HasSuffix(shop, entry)
}

// hostOf is the host that an address for tools names; empty for a socket.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}
