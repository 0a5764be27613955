package storetest

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"evergate/internal/token"
)

// BackendPlace makes an empty place and returns how to open it, as Place does.
type BackendPlace func(t *testing.T) (open func() token.Backend)

// RunBackend runs what every place for many shops must do, and Run on one of its shops.
func RunBackend(t *testing.T, place BackendPlace) {
	Run(t, func(t *testing.T) func() token.Store {
		open := place(t)
		return func() token.Store { return storeOf(t, open(), Shop()) }
	})
	for _, tc := range []struct {
		name string
		test func(t *testing.T, a, b token.Backend) // on two opens of one place
	}{
		{"backend_shops_do_not_mix", shopsDoNotMix},
		{"backend_lists_every_shop_once", listsEveryShopOnce},
		{"backend_leases_are_by_shop", leasesAreByShop},
		{"backend_says_what_has_changed", saysWhatHasChanged},
		{"backend_is_fit", isFit},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			open := place(t)
			tc.test(t, open(), open())
		})
	}
}

// shops are names that look alike, and like something else.
func shops(t *testing.T) (all []token.Shop) {
	t.Helper()
	for _, name := range []string{"a", "aa", "a-a", "a--a", "0", "00", "con", "lock", "json", "lease", "x-myshopify-com", "offline-a", "a-lease", "a-lock"} {
		shop, err := token.ParseShop(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, shop)
	}
	return all
}

func storeOf(t *testing.T, b token.Backend, shop token.Shop) token.Store {
	t.Helper()
	s, err := b.Shop(shop)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// of is Named for any shop.
func of(shop token.Shop, name string) token.Record {
	r := Named(name)
	r.Shop = shop.Domain()
	return r
}

func shopsDoNotMix(t *testing.T, a, b token.Backend) {
	for _, shop := range shops(t) {
		swap(t, storeOf(t, a, shop), "", of(shop, "token of "+shop.Domain()))
	}
	for _, shop := range shops(t) {
		if r, _ := load(t, storeOf(t, b, shop)); NameOf(r) != "token of "+shop.Domain() || r.Shop != shop.Domain() {
			t.Errorf("%s has the record of %s: %s", shop, r.Shop, NameOf(r))
		}
	}
}

func listsEveryShopOnce(t *testing.T, a, b token.Backend) {
	for listed, err := range a.All(t.Context()) {
		t.Errorf("nothing is stored, and it lists %q, %v", listed.Domain, err)
	}
	handles := map[string]token.Handle{}
	for _, shop := range shops(t) {
		handles[shop.Domain()] = swap(t, storeOf(t, a, shop), "", of(shop, shop.Domain()))
	}
	for listed, err := range b.All(t.Context()) {
		if err != nil || NameOf(listed.Record) != listed.Domain || handles[listed.Domain] != listed.Handle {
			t.Errorf("%q: %+v, %v", listed.Domain, listed, err)
		}
		delete(handles, listed.Domain)
	}
	if len(handles) > 0 {
		t.Errorf("not listed: %v", handles)
	}
	b.All(t.Context())(func(token.Listed, error) bool { return false }) // whoever has seen enough may stop
}

func leasesAreByShop(t *testing.T, a, b token.Backend) {
	var releases []func()
	for i, shop := range shops(t) {
		release, err := storeOf(t, []token.Backend{a, b}[i%2], shop).Lease(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", shop, err)
		}
		releases = append(releases, release)
	}
	for _, release := range releases {
		release()
	}
}

// watchWait is far above what any store may take to say what has changed, each time.
const watchWait = 20 * time.Second

func saysWhatHasChanged(t *testing.T, a, b token.Backend) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	told := make(chan string, 1000)
	over := make(chan struct{})
	go func() {
		defer close(over)
		b.Watch(ctx, func(domain string) {
			select {
			case told <- domain:
			default:
			}
		})
	}()
	all := shops(t)
	handles := map[token.Shop]token.Handle{}
	for round := range 3 { // a store that looks now and then is waited for once in each
		unheard := map[token.Shop]token.Handle{}
		for _, shop := range all[:3] {
			r := of(shop, shop.Domain())
			r.Generation = uint64(round) + 1
			unheard[shop] = handles[shop]
			handles[shop] = swap(t, storeOf(t, a, shop), handles[shop], r)
		}
		for late := time.After(watchWait); len(unheard) > 0; {
			select {
			case heard := <-told:
				for shop, before := range unheard {
					// Whoever is told of all of them looks at each.
					if changed, err := storeOf(t, b, shop).Changed(ctx, before); heard == shop.Domain() || heard == "" && err == nil && changed {
						delete(unheard, shop)
					}
				}
			case <-late:
				t.Fatalf("round %d: nobody was told of %v", round, slices.Collect(maps.Keys(unheard)))
			}
		}
	}
	stop()
	<-over
}

func isFit(t *testing.T, a, _ token.Backend) {
	storeOf(t, a, Shop()) // a directory is made now
	for _, finding := range a.Check(t.Context()) {
		if finding.Loses {
			t.Errorf("unfit: %s: %s", finding.Text, finding.Do)
		}
	}
}
