package upstream

import (
	"context"
	"net"
	"net/netip"
	"syscall"
)

// DialOther connects to address, host:port, which is not the upstream, on the way on which the upstream is reached: directly, or
// through the same forward proxy, which then looks the name up. may judges each address that is dialled directly. Nothing
// is sent.
func (t *Transport) DialOther(ctx context.Context, address string, may func(netip.Addr) error) (net.Conn, error) {
	d := *t.dialer
	d.address, d.tls = address, nil
	if via, err := t.Via(); err != nil || via.URL != nil {
		return d.tunnel(ctx)
	}
	judged := *t.dialer.net
	control := judged.Control
	judged.Control = func(network, resolved string, c syscall.RawConn) error {
		ip, err := netip.ParseAddrPort(resolved)
		if err == nil {
			err = may(ip.Addr())
		}
		if err != nil || control == nil {
			return err
		}
		return control(network, resolved, c)
	}
	d.net = &judged
	return d.direct(ctx)
}
