// Package listen opens the addresses that tools and operators call.
//
// Invariants: every mistake in a list of addresses is reported, each with its remedy; a Unix
// socket can at no moment be reached by anybody whom its mode would keep out, and takes the
// place of one that nobody answers on any more, never of a live one.
package listen

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"evergate/internal/ascii"
	"evergate/internal/remedy"
	"evergate/internal/token"
)

// Address is where to listen.
type Address struct {
	// Network is "tcp" or "unix".
	Network string
	// Address is host:port, or the path of a socket.
	Address string
	// TLS says that clients speak https.
	TLS bool
	// Shop is the shop that everything arriving here is for; zero when the request says.
	Shop token.Shop
}

// Parse reads a comma-separated list of host:port, tls:host:port and unix:/path, each
// with an optional shop@ in front. Every mistake is reported, each with its remedy.
func Parse(spec string) ([]Address, error) {
	var addresses []Address
	var errs []error
	seen := make(map[string]bool)
	for _, entry := range strings.Split(spec, ",") {
		entry = strings.TrimSpace(entry)
		a, err := parseAddress(entry)
		key := a.Network + " " + a.Address
		if err == nil && seen[key] && !strings.HasSuffix(a.Address, ":0") {
			err = remedy.New("remove one", "is listed twice")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("the listen address %q %w", entry, err))
			continue
		}
		seen[key] = true
		addresses = append(addresses, a)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return addresses, nil
}

// CheckPins reports every address that is pinned to another shop than the one served.
func CheckPins(addresses []Address, shop token.Shop) error {
	var errs []error
	for _, a := range addresses {
		if !a.Shop.IsZero() && a.Shop != shop {
			errs = append(errs, remedy.New(fmt.Sprintf("write %s", Address{Network: a.Network, Address: a.Address, TLS: a.TLS, Shop: shop}), "the listen address %q is for the shop %s, but %s is the one that is served", a, a.Shop, shop))
		}
	}
	return errors.Join(errs...)
}

func parseAddress(entry string) (Address, error) {
	if entry == "" {
		return Address{}, remedy.New("give host:port, for example 127.0.0.1:8080, and no comma too many", "is empty")
	}
	if scheme, rest, ok := strings.Cut(entry, "://"); ok {
		return Address{}, remedy.New(fmt.Sprintf("drop %.40q and any path, for example %s", scheme+"://", exampleOf(rest)), "is a URL")
	}
	var shop token.Shop
	if name, rest, ok := strings.Cut(entry, "@"); ok && !strings.HasPrefix(entry, "unix:") {
		var err error
		if shop, err = token.ParseShop(name); err != nil {
			return Address{}, fmt.Errorf("is pinned to no shop, for what precedes the @ must be one: %w", err)
		}
		entry = rest
	}
	if path, ok := strings.CutPrefix(entry, "unix:"); ok {
		// An abstract socket (unix:@name) has no file mode, so any user could call it.
		if !filepath.IsAbs(path) {
			return Address{}, errors.New("needs an absolute path, for example unix:/run/evergate/evergate.sock")
		}
		return Address{Network: "unix", Address: filepath.Clean(path), Shop: shop}, nil
	}
	hostPort, secure := strings.CutPrefix(entry, tlsPrefix)
	address, err := parseHostPort(hostPort)
	return Address{Network: "tcp", Address: address, TLS: secure, Shop: shop}, err
}

// tlsPrefix marks an address that clients reach by https.
const tlsPrefix = "tls:"

