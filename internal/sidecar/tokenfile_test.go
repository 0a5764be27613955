package sidecar

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/token"
)

func TestTheTokenFileHasTheNewestToken(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(dir, "below", "token")
		var log strings.Builder
		f := newTokenFile(path, slog.New(slog.NewTextHandler(&log, nil)))
		ctx, stop := context.WithCancel(t.Context())
		defer func() { stop(); synctest.Wait() }()
		go f.run(ctx)

		publish := func(text string) {
			f.published(token.Token{Access: token.NewSecret(text)})
			synctest.Wait()
		}
		publish("shpat_first")
		if said := log.String(); !strings.Contains(said, "EVERGATE_TOKEN_FILE") || strings.Contains(said, "shpat_") {
			t.Errorf("a directory that is missing: %s", said)
		}
		if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		time.Sleep(tokenFileAgain)
		synctest.Wait()
		mustHold(t, path, "shpat_first")

		publish("shpat_second")
		mustHold(t, path, "shpat_second")
		f.published(token.Token{Access: token.NewSecret("shpat_third")})
		publish("shpat_fourth")
		mustHold(t, path, "shpat_fourth")
		if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
			t.Errorf("%v %v lie beside it", left, err)
		}
	})
}

func mustHold(t *testing.T, path, want string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil || string(text) != want {
		t.Errorf("%q %v, want %s", text, err, want)
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}
