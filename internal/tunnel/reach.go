package tunnel

import (
	"net"
	"net/netip"

	"evergate/internal/guard"
)

// MayReach judges an address that a tunnel to another host would lead to. The error is ErrNotPublic for one that is
// not on the internet, or on a network that this machine has an address in.
func MayReach(ip netip.Addr) error {
	ip = ip.Unmap()
	if !guard.IsPublic(ip) {
		return ErrNotPublic
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return err
	}
	for _, a := range own {
		if n, ok := a.(*net.IPNet); ok && n.Contains(ip.AsSlice()) {
			return ErrNotPublic
		}
	}
	return nil
}
