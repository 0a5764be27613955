//go:build linux

package libraries

import (
	"path/filepath"
	"strings"
	"testing"

	"evergate/internal/shopify"
	"evergate/test/process"
)

// Shopify's own command line calls the shop itself where it is given a token, and then no login is needed. It is no client of which
// one address can be changed.
func TestShopifyCLICallsTheShopWithAToken(t *testing.T) {
	for _, way := range []mode{byRun, byHosts} {
		t.Run(strings.ReplaceAll(string(way), " ", "_"), func(t *testing.T) {
			t.Parallel()
			k := &kit{modules: process.NodeModules(t, modulesName)}
			// A token is over before the command has started for the second time.
			program := filepath.Join(k.modules, ".bin", "shopify") + " theme list --json --store " + shop + " --password " + shopify.PlaceholderToken
			const settings = "export SHOPIFY_CLI_NO_ANALYTICS=1 CI=1 NO_COLOR=1; "
			s, p := k.startCommand(t, way, false, func(string) []string { return []string{"sh", "-c", settings + program + " && " + program} })
			if code := p.ExitWithin(t, 4*process.Patience); code != 0 || strings.Count(p.Out.String(), `"name": "Plain"`) != 2 {
				t.Errorf("exit code %d, and it printed %s", code, p.Out.String())
			}
			if got := s.tokens(); got < 2 {
				t.Errorf("%d tokens for two runs, of which none is as long as a token lives", got)
			}
		})
	}
}
