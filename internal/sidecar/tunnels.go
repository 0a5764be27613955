package sidecar

import (
	"context"
	"net"

	"evergate/internal/config"
	"evergate/internal/guard"
	"evergate/internal/listen"
	"evergate/internal/tunnel"
)

// tunnelsOf are the tunnels that the setting allows.
func tunnelsOf(cfg *config.Config) guard.Tunnels {
	switch cfg.Connect {
	case config.ConnectShops:
		return guard.ShopTunnels
	case config.ConnectTunnel:
		return guard.AllTunnels
	}
	return guard.NoTunnels
}

// newTunnels serves CONNECT. Nothing is made of the local authority before a tunnel needs it.
func (s *Sidecar) newTunnels() *tunnel.Server {
	return tunnel.New(tunnel.Options{
		Admission: s.admission, InTunnel: s.access.InTunnel, TLS: listen.Local(s.access.LocalCertificate, mayMultiplex), Memory: s.limits.memory,
		Dial: func(ctx context.Context, address string) (net.Conn, error) {
			return s.app.Transport.DialOther(ctx, address, tunnel.MayReach)
		},
	})
}
