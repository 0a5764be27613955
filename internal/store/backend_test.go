package store

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"evergate/internal/envelope"
	"evergate/internal/store/storetest"
	"evergate/internal/token"
)

func TestMemoryBackendConforms(t *testing.T) {
	t.Parallel()
	storetest.RunBackend(t, func(t *testing.T) func() token.Backend {
		b := openBackend(t, "memory:")
		return func() token.Backend { return b }
	})
}

func TestFileBackendConforms(t *testing.T) {
	t.Parallel()
	storetest.RunBackend(t, func(t *testing.T) func() token.Backend {
		spec := "file:" + t.TempDir() + "/store"
		return func() token.Backend { return openBackend(t, spec) }
	})
}

func openBackend(t *testing.T, spec string) token.Backend {
	t.Helper()
	b, err := OpenBackend(Options{Spec: spec})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// A process that died while it was writing leaves a file that nobody reads; the next one removes it, and nothing else.
func TestWhatADeadProcessLeftIsRemovedOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() + "/store"
	if _, err := openBackend(t, "file:"+dir).Shop(storetest.Shop()); err != nil {
		t.Fatal(err)
	}
	left, others := dir+"/.acme.myshopify.com.123.tmp", []string{dir + "/.other.tmp", dir + "/acme.myshopify.com.txt", dir + "/.a b.myshopify.com.1.tmp"}
	for _, path := range append(others, left) {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := openBackend(t, "file:"+dir).Shop(storetest.Shop()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was left is there: %v", err)
	}
	for _, path := range others {
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("it is not ours: %v", err)
		}
	}
}

// TestTheCheckMakesNothing has the directory misspelt: it is made for the first grant, and by nobody who only asks.
func TestTheCheckMakesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() + "/store"
	b := openBackend(t, "file:"+dir)
	if found := b.Check(t.Context()); len(found) > 0 {
		t.Errorf("it could be made: %+v", found)
	}
	if err := Missing(b); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("missing: %v", err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is there: %v", err)
	}
	if _, err := b.Shop(storetest.Shop()); err != nil || Missing(b) != nil {
		t.Errorf("%v, %v", err, Missing(b))
	}
}

func TestOnePlaceIsKnownByWhicheverName(t *testing.T) {
	t.Parallel()
	keys := envelope.Keys{Current: token.NewSecret(strings.Repeat("k", envelope.KeySize))}
	dir := t.TempDir()
	for _, c := range []struct {
		a, b Options
		same bool
	}{
		{Options{Spec: "file:" + dir}, Options{Spec: "file://" + dir + "/."}, true},
		{Options{Spec: "file:" + dir}, Options{Spec: "file:" + dir + "/below"}, false},
		{Options{Spec: "redis://u:p@h"}, Options{Spec: "redis://h:6379/0?prefix=evergate"}, true},
		{Options{Spec: "redis://h"}, Options{Spec: "redis://h/1"}, false},
		{Options{Spec: "redis://h"}, Options{Spec: "redis://h?prefix=other"}, false},
		{Options{Spec: "redis://h"}, Options{Spec: "file:" + dir}, false},
		{Options{Spec: "postgres://u@h/app"}, Options{Spec: "postgresql://u:p@h:5432/app?sslmode=require", Layout: "evergate"}, true},
		{Options{Spec: "postgres://u@h/app"}, Options{Spec: "postgres://u@h/app", Layout: "prisma"}, false},
		{Options{Spec: "postgres://u@h/app"}, Options{Spec: "postgres://u@h/other"}, false},
		{Options{Spec: "postgres://u@h/app"}, Options{Spec: "postgres://u@h/app?search_path=other"}, false},
		{Options{Spec: "memory:"}, Options{Spec: "memory:"}, false},
	} {
		c.a.Keys, c.b.Keys = keys, keys
		a, err := OpenBackend(c.a)
		if err != nil {
			t.Fatal(err)
		}
		b, err := OpenBackend(c.b)
		if err != nil {
			t.Fatal(err)
		}
		if Same(a, b) != c.same || Same(b, a) != c.same {
			t.Errorf("%s and %s (%s): %t", c.a.Spec, c.b.Spec, c.b.Layout, Same(a, b))
		}
	}
}
