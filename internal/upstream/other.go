package upstream

import (
	"context"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// DialOther connects to address, host:port, which is not the upstream, on the way on which the upstream is reached: directly, or
// through the same forward proxy, which then looks the name up for itself. may judges each address that is dialled directly, and before
// a proxy is asked each that the name leads to here; one that has none here is the proxy's to know. Nothing is sent.
func (t *Transport) DialOther(ctx context.Context, address string, may func(netip.Addr) error) (net.Conn, error) {
	d := *t.dialer
	d.address, d.tls = address, nil
	if via, err := t.Via(); err != nil || via.URL != nil {
		if err := d.judge(ctx, may); err != nil {
			return nil, err
		}
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

// judgeTimeout bounds the look-up of a name that a proxy will look up again.
const judgeTimeout = 3 * time.Second

// judge looks at the addresses that the dialler's address has here.
func (d *dialer) judge(ctx context.Context, may func(netip.Addr) error) error {
	host, _, err := net.SplitHostPort(d.address)
	if err != nil {
		return err
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return may(ip)
	}
	ctx, stop := context.WithTimeout(ctx, judgeTimeout)
	defer stop()
	addresses, err := d.addresses(ctx, host)
	if err != nil {
		return nil //nolint:nilerr // behind a proxy, names of the internet need not be known here
	}
	for _, ip := range addresses {
		if err := may(ip); err != nil {
			return err
		}
	}
	return nil
}
