package grantadmin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"evergate/internal/envelope"
	"evergate/internal/remedy"
	"evergate/internal/store"
	"evergate/internal/token"
)

func archiveKeys() envelope.Keys {
	return envelope.Keys{Current: token.NewSecret(strings.Repeat("k", envelope.KeySize))}
}

func place(t testing.TB, spec string) token.Backend {
	t.Helper()
	b, err := store.OpenBackend(store.Options{Spec: spec, Keys: archiveKeys()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func grantOf(name string, generation uint64) token.Record {
	return token.Record{
		Shop: name + ".myshopify.com", ClientID: "app", Grant: "offline", Epoch: "epoch of " + name, Generation: generation,
		Current: token.Pair{
			Token:   token.Token{Access: token.NewSecret(fmt.Sprintf("shpat_%s_%d", name, generation)), Issued: time.Now(), Life: time.Hour},
			Refresh: token.NewSecret(fmt.Sprintf("shprt_%s_%d", name, generation)),
		},
	}
}

func put(t testing.TB, b token.Backend, r token.Record) {
	t.Helper()
	shop, err := token.ParseShop(r.Shop)
	if err != nil {
		t.Fatal(err)
	}
	s, err := b.Shop(shop)
	if err != nil {
		t.Fatal(err)
	}
	_, handle, _ := s.Load(t.Context()) // whatever is there
	if _, err := s.Swap(t.Context(), handle, r); err != nil {
		t.Fatal(err)
	}
}

// outcomes collects what is reported.
type outcomes map[string]Outcome

func (o outcomes) report(domain string, of Outcome, _ error) {
	o[strings.TrimSuffix(domain, ".myshopify.com")] = of
}

// into carries into a place of its own.
func into(t testing.TB, o outcomes) *Carrier {
	t.Helper()
	return &Carrier{To: place(t, "memory:"), Report: o.report}
}

func filled(t testing.TB) token.Backend {
	t.Helper()
	b := place(t, "memory:")
	for _, name := range []string{"acme", "beta", "gamma", "delta"} {
		put(t, b, grantOf(name, 5))
	}
	return b
}

func TestAnArchiveIsCarriedWhereItIsNewer(t *testing.T) {
	t.Parallel()
	var archive bytes.Buffer
	if n, err := Export(t.Context(), filled(t), archiveKeys(), &archive); n != 4 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if strings.Contains(archive.String(), "shpat_") || strings.Contains(archive.String(), "shprt_") {
		t.Error("a token is in plain text")
	}
	to := place(t, "file:"+t.TempDir()+"/store")
	put(t, to, grantOf("beta", 6))  // newer
	put(t, to, grantOf("delta", 4)) // older
	other := grantOf("gamma", 1)
	other.Epoch = "another"
	put(t, to, other)
	for _, want := range []struct {
		overwrite bool
		outcomes
	}{
		{false, outcomes{"acme": Carried, "beta": Kept, "gamma": Different, "delta": Carried}},
		{false, outcomes{"acme": Same, "beta": Kept, "gamma": Different, "delta": Same}},
		{true, outcomes{"acme": Same, "beta": Kept, "gamma": Carried, "delta": Same}},
	} {
		got := outcomes{}
		if err := Import(t.Context(), bytes.NewReader(archive.Bytes()), archiveKeys(), &Carrier{To: to, Overwrite: want.overwrite, Report: got.report}); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(got) != fmt.Sprint(want.outcomes) {
			t.Errorf("overwrite %t: %v, want %v", want.overwrite, got, want.outcomes)
		}
	}
}

func TestAStoreIsCopied(t *testing.T) {
	t.Parallel()
	to := place(t, "file:"+t.TempDir()+"/store")
	got := outcomes{}
	if err := Copy(t.Context(), filled(t), &Carrier{To: to, Report: got.report}); err != nil {
		t.Fatal(err)
	}
	n := 0
	for listed, err := range to.All(t.Context()) {
		if err != nil || got[strings.TrimSuffix(listed.Domain, ".myshopify.com")] != Carried {
			t.Errorf("%s: %v, %v", listed.Domain, got, err)
		}
		n++
	}
	if n != 4 {
		t.Errorf("%d grants", n)
	}
}

// away is a place that cannot be reached now, but for the shops that it can.
type away struct {
	token.Backend
	reached map[string]bool
	asked   int
	then    func() // when it is asked
}

func (a *away) Shop(shop token.Shop) (token.Store, error) {
	a.asked++
	if a.then != nil {
		a.then()
	}
	if a.reached[shop.Domain()] {
		return a.Backend.Shop(shop)
	}
	return nil, token.Decide(token.ErrTransient, remedy.New("see whether it runs", "the place is away"))
}

// inOrder is a place that lists its grants in the order of their names.
type inOrder struct{ token.Backend }

func (o inOrder) All(ctx context.Context) iter.Seq2[token.Listed, error] {
	var all []token.Listed
	for l := range o.Backend.All(ctx) {
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b token.Listed) int { return strings.Compare(a.Domain, b.Domain) })
	return func(yield func(token.Listed, error) bool) {
		for _, l := range all {
			if !yield(l, nil) {
				return
			}
		}
	}
}

func TestAStoreThatIsAwayIsNotAskedForEveryGrant(t *testing.T) {
	t.Parallel()
	from := place(t, "memory:")
	for i := range 10 {
		put(t, from, grantOf(fmt.Sprintf("shop-%d", i), 1))
	}
	for name, c := range map[string]struct {
		reached []string
		asked   int
		ends    bool
	}{
		"always":   {nil, mostMisses, true},
		"at_times": {[]string{"shop-1", "shop-3", "shop-6", "shop-8"}, 10, false}, // two in a row at most
	} {
		to := &away{Backend: place(t, "memory:"), reached: map[string]bool{}}
		for _, name := range c.reached {
			to.reached[name+".myshopify.com"] = true
		}
		got := outcomes{}
		err := Copy(t.Context(), inOrder{from}, &Carrier{To: to, Report: got.report})
		if (err != nil) != c.ends || to.asked != c.asked || len(got) != c.asked {
			t.Errorf("%s: %v; asked %d times, reported %v", name, err, to.asked, got)
		}
		if c.ends && !strings.HasSuffix(err.Error(), "3 times in a row: see whether it runs; then run the same command again") {
			t.Error(err)
		}
	}
}

// TestWhatIsCutShortIsNoFailure has somebody interrupt it while a grant is under way.
func TestWhatIsCutShortIsNoFailure(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	to := &away{Backend: place(t, "memory:"), then: interrupt}
	got := outcomes{}
	if err := Copy(ctx, filled(t), &Carrier{To: to, Report: got.report}); !errors.Is(err, context.Canceled) || len(got) != 0 || to.asked != 1 {
		t.Errorf("%v; asked %d times, reported %v", err, to.asked, got)
	}
}

func TestDamagedArchivesAreNoticed(t *testing.T) {
	t.Parallel()
	var archive bytes.Buffer
	if _, err := Export(t.Context(), filled(t), archiveKeys(), &archive); err != nil {
		t.Fatal(err)
	}
	whole := archive.String()
	lines := strings.SplitAfter(whole, "\n")
	for name, text := range map[string]string{
		"empty": "", "another_kind": "hello\n", "cut": whole[:len(whole)-10], "without_its_end": strings.Join(lines[:len(lines)-2], ""),
		"a_line_is_missing": lines[0] + strings.Join(lines[2:], ""), "twice": whole[:len(whole)-1] + lines[1], "no_shop": lines[0] + "x y\n",
	} {
		if err := Import(t.Context(), strings.NewReader(text), archiveKeys(), into(t, outcomes{})); name != "twice" && err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	got := outcomes{}
	other := envelope.Keys{Current: token.NewSecret(strings.Repeat("j", envelope.KeySize))}
	if err := Import(t.Context(), strings.NewReader(whole), other, into(t, got)); err != nil || got["acme"] != Failed {
		t.Errorf("with another key: %v, %v", got, err)
	}
	if _, err := Export(t.Context(), filled(t), envelope.Keys{}, &archive); err == nil {
		t.Error("an archive in plain text was made")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Import(ended, strings.NewReader(whole), archiveKeys(), into(t, got)); err == nil {
		t.Error("it goes on when it is told to stop")
	}
}

func FuzzImport(f *testing.F) {
	var archive bytes.Buffer
	if _, err := Export(f.Context(), filled(f), archiveKeys(), &archive); err != nil {
		f.Fatal(err)
	}
	f.Add(archive.Bytes())
	f.Add([]byte(archiveHead + "\nend 0 " + "\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		to := place(t, "memory:")
		carried := outcomes{}
		err := Import(t.Context(), bytes.NewReader(b), archiveKeys(), &Carrier{To: to, Report: carried.report})
		n := 0
		for range to.All(t.Context()) {
			n++
		}
		if err == nil && n > len(carried) {
			t.Errorf("%d grants came of %d", n, len(carried))
		}
	})
}

// TestWhatIsNothingIsNotCarried has a record that a refused migration has left in place of none: it is in no archive, and replaces no grant.
func TestWhatIsNothingIsNotCarried(t *testing.T) {
	t.Parallel()
	from, to := place(t, "file:"+t.TempDir()+"/from"), place(t, "file:"+t.TempDir()+"/to")
	put(t, from, grantOf("acme", 1))
	put(t, from, token.Record{Shop: "beta.myshopify.com", ClientID: "app", Grant: "client_credentials", Epoch: "another", Generation: 9})
	put(t, to, grantOf("beta", 3))
	var archive bytes.Buffer
	if n, err := Export(t.Context(), from, archiveKeys(), &archive); n != 1 || err != nil {
		t.Errorf("%d grants, %v", n, err)
	}
	got := outcomes{}
	if err := Copy(t.Context(), from, &Carrier{To: to, Overwrite: true, Report: got.report}); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got["acme"] != Carried {
		t.Errorf("%v", got)
	}
	for listed, err := range to.All(t.Context()) {
		if err != nil || listed.Record.IsBlank() {
			t.Errorf("%s: %+v, %v", listed.Domain, listed.Record, err)
		}
	}
}
