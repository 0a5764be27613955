package sidecar

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"

	"evergate/internal/access"
	"evergate/internal/admin"
	"evergate/internal/listen"
)

// ownListeners are the listeners of shops' own. They follow the shops file: what is new there is opened, what is not there any more is
// closed, and an address that another shop has now goes on with that one. It is safe for concurrent use.
type ownListeners struct {
	mu     sync.Mutex
	opened map[listen.Address][]listen.Opened // by what the file says
	failed map[listen.Address]error           // could not be opened
	follow bool                               // the file is followed: it is served, and the end has not begun
	fail   func(error)                        // is told of one that ends by itself
	// every are those that are open now, in the order of their addresses: who dials looks at them, and waits for nobody who opens one.
	every atomic.Pointer[[]listen.Opened]
}

// publish is called when opened has changed. The lock is held.
func (o *ownListeners) publish() {
	byAddress := map[string][]listen.Opened{} // strings are sorted, because to sort what is larger takes 25 KiB of program for each type
	for _, opened := range o.opened {
		for _, one := range opened {
			address := one.Address.String()
			byAddress[address] = append(byAddress[address], one)
		}
	}
	every := make([]listen.Opened, 0, len(byAddress))
	for _, address := range slices.Sorted(maps.Keys(byAddress)) {
		every = append(every, byAddress[address]...)
	}
	o.every.Store(&every)
}

// openOwn opens those of the file at the start.
func (s *Sidecar) openOwn(ctx context.Context, addresses []listen.Address) error {
	s.own.mu.Lock()
	defer s.own.mu.Unlock()
	s.own.opened, s.own.failed = map[listen.Address][]listen.Opened{}, map[listen.Address]error{}
	defer s.own.publish()
	for _, a := range addresses {
		if err := s.openOne(ctx, a); err != nil {
			return fmt.Errorf("EVERGATE_SHOPS_FILE: %s: listen: %w", a.Shop, err)
		}
	}
	return nil
}

// openOne opens one address, which may be two of this machine's. The lock is held.
func (s *Sidecar) openOne(ctx context.Context, a listen.Address) error {
	opened, missing, err := s.access.Listen(ctx, []listen.Address{a}, s.wrappers())
	if errors.Is(err, listen.ErrFamilyMissing) {
		missing, err = append(missing, err), nil
	}
	if err != nil {
		return err
	}
	for _, why := range missing {
		s.log.Warn("an address of the shops file is left out", "shop", a.Shop.Domain(), "err", why)
	}
	for _, l := range opened {
		if address := l.Listener.Addr().String(); s.own.follow {
			s.log.Info("listening for tools", "address", address, "shop", a.Shop.Domain())
		} else {
			s.announce("listening for tools", "address", address, "shop", a.Shop.Domain())
		}
	}
	s.own.opened[a] = opened
	return nil
}

// serveOwn serves those that are open, and from now on those that come.
func (s *Sidecar) serveOwn(fail func(error)) {
	defer s.followFile() // it may have changed since they were opened
	s.own.mu.Lock()
	defer s.own.mu.Unlock()
	if s.own.opened == nil {
		return // this process listens where its command says
	}
	s.own.follow, s.own.fail = true, fail
	for _, opened := range s.own.opened {
		s.serveEach(opened)
	}
}

// serveEach serves listeners until they are closed. The lock is held, and the end has not begun, which waits for them.
func (s *Sidecar) serveEach(opened []listen.Opened) {
	for _, l := range opened {
		s.accepting.Go(func() {
			if err := s.tools.Serve(l.Listener); !errors.Is(err, net.ErrClosed) {
				s.own.fail(err)
			}
		})
	}
}

// followFile opens and closes what the shops file has changed, and tries again what could not be opened.
func (s *Sidecar) followFile() {
	s.own.mu.Lock()
	defer s.own.mu.Unlock()
	if !s.own.follow {
		return
	}
	defer s.own.publish()
	wanted := map[listen.Address]bool{}
	for _, a := range s.many.dir.listeners() {
		wanted[a] = true
	}
	for a := range s.own.opened {
		if !wanted[a] && !s.handOver(a, wanted) {
			s.closeOne(a)
		}
	}
	clear(s.own.failed)
	for a := range wanted {
		if s.own.opened[a] != nil {
			continue
		}
		if err := s.openOne(context.Background(), a); err != nil {
			s.own.failed[a] = err
			s.log.Error("an address of the shops file cannot be opened: mend that, then have the files read again (SIGHUP), or change the file",
				"shop", a.Shop.Domain(), "err", err)
			continue
		}
		s.serveEach(s.own.opened[a])
	}
}

// handOver leaves an address open that is another shop's now: nobody who calls there is refused meanwhile. The lock is held.
func (s *Sidecar) handOver(a listen.Address, wanted map[listen.Address]bool) bool {
	for next := range wanted {
		same := next
		if same.Shop = a.Shop; same != a {
			continue
		}
		for _, l := range s.own.opened[a] {
			access.Repin(l.Listener, next.Shop)
			s.log.Info("listening for tools of another shop", "address", l.Listener.Addr().String(), "shop", next.Shop.Domain(), "before", a.Shop.Domain())
		}
		s.own.opened[next] = s.own.opened[a]
		delete(s.own.opened, a)
		return true
	}
	return false
}

// closeOne closes an address. Requests under way there are answered, and connections that are open stay. The lock is held.
func (s *Sidecar) closeOne(a listen.Address) {
	for _, l := range s.own.opened[a] {
		s.log.Info("not listening for tools any more", "address", l.Listener.Addr().String(), "shop", a.Shop.Domain())
		_ = l.Listener.Close()
	}
	delete(s.own.opened, a)
}

// closeOwn closes all; none is opened after it.
func (s *Sidecar) closeOwn() {
	s.own.mu.Lock()
	defer s.own.mu.Unlock()
	s.own.follow = false
	for _, opened := range s.own.opened {
		for _, l := range opened {
			_ = l.Listener.Close()
		}
	}
}

// everyListener are all on which tools are listened for.
func (s *Sidecar) everyListener() []listen.Opened {
	own := s.own.every.Load()
	if own == nil || len(*own) == 0 {
		return s.listeners
	}
	return slices.Concat(s.listeners, *own)
}

// ownNotices say what of the shops file is not in force.
func (s *Sidecar) ownNotices() (all []admin.Notice) {
	s.own.mu.Lock()
	defer s.own.mu.Unlock()
	texts := make([]string, 0, len(s.own.failed))
	for a, err := range s.own.failed {
		texts = append(texts, fmt.Sprintf("EVERGATE_SHOPS_FILE: %s cannot be called at %s: %v", a.Shop, a.Address, err))
	}
	slices.Sort(texts)
	for _, text := range texts {
		all = append(all, admin.Notice{Level: admin.LevelWarning, Code: admin.CodeFileNotInForce, Label: "File not in force", Text: text, Whole: text})
	}
	return all
}
