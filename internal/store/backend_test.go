package store

import (
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
