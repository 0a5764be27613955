package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"evergate/internal/shopsim"
	"evergate/test/process"
)

// runEnviron is a person's shell with the credentials in it: where to listen is not said.
func (s *shopify) runEnviron(more ...string) []string {
	return append([]string{
		"SHOPIFY_SHOP=" + shopsim.DefaultShop,
		"SHOPIFY_CLIENT_ID=" + shopsim.DefaultClientID,
		"SHOPIFY_CLIENT_SECRET=" + shopsim.DefaultClientSecret,
		"EVERGATE_UPSTREAM_URL=" + s.url,
		"EVERGATE_UPSTREAM_CA_FILE=" + s.caFile,
	}, more...)
}

// runRole starts `run -- CMD`, where CMD plays a role of command.
func (s *shopify) runRole(t *testing.T, environ []string, role ...string) *process.Process {
	t.Helper()
	return start(t, environ, append([]string{"run", "--"}, commandLine(role...)...)...)
}

func TestRunExitsAsItsCommandDoes(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{})
	locked := filepath.Join(t.TempDir(), "locked")
	if err := os.WriteFile(locked, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		command []string
		want    int
	}{
		"success":        {commandLine("exit", "0"), 0},
		"failure":        {commandLine("exit", "3"), 3},
		"plain_failure":  {commandLine("exit", "1"), 1},
		"own_of_ours":    {commandLine("exit", "125"), 125},
		"killed":         {commandLine("die", "9"), 128 + 9},
		"terminated":     {commandLine("die", "15"), 128 + 15},
		"no_command":     {nil, 2},
		"not_found":      {[]string{"no-such-command-anywhere"}, 127},
		"not_executable": {[]string{locked}, 126},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := finish(t, shop.runEnviron(), append([]string{"run", "--"}, c.command...)...)
			if code != c.want {
				t.Errorf("want exit code %d, got %d", c.want, code)
			}
			if stdout != "" {
				t.Errorf("on standard output: %q", stdout)
			}
			ours := c.want == 2 || c.want == 126 || c.want == 127 // to explain
			if (stderr != "") != ours {
				t.Errorf("on standard error: %q", stderr)
			}
		})
	}
}

func TestRunNeedsNoDashes(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{})
	if code, _, _ := finish(t, shop.runEnviron(), append([]string{"run"}, commandLine("exit", "5")...)...); code != 5 {
		t.Errorf("exit code %d", code)
	}
	if code, _, _ := finish(t, shop.runEnviron(), "run"); code != 2 {
		t.Errorf("without a command: exit code %d", code)
	}
}

func TestRunGivesItsCommandAWorkingURL(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{})
	p := shop.runRole(t, shop.runEnviron("EVERGATE_URL=http://stale.example"), "call")
	if code := p.Exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if out := p.Out.String(); !strings.HasPrefix(out, `{"shop":{`) || !strings.HasSuffix(out, "}") {
		t.Errorf("the command's output is not passed as it is: %q", out)
	}
	if token := shop.lastCall(t).Token; token != shop.tokens()[0] {
		t.Error("the call did not carry the token")
	}
}

func TestRunHidesTheSecretsFromItsCommand(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{})
	secretFile := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secretFile, []byte(shopsim.DefaultClientSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	static := shop.IssueToken("", "", 0)
	for name, environ := range map[string][]string{
		"given":  shop.runEnviron("OTHER=stays"),
		"file":   shop.runEnviron("OTHER=stays", "SHOPIFY_CLIENT_SECRET=", "SHOPIFY_CLIENT_SECRET_FILE="+secretFile),
		"static": shop.runEnviron("OTHER=stays", "SHOPIFY_CLIENT_ID=", "SHOPIFY_CLIENT_SECRET=", "SHOPIFY_ACCESS_TOKEN="+static),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := shop.runRole(t, environ, "environ")
			if code := p.Exit(t); code != 0 {
				t.Fatalf("exit code %d", code)
			}
			seen := p.Out.String()
			for _, secret := range append(shop.tokens(), shopsim.DefaultClientSecret, static, secretFile) {
				if strings.Contains(seen, secret) {
					t.Errorf("the command sees %q", secret)
				}
			}
			if strings.Contains(seen, "SHOPIFY_CLIENT_SECRET") || strings.Count(seen, "SHOPIFY_ACCESS_TOKEN") != strings.Count(seen, "\nSHOPIFY_ACCESS_TOKEN=shpat_00000000000000000000000000000000\n") {
				t.Errorf("the command sees a secret's name with something else than a placeholder:\n%s", seen)
			}
			if !strings.Contains(seen, "\nOTHER=stays\n") || strings.Count(seen, "EVERGATE_URL=http://127.0.0.1:") != 1 {
				t.Errorf("the command does not see what it should:\n%s", seen)
			}
		})
	}
}

func TestRunPassesStandardInputOn(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{})
	input, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer input.Close()
	if _, err := input.WriteString("one\ntwo"); err != nil {
		t.Fatal(err)
	}
	if _, err := input.Seek(0, 0); err != nil {
		t.Fatal(err)
	}
	p := startWith(t, input, shop.runEnviron(), append([]string{"run", "--"}, commandLine("copy")...)...)
	if code := p.Exit(t); code != 0 || p.Out.String() != "one\ntwo" {
		t.Errorf("exit code %d, %q", code, p.Out.String())
	}
}

func TestRunForwardsSignals(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			shop := newShopify(t, shopOptions{})
			p := shop.runRole(t, shop.runEnviron(), "await-signal")
			p.AwaitText(t, &p.Out, "the command", func(s string) bool { return strings.Contains(s, "waiting\n") })
			p.Signal(t, sig)
			if code := p.Exit(t); code != 42 {
				t.Errorf("exit code %d, not the command's", code)
			}
			if out := p.Out.String(); !strings.Contains(out, "got "+sig.String()) {
				t.Errorf("the command printed %q", out)
			}
		})
	}
}

func TestRunStartsNothingWithoutAToken(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{})
	environ := shop.runEnviron("SHOPIFY_CLIENT_SECRET=shpss_00000000000000000000000000000bad")
	p := start(t, environ, append([]string{"run", "--timeout", "2s", "--"}, commandLine("environ")...)...)
	if code := p.Exit(t); code != 125 {
		t.Errorf("exit code %d", code)
	}
	if out := p.Out.String(); out != "" {
		t.Errorf("the command ran: %q", out)
	}
	if said := p.Err.String(); !strings.Contains(said, "SHOPIFY_CLIENT_SECRET") || !strings.Contains(said, "not started") {
		t.Errorf("it does not say what to do: %s", said)
	}
}

func TestRunEndsAtASignalBeforeItIsReady(t *testing.T) {
	t.Parallel()
	hang := newGate(isTokenPost)
	shop := newShopify(t, shopOptions{around: hang.around})
	p := shop.runRole(t, shop.runEnviron("EVERGATE_LOG_LEVEL=info", "EVERGATE_LOG_FORMAT=json"), "environ")
	hang.awaitOne(t)
	p.Signal(t, syscall.SIGTERM)
	p.AwaitLog(t, "shutting down")
	hang.open() // the rotation that has begun is finished first
	if code := p.Exit(t); code != 125 || p.Out.String() != "" {
		t.Errorf("exit code %d, %q", code, p.Out.String())
	}
}
