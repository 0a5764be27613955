package sidecar

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"evergate/internal/access"
	"evergate/internal/config"
	"evergate/internal/limit"
	"evergate/internal/listen"
	"evergate/internal/upstream"
)

// Listen opens every listener, so that nobody who starts beside us is refused a
// connection; requests are answered with 503 until there is a token.
func (s *Sidecar) Listen(ctx context.Context) error {
	return s.listenOn(ctx, s.cfg.Listeners, s.cfg.Admin, s.cfg.OnlyShop == "")
}

// ListenOn is Listen for other addresses than those of the settings and the shops file.
func (s *Sidecar) ListenOn(ctx context.Context, tools []listen.Address, operators listen.Address) error {
	return s.listenOn(ctx, tools, operators, false)
}

func (s *Sidecar) listenOn(ctx context.Context, tools []listen.Address, operators listen.Address, own bool) error {
	if err := s.adopt(); err != nil {
		return err
	}
	if len(s.listeners) == 0 {
		if err := s.listenForTools(ctx, tools); err != nil {
			return err
		}
	}
	err := s.listenForOthers(ctx, operators)
	if err == nil && own && s.many != nil {
		err = s.openOwn(ctx, s.many.dir.listeners())
	}
	if err == nil {
		err = s.checkLoop(ctx)
	}
	if err == nil && s.cfg.CAFile != "" {
		err = s.writeRoots()
	}
	if err != nil {
		s.closeListeners()
		s.listeners, s.announcements = nil, nil
	}
	return err
}

// loopWait bounds the look at where the shop's name leads, before anything is served.
const loopWait = 3 * time.Second

// checkLoop refuses a way to Shopify that would lead back here. The shop's own name is made to lead here for tools that
// cannot be given an address, which takes a listener with TLS; without one nothing is looked up.
func (s *Sidecar) checkLoop(ctx context.Context) error {
	s.app.Transport.AvoidLoop(s.isOurs)
	if !slices.ContainsFunc(s.everyListener(), func(l listen.Opened) bool { return l.Address.TLS }) {
		return nil
	}
	ctx, stop := context.WithTimeout(ctx, loopWait)
	defer stop()
	if err := s.app.Transport.CheckLoop(ctx); err != nil {
		return config.Wrong(err)
	}
	return nil
}

// isOurs reports whether tools are listened for at an address.
func (s *Sidecar) isOurs(at netip.AddrPort) bool {
	return slices.ContainsFunc(s.everyListener(), func(l listen.Opened) bool {
		tcp, ok := l.Listener.Addr().(*net.TCPAddr)
		return ok && isAt(tcp.AddrPort(), at)
	})
}

// isAt reports whether whoever calls an address is heard by a listener on own.
func isAt(own, at netip.AddrPort) bool {
	ip, called := own.Addr().Unmap(), at.Addr().Unmap()
	return own.Port() == at.Port() && (ip == called || ip.IsUnspecified() && isThisMachine(called))
}

// AvoidLoop has a process that does not listen itself refuse a way to Shopify that leads to a sidecar with these addresses.
func AvoidLoop(t *upstream.Transport, addresses []listen.Address) {
	var own []netip.AddrPort
	for _, a := range addresses {
		own = append(own, a.Known()...)
	}
	t.AvoidLoop(func(at netip.AddrPort) bool {
		return slices.ContainsFunc(own, func(o netip.AddrPort) bool { return isAt(o, at) })
	})
}

// isThisMachine reports whether an address is one of this machine's.
func isThisMachine(ip netip.Addr) bool {
	if ip.IsLoopback() || ip.IsUnspecified() {
		return true
	}
	own, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(own, func(a net.Addr) bool {
		n, ok := a.(*net.IPNet)
		return ok && n.IP.Equal(ip.AsSlice())
	})
}

