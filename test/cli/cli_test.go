package cli

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"evergate/internal/shopsim"
	"evergate/test/process"
)

// binary is the program under test; its directory is on every script's PATH.
var binary string

func TestMain(m *testing.M) { os.Exit(process.Main(m, &binary)) }

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", filepath.Dir(binary)+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("HOME", env.WorkDir)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "shop": shop},
	})
}

// exits runs a program that must end with a code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE program args...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("%q ended with %d, not %d", args[1:], got, want)
	}
}

// shop starts a Shopify of this script's.
func shop(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: shop")
	}
	sim := shopsim.New(shopsim.Options{})
	server, err := sim.Start("127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { _ = server.Close() })
	ca := ts.MkAbs("ca.pem")
	ts.Check(os.WriteFile(ca, server.CAPEM, 0o600))
	_, refresh := sim.IssuePair("", "")
	ts.Check(os.WriteFile(ts.MkAbs("refresh-token"), []byte(refresh+"\n"), 0o600))
	for name, value := range map[string]string{
		"SHOPIFY_SHOP": shopsim.DefaultShop, "SHOPIFY_CLIENT_ID": shopsim.DefaultClientID, "SHOPIFY_CLIENT_SECRET": shopsim.DefaultClientSecret,
		"EVERGATE_UPSTREAM_URL": server.URL, "EVERGATE_UPSTREAM_CA_FILE": ca,
		"EVERGATE_LISTEN": "127.0.0.1:0", "EVERGATE_ADMIN_LISTEN": "127.0.0.1:0",
	} {
		ts.Setenv(name, value)
	}
}
