package sidecar

import (
	"evergate/internal/access"
	"evergate/internal/config"
)

// Settings are the configuration and what its files say about who may do what.
type Settings struct {
	*config.Config
	Access *access.Access
}

// Load reads and checks every setting, and the files about access. The error joins one error for
// each mistake; the Config is there all the same. others see the Config before it is final.
func Load(environ []string, others ...func(*config.Config) error) (Settings, error) {
	var s Settings
	var err error
	s.Config, err = config.Load(environ, append(others, func(c *config.Config) (err error) {
		s.Access, err = access.New(accessOptions(c))
		return err
	})...)
	return s, err
}

func accessOptions(c *config.Config) access.Options {
	o := access.Options{Policy: c.Policy, PolicyFile: c.PolicyFile, Peers: c.SocketPeers, KeysFile: c.ClientKeysFile, Unsafe: c.UnsafeListen, Everybody: c.HeldTo}
	if c.HasTLSPair() {
		o.CertFile, o.KeyFile, o.ClientCAFile = c.TLSCertFile, c.TLSKeyFile, c.TLSClientCA
	}
	return o
}
