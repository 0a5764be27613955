package store

import (
	"errors"
	"io/fs"
	"os"
	"testing"

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
