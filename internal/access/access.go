// Package access puts together who calls, what they may do, and the files that say so.
//
// Invariants: a mistake in a file that is read again leaves what held before in force; a request
// sees one state or the other, and takes no lock.
package access

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"evergate/internal/caller"
	"evergate/internal/listen"
	"evergate/internal/policy"
	"evergate/internal/reload"
	"evergate/internal/remedy"
	"evergate/internal/request"
	"evergate/internal/token"
)

// Options is what the configuration says about who may do what. The zero value lets
// everybody who can connect do everything.
type Options struct {
	// Policy is the name of a built-in policy for everybody; empty: full.
	Policy string
	// PolicyFile takes the place of Policy: it says what holds for whom.
	PolicyFile string
	// Everybody is the name of a policy that holds whoever calls, in place of all that Policy and PolicyFile say; empty: none.
	Everybody string
	// KeysFile has a line for each key that a client may show; Keys are such lines, of keys that end with this process.
	KeysFile, Keys string
	// Peers says who may connect to Unix sockets; empty: the owner of the socket alone.
	Peers string
	// CertFile and KeyFile are for tls: listeners, both or none; ClientCAFile, with them,
	// holds the authorities of client certificates.
	CertFile, KeyFile, ClientCAFile string
	// Local makes the certificates of tls: listeners where there is no CertFile.
	Local func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Unsafe lets those who have not said who they are call from other hosts, too.
	Unsafe bool
}

// Access knows the callers and their policies. Its methods are safe for concurrent use.
type Access struct {
	unsafe   bool
	policies *policy.Policies
	callers  *caller.Registry
	tls      *listen.TLS // nil: there is no certificate in a file
	local    func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	files    reload.Values
	strays   atomic.Pointer[string] // why keys name policies that are not there; nil: none do
}

// New reads everything that o names and reports every mistake at once. Each names the setting.
func New(o Options) (*Access, error) {
	a := &Access{unsafe: o.Unsafe, local: o.Local}
	if o.CertFile != "" {
		a.tls = listen.NewTLS(o.CertFile, o.KeyFile, o.ClientCAFile)
	}
	var badPolicy, badCallers error
	a.policies, badPolicy = policy.New(policy.Options{Policy: o.Policy, File: o.PolicyFile, Everybody: o.Everybody})
	a.callers, badCallers = caller.New(caller.Options{KeysFile: o.KeysFile, Keys: o.Keys, Peers: o.Peers, Authorities: a.tls.Authorities, Named: a.policies.Names})
	a.files = append(append(append(a.files, a.policies.Files()...), a.callers.Files()...), a.tls.Files()...)
	loaded := a.files.Load()
	var unknown error
	if o.Everybody != "" && loaded == nil && !a.policies.Has(o.Everybody) {
		unknown = remedy.New("write full, read-only, none or one of EVERGATE_POLICY_FILE", "there is no policy %q to hold everybody to", o.Everybody)
	}
	return a, errors.Join(badPolicy, badCallers, loaded, unknown, a.policies.StrayKeys(a.callers.KeysWithPolicies))
}

// PolicyOf is the name of the policy that holds for a caller whose key names one, or none; the error says that there is
// no such policy. by is the setting that says so; empty: the key does.
func (a *Access) PolicyOf(name, own string) (policy, by string, _ error) {
	switch {
	case own != "" && !a.policies.Has(own):
		return "", "", remedy.New("write full, read-only, none or one of EVERGATE_POLICY_FILE", "there is no policy %q", own)
	case own != "":
		return own, "", nil
	case len(a.policies.Files()) > 0:
		by = "EVERGATE_POLICY_FILE"
	default:
		by = "EVERGATE_POLICY"
	}
	return a.policies.Of(name, "").Name(), by, nil
}

// Listen opens the addresses for tools, as listen.OpenEvery does. A Unix socket that has a list of peers
// lets everybody connect, and those who are not on it learn why they may not go on. Their
// connections must tell their NetConn.
func (a *Access) Listen(ctx context.Context, addresses []listen.Address, wrap Wrappers) (opened []listen.Opened, missing []error, err error) {
	mode := listen.OwnerMode
	if a.callers.PeerRules() > 0 {
		mode = listen.EverybodyMode
	}
	opened, missing, err = listen.OpenEvery(ctx, addresses, mode)
	for i, l := range opened {
		opened[i].Listener = a.Adopt(l.Listener, l.Address, wrap)
	}
	return opened, missing, err
}

// Wrappers make something else of a listener; nil: nothing. Connections of what they return must tell their NetConn.
type Wrappers struct {
	// First is for every listener, as it was opened.
	First func(net.Listener) net.Listener
	// Multiplex says whether a connection may speak HTTP/2 where it could; nil: every one may.
	Multiplex func(net.Conn) bool
}

