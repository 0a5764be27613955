package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"evergate/internal/store"
	"evergate/internal/token"
)

// switchOver is what a copy says when sidecars may use the other store.
const switchOver = "Have every sidecar use"

func storeAt(spec string, more ...string) []string {
	return append([]string{"EVERGATE_STORE=" + spec, "EVERGATE_STORE_KEY=" + storeKeyOfTests}, more...)
}

func TestACopyGoesIntoTheLayoutThatIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Symlink(dir, dir+"-too"); err != nil {
		t.Fatal(err)
	}
	const prisma, database = "EVERGATE_STORE_LAYOUT=prisma", "postgres://127.0.0.1:1/app"
	copyTo := func(args ...string) []string { return append([]string{"store", "copy", "--to"}, args...) }
	for _, c := range []struct {
		environ, args []string
		code          int
		says          string
	}{
		// What can only be meant for the other store.
		{storeAt("redis://h", prisma), copyTo(database), exitConfig, "add --to-layout prisma"},
		{storeAt("file:"+dir, prisma), copyTo("redis://h"), exitConfig, "EVERGATE_STORE is no such database"},
		{storeAt("file:" + dir), copyTo("redis://h", "--to-layout", "prisma"), exitConfig, "--to is no such database"},
		{storeAt("file:" + dir), copyTo(database, "--to-layout", "mysql"), exitConfig, `--to-layout="mysql": write evergate, prisma`},
		{storeAt("file:" + dir), copyTo("nonsense"), exitConfig, "--to: "},
		{storeAt("file:" + dir), copyTo("memory:"), exitConfig, "let --to name a store that stays"},
		// One place, however it is named.
		{storeAt("file:" + dir), copyTo("file://" + dir + "-too"), exitConfig, "--to names the store that is copied"},
		{storeAt(database), copyTo(database), exitConfig, "--to names the store that is copied"},
		{storeAt("postgres://h/app", prisma), copyTo("postgresql://h:5432/app", "--to-layout", "prisma"), exitConfig, "--to names the store that is copied, postgres://h/app (prisma)"},
		{storeAt("postgres://h/app"), copyTo("postgres://h/app", "--to-layout", "evergate"), exitConfig, "another layout of it with --to-layout"},
		{storeAt("redis://h"), copyTo("redis://h:6379/0"), exitConfig, "--to names the store that is copied"},
		// Two places of one database: this one is not there.
		{storeAt(database), copyTo(database, "--to-layout", "prisma"), exitFailure, "nothing was carried into " + database + " (prisma)"},
		{storeAt(database, prisma), copyTo(database), exitFailure, "nothing was carried into " + database + ": "},
	} {
		if o := execute(c.environ, c.args...); o.code != c.code || !strings.Contains(o.err, c.says) || strings.Contains(o.err, switchOver) {
			t.Errorf("%q %q: %+v, want %d and %q", c.environ, c.args, o, c.code, c.says)
		}
	}
}

func TestALayoutThatTheStoreCannotHaveIsRefused(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"list", "check", "export", "import", "copy --to redis://h"} {
		for layout, want := range map[string]string{"rails": "EVERGATE_STORE is no such database", "mysql": "write evergate, prisma"} {
			o := execute(storeAt("redis://127.0.0.1:1", "EVERGATE_STORE_LAYOUT="+layout), append([]string{"store"}, strings.Fields(command)...)...)
			if o.code != exitConfig || !strings.Contains(o.err, want) {
				t.Errorf("%s, %s: %+v", command, layout, o)
			}
		}
	}
}

// TestAStoreThatIsNotThereIsNoSource has the directory misspelt.
func TestAStoreThatIsNotThereIsNoSource(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "typo")
	for _, command := range []string{"list", "list --json", "check", "check --json", "export", "copy --to file:" + t.TempDir()} {
		o := execute(storeAt("file:"+dir), append([]string{"store"}, strings.Fields(command)...)...)
		if o.code != exitFailure || !strings.Contains(o.out+o.err, dir+" does not exist") || !strings.Contains(o.out+o.err, "let EVERGATE_STORE name") || strings.Contains(o.err, switchOver) {
			t.Errorf("%s: %+v", command, o)
		}
		if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("%s has made it: %v", command, err)
		}
	}
}

