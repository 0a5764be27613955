package archtest

import (
	"go/ast"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"evergate/internal/config"
)

// numbers are what pages say in words, and where that is decided: by the default of a setting
// or by a constant. A constant is named alone, or behind its package where several have its
// name. Whoever changes a value or a name changes the line here, and the page with it.
var numbers = []struct{ page, says, decided, value string }{
	{"README.md", "for up to 8 seconds (`EVERGATE_PACE_MAX_WAIT`)", "EVERGATE_PACE_MAX_WAIT", "8s"},
	{"README.md", "at a random point in 70–80 % of the token's life", "renewEarliest", "0.70"},
	{"README.md", "at a random point in 70–80 % of the token's life", "renewLatest", "0.80"},
	{"docs/using/rate-limits.md", "after 8 seconds of waiting** (`EVERGATE_PACE_MAX_WAIT`)", "EVERGATE_PACE_MAX_WAIT", "8s"},
	{"docs/using/check.md", "it ends within 7 days", "nearEnd", "7 * 24 * time.Hour"},
	{"docs/using/check.md", "they differ by more than 5 minutes | by more than 30 seconds", "skewFailure", "5 * time.Minute"},
	{"docs/using/check.md", "they differ by more than 5 minutes | by more than 30 seconds", "skewWarning", "30 * time.Second"},
	{"docs/using/login.md", "It takes at most ten minutes.", "login.Life", "10 * time.Minute"},
	{"docs/using/login.md", "gets a cookie for ten minutes", "login.Life", "10 * time.Minute"},
	{"docs/using/login.md", "nobody answered within ten minutes", "login.Life", "10 * time.Minute"},
	{"docs/using/login.md", "the callback is more than five minutes old", "callbackTolerance", "5 * time.Minute"},
	{"docs/operating/authentication.md", "The file is looked at every two seconds", "reload.Interval", "2 * time.Second"},
	{"docs/operating/authentication.md", "The files are looked at every two seconds", "reload.Interval", "2 * time.Second"},
	{"docs/operating/policy.md", "The file is looked at every two seconds", "reload.Interval", "2 * time.Second"},
	{"docs/operating/policy.md", "at most 256 KiB, 10 000 words and signs, and 100 brackets", "LargestJudgedBody", "256 << 10"},
	{"docs/operating/policy.md", "at most 256 KiB, 10 000 words and signs, and 100 brackets", "mostGraphQLTokens", "10_000"},
	{"docs/operating/policy.md", "at most 256 KiB, 10 000 words and signs, and 100 brackets", "deepestGraphQL", "100"},
	{"docs/operating/policy.md", "the log (once an hour for each caller, code and kind of call)", "logInterval", "time.Hour"},
	{"docs/operating/metrics.md", "At most 1000 shops have a", "MaxShops", "1000"},
	{"docs/operating/metrics.md", "Only for versions that were asked for in the last 24 hours.", "inUseFor", "24 * time.Hour"},
	{"docs/containers/container.md", "for at most 30 seconds (`EVERGATE_SHUTDOWN_TIMEOUT`)", "EVERGATE_SHUTDOWN_TIMEOUT", "30s"},
	{"docs/runbooks/EvergateThrottled.md", "but for 8 seconds at most", "EVERGATE_PACE_MAX_WAIT", "8s"},
	{"docs/reference/configuration.md", "at most `1024MiB`", "config.maxSize", "1 << 30"},
	{"docs/reference/configuration.md", "larger than 64 KiB is an error", "maxSecretFile", "64 << 10"},
	{"docs/reference/errors.md", "it is longer than 256 KiB or too deep to be judged", "LargestJudgedBody", "256 << 10"},
	{"docs/reference/fidelity.md", "a header beyond 128 KiB", "largestHeader", "128 << 10"},
	{"docs/reference/fidelity.md", "a header that has not ended after ten seconds", "headerTimeout", "10 * time.Second"},
	{"docs/architecture.md", "a random point in 70–80 % of its life", "renewEarliest", "0.70"},
	{"docs/architecture.md", "a random point in 70–80 % of its life", "renewLatest", "0.80"},
	{"docs/architecture.md", "its body is read whole, up to 256 KiB", "LargestJudgedBody", "256 << 10"},
	{"docs/architecture.md", "the certificates are looked at every two seconds", "reload.Interval", "2 * time.Second"},
	{"docs/operating/limits.md", "after 64 are set aside", "limit.reserved", "64"},
	{"docs/operating/limits.md", "at most one for each 96 KiB of memory, and 16384", "connectionBytes", "48 << 10"},
	{"docs/operating/limits.md", "at most one for each 96 KiB of memory, and 16384", "limit.most", "16 << 10"},
	{"docs/operating/limits.md", "a quarter of the memory, at most 256 MiB", "largestBudget", "256 << 20"},
	{"docs/operating/limits.md", "less than 4 KiB a second for 3 s or more", "slowestServed", "4 << 10"},
	{"docs/operating/limits.md", "less than 4 KiB a second for 3 s or more", "crawlWindow", "3 * time.Second"},
	{"docs/operating/limits.md", "one for each 6 MiB of the bytes held, at least 2", "multiplexCost", "6 << 20"},
	{"docs/operating/limits.md", "one for each 6 MiB of the bytes held, at least 2", "leastMultiplexed", "2"},
	{"docs/operating/limits.md", "| 128 KiB, and 10 s to come |", "largestHeader", "128 << 10"},
	{"docs/operating/limits.md", "| less than 1 KiB in 40 s |", "Slowest", "1 << 10"},
	{"docs/operating/limits.md", "| 1000 scopes, 16 KiB |", "mostScopeBytes", "16 << 10"},
	{"docs/operating/limits.md", "| 4096 hashes |", "rememberedCosts", "4096"},
	{"docs/operating/limits.md", "256 KiB, 8 MiB unpacked", "largestCompressed", "256 << 10"},
	{"docs/operating/limits.md", "256 KiB, 8 MiB unpacked", "largestPlain", "8 << 20"},
	{"docs/operating/status.md", "less than 15 % of the token's life is left", "admin.endsSoon", "0.15"},
	{"docs/operating/status.md", "the refresh token ends in less than 14 days", "refreshEndsSoon", "14 * 24 * time.Hour"},
	{"docs/operating/status.md", "5 % of the calls of the last 5 minutes failed; an error from 20 % and 5 calls on", "warningShare", "0.05"},
	{"docs/operating/status.md", "5 % of the calls of the last 5 minutes failed; an error from 20 % and 5 calls on", "recentMinutes", "5"},
	{"docs/operating/status.md", "5 % of the calls of the last 5 minutes failed; an error from 20 % and 5 calls on", "errorShare", "0.2"},
	{"docs/operating/status.md", "5 % of the calls of the last 5 minutes failed; an error from 20 % and 5 calls on", "errorCount", "5"},
	{"docs/operating/status.md", "a version that ends in less than 45 days", "retiresSoon", "45 * 24 * time.Hour"},
	{"docs/operating/status.md", "more than a minute off Shopify's", "clockOff", "time.Minute"},
	{"docs/operating/status.md", "`tls:` listeners ends in less than 14 days", "certificateEndsSoon", "14 * 24 * time.Hour"},
	{"docs/operating/status.md", "Lists have at most 12 entries, and texts are cut at 2 KiB", "admin.mostRows", "12"},
	{"docs/operating/status.md", "Lists have at most 12 entries, and texts are cut at 2 KiB", "admin.longestText", "2 << 10"},
	{"docs/operating/status.md", "the local CA ends in less than 30 days", "localCAEndsSoon", "30 * 24 * time.Hour"},
	{"docs/operating/limits.md", "a tunnel to another host after 10 minutes of silence", "tunnel.silence", "10 * time.Minute"},
	{"docs/adr/0016-a-stalled-connection.md", "(Linux, `TCP_INFO`) | 1.5 s |", "unheard", "1500 * time.Millisecond"},
	{"docs/adr/0016-a-stalled-connection.md", "ten seconds before the request | 2.5 s |", "silentSuspect", "2500 * time.Millisecond"},
	{"docs/adr/0016-a-stalled-connection.md", "was used a moment ago | 5 s |", "silentRecent", "5 * time.Second"},
	{"docs/adr/0016-a-stalled-connection.md", "in the last ten minutes | 15 s |", "silentSlow", "15 * time.Second"},
	{"docs/adr/0016-a-stalled-connection.md", "At most 16 such requests go out at once", "maxHedges", "16"},
	{"docs/adr/0017-an-authority-that-can-do-little.md", "180 days before", "successor", "180 * day"},
	{"docs/adr/0017-an-authority-that-can-do-little.md", "the last two days", "handover", "2 * day"},
	{"docs/adr/0017-an-authority-that-can-do-little.md", "A leaf lives for 30 days", "leafLife", "30 * day"},
	{"docs/adr/0021-places-for-those-who-move.md", "less than 4 KiB a second**, in both directions together, over at least the last 3 s", "slowestServed", "4 << 10"},
	{"docs/adr/0021-places-for-those-who-move.md", "less than 4 KiB a second**, in both directions together, over at least the last 3 s", "crawlWindow", "3 * time.Second"},
}

