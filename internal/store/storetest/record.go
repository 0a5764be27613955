package storetest

import (
	"context"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"evergate/internal/token"
)

// Shop is the shop whose records the suite stores.
func Shop() token.Shop {
	shop, err := token.ParseShop("acme")
	if err != nil {
		panic(err)
	}
	return shop
}

// Named returns a small record whose access token, and nothing else, is name.
func Named(name string) token.Record {
	return token.Record{Shop: Shop().Domain(), Current: token.Pair{Token: token.Token{Access: token.NewSecret(name)}}}
}

// NameOf returns what Named was given.
func NameOf(r token.Record) string { return r.Current.Token.Access.Reveal() }

// Random returns a source whose seed the test's log tells.
func Random(t *testing.T) *rand.Rand {
	seed := rand.Uint64() //nolint:gosec // G404: repeatable randomness is the point
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // G404: as above
}

// Record returns any record at all of Shop.
func Record(r *rand.Rand) token.Record {
	rec := token.Record{
		Shop: Shop().Domain(), ClientID: text(r), Grant: text(r), Original: secret(r), Epoch: text(r), Generation: r.Uint64() >> r.IntN(64), Writer: text(r), Written: moment(r),
		Current: token.Pair{
			Token:   token.Token{Access: secret(r), Scopes: scopes(r), Issued: moment(r), Life: time.Duration(r.Uint64() >> r.IntN(64)), Assumed: maybe(r)},
			Refresh: secret(r), RefreshExpires: moment(r),
		},
	}
	if maybe(r) {
		rec.Previous = &token.Previous{Refresh: secret(r), Expires: moment(r), FirstUsed: moment(r), Tried: maybe(r)}
	}
	if maybe(r) {
		rec.Attempt = &token.Attempt{Fingerprint: text(r), Started: moment(r)}
	}
	if maybe(r) {
		rec.Reauthorize = &token.Reauthorize{Since: moment(r), Reason: text(r)}
	}
	return rec
}

// Equal compares what a store must keep: everything but the zone and the monotonic
// reading of times.
func Equal(a, b token.Record) bool { return reflect.DeepEqual(onWall(a), onWall(b)) }

func onWall(r token.Record) token.Record {
	wall := func(t *time.Time) { *t = t.Round(0).UTC() }
	wall(&r.Written)
	wall(&r.Current.Token.Issued)
	wall(&r.Current.RefreshExpires)
	if p := r.Previous; p != nil {
		c := *p
		wall(&c.Expires)
		wall(&c.FirstUsed)
		r.Previous = &c
	}
	if p := r.Attempt; p != nil {
		c := *p
		wall(&c.Started)
		r.Attempt = &c
	}
	if p := r.Reauthorize; p != nil {
		c := *p
		wall(&c.Since)
		r.Reauthorize = &c
	}
	return r
}

// full returns a record, the same each time, in which everything is set.
func full() token.Record {
	at := time.Date(2026, 11, 1, 2, 3, 4, 5, time.UTC)
	r := Named("access")
	r.Current.Token.Scopes = []string{"read_products"}
	r.Previous = &token.Previous{Refresh: token.NewSecret("previous"), Expires: at}
	r.Attempt = &token.Attempt{Fingerprint: "print", Started: at}
	r.Reauthorize = &token.Reauthorize{Since: at, Reason: "reason"}
	return r
}

func maybe(r *rand.Rand) bool { return r.IntN(2) == 0 }

// text is what can break an encoding: nothing, control characters, what HTML and JSON
// escape, bytes that are no UTF-8, and what looks like an encoding itself.
func text(r *rand.Rand) string {
	pieces := []string{"shpat_0123456789abcdef", "\x00", "\n", `"`, `\`, `\u0000`, "<&>", "\u2028", "é", "日本", "😀", "\xff", "\xed\xa0\x80", "\ufffd", `{"base64":"AA=="}`, "null", " "}
	var s string
	for range r.IntN(4) {
		s += pieces[r.IntN(len(pieces))]
	}
	if r.IntN(20) == 0 {
		for len(s) < 5000 {
			s += pieces[r.IntN(len(pieces))]
		}
	}
	return s
}

func secret(r *rand.Rand) token.Secret {
	if s := text(r); s != "" {
		return token.NewSecret(s)
	}
	return token.Secret{} // the same to everybody as a Secret of ""
}

func scopes(r *rand.Rand) []string {
	if maybe(r) {
		return nil
	}
	list := []string{}
	for range r.IntN(3) {
		list = append(list, text(r))
	}
	return list
}

func moment(r *rand.Rand) time.Time {
	switch r.IntN(6) {
	case 0:
		return time.Time{}
	case 1:
		return time.Unix(0, 0)
	case 2:
		return time.Now() // with a monotonic reading, in the local zone
	case 3:
		return time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC)
	case 4:
		return time.Date(0, 1, 1, 0, 0, 0, 1, time.UTC)
	}
	zone := time.FixedZone("somewhere", r.IntN(28*3600)-14*3600)
	return time.Unix(r.Int64N(1<<32), r.Int64N(1e9)).In(zone)
}

func swap(t *testing.T, s token.Store, old token.Handle, next token.Record) token.Handle {
	t.Helper()
	handle, err := s.Swap(t.Context(), old, next)
	if err != nil {
		t.Fatalf("swap: %v", err)
	}
	if handle == "" || handle == old {
		t.Fatalf("swap from %q gives %q", old, handle)
	}
	return handle
}

func load(t *testing.T, s token.Store) (token.Record, token.Handle) {
	t.Helper()
	r, handle, err := s.Load(t.Context())
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	return r, handle
}

// stores fails the test unless s has the record Named(name) under handle.
func stores(t *testing.T, s token.Store, name string, handle token.Handle) {
	t.Helper()
	if r, h := load(t, s); !Equal(r, Named(name)) || h != handle {
		t.Errorf("stored is %q as %q, want %q as %q", NameOf(r), h, name, handle)
	}
}

func ended(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