func parseHostPort(s string) (string, error) {
	if _, err := strconv.Atoi(s); err == nil {
		return "", remedy.New(fmt.Sprintf("write 127.0.0.1:%s", s), "has no host")
	}
	if ip, err := netip.ParseAddr(s); err == nil {
		return "", remedy.New(fmt.Sprintf("write %s", net.JoinHostPort(ip.String(), "8080")), "has no port")
	}
	host, port, err := net.SplitHostPort(s)
	switch {
	case err != nil && strings.Count(s, ":") > 1:
		return "", remedy.New("write an IPv6 address in brackets, for example [::1]:8080", "is not host:port")
	case err != nil:
		return "", remedy.New("write, for example, 127.0.0.1:8080", "is not host:port")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return "", remedy.New("give a number from 0 to 65535, where 0 takes a free one", "has no usable port")
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && !ascii.IsHostName(host) {
		return "", remedy.New("give an IP address or a host name, for example 127.0.0.1:8080", "has no usable host")
	}
	return net.JoinHostPort(host, port), nil
}

// exampleOf is what is left of a URL that someone gave for an address.
func exampleOf(rest string) string {
	host, _, _ := strings.Cut(rest, "/")
	if _, err := parseHostPort(host); err != nil {
		return "127.0.0.1:8080"
	}
	return host
}

// Loopback reports whether only this machine can reach the address. A name other than
// localhost may resolve to anything, so it does not count.
func (a Address) Loopback() bool {
	if a.Network == "unix" {
		return true
	}
	host, _, err := net.SplitHostPort(a.Address)
	if err != nil {
		return false
	}
	if ascii.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// Known are the addresses that a is, as far as that is known without a look-up: none for a socket and for a name other than localhost.
func (a Address) Known() (all []netip.AddrPort) {
	for _, one := range append(loopbacksOf(a, nil), a) {
		text := one.Address
		if strings.HasPrefix(text, ":") {
			text = "[::]" + text // every address of this machine
		}
		if at, err := netip.ParseAddrPort(text); err == nil && one.Network == "tcp" {
			all = append(all, at)
		}
	}
	return all
}

// Places are the places that an address takes, and those that must be free for it: the same one, and for every address of this
// machine each single one of that port. With port 0 it takes none.
func (a Address) Places() (taken, free []string) {
	if a.Network == "unix" {
		own := []string{"unix:" + a.Address}
		return own, own
	}
	host, port, err := net.SplitHostPort(a.Address)
	if err != nil || port == "0" {
		return nil, nil
	}
	ip, err := netip.ParseAddr(host)
	ip = ip.Unmap()
	switch {
	case host == "" || err == nil && ip == netip.IPv6Unspecified(): // both families
		taken = []string{"every4 " + port, "every6 " + port}
		return taken, append(taken, "one4 "+port, "one6 "+port)
	case err == nil && ip.IsUnspecified():
		taken = []string{"every4 " + port}
		return taken, append(taken, "one4 "+port)
	case err == nil:
		family := "6 "
		if ip.Is4() {
			family = "4 "
		}
		own := net.JoinHostPort(ip.String(), port)
		return []string{own, "one" + family + port}, []string{own, "every" + family + port}
	}
	for _, ip := range loopbacksOf(a, nil) {
		t, f := ip.Places()
		taken, free = append(taken, t...), append(free, f...)
	}
	if taken == nil { // of a name, whose address is not known yet
		own := strings.ToLower(a.Address)
		return []string{own, "one4 " + port, "one6 " + port}, []string{own, "every4 " + port, "every6 " + port}
	}
	return taken, free
}

// String returns the address as Parse reads it.
func (a Address) String() string {
	s := a.Address
	if a.Network == "unix" {
		s = "unix:" + s
	} else if a.TLS {
		s = tlsPrefix + s
	}
	if !a.Shop.IsZero() {
		s = a.Shop.Handle() + "@" + s
	}
	return s
}

// Open opens a, without TLS. mode is that of a Unix socket: OwnerMode or EverybodyMode.
func Open(ctx context.Context, a Address, mode fs.FileMode) (net.Listener, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if a.Network == "unix" {
		return listenUnix(ctx, a.Address, mode)
	}
	var config net.ListenConfig
	ln, err := config.Listen(ctx, a.Network, a.Address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, remedy.New("stop it, or choose another port (0 takes a free one)", "another process listens on %s: %w", a.Address, err)
	case errors.Is(err, syscall.EACCES):
		return nil, remedy.New("choose a port from 1024 on", "this user may not listen on %s: %w", a.Address, err)
	case err != nil:
		return nil, remedy.New("give an address of this machine, for example 127.0.0.1:8080", "cannot listen on %s: %w", a.Address, err)
	}
	return ln, nil
}
