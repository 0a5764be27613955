package guard

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"evergate/internal/access"
	"evergate/internal/ascii"
	"evergate/internal/caller"
	"evergate/internal/denial"
	"evergate/internal/policy"
	"evergate/internal/remedy"
	"evergate/internal/request"
	"evergate/internal/shopify"
	"evergate/internal/token"
)

// Options is what an Admission is built from.
type Options struct {
	// Shops are those that are served. Required.
	Shops Shops
	// AllowedHosts are names to accept beside the built-in ones, without port.
	AllowedHosts []string
	// TrustedProxies are where proxies are whose X-Forwarded-Proto and X-Forwarded-Host say what the client used.
	TrustedProxies []netip.Prefix
	// Tunnels says which CONNECT requests are served.
	Tunnels Tunnels
	// Access says who may do what; nil: everybody everything.
	Access *access.Access
}

// Admission lets requests in, or says why not. It is safe for concurrent use; what changes in it
// is Access alone.
type Admission struct {
	hosts hosts
	shops Shops
	// proxies are believed where links have to point.
	proxies []netip.Prefix
	tunnels Tunnels
	access  *access.Access
}

// Admitted is what a request that may pass asks for, in the client's own bytes.
type Admitted struct {
	// Shop is whose API is called.
	Shop token.Shop
	// Target is what its path asks for: Target.Path is to be forwarded, and begins with exactly
	// one slash.
	Target shopify.Target
	// Prefix is what the client wrote before that path to name the shop, for example
	// /acme.myshopify.com; empty when it did not. Links towards the client need it.
	Prefix string
	// Host is the address the client used: its Host, with the port, or what a proxy that is believed says of
	// it. For a client that sent none it is the address it connected to.
	Host string
	// OwnName says that Host is the shop's own domain. Without a port links need no change then.
	OwnName bool
	// TLS says that the client spoke https, to us or to a proxy that is believed.
	TLS bool
	// Caller is who sends it. It is known of a request that is refused, too.
	Caller caller.Caller
	// Reported is what the request would be refused for if its policy did more than report.
	Reported error

	judge *policy.Policy // has a word to say about the body; nil: everything is said
	held  *policy.Policy // the shop's own, likewise
}

// Origin is the scheme and the host that the client used.
func (p Admitted) Origin() string {
	if p.TLS {
		return "https://" + p.Host
	}
	return "http://" + p.Host
}

// NeedsBody reports whether the request may pass only after JudgeBody has seen its body.
func (p *Admitted) NeedsBody() bool { return p.judge != nil || p.held != nil }

// JudgeBody judges the body, which is not whole if it is longer than policy.LargestJudgedBody.
func (p *Admitted) JudgeBody(fields request.Fields, body []byte, whole bool) error {
	if p.held != nil {
		if err := p.held.JudgeBody(fields, body, whole); err != nil {
			return err
		}
	}
	if p.judge == nil {
		return nil
	}
	err := p.judge.JudgeBody(fields, body, whole)
	if p.judge.Reports() {
		p.Reported = err
		return nil
	}
	return err
}

// CheckHosts reports every mistake in a list of names to accept beside the built-in ones.
func CheckHosts(names []string) error {
	_, err := parseHosts(names)
	return err
}

// New reports every mistake in o at once.
func New(o Options) (*Admission, error) {
	hosts, err := parseHosts(o.AllowedHosts)
	if o.Shops == nil {
		err = errors.Join(remedy.New("set SHOPIFY_SHOP, for example acme", "no shop is given"), err)
	}
	if err != nil {
		return nil, err
	}
	everybody := o.Access
	if everybody == nil {
		if everybody, err = access.New(access.Options{}); err != nil {
			return nil, err
		}
	}
	return &Admission{hosts: hosts, shops: o.Shops, proxies: o.TrustedProxies, tunnels: o.Tunnels, access: everybody}, nil
}

