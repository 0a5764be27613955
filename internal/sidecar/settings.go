package sidecar

import (
	"slices"

	"evergate/internal/access"
	"evergate/internal/config"
	"evergate/internal/guard"
	"evergate/internal/listen"
	"evergate/internal/localca"
	"evergate/internal/reload"
	"evergate/internal/shopsfile"
)

// Settings are the configuration, what its files say about who may do what, and the authority of this
// machine's own clients.
type Settings struct {
	*config.Config
	Shops  *shopsfile.File // nil: there is none
	Access *access.Access
	CA     *localca.Authority

	directory *directory
}

// Load reads and checks every setting, and the files about access. The error joins one error for
// each mistake; the Config and the CA are there all the same. others see the Config before it is final.
func Load(environ []string, others ...func(*config.Config) error) (Settings, error) {
	var s Settings
	var err error
	s.Config, err = config.Load(environ, append(others, func(c *config.Config) (err error) {
		s.directory = &directory{single: c.Shop, own: c}
		if !c.Shop.IsZero() {
			s.directory.only = guard.One(c.Shop)
		}
		var value *reload.Value
		if s.Shops, value, err = shopsfile.Load(c, s.directory.take); value != nil {
			s.directory.file.Store(s.Shops)
			s.directory.files = reload.Values{value}
		}
		return err
	}, func(c *config.Config) (err error) {
		if s.Config = c; c.OnlyShop != "" {
			if err := s.pin(); err != nil {
				return err
			}
		}
		s.CA = OpenCA(c, environ)
		s.Access, err = access.New(accessOptions(c, s.CA, s.directory))
		return err
	})...)
	return s, err
}

// pin has every listener for tools be for the one shop that is meant.
func (s Settings) pin() error {
	c := s.Config
	if c.OnlyShop == "" || c.ShopsFile == "" || s.Shops == nil { // where the file cannot be read, that has been said
		return nil
	}
	shop, err := s.Named(c.OnlyShop)
	if err != nil {
		return err
	}
	for i := range c.Listeners {
		if c.Listeners[i].Shop.IsZero() {
			c.Listeners[i].Shop = shop
		}
	}
	return listen.CheckPins(c.Listeners, shop)
}

// OpenCA returns the local CA of these settings. It touches nothing.
func OpenCA(c *config.Config, environ []string) *localca.Authority {
	return localca.Open(func() (string, error) { return c.CAPlace(config.Getenv(environ)) })
}

// NeedsCA reports whether a listener cannot do without the local CA.
func NeedsCA(c *config.Config) bool {
	return !c.HasTLSPair() && slices.ContainsFunc(c.Listeners, func(a listen.Address) bool { return a.TLS })
}

func accessOptions(c *config.Config, ca *localca.Authority, d *directory) access.Options {
	o := access.Options{
		Policy: c.Policy, PolicyFile: c.PolicyFile, Peers: c.SocketPeers, KeysFile: c.ClientKeysFile, Unsafe: c.UnsafeListen, Everybody: c.HeldTo, Keys: c.ChildKey,
		Local: ca.Leaves(d.leaves()).Certificate,
	}
	if c.HasTLSPair() {
		o.CertFile, o.KeyFile, o.ClientCAFile = c.TLSCertFile, c.TLSKeyFile, c.TLSClientCA
	}
	return o
}
