package caller

import (
	"crypto/x509"
	"errors"
	"slices"
	"sync/atomic"

	"evergate/internal/reload"
	"evergate/internal/remedy"
	"evergate/internal/request"
)

// Options says how callers are known. The zero value knows nobody by name.
type Options struct {
	// KeysFile has a line for each key that a client may show; empty: none may.
	KeysFile string
	// Keys are lines as KeysFile has them, of keys that end with this process.
	Keys string
	// Peers says who may connect to Unix sockets; empty: whoever its mode lets.
	Peers string
	// Authorities are those of client certificates as they are now; nil, or a nil pool: none.
	Authorities func() *x509.CertPool
	// Named reports whether something else in the configuration has this name for a caller; nil:
	// nothing has.
	Named func(name string) bool
}

// Registry knows the callers. Its methods are safe for concurrent use.
type Registry struct {
	opt   Options
	peers []peerRule
	keys  atomic.Pointer[keyring] // nil: no client can show a key
	files reload.Values
}

// New returns a registry that has read no file yet: Files has those that must be loaded. Its
// error joins every mistake, and the registry is fit for use all the same.
func New(o Options) (*Registry, error) {
	g := &Registry{opt: o}
	var err error
	switch g.peers, err = parsePeers(o.Peers); {
	case err != nil:
		err = remedy.Prefix("EVERGATE_SOCKET_PEERS", err)
	case len(g.peers) > 0 && !knowsPeers:
		err = remedy.New("remove it, or use EVERGATE_CLIENT_KEYS_FILE", "EVERGATE_SOCKET_PEERS: this system does not tell who is at the other end of a socket")
	}
	if o.Keys != "" {
		err = errors.Join(err, g.takeKeys([][]byte{nil}))
	}
	if o.KeysFile != "" {
		g.files = reload.Values{reload.New("EVERGATE_CLIENT_KEYS_FILE", []string{o.KeysFile}, g.takeKeys)}
	}
	return g, err
}

// Files is what has to be loaded before the first request, and watched.
func (g *Registry) Files() reload.Values { return g.files }

func (g *Registry) takeKeys(contents [][]byte) error {
	ring, err := parseKeys(slices.Concat(contents[0], []byte("\n"+g.opt.Keys)))
	if err == nil {
		g.keys.Store(ring)
	}
	return err
}

// HasKeys reports whether a client can show a key.
func (g *Registry) HasKeys() bool { return g.keys.Load() != nil }

// Keys is how many keys there are.
func (g *Registry) Keys() int {
	if ring := g.keys.Load(); ring != nil {
		return len(ring.keys)
	}
	return 0
}

// PeerRules is how many rules there are about peers at Unix sockets. Where there are some, a
// socket must let everybody connect, and those who are not on the list learn why they may not go on.
func (g *Registry) PeerRules() int { return len(g.peers) }

// KeysWithPolicies calls yield with the caller's name and the policy of each key that names one.
func (g *Registry) KeysWithPolicies(yield func(name, policy string)) {
	ring := g.keys.Load()
	if ring == nil {
		return
	}
	for _, k := range ring.keys {
		if k.policy != "" {
			yield(k.name, k.policy)
		}
	}
}

// Identify says who sent r. The error is a denial; the Caller is then what is known of it.
func (g *Registry) Identify(r *request.Request) (Caller, error) {
	caller, authenticate := Caller{Name: Anonymous}, false
	conn, _ := r.Connection.(*connection)
	if conn != nil {
		caller, authenticate = conn.caller, conn.authenticate
		if conn.denied != nil {
			return caller, conn.denied
		}
	}
	switch certificate, err := g.certificateOf(r, conn); {
	case err != nil:
		return caller, err
	case certificate != nil && g.names(certificate.qualified):
		caller = Caller{Name: certificate.qualified, Key: certificate.key, Known: true}
	case certificate != nil && g.names(certificate.name) && !g.isTaken(certificate.name):
		caller = Caller{Name: certificate.name, Key: certificate.bare, Known: true}
	case certificate != nil:
		caller = Caller{Name: Other, Key: certificate.key, Known: true}
	}
	if ring := g.keys.Load(); ring != nil {
		k, err := ring.keyOf(r.Fields, conn)
		if err != nil {
			return caller, err
		}
		if k != nil { // it says most precisely who this is
			caller = Caller{Name: k.name, Key: k.shares, Known: true, key: k}
		}
	}
	if authenticate && !caller.Known {
		return caller, Stranger()
	}
	return caller, nil
}

// names reports whether a policy is for a caller of this name.
func (g *Registry) names(name string) bool {
	return name != Anonymous && name != Other && g.opt.Named != nil && g.opt.Named(name)
}

// isTaken reports whether a key or a peer has this name, so that it is not a certificate's: whoever
// may have certificates made would become that caller by choosing its name.
func (g *Registry) isTaken(name string) bool {
	if ring := g.keys.Load(); ring != nil && ring.names[name] {
		return true
	}
	for _, r := range g.peers {
		if r.name == name {
			return true
		}
	}
	return false
}