func TestNumbersInTheDocumentationAreThoseOfTheCode(t *testing.T) {
	t.Parallel()
	decided := decidedNumbers(t)
	for _, n := range numbers {
		page, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(n.page)))
		if err != nil {
			t.Error(err)
			continue
		}
		if !strings.Contains(strings.Join(strings.Fields(string(page)), " "), n.says) {
			t.Errorf("%s does not say %q: put what it says about %s into the table of numbers_test.go", n.page, n.says, n.decided)
		}
		switch values := decided[n.decided]; {
		case len(values) != 1:
			t.Errorf("%d constants or settings are called %s: put the name of the one that %s speaks of into the table of numbers_test.go", len(values), n.decided, n.page)
		case values[0] != n.value:
			t.Errorf("%s is %s, not %s: mend %s, which says %q, and the table of numbers_test.go", n.decided, values[0], n.value, n.page, n.says)
		}
	}
}

// decidedNumbers are the values of constants as they are written, by their name alone and by
// that behind their package's, and the defaults of settings.
func decidedNumbers(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for _, s := range config.Settings() {
		found[s.Name] = append(found[s.Name], s.Default)
	}
	for _, f := range files(t) {
		if f.isTest() || strings.HasPrefix(f.dir(), "test/") || f.dir() == "internal/shopsim" || f.dir() == "bench" {
			continue // the simulator's limits are Shopify's
		}
		for _, d := range f.ast.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				continue
			}
			for _, spec := range g.Specs {
				v := spec.(*ast.ValueSpec)
				for i, name := range v.Names {
					if i < len(v.Values) {
						value := types.ExprString(v.Values[i])
						found[name.Name] = append(found[name.Name], value)
						full := f.ast.Name.Name + "." + name.Name
						found[full] = append(found[full], value)
					}
				}
			}
		}
	}
	return found
}
