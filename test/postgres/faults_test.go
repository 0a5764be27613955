package postgres

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"evergate/internal/pgstore"
	"evergate/internal/store/storetest"
	"evergate/internal/token"
	"evergate/test/pgserver"
	"evergate/test/process"
)

// writer counts up in one shop's record, for as long as ctx lasts. It tolerates every error but one: that a number which was
// acknowledged is gone, or one is there that was never written.
type writer struct {
	store        token.Store
	shop         token.Shop
	acknowledged atomic.Int64
	attempted    int64
}

func (w *writer) work(ctx context.Context, t *testing.T) {
	// What is given up may still be written, when another writer has begun.
	whole := context.WithoutCancel(ctx)
	for known := false; !known && ctx.Err() == nil; { // what is there from before, as soon as the server can be asked
		r, _, err := w.store.Load(whole)
		if err == nil {
			w.attempted, _ = strconv.ParseInt(strings.TrimPrefix(storetest.NameOf(r), "shpat_"), 10, 64)
		}
		known = err == nil || errors.Is(err, token.ErrNotFound)
	}
	for ctx.Err() == nil {
		r, handle, err := w.store.Load(whole)
		if err != nil && !errors.Is(err, token.ErrNotFound) {
			continue
		}
		stored := w.see(t, r, err == nil)
		next := storetest.Named("shpat_" + strconv.FormatInt(stored+1, 10))
		next.Shop = w.shop.Domain()
		w.attempted = max(w.attempted, stored+1)
		_, err = w.store.Swap(whole, handle, next)
		switch {
		case err == nil:
			w.acknowledged.Store(stored + 1)
		case errors.Is(err, token.ErrConflict):
			t.Errorf("%s: a conflict, and nobody else writes", w.shop)
		}
	}
}

func (w *writer) see(t *testing.T, r token.Record, found bool) (stored int64) {
	if found {
		stored, _ = strconv.ParseInt(strings.TrimPrefix(storetest.NameOf(r), "shpat_"), 10, 64)
	}
	if stored < w.acknowledged.Load() || stored > w.attempted {
		t.Errorf("%s: stored is %d, acknowledged was %d, attempted %d", w.shop, stored, w.acknowledged.Load(), w.attempted)
	}
	return stored
}

// writers write into a few shops each by itself. The stop returns when all have ended and has looked at what is stored.
func writers(t *testing.T, b *pgstore.Backend) (all []*writer, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for i := range 4 {
		shop, err := token.ParseShop("shop-" + strconv.Itoa(i))
		if err != nil {
			t.Fatal(err)
		}
		s, err := b.Shop(shop)
		if err != nil {
			t.Fatal(err)
		}
		w := &writer{store: s, shop: shop}
		all = append(all, w)
		group.Go(func() { w.work(ctx, t) })
	}
	return all, func() {
		cancel()
		group.Wait()
		for _, w := range all {
			r, _, err := w.store.Load(t.Context())
			if err != nil {
				t.Errorf("%s: %v", w.shop, err)
				continue
			}
			w.see(t, r, true)
		}
	}
}

// progress waits until each of the writers has stored something more.
func progress(t *testing.T, all []*writer) {
	t.Helper()
	for _, w := range all {
		before := w.acknowledged.Load()
		process.EventuallyWithin(t, time.Minute, 20*time.Millisecond, func() error {
			if w.acknowledged.Load() < before+3 {
				return errors.New("nothing more is stored for " + w.shop.Domain())
			}
			return nil
		})
	}
}

func TestNothingIsLostWhenTheServerIsKilled(t *testing.T) {
	t.Parallel()
	database(t) // skips where there is no server
	for _, layout := range []string{pgstore.LayoutOwn, pgstore.LayoutRails} {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			server, err := pgserver.Start()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(server.Stop)
			url, _ := server.Database(t)
			if layout != pgstore.LayoutOwn {
				made, err := testdata.ReadFile("testdata/" + layout + ".sql")
				if err != nil {
					t.Fatal(err)
				}
				// What is acknowledged is on the disk, whatever the server's setting.
				sql(t, url, string(made)+"; ALTER ROLE postgres SET synchronous_commit = off")
			}
			all, stop := writers(t, open(t, url, layout))
			for range 3 {
				progress(t, all)
				server.Kill()
				if err := server.Run(); err != nil {
					t.Fatal(err)
				}
			}
			progress(t, all)
			stop()
		})
	}
}

func TestCutConnectionsAreMadeAgain(t *testing.T) {
	t.Parallel()
	url, _ := database(t)
	b := open(t, url, "")
	var heard sync.Map
	go b.Watch(t.Context(), func(domain string) {
		n, _ := heard.LoadOrStore(domain, new(atomic.Int64))
		n.(*atomic.Int64).Add(1) //nolint:forcetypeassert // it is what was stored
	})
	all, stop := writers(t, b)
	for range 10 {
		progress(t, all)
		sql(t, url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	}
	progress(t, all)
	stop()
	// Whoever watches has connected anew, said so, and hears again.
	heard.Clear()
	all, stop = writers(t, b)
	process.EventuallyWithin(t, time.Minute, 20*time.Millisecond, func() error {
		if _, ok := heard.Load("shop-0.myshopify.com"); !ok {
			return errors.New("nothing is heard")
		}
		return nil
	})
	progress(t, all) // until each of them knows what is there
	stop()
}

func TestARightWhoseHolderIsGoneEndsByItself(t *testing.T) {
	t.Parallel()
	url, _ := database(t)
	s, err := open(t, url, "").Shop(storetest.Shop())
	if err != nil {
		t.Fatal(err)
	}
	release, err := s.Lease(t.Context()) // makes the tables
	if err != nil {
		t.Fatal(err)
	}
	release()
	sql(t, url, "INSERT INTO evergate_leases VALUES ('"+acme+"', 'somebody', clock_timestamp() + interval '1 second')")
	began := time.Now()
	release, err = s.Lease(t.Context())
	if err != nil || time.Since(began) < 900*time.Millisecond {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
	release()
	if rows := sql(t, url, "SELECT * FROM evergate_leases"); len(rows) > 0 {
		t.Errorf("left is %q", rows)
	}
}

func TestWhoHasLostTheRightKnows(t *testing.T) {
	t.Parallel()
	url, _ := database(t)
	s, err := open(t, url, "").Shop(storetest.Shop())
	if err != nil {
		t.Fatal(err)
	}
	left := s.(token.Expiring).LeaseLeft //nolint:forcetypeassert // it is part of what the store promises
	if left() > 0 {
		t.Error("something is left of a right that nobody has")
	}
	release, err := s.Lease(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := left(); d <= 0 || d > 15*time.Second {
		t.Errorf("%s are left", d)
	}
	sql(t, url, "UPDATE evergate_leases SET owner = 'somebody', ends = clock_timestamp() + interval '1 hour'")
	process.EventuallyWithin(t, 30*time.Second, 50*time.Millisecond, func() error {
		if d := left(); d > 0 {
			return errors.New(d.String() + " are left")
		}
		return nil
	})
	release()
	if rows := sql(t, url, "SELECT owner FROM evergate_leases"); len(rows) != 1 || rows[0][0] != "somebody" {
		t.Errorf("the other's right is gone: %q", rows)
	}
}
