package config

import (
	"evergate/internal/listen"
	"evergate/internal/remedy"
)

// HasTLSPair reports whether there are both a certificate and a key for tls: listeners.
func (c *Config) HasTLSPair() bool { return c.TLSCertFile != "" && c.TLSKeyFile != "" }

// checkAccess looks at the settings about who may do what. What rests in files is read by
// whoever puts it to use.
func (c *Config) checkAccess(vars map[string]string) (errs []error) {
	if c.PolicyFile != "" && vars["EVERGATE_POLICY"] != "" {
		errs = append(errs, remedy.New(`keep one; "default" in the file is what EVERGATE_POLICY would be`, "EVERGATE_POLICY and EVERGATE_POLICY_FILE are both set"))
	}
	if !c.HasTLSPair() && c.TLSCertFile+c.TLSKeyFile != "" {
		errs = append(errs, remedy.New("set both", "EVERGATE_TLS_CERT_FILE and EVERGATE_TLS_KEY_FILE belong together"))
	}
	if c.TLSClientCA != "" && c.TLSCertFile == "" {
		errs = append(errs, remedy.New("set EVERGATE_TLS_CERT_FILE and EVERGATE_TLS_KEY_FILE", "EVERGATE_TLS_CLIENT_CA_FILE needs a certificate of our own beside it"))
	}
	if c.Connect != ConnectOff && c.Connect != ConnectShops && c.Connect != ConnectTunnel {
		errs = append(errs, remedy.New("write shops, tunnel or off", "EVERGATE_CONNECT=%q", c.Connect))
	}
	if vars["LISTEN_FDS"] == "" { // systemd's sockets take the place of EVERGATE_LISTEN
		errs = append(errs, c.checkIdle()...)
	}
	return errs
}

// checkIdle refuses settings that no listener would look at: whoever set them counts on them.
func (c *Config) checkIdle() (errs []error) {
	var tls, unix bool
	for _, a := range c.Listeners {
		tls, unix = tls || a.TLS, unix || a.Network == "unix"
	}
	if len(c.Listeners) == 0 || c.ShopsFile != "" {
		return nil // reported by checkListeners; or others may be in the file
	}
	if c.TLSCertFile != "" && !tls {
		errs = append(errs, remedy.New("write for example tls:0.0.0.0:8443 there, or remove it", "EVERGATE_TLS_CERT_FILE is set, but EVERGATE_LISTEN has no tls: address"))
	}
	if c.SocketPeers != "" && !unix {
		errs = append(errs, remedy.New("write for example unix:/run/evergate/evergate.sock there, or remove it", "EVERGATE_SOCKET_PEERS is set, but EVERGATE_LISTEN has no unix: address"))
	}
	return errs
}

// CheckReach refuses an address that other hosts can reach if nobody who calls there could
// say who it is, and warns where a key would travel in the open. setting has the address.
func (c *Config) CheckReach(setting string, a listen.Address) error {
	certificates := a.TLS && c.TLSClientCA != ""
	switch {
	case a.Loopback():
		return nil
	case c.ClientKeysFile == "" && !certificates && !c.UnsafeListen:
		return remedy.New("whoever can reach it acts as your app; listen on 127.0.0.1 or a Unix socket, have clients show keys (EVERGATE_CLIENT_KEYS_FILE) or, on a tls: address, certificates (EVERGATE_TLS_CLIENT_CA_FILE), or set EVERGATE_UNSAFE_LISTEN=true to accept that", "%s=%q is not loopback", setting, a)
	case c.ClientKeysFile != "" && !a.TLS:
		c.Warnings = append(c.Warnings, remedy.New("clients' keys travel to it unencrypted", "%s=%q is neither loopback nor tls", setting, a))
	}
	return nil
}
