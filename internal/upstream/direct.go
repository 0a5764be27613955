package upstream

import (
	"context"
	"net"
	"net/netip"
	"syscall"
	"time"

	"evergate/internal/remedy"
	"evergate/internal/socket"
)

// Lookup looks a name up elsewhere than this system does.
type Lookup func(ctx context.Context, host string) ([]netip.Addr, error)

// leastTry is how long an address is tried at least before the next one is.
const leastTry = 2 * time.Second

// direct connects to the dialler's address without a proxy.
func (d *dialer) direct(ctx context.Context) (net.Conn, error) {
	host, port, err := net.SplitHostPort(d.address)
	if err != nil {
		return nil, err
	}
	if _, err := netip.ParseAddr(host); d.lookup == nil || err == nil {
		return wrapped(d.net.DialContext(ctx, "tcp", d.address))
	}
	addresses, err := d.lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	for i, ip := range addresses {
		conn, dialErr := d.try(ctx, net.JoinHostPort(ip.String(), port), len(addresses)-i)
		if dialErr == nil {
			return conn, nil
		}
		if err == nil {
			err = dialErr // the first one says most
		}
	}
	return nil, err
}

// wrapped is a connection that reads and writes without asking the scheduler.
func wrapped(c net.Conn, err error) (net.Conn, error) {
	if err != nil {
		return nil, err
	}
	return socket.Wrap(c), nil
}

// addresses looks a name up where direct does.
func (d *dialer) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if d.lookup != nil {
		return d.lookup(ctx, host)
	}
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// LookUp returns the addresses of a host, looked up as the upstream is.
func (t *Transport) LookUp(ctx context.Context, host string) ([]string, error) {
	if t.dialer.lookup == nil {
		return net.DefaultResolver.LookupHost(ctx, host)
	}
	found, err := t.dialer.lookup(ctx, host)
	all := make([]string, len(found))
	for i, ip := range found {
		all[i] = ip.String()
	}
	return all, err
}

// try dials one of the addresses that are left, in its share of the time.
func (d *dialer) try(ctx context.Context, address string, left int) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok && left > 1 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, max(time.Until(deadline)/time.Duration(left), leastTry))
		defer stop()
	}
	return wrapped(d.net.DialContext(ctx, "tcp", address))
}

// control looks at an address before it is dialled.
func (d *dialer) control(network, address string, c syscall.RawConn) error {
	if ours := d.ours.Load(); ours != nil {
		if at, err := netip.ParseAddrPort(address); err == nil && (*ours)(at) {
			return &loopError{}
		}
	}
	return boundSilence(network, address, c)
}

// loopError says that the way to Shopify leads back to us.
type loopError struct{}

// Error implements error.
func (*loopError) Error() string { return errLoop.Error() }

// Plain says that the text quotes nothing.
func (*loopError) Plain() string { return errLoop.Error() }

// Unwrap returns the error with its remedy.
func (*loopError) Unwrap() error { return errLoop }

var errLoop = remedy.New("name a name server in EVERGATE_RESOLVER that knows Shopify's address, for example resolv.conf for those of /etc/resolv.conf",
	"the shop's name leads to this Evergate itself, so its calls would go round in a circle")

// AvoidLoop has an address that ours says is one of this process's not be dialled. It may be called at any time.
func (t *Transport) AvoidLoop(ours func(netip.AddrPort) bool) { t.dialer.ours.Store(&ours) }

// CheckLoop looks the upstream up and reports whether its address is one of this process's. An address that is not
// known is no error here.
func (t *Transport) CheckLoop(ctx context.Context) error {
	ours := t.dialer.ours.Load()
	if via, err := t.Via(); ours == nil || err != nil || via.URL != nil || t.where() == "" {
		return nil
	}
	host, service, err := net.SplitHostPort(t.where())
	if err != nil {
		return err
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", service)
	if err != nil {
		return err
	}
	addresses, err := t.dialer.addresses(ctx, host)
	if err != nil {
		return nil //nolint:nilerr // there may be an address later, and what is dialled is looked at again
	}
	for _, ip := range addresses {
		if (*ours)(netip.AddrPortFrom(ip.Unmap(), uint16(port))) {
			return errLoop
		}
	}
	return nil
}
