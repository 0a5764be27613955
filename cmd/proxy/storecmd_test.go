package main

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"evergate/internal/envelope"
	"evergate/internal/store"
	"evergate/internal/token"
)

const storeKeyOfTests = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

// storedGrants puts a live grant and a dead one into a new store, and returns the settings that name it.
func storedGrants(t *testing.T) (environ []string) {
	t.Helper()
	spec := "file:" + filepath.Join(t.TempDir(), "store")
	key, err := envelope.ParseKey(storeKeyOfTests)
	if err != nil {
		t.Fatal(err)
	}
	b, err := store.OpenBackend(store.Options{Spec: spec, Keys: envelope.Keys{Current: key}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"alive", "dead"} {
		shop, err := token.ParseShop(name)
		if err != nil {
			t.Fatal(err)
		}
		s, err := b.Shop(shop)
		if err != nil {
			t.Fatal(err)
		}
		r := token.Record{Shop: shop.Domain(), ClientID: "app", Grant: "offline", Epoch: "e", Generation: 3, Writer: "host/1", Current: token.Pair{
			Token:   token.Token{Access: token.NewSecret("shpat_secret_of_" + name), Issued: time.Now(), Life: time.Hour},
			Refresh: token.NewSecret("shprt_secret_of_" + name), RefreshExpires: time.Now().AddDate(0, 0, 80),
		}}
		if name == "dead" {
			r.Reauthorize = &token.Reauthorize{Since: time.Now(), Reason: "the app was uninstalled"}
		}
		if _, err := s.Swap(t.Context(), "", r); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"EVERGATE_STORE=" + spec, "EVERGATE_STORE_KEY=" + storeKeyOfTests}
}

func TestTheStoreIsCaredForWithoutAShop(t *testing.T) {
	t.Parallel()
	environ := storedGrants(t)
	archive, other := filepath.Join(t.TempDir(), "grants.archive"), "file:"+filepath.Join(t.TempDir(), "other")
	inOther := []string{"EVERGATE_STORE=" + other, environ[1]}
	for _, c := range []struct {
		environ, args []string
		code          int
		says          []string
	}{
		{environ, []string{"store", "list"}, exitOK, []string{"alive.myshopify.com  offline", "dead.myshopify.com   offline  dead", "host/1"}},
		{environ, []string{"store", "check"}, exitFailure, []string{"FAILED  dead.myshopify.com: the grant is dead", "2 grants in ", "log in again"}},
		{environ, []string{"store", "export", "--file", archive}, exitOK, []string{"2 grants of "}},
		{environ, []string{"store", "export", "--file", archive}, exitFailure, []string{"exist"}},
		{inOther, []string{"store", "import", "--file", archive}, exitOK, []string{"2 carried into "}},
		{inOther, []string{"store", "import", "--file", archive}, exitOK, []string{"0 carried into ", "2 there already"}},
		{environ, []string{"store", "copy", "--to", other}, exitOK, []string{"2 there already", "not both"}},
		{environ, []string{"store", "copy"}, exitConfig, []string{"--to"}},
		{[]string{environ[0]}, []string{"store", "export", "--file", archive + "2"}, exitFailure, []string{"openssl rand -base64 32"}},
		{[]string{"EVERGATE_STORE=memory:"}, []string{"store", "list"}, exitConfig, []string{"let EVERGATE_STORE name a store that stays"}},
		{[]string{"EVERGATE_STORE=nonsense"}, []string{"store", "list"}, exitConfig, []string{"EVERGATE_STORE"}},
		{[]string{"EVERGATE_STORE=redis:nonsense"}, []string{"store", "list"}, exitConfig, []string{"write redis://USER:PASSWORD@HOST:PORT/DATABASE"}},
		{nil, []string{"store"}, exitConfig, []string{"list, check, export, import and copy"}},
	} {
		o := execute(c.environ, c.args...)
		if o.code != c.code {
			t.Errorf("%q: %+v, want code %d", c.args, o, c.code)
		}
		for _, want := range c.says {
			if !strings.Contains(o.out+o.err, want) {
				t.Errorf("%q: %+v, want %q", c.args, o, want)
			}
		}
		if strings.Contains(o.out+o.err, "secret_of") {
			t.Errorf("%q prints a secret", c.args)
		}
	}
	var all []map[string]any
	if o := execute(inOther, "store", "list", "--json"); json.Unmarshal([]byte(o.out), &all) != nil || len(all) != 2 || all[0]["shop"] != "alive.myshopify.com" {
		t.Errorf("%+v", o)
	}
	if content, err := os.ReadFile(archive); err != nil || strings.Contains(string(content), "secret_of") {
		t.Errorf("the archive is in plain text, or none: %v", err)
	}
}

// An archive that is not whole is none, and would be in the way of the next one.
func TestAnExportThatFailsLeavesNoFile(t *testing.T) {
	t.Parallel()
	environ := storedGrants(t)
	dir, _ := strings.CutPrefix(environ[0], "EVERGATE_STORE=file:")
	damaged := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.Contains(d.Name(), "dead") {
			damaged++
			return os.WriteFile(path, []byte("nonsense"), 0o600)
		}
		return err
	})
	if err != nil || damaged == 0 {
		t.Fatalf("%d files: %v", damaged, err)
	}
	archive := filepath.Join(t.TempDir(), "grants.archive")
	if o := execute(environ, "store", "export", "--file", archive); o.code != exitFailure || !strings.Contains(o.err, "dead.myshopify.com cannot be exported") {
		t.Errorf("%+v", o)
	}
	if _, err := os.Stat(archive); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a part of an archive is there: %v", err)
	}
}

func TestAnImportThatWaitsForItsArchiveCanBeInterrupted(t *testing.T) {
	t.Parallel()
	never, _ := io.Pipe()
	signals, ended := make(chan os.Signal, 1), make(chan int)
	environ := storedGrants(t)
	go func() {
		ended <- run(env{args: []string{"store", "import"}, environ: environ, stdin: never, out: io.Discard, err: io.Discard, signals: signals})
	}()
	signals <- os.Interrupt
	select {
	case code := <-ended:
		if code != exitFailure {
			t.Errorf("code %d", code)
		}
	case <-time.After(20 * time.Second):
		t.Error("it waits on")
	}
}