// Admit judges everything there is to judge before a request's body: who sends it, the
// Host, the web page it may come from, the shop it names, its method, its path, and whether
// the caller's policy lets that through.
// Of http.Server it needs DisableGeneralOptionsHandler, or OPTIONS * never gets here.
func (a *Admission) Admit(r *request.Request) (Admitted, error) {
	p := Admitted{Host: r.Host, TLS: r.TLS != nil}
	rules, err := a.admit(r, &p)
	if err != nil {
		return Admitted{Caller: p.Caller}, err
	}
	if held := a.shops.Policy(p.Shop); held != nil {
		needsBody, err := held.JudgeHead(r, p.Target)
		if err != nil {
			return Admitted{Caller: p.Caller, Shop: p.Shop, Target: p.Target}, err
		}
		if needsBody {
			p.held = held
		}
	}
	needsBody, err := rules.JudgeHead(r, p.Target)
	switch {
	case rules.Reports():
		p.Reported = err
	case err != nil:
		return Admitted{Caller: p.Caller, Shop: p.Shop, Target: p.Target}, err
	}
	if needsBody {
		p.judge = rules
	}
	a.takeForwarded(r, &p)
	return p, nil
}

// admit fills in p. Nothing that would tell about the shop comes before it is known that
// neither a web page nor a stranger asks.
func (a *Admission) admit(r *request.Request, p *Admitted) (rules *policy.Policy, err error) {
	if p.Caller, rules, err = a.access.Identify(r); err != nil {
		return nil, err
	}
	name, err := a.checkHost(r, p)
	if err != nil {
		if _, absolute := cutScheme(r.Target); absolute && r.Host != "" {
			err = a.deniedProxying(r.Host)
		}
		return nil, err
	}
	if err := CheckOrigin(r); err != nil {
		return nil, err
	}
	if name != "" {
		if err := a.name(p, name); err != nil {
			return nil, err
		}
	}
	path, ok := rawPath(r)
	if !ok {
		return nil, denial.New(http.StatusMisdirectedRequest, denial.CodeMisdirectedHost, // may hold a password: not repeated
			"The address in the request line is more than a host and a path. Send the path alone, and no user name.")
	}
	if p.Prefix, path, err = a.cutShop(p, path); err != nil {
		return nil, err
	}
	if err := a.settle(r, p); err != nil {
		return nil, err
	}
	if !p.Caller.MayUse(p.Shop) {
		return nil, deniedShop(p.Shop)
	}
	p.Target, err = CheckPath(r.Method, path)
	return rules, err
}

// name takes note of a shop that a request names. Two that differ are none.
func (a *Admission) name(p *Admitted, name string) error {
	shop, ok := a.shops.Find(name)
	switch {
	case !ok:
		return a.unknownShop(name)
	case !p.Shop.IsZero() && p.Shop != shop:
		return denial.New(http.StatusBadRequest, denial.CodeAmbiguousPath,
			"This request names two shops, "+p.Shop.Domain()+" in its Host and "+shop.Domain()+" in its path. Name one.")
	}
	p.Shop = shop
	return nil
}

// settle finds the shop of a request that names none, and sees that a listener of one shop's own is used for no other.
func (a *Admission) settle(r *request.Request, p *Admitted) error {
	own := caller.ListenerShop(r)
	switch {
	case own.IsZero() && p.Shop.IsZero():
		only, ok := a.shops.Only()
		if !ok {
			return a.unnamed()
		}
		p.Shop = only
	case p.Shop.IsZero():
		p.Shop = own
	case !own.IsZero() && own != p.Shop:
		return denial.New(http.StatusNotFound, denial.CodeUnknownShop, "This address is for the shop "+own.Domain()+" alone: name that one, or none.")
	}
	return nil
}

// checkHost finds the Host on the allow-list. It returns the shop that a host of the
// form shop.localhost names, and fills in what p says about the host.
func (a *Admission) checkHost(r *request.Request, p *Admitted) (shop string, _ error) {
	if hostless(r) {
		p.Host = connectedTo(r)
		return "", nil
	}
	name, ok := hostname(r.Host)
	switch {
	case !ok:
		return "", misdirectedTool(r.Host)
	case a.hosts.has(name):
		return "", nil
	}
	if shop, ok := a.ownDomain(name); ok {
		p.OwnName, p.Shop = true, shop
		return "", nil
	}
	sub, ok := localName(name)
	switch {
	case !ok:
		return "", misdirectedTool(r.Host)
	case !strings.Contains(sub, ".") || ascii.HasSuffixFold(sub, shopSuffix):
		return sub, nil
	}
	return "", nil // a.b.localhost can name no shop; it is a local name like any other
}