// listenForOthers opens the listeners of those who call no tools.
func (s *Sidecar) listenForOthers(ctx context.Context, operators listen.Address) error {
	if len(s.adminOn) == 0 {
		opened, _, err := listen.OpenEvery(ctx, []listen.Address{operators}, listen.OwnerMode)
		if err != nil {
			return fmt.Errorf("EVERGATE_ADMIN_LISTEN: %w", err)
		}
		s.adminOn = opened
		for _, l := range opened {
			s.announce("listening for operators", "address", l.Listener.Addr().String())
		}
	}
	if s.merchants == nil {
		return nil
	}
	opened, _, err := listen.OpenEvery(ctx, []listen.Address{s.cfg.Login}, listen.OwnerMode)
	if err != nil {
		return fmt.Errorf("EVERGATE_LOGIN_LISTEN: %w", err)
	}
	s.merchantsOn = opened
	for _, l := range opened {
		s.announce("listening for merchants", "address", l.Listener.Addr().String())
	}
	return nil
}

func (s *Sidecar) listenForTools(ctx context.Context, addresses []listen.Address) error {
	opened, missing, err := s.access.Listen(ctx, addresses, s.wrappers())
	if err != nil {
		return fmt.Errorf("EVERGATE_LISTEN: %w", err)
	}
	for _, why := range missing {
		s.log.Warn("an address of EVERGATE_LISTEN is left out", "err", why)
	}
	for _, l := range opened {
		s.announce("listening for tools", append([]any{"address", l.Listener.Addr().String()}, s.forWhom(l.Address)...)...)
	}
	s.listeners = opened
	return nil
}

// forWhom says in a log whose calls a listener takes.
func (s *Sidecar) forWhom(a listen.Address) []any {
	switch {
	case s.many == nil:
		return []any{"shop", s.cfg.Shop.Domain(), "grant", s.cfg.Grant}
	case !a.Shop.IsZero():
		return []any{"shop", a.Shop.Domain()}
	}
	return []any{"shops", s.many.dir.count(), "stored", s.many.dir.file.Load().Stored}
}

// announce keeps what LogListeners will say of a listener that has been opened.
func (s *Sidecar) announce(message string, attrs ...any) {
	s.announcements = append(s.announcements, func() { s.log.Info(message, attrs...) })
}

// LogListeners logs what Listen has opened. Whoever tells people in words need not call it.
func (s *Sidecar) LogListeners() {
	for _, say := range s.announcements {
		say()
	}
}

func (s *Sidecar) wrappers() access.Wrappers {
	return access.Wrappers{First: s.limits.tools.Wrap, Multiplex: mayMultiplex}
}

// mayMultiplex reports whether a connection of a tool may speak HTTP/2.
func mayMultiplex(c net.Conn) bool { return limit.ConnOf(c).MayMultiplex() }

func (s *Sidecar) closeListeners() {
	s.closeOwn()
	for _, l := range s.listeners {
		_ = l.Listener.Close()
	}
}

// AdminURL is the address for operators.
func (s *Sidecar) AdminURL() string { return urlOf(s.adminOn[0]) }

// URL is the address for tools, that of the listener which most of them can call.
func (s *Sidecar) URL() string { return s.URLs()[0] }

// URLs are the addresses for tools, first those which most of them can call: http before https, whose
// certificate may have another name, and Unix sockets last.
func (s *Sidecar) URLs() (all []string) {
	every := s.everyListener()
	for strange := range strangest + 1 {
		for _, l := range every {
			if strangeness(l.Address) == strange {
				all = append(all, urlOf(l))
			}
		}
	}
	return all
}

const strangest = 2

func strangeness(a listen.Address) int {
	switch {
	case a.Network == "unix":
		return strangest
	case a.TLS:
		return 1
	}
	return 0
}

// urlOf is where this machine reaches a listener. One that listens on every address is on the loopback, too.
func urlOf(l listen.Opened) string {
	if l.Listener.Addr().Network() == "unix" {
		return "unix:" + l.Listener.Addr().String()
	}
	scheme := "http://"
	if l.Address.TLS {
		scheme = "https://"
	}
	address := l.Listener.Addr().String()
	if host, port, err := net.SplitHostPort(address); err == nil && (host == "::" || host == "0.0.0.0") {
		address = net.JoinHostPort("localhost", port)
	}
	return scheme + address
}
