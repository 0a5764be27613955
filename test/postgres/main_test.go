package postgres

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"evergate/internal/envelope"
	"evergate/internal/pgstore"
	"evergate/internal/token"
	"evergate/test/pgserver"
	"evergate/test/process"
)

// shared is the server of all tests that do not harm it; nil where PostgreSQL is not installed.
var shared *pgserver.Server

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	server, err := pgserver.Start()
	if err != nil && !errors.Is(err, pgserver.ErrMissing) {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if server != nil {
		defer server.Stop()
	}
	shared = server
	dir, err := os.MkdirTemp("", "evergate-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	built = sync.OnceValues(func() (string, error) {
		path := filepath.Join(dir, "evergate")
		return path, process.Build(path)
	})
	return m.Run()
}

var built func() (string, error)

// binary is the program under test, which few tests need.
func binary(t *testing.T) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

const remedy = "scripts/install-test-deps"

// database makes an empty one on the shared server.
func database(t *testing.T) (socket, tcp string) {
	t.Helper()
	if shared == nil {
		process.Missing(t, pgserver.ErrMissing.Error(), remedy)
	}
	return shared.Database(t)
}

func keys() envelope.Keys {
	return envelope.Keys{Current: token.NewSecret(strings.Repeat("k", envelope.KeySize))}
}

func open(t *testing.T, url, layout string) *pgstore.Backend {
	t.Helper()
	b, err := pgstore.Open(pgstore.Options{URL: url, Layout: layout, Keys: keys(), ClientID: "0123456789abcdef0123456789abcdef"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// sql runs statements and returns the rows of the last.
func sql(t *testing.T, url, statements string) [][]string {
	t.Helper()
	rows, err := pgserver.Exec(url, statements)
	if err != nil {
		t.Fatalf("%s: %v", statements, err)
	}
	return rows
}