// cutShop parts a leading segment that names the shop from the path. A segment that is not
// spelt as a domain stays, and the path policy refuses it.
func (a *Admission) cutShop(p *Admitted, raw string) (prefix, path string, _ error) {
	if !strings.HasPrefix(raw, "/") {
		return "", raw, nil
	}
	end := strings.IndexByte(raw[1:], '/') + 1
	if end == 0 {
		end = len(raw)
	}
	shop := raw[1:end]
	if !ascii.HasSuffixFold(shop, shopSuffix) || !ascii.IsHostName(shop) {
		return "", raw, nil
	}
	if err := a.name(p, shop); err != nil {
		return "", raw, err
	}
	return raw[:end], raw[end:], nil
}

func deniedShop(shop token.Shop) error {
	return denial.New(http.StatusForbidden, denial.CodeDeniedShop,
		"The key that you sent is not for the shop "+shop.Domain()+". Use one that is, or have the shop added to it.")
}

func (a *Admission) unknownShop(name string) error {
	return denial.New(http.StatusNotFound, denial.CodeUnknownShop, "The shop "+denial.Quote(name)+" is not served here. "+a.whichServed())
}

// CheckScrape judges the Host of a call for health or metrics, which needs no other: an address, a
// name that tools may use, or one of a cluster's. Prometheus and a kubelet call by address as a
// rule. No name of those can be a web page's that was made to resolve to this machine.
func (a *Admission) CheckScrape(r *request.Request) error {
	if hostless(r) {
		return nil
	}
	name, ok := hostname(r.Host)
	if ok && (a.hosts.has(name) || isAddress(name) || isClusterName(name)) {
		return nil
	}
	if _, shop := a.ownDomain(name); ok && shop {
		return nil
	}
	if _, local := localName(name); ok && local {
		return nil
	}
	return misdirected(r.Host)
}

// CheckLocal judges a call to the admin listener: its Host, which is none of a shop's
// names there, the web page it may come from, and the way it has come.
func (a *Admission) CheckLocal(r *request.Request) error {
	if name := relayed(r.Fields); name != "" {
		return notLocal(denial.Quote(name))
	}
	if hostless(r) {
		return CheckOrigin(r)
	}
	name, ok := hostname(r.Host)
	if ok && !a.hosts.has(name) {
		_, ok = localName(name)
	}
	if !ok {
		return misdirected(r.Host)
	}
	return CheckOrigin(r)
}

// rawPath returns the path as it stands in the request line. Request.URL cannot be used:
// it has the path decoded, and RawPath only now and then.
//
// A target with an authority is what a client sends to a proxy. net/http has made that
// authority the request's Host; it is false when the two differ, as they do when there
// is a user in it.
func rawPath(r *request.Request) (path string, ok bool) {
	target := r.Target
	if !strings.HasPrefix(target, "/") {
		if rest, found := cutScheme(target); found {
			end := strings.IndexAny(rest, "/?#")
			if end < 0 {
				end = len(rest)
			}
			if rest[:end] != r.Host {
				return "", false
			}
			target = rest[end:]
		}
	}
	path, _, _ = strings.Cut(target, "?")
	return path, true
}

func cutScheme(target string) (rest string, ok bool) {
	for _, scheme := range [...]string{"http://", "https://"} {
		if len(target) >= len(scheme) && ascii.EqualFold(target[:len(scheme)], scheme) {
			return target[len(scheme):], true
		}
	}
	return "", false
}

// connectedTo names the listener for a client that named no host.
func connectedTo(r *request.Request) string {
	if addr, ok := r.Local.(*net.TCPAddr); ok {
		return addr.String()
	}
	return "localhost"
}