// Adopt makes of a listener that somebody else has opened one of ours.
func (a *Access) Adopt(l net.Listener, address listen.Address, wrap Wrappers) net.Listener {
	if wrap.First != nil {
		l = wrap.First(l)
	}
	switch {
	case address.TLS && a.tls != nil:
		l = a.tls.Wrap(l)
	case address.TLS:
		l = tls.NewListener(l, listen.Local(a.LocalCertificate, wrap.Multiplex))
	}
	return caller.Listener(l, !address.Loopback() && !a.unsafe, address.Shop)
}

// Repin makes a listener that was opened for a shop one for another.
func Repin(l net.Listener, shop token.Shop) { caller.Repin(l, shop) }

// ForOperators makes a listener for operators one of ours: its connections are looked at, and
// nobody has to be known before an order is judged.
func ForOperators(l net.Listener) net.Listener { return caller.Listener(l, false, token.Shop{}) }

// BaseContext is for http.Server; see caller.Registry.
func (a *Access) BaseContext(l net.Listener) context.Context { return a.callers.BaseContext(l) }

// ConnContext is for http.Server; see caller.Registry.
func (a *Access) ConnContext(ctx context.Context, c net.Conn) context.Context {
	return a.callers.ConnContext(ctx, c)
}

// LocalCertificate is a certificate of the local authority for what a client names.
func (a *Access) LocalCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if a.local == nil {
		return nil, errNoAuthority
	}
	return a.local(hello)
}

var errNoAuthority = errors.New("there is no local authority")

// InTunnel is for the connection inside a tunnel; see caller.Registry.
func (a *Access) InTunnel(c net.Conn, r *request.Request) net.Conn { return a.callers.InTunnel(c, r) }

// Identify says who sends r and what holds for them. The error is a denial; the Caller is then
// what is known of it.
func (a *Access) Identify(r *request.Request) (caller.Caller, *policy.Policy, error) {
	c, err := a.callers.Identify(r)
	if err != nil {
		return c, nil, err
	}
	rules := a.policies.Of(c.Name, c.Policy())
	if !c.Known && rules.Nothing() && a.callers.HasKeys() {
		return c, nil, caller.Stranger() // it helps more than to say that nobody may do anything
	}
	return c, rules, nil
}

// MayCommand judges who gives an order to Evergate itself, on the admin listener. Where callers
// have to be known, so has this one: by a key, or as a peer. At a Unix socket the user that
// Evergate runs as needs none; whoever can be that user can end the process anyway.
func (a *Access) MayCommand(r *request.Request) error {
	if !a.callers.HasKeys() && !a.policies.Of(caller.Anonymous, "").Nothing() {
		return nil
	}
	if caller.IsOwner(r) {
		return nil
	}
	c, err := a.callers.Identify(r)
	if err == nil && !c.Known {
		err = caller.StrangerCommands()
	}
	return err
}

// Reload reads the files now if they have changed. It must not run beside Watch.
func (a *Access) Reload() error { return a.files.Load() }

// Watch looks after the files until ctx ends, and reads them at once when something is received from again, which may be
// nil. Nothing is looked at where there are none.
func (a *Access) Watch(ctx context.Context, log *slog.Logger, again <-chan struct{}) {
	a.files.Watch(ctx, log, again, func() { a.lookForStrays(log) })
}

// lookForStrays says once what only two files together can have wrong.
func (a *Access) lookForStrays(log *slog.Logger) {
	err := a.policies.StrayKeys(a.callers.KeysWithPolicies)
	if err == nil {
		a.strays.Store(nil)
		return
	}
	why := err.Error()
	if before := a.strays.Load(); before == nil || *before != why {
		log.Error("a key names a policy that is not there; its requests are refused", "err", err)
	}
	a.strays.Store(&why)
}

// Broken says which files are not in force as they are now; empty when all are.
func (a *Access) Broken() string {
	broken := a.files.Broken()
	if why := a.strays.Load(); why != nil {
		broken = strings.TrimSpace(broken + "\n" + *why)
	}
	return broken
}

// Summary says for people who may do what.
func (a *Access) Summary() string {
	summary := a.policies.Describe()
	if a.callers.HasKeys() {
		summary += fmt.Sprintf(", keys: %d", a.callers.Keys())
	}
	if n := a.callers.PeerRules(); n > 0 {
		summary += fmt.Sprintf(", peers at Unix sockets: %d", n)
	}
	return summary
}

// CertificateEnds is when the certificate of tls: listeners ends; false: there is none.
func (a *Access) CertificateEnds() (time.Time, bool) { return a.tls.Ends() }
