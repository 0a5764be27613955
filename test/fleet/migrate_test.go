package fleet

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"evergate/internal/shopsim"
	"evergate/test/process"
)

// TestAMigrationOfAllShopsIsKilledAndRunAgain kills the command while Shopify answers for the eighth of twenty shops.
func TestAMigrationOfAllShopsIsKilledAndRunAgain(t *testing.T) {
	t.Parallel()
	all := names(20)
	s := newShopify(t, shopsim.Settings{}, all)
	file, dir := filepath.Join(t.TempDir(), "shops.yaml"), filepath.Join(t.TempDir(), "store")
	var text strings.Builder
	fmt.Fprintf(&text, "defaults:\n  client_id: %s\n  client_secret: %s\nshops:\n", shopsim.DefaultClientID, shopsim.DefaultClientSecret)
	for _, name := range all {
		fmt.Fprintf(&text, "  %s: {grant: static, access_token: %s}\n", name, s.IssueToken(name, shopsim.DefaultClientID, 0))
	}
	write(t, file, text.String())
	begin := func(args ...string) *process.Process {
		return process.Start(t, process.Command(t, binary, []string{
			"EVERGATE_SHOPS_FILE=" + file, "EVERGATE_STORE=file:" + dir, "EVERGATE_UPSTREAM_URL=" + s.url, "EVERGATE_UPSTREAM_CA_FILE=" + s.caFile,
		}, append([]string{"token", "migrate", "--all", "--per-second", "100"}, args...)...))
	}
	dry := begin("--dry-run")
	if code := dry.Exit(t); code != 0 || strings.Count(dry.Out.String(), "  permanent\n") != len(all) || s.Stats().TokenPosts != 0 {
		t.Fatalf("%d, %d posts: %s", code, s.Stats().TokenPosts, dry.Tail())
	}
	var posts atomic.Int64
	reached, killed := make(chan struct{}), make(chan struct{})
	s.OnToken(func(shopsim.TokenEvent) {
		if posts.Add(1) == 8 {
			close(reached)
			<-killed
		}
	})
	first := begin("--yes")
	process.Await(t, "the eighth exchange", reached)
	first.Kill()
	close(killed)
	first.Exit(t)

	again := begin("--yes", "--json")
	if code := again.Exit(t); code != 0 {
		t.Fatalf("%d: %s", code, again.Tail())
	}
	var report []struct{ Shop, Outcome, Error string }
	if err := json.Unmarshal([]byte(again.Out.String()), &report); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, r := range report {
		count[r.Outcome]++
	}
	if count["already"] != 7 || count["migrated"] != 13 || len(report) != len(all) {
		t.Errorf("%v", count)
	}
	for _, name := range all {
		if !s.ChainAlive(name, shopsim.DefaultClientID) {
			t.Errorf("%s has no living chain", name)
		}
	}
	third := begin("--yes")
	if code := third.Exit(t); code != 0 || strings.Count(third.Out.String(), "  already\n") != len(all) || posts.Load() != 21 {
		t.Errorf("%d after %d exchanges: %s", code, posts.Load(), third.Tail())
	}
}
