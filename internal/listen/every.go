package listen

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"syscall"

	"evergate/internal/ascii"
)

// ErrFamilyMissing says that this machine has no IPv6, or no IPv4, and so not the address.
var ErrFamilyMissing = errors.New("this machine does not have addresses of that family")

// Opened is a listener and the address that it is for.
type Opened struct {
	Listener net.Listener // not embedded: http.Server must be given it, and not what wraps it
	Address  Address
}

// OpenEvery opens every address, each as Open does. localhost is both loopback addresses, because clients
// differ in which they try, or try first: the one that this machine has, or both with one port. An
// address that is listed and that this machine cannot have is left out as long as another works, and
// reported in missing. On an error nothing is open.
func OpenEvery(ctx context.Context, addresses []Address, mode fs.FileMode) (opened []Opened, missing []error, _ error) {
	return openEvery(addresses, func(a Address) (net.Listener, error) { return Open(ctx, a, mode) })
}

type opener func(Address) (net.Listener, error)

func openEvery(addresses []Address, open opener) (opened []Opened, missing []error, err error) {
	for _, a := range addresses {
		var some []Opened
		if loopbacks := loopbacksOf(a, addresses); loopbacks == nil {
			some, err = openOne(a, open)
		} else {
			some, err = openLoopbacks(loopbacks, open)
		}
		switch {
		case errors.Is(err, ErrFamilyMissing):
			missing = append(missing, err)
		case err != nil:
			return nil, nil, errors.Join(err, closeEvery(opened))
		}
		opened = append(opened, some...)
	}
	if len(opened) == 0 && len(missing) > 0 {
		return nil, nil, errors.Join(missing...)
	}
	return opened, missing, nil
}

func closeEvery(opened []Opened) error {
	var errs []error
	for _, l := range opened {
		errs = append(errs, l.Listener.Close())
	}
	return errors.Join(errs...)
}

// loopbacksOf returns the two addresses that localhost is, without one that is listed itself; nil for any other host.
func loopbacksOf(a Address, listed []Address) []Address {
	host, port, err := net.SplitHostPort(a.Address)
	if a.Network != "tcp" || err != nil || !ascii.EqualFold(host, "localhost") {
		return nil
	}
	both := make([]Address, 0, 2)
	for _, ip := range [...]string{"127.0.0.1", "::1"} {
		one := a
		one.Address = net.JoinHostPort(ip, port)
		if port == "0" || !isListed(one, listed) {
			both = append(both, one)
		}
	}
	return both
}

func isListed(a Address, listed []Address) bool {
	want, err := netip.ParseAddrPort(a.Address)
	for _, other := range listed {
		if got, bad := netip.ParseAddrPort(other.Address); err == nil && bad == nil && got == want {
			return true
		}
	}
	return false
}

func openOne(a Address, open opener) ([]Opened, error) {
	l, err := open(a)
	if err != nil {
		if familyMissing(a, err) {
			err = fmt.Errorf("%w: %w", ErrFamilyMissing, err)
		}
		return nil, err
	}
	return []Opened{{l, a}}, nil
}

// samePort is how often a free port is looked for that is free on both loopback addresses.
const samePort = 16

// openLoopbacks opens those that the machine has. Where a free port is asked for, the second takes that of the first.
func openLoopbacks(addresses []Address, open opener) (opened []Opened, err error) {
	for range samePort {
		opened, err = openTogether(addresses, open)
		if err == nil || !errors.Is(err, syscall.EADDRINUSE) || !isAnyPort(addresses[0]) {
			break // that the one listed address is taken, everybody wants to know
		}
	}
	return opened, err
}

func openTogether(addresses []Address, open opener) (opened []Opened, _ error) {
	var missing error
	for _, a := range addresses {
		if len(opened) > 0 && isAnyPort(a) {
			a.Address = withPortOf(a, opened[0].Listener.Addr())
		}
		some, err := openOne(a, open)
		switch {
		case errors.Is(err, ErrFamilyMissing):
			missing = err
		case err != nil:
			return nil, errors.Join(err, closeEvery(opened))
		}
		opened = append(opened, some...)
	}
	if len(opened) == 0 {
		return nil, missing // nil where both are listed themselves
	}
	return opened, nil
}

func isAnyPort(a Address) bool {
	_, port, _ := net.SplitHostPort(a.Address)
	return port == "0"
}

func withPortOf(a Address, of net.Addr) string {
	host, _, _ := net.SplitHostPort(a.Address)
	_, port, _ := net.SplitHostPort(of.String())
	return net.JoinHostPort(host, port)
}

// familyMissing reports whether an address could not be opened because no address of its family can be. Any other
// that is not this machine's is a mistake.
func familyMissing(a Address, err error) bool {
	at, notIP := netip.ParseAddrPort(a.Address)
	if a.Network != "tcp" || notIP != nil {
		return false
	}
	if errors.Is(err, syscall.EAFNOSUPPORT) {
		return true
	}
	ip := at.Addr()
	always := ip.IsUnspecified() || ip == netip.IPv6Loopback() || ip == netip.AddrFrom4([4]byte{127, 0, 0, 1})
	return always && errors.Is(err, syscall.EADDRNOTAVAIL)
}
