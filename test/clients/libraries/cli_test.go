//go:build linux

package libraries

import (
	"os"
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

// The command line of version 4 asks GraphQL in the name of a session that it finds in a file of its own. The manual says how to write it
// without a login.
func TestShopifyCLIExecutesGraphQL(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	_, fenced, found := strings.Cut(string(text), "`shopify store execute` asks GraphQL")
	_, fenced, opened := strings.Cut(fenced, "```sh\n")
	recipe, fenced, closed := strings.Cut(fenced, "```\n")
	_, fenced, again := strings.Cut(fenced, "```sh\n")
	call, _, ended := strings.Cut(fenced, "```\n")
	if !found || !opened || !closed || !again || !ended {
		t.Fatalf("%s does not say how: %s %s", manual, recipe, call)
	}
	k := &kit{modules: process.NodeModules(t, modulesName)}
	bin := t.TempDir()
	if err := os.Symlink(filepath.Join(k.modules, "@shopify", "cli-4", "bin", "run.js"), filepath.Join(bin, "shopify")); err != nil {
		t.Fatal(err)
	}
	path := strings.Join([]string{filepath.Dir(binary), bin, filepath.Dir(k.interpreter(node22)[0]), os.Getenv("PATH")}, ":")
	s := newSite(t)
	program := "export SHOPIFY_CLI_NO_ANALYTICS=1 CI=1 NO_COLOR=1\n" + recipe + call
	p := s.launch(t, append([]string{"PATH=" + path}, s.Environ...), []string{"sh", "-ec", program})
	if code := p.ExitWithin(t, 4*process.Patience); code != 0 || !strings.Contains(p.Out.String(), `"name": "Acme"`) {
		t.Errorf("exit code %d, and it printed %s", code, p.Out.String())
	}
}