func TestAnEmptyStoreIsAdvice(t *testing.T) {
	t.Parallel()
	from := t.TempDir()
	if err := os.Chmod(from, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"list", "check", "export", "copy --to file:" + filepath.Join(t.TempDir(), "other")} {
		o := execute(storeAt("file:"+from), append([]string{"store"}, strings.Fields(command)...)...)
		if o.code != exitOK || !strings.Contains(o.out+o.err, "o grant is stored") || !strings.Contains(o.out+o.err, isTheOne) || strings.Contains(o.err, switchOver) {
			t.Errorf("%s: %+v", command, o)
		}
	}
	if o := execute(storeAt("file:"+from), "store", "list", "--json"); o.out != "[]\n" {
		t.Errorf("no array: %+v", o)
	}
}

// TestATargetThatIsAwayIsFoundBeforeTheFirstGrant has nobody listen.
func TestATargetThatIsAwayIsFoundBeforeTheFirstGrant(t *testing.T) {
	t.Parallel()
	o := execute(storedGrants(t), "store", "copy", "--to", "redis://127.0.0.1:1")
	if o.code != exitFailure || !strings.Contains(o.err, "nothing was carried into redis://127.0.0.1:1: ") || strings.Contains(o.out+o.err, ".myshopify.com") || strings.Contains(o.err, switchOver) {
		t.Errorf("%+v", o)
	}
}

// TestACopyThatLeavesAGrantBehindIsNoReasonToSwitchOver has the other store hold a damaged record of one shop.
func TestACopyThatLeavesAGrantBehindIsNoReasonToSwitchOver(t *testing.T) {
	t.Parallel()
	environ, other := storedGrants(t), filepath.Join(t.TempDir(), "other")
	spec := "file:" + other
	if o := execute(environ, "store", "copy", "--to", spec); o.code != exitOK || !strings.Contains(o.out, "2 carried into "+spec) || !strings.Contains(o.err, switchOver+" "+spec+",") {
		t.Fatalf("%+v", o)
	}
	if err := os.WriteFile(filepath.Join(other, "dead.myshopify.com.json"), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if o := execute(environ, "store", "copy", "--to", spec); o.code != exitFailure || !strings.Contains(o.out, "1 there already") || !strings.Contains(o.out, "1 failed") ||
		!strings.Contains(o.err, "stay with the store it has") || strings.Contains(o.err, switchOver) {
		t.Errorf("%+v", o)
	}
}

// interrupting sends a signal when something is written to it for the first time.
type interrupting struct {
	bytes.Buffer
	once    sync.Once
	signals chan<- os.Signal
}

func (i *interrupting) Write(p []byte) (int, error) {
	i.once.Do(func() { i.signals <- os.Interrupt })
	return i.Buffer.Write(p)
}

// TestACopyThatIsInterruptedSaysHowFarItCame has the first grant fail, which is said and brings the signal, and the second wait for a
// lease that another has.
func TestACopyThatIsInterruptedSaysHowFarItCame(t *testing.T) {
	t.Parallel()
	environ, dir := storedGrants(t), filepath.Join(t.TempDir(), "other")
	b, err := store.OpenBackend(store.Options{Spec: "file:" + dir})
	if err != nil {
		t.Fatal(err)
	}
	shop, err := token.ParseShop("dead")
	if err != nil {
		t.Fatal(err)
	}
	s, err := b.Shop(shop)
	if err != nil {
		t.Fatal(err)
	}
	release, err := s.Lease(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if err := os.WriteFile(filepath.Join(dir, "alive.myshopify.com.json"), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	signals := make(chan os.Signal)
	var out bytes.Buffer
	said := interrupting{signals: signals}
	code := run(env{args: []string{"store", "copy", "--to", "file:" + dir}, environ: environ, out: &out, err: &said, signals: signals})
	if code != exitFailure || !strings.HasPrefix(out.String(), "0 carried into file:"+dir) || !strings.Contains(out.String(), "1 failed") ||
		!strings.HasSuffix(said.String(), "\nevergate: interrupted: run the same command again for the rest\n") || strings.Contains(said.String(), "dead.myshopify.com") {
		t.Errorf("code %d: %s%s", code, &out, &said)
	}
}
