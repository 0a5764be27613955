package guard

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"

	"evergate/internal/denial"
	"evergate/internal/listen"
	"evergate/internal/reload"
)

// AccessOptions is what the configuration says about who may do what. The zero value lets
// everybody who can connect do everything.
type AccessOptions struct {
	// Policy is the name of a built-in policy for everybody; empty: full.
	Policy string
	// PolicyFile takes the place of Policy: it says what holds for whom.
	PolicyFile string
	// KeysFile has a line for each key that a client may show.
	KeysFile string
	// Peers says who may connect to Unix sockets; empty: the owner of the socket alone.
	Peers string
	// CertFile and KeyFile are for tls: listeners, both or none; ClientCAFile, with them,
	// holds the authorities of client certificates.
	CertFile, KeyFile, ClientCAFile string
	// Unsafe lets those who have not said who they are call from other hosts, too.
	Unsafe bool
}

// Access knows the callers and their policies. What rests in files is read again when they
// change; a request sees one state or the other, and takes no lock.
type Access struct {
	unsafe bool
	peers  []peerRule

	policies atomic.Pointer[policyBook]
	keys     atomic.Pointer[keyring]    // nil: no client can show a key
	tls      atomic.Pointer[tls.Config] // nil: there is no certificate
	files    reload.Values
	strays   atomic.Pointer[string] // see strayPolicies; nil: none
}

// policyBook says which policy holds for whom. It is immutable.
type policyBook struct {
	byName    map[string]*Policy // the built-in ones too
	byCaller  map[string]*Policy
	byDefault *Policy
}

// NewAccess reads everything that o names and reports every mistake at once. Each names the setting.
func NewAccess(o AccessOptions) (*Access, error) {
	a := &Access{unsafe: o.Unsafe}
	errs := []error{a.setPolicy(o)}
	var err error
	if a.peers, err = parsePeers(o.Peers); err != nil {
		errs = append(errs, fmt.Errorf("EVERGATE_SOCKET_PEERS: %w", err))
	} else if len(a.peers) > 0 && !knowsPeers {
		errs = append(errs, errors.New("EVERGATE_SOCKET_PEERS: this system does not tell who is at the other end of a socket: remove it, or use EVERGATE_CLIENT_KEYS_FILE"))
	}
	if o.KeysFile != "" {
		a.files = append(a.files, reload.New("EVERGATE_CLIENT_KEYS_FILE", []string{o.KeysFile}, a.takeKeys))
	}
	if o.CertFile != "" {
		paths := []string{o.CertFile, o.KeyFile}
		if o.ClientCAFile != "" {
			paths = append(paths, o.ClientCAFile)
		}
		a.files = append(a.files, reload.New("EVERGATE_TLS_CERT_FILE", paths, a.takeCertificate))
	}
	return a, errors.Join(append(errs, a.files.Load(), a.strayPolicies())...)
}

func (a *Access) setPolicy(o AccessOptions) error {
	book := &policyBook{byName: builtIn()}
	a.policies.Store(book) // something to ask until, and unless, the file is read
	switch {
	case o.PolicyFile != "":
		book.byDefault = book.byName[PolicyNone]
		a.files = append(a.files, reload.New("EVERGATE_POLICY_FILE", []string{o.PolicyFile}, a.takePolicies))
	case o.Policy == "":
		book.byDefault = book.byName[PolicyFull]
	case book.byName[o.Policy] == nil:
		book.byDefault = book.byName[PolicyNone]
		return fmt.Errorf("EVERGATE_POLICY=%q: write full, read-only or none, or write policies of your own into EVERGATE_POLICY_FILE", o.Policy)
	default:
		book.byDefault = book.byName[o.Policy]
	}
	return nil
}

func (a *Access) takePolicies(contents [][]byte) error {
	book, err := parsePolicies(contents[0])
	if err == nil {
		a.policies.Store(book)
	}
	return err
}

func (a *Access) takeKeys(contents [][]byte) error {
	ring, err := parseKeys(contents[0])
	if err == nil {
		a.keys.Store(ring)
	}
	return err
}

func (a *Access) takeCertificate(contents [][]byte) error {
	config, err := serverTLS(contents)
	if err == nil {
		a.tls.Store(config)
	}
	return err
}

