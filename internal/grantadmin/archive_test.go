package grantadmin

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"evergate/internal/envelope"
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
		if err := Import(t.Context(), bytes.NewReader(archive.Bytes()), archiveKeys(), to, want.overwrite, got.report); err != nil {
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
	if err := Copy(t.Context(), filled(t), to, false, got.report); err != nil {
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
		if err := Import(t.Context(), strings.NewReader(text), archiveKeys(), place(t, "memory:"), false, outcomes{}.report); name != "twice" && err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	got := outcomes{}
	other := envelope.Keys{Current: token.NewSecret(strings.Repeat("j", envelope.KeySize))}
	if err := Import(t.Context(), strings.NewReader(whole), other, place(t, "memory:"), false, got.report); err != nil || got["acme"] != Failed {
		t.Errorf("with another key: %v, %v", got, err)
	}
	if _, err := Export(t.Context(), filled(t), envelope.Keys{}, &archive); err == nil {
		t.Error("an archive in plain text was made")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Import(ended, strings.NewReader(whole), archiveKeys(), place(t, "memory:"), false, got.report); err == nil {
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
		err := Import(t.Context(), bytes.NewReader(b), archiveKeys(), to, false, carried.report)
		n := 0
		for range to.All(t.Context()) {
			n++
		}
		if err == nil && n > len(carried) {
			t.Errorf("%d grants came of %d", n, len(carried))
		}
	})
}