// strayPolicies reports every key whose policy is not there.
func (a *Access) strayPolicies() error {
	var errs []error
	if ring, book := a.keys.Load(), a.policies.Load(); ring != nil {
		for _, k := range ring.keys {
			if k.policy != "" && book.byName[k.policy] == nil {
				errs = append(errs, fmt.Errorf("EVERGATE_CLIENT_KEYS_FILE: the key of %s names the policy %s, which is not there: write it into EVERGATE_POLICY_FILE", k.name, k.policy))
			}
		}
	}
	return errors.Join(errs...)
}

// Listen opens an address for tools. A Unix socket that has a list of peers lets everybody
// connect, and those who are not on it learn why they may not go on. wrap, if there is one,
// makes something else of a listener without TLS; its connections must tell their NetConn.
func (a *Access) Listen(ctx context.Context, address listen.Address, wrap func(net.Listener) net.Listener) (net.Listener, error) {
	mode := listen.OwnerMode
	if len(a.peers) > 0 {
		mode = listen.EverybodyMode
	}
	l, err := listen.Open(ctx, address, mode)
	if err != nil {
		return nil, err
	}
	return a.Adopt(l, address, wrap), nil
}

// Adopt makes of a listener that somebody else has opened one of ours.
func (a *Access) Adopt(l net.Listener, address listen.Address, wrap func(net.Listener) net.Listener) net.Listener {
	switch {
	case address.TLS:
		l = tls.NewListener(l, &tls.Config{
			MinVersion:         tls.VersionTLS12,
			GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return a.tls.Load(), nil },
		})
	case wrap != nil:
		l = wrap(l)
	}
	return &listener{Listener: l, authenticate: !address.Loopback() && !a.unsafe}
}

// identify says who sent r and what holds for them.
func (a *Access) identify(r *http.Request) (Caller, *Policy, error) {
	caller, known, authenticate := Caller{Name: Anonymous}, false, false
	conn := connectionOf(r)
	if conn != nil {
		caller, known, authenticate = conn.caller, conn.known, conn.authenticate
		if conn.denied != nil {
			return caller, nil, conn.denied
		}
	}
	certificate, err := a.certificateOf(r, conn)
	switch {
	case err != nil:
		return caller, nil, err
	case certificate != nil && a.knows(certificate.name):
		known, caller = true, Caller{Name: certificate.name, Key: certificate.key}
	case certificate != nil:
		known, caller = true, Caller{Name: Other, Key: certificate.other}
	}
	if ring := a.keys.Load(); ring != nil {
		key, err := presentedKey(r.Header)
		if err != nil {
			return caller, nil, err
		}
		if key != "" { // it says most precisely who this is
			k := ring.find(key)
			if k == nil {
				return caller, nil, wrongKey()
			}
			known, caller = true, Caller{Name: k.name, Key: k.shares, key: k}
		}
	}
	if authenticate && !known {
		return caller, nil, stranger()
	}
	policy := a.policies.Load().policyOf(caller)
	if !known && policy.nothing() && a.keys.Load() != nil {
		return caller, nil, stranger()
	}
	return caller, policy, nil
}

func stranger() error {
	return denial.New(http.StatusForbidden, denial.CodeUnauthenticated,
		"Evergate has to know who calls here. Send a key of yours, evg_..., as Authorization: Bearer or as X-Shopify-Access-Token, "+
			"or connect with a client certificate. evergate key makes keys.")
}

// knows reports whether the configuration has this name.
func (a *Access) knows(name string) bool {
	if name == Anonymous || name == Other {
		return false
	}
	if a.policies.Load().byCaller[name] != nil {
		return true
	}
	if ring := a.keys.Load(); ring != nil && ring.names[name] {
		return true
	}
	for _, r := range a.peers {
		if r.name == name {
			return true
		}
	}
	return false
}

// policyOf returns the policy that holds for a caller: that of its key, or of its name, or
// everybody's. One that a key names and that is gone lets nothing through.
func (b *policyBook) policyOf(c Caller) *Policy {
	if c.key != nil && c.key.policy != "" {
		if p := b.byName[c.key.policy]; p != nil {
			return p
		}
		return &Policy{name: c.key.policy}
	}
	if p := b.byCaller[c.Name]; p != nil {
		return p
	}
	return b.byDefault
}

// Watch looks after the files until ctx ends. Nothing is looked at where there are none.
func (a *Access) Watch(ctx context.Context, log *slog.Logger) {
	a.files.Watch(ctx, log, func() { a.lookForStrays(log) })
}

// lookForStrays says once what only two files together can have wrong.
func (a *Access) lookForStrays(log *slog.Logger) {
	err := a.strayPolicies()
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
