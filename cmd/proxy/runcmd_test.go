package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"evergate/internal/config"
)

func loaded(t *testing.T, environ []string) *config.Config {
	t.Helper()
	c, err := config.Load(environ)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCommandGetsNoSecret(t *testing.T) {
	t.Parallel()
	in := []string{
		"PATH=/bin", "EMPTY=", "SHOPIFY_SHOP=acme", "SHOPIFY_CLIENT_ID=id", "SHOPIFY_CLIENT_SECRET=s", "SHOPIFY_CLIENT_SECRET_FILE=/run/s", "SHOPIFY_ACCESS_TOKEN=t",
		"SHOPIFY_ACCESS_TOKEN_FILE=/run/t", "EVERGATE_URL=http://other", "EVERGATE_LISTEN=127.0.0.1:0", "SHOPIFY_CLIENT_SECRET=again", "A=b=c", "odd", "MY_SHOPIFY_ACCESS_TOKEN=mine",
	}
	before := slices.Clone(in)
	want := []string{"PATH=/bin", "EMPTY=", "SHOPIFY_SHOP=acme", "SHOPIFY_CLIENT_ID=id", "EVERGATE_LISTEN=127.0.0.1:0", "A=b=c", "odd", "MY_SHOPIFY_ACCESS_TOKEN=mine"}
	if got := commandEnviron(in); !slices.Equal(got, want) {
		t.Errorf("%q\nwant\n%q", got, want)
	}
	if !slices.Equal(in, before) {
		t.Error("the environment that was given has changed")
	}
}

// These hold secrets of the same app under names that other versions and Shopify's own
// templates use. What Evergate does not read itself is still none of the command's business.
func TestCommandGetsNoSecretOfAnotherName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"SHOPIFY_REFRESH_TOKEN", "SHOPIFY_REFRESH_TOKEN_FILE", "SHOPIFY_API_SECRET", "SHOPIFY_API_SECRET_KEY", "SHOPIFY_API_PASSWORD"} {
		if got := commandEnviron([]string{name + "=s"}); len(got) != 0 {
			t.Errorf("%q", got)
		}
	}
	in := []string{
		"SHOPIFY_CLIENT_SECRET=" + aSecret, "TOKEN=" + aSecret, "JSON={\"secret\":\"" + aSecret + "\"}", "SHOPIFY_REFRESH_TOKEN=true", "DEBUG=true",
		"EVERGATE_UPSTREAM_PROXY=http://proxy.internal:3128", "HTTPS_PROXY=http://proxy.internal:3128",
	}
	if got, want := commandEnviron(in), []string{"DEBUG=true", "HTTPS_PROXY=http://proxy.internal:3128"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestDefaultsFillWhatIsNotSet(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ environ, defaults, want string }{
		{"", "A=1", "A=1"},
		{"A=0", "A=1", "A=0"},
		{"A=", "A=1", "A= A=1"}, // the later one counts
		{"AB=0", "A=1", "AB=0 A=1"},
		{"B=0", "A=1 B=2 C=3", "B=0 A=1 C=3"},
		{"A=x=y", "A=1", "A=x=y"},
		{"", "A=", "A="},
	} {
		in := strings.Fields(tc.environ)
		if got := strings.Join(withDefaults(in, strings.Fields(tc.defaults)...), " "); got != tc.want {
			t.Errorf("%s with %s: %s, want %s", tc.environ, tc.defaults, got, tc.want)
		}
	}
	c := loaded(t, withDefaults(right("EVERGATE_LISTEN="), "EVERGATE_LISTEN=127.0.0.1:1"))
	if c.Listeners[0].String() != "127.0.0.1:1" {
		t.Errorf("an empty setting hides the default: %v", c.Listeners)
	}
}

// TestMain lets this binary play the command that `run` starts.
func TestMain(m *testing.M) {
	if what := os.Getenv("PROXY_TEST_COMMAND"); what != "" {
		playCommand(what)
	}
	os.Exit(m.Run())
}

func TestExitCodeOfTheCommandIsOurs(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for what, want := range map[string]int{"exit 0": 0, "exit 1": 1, "exit 7": 7, "exit 255": 255, "signal 15": 143, "signal 9": 137} {
		cmd := exec.Command(self)
		cmd.Env = []string{"PROXY_TEST_COMMAND=" + what}
		got := exitOf(cmd.Run())
		var exit *exitError
		switch {
		case want == 0 && got == nil:
		case !errors.As(got, &exit) || exit.code != want || exit.err != nil:
			t.Errorf("%s: %#v, want %d", what, got, want)
		}
	}
	if err := exitOf(fs.ErrClosed); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("%v: what is no exit is passed on", err)
	}
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"a": "a", "a b": "a b", "-- a b": "a b", "-- -- a": "-- a", "a -- b": "a -- b", "a --policy p": "a --policy p", "-- -x": "-x",
		"--policy p a": "a", "--policy=p -- a --timeout 1s": "a --timeout 1s", "--timeout 1s --policy p -- --help": "--help",
	} {
		run, _ := named(commands(), "run")
		rest, err := parseFlags(env{args: strings.Fields(in), err: io.Discard}, synopsisOf("", run), run.new(), nil)
		if got, wrong := commandLine(rest); err != nil || wrong != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %q, %v, %v", in, got, err, wrong)
		}
	}
}

func TestRunWithoutACommandThatCanRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args []string
		want int
	}{
		{[]string{"run"}, exitConfig},
		{[]string{"run", "--"}, exitConfig},
		{[]string{"run", "--", "no-such-command-anywhere"}, exitNotFound},
		{[]string{"run", filepath.Join(dir, "missing")}, exitNotFound},
		{[]string{"run", plain}, exitNotExecutable},
		{[]string{"run", "--no-such-flag", "true"}, exitConfig},
		{[]string{"run", "--timeout", "soon", "true"}, exitConfig},
		{[]string{"run", "--policy", "no-such-policy", "true"}, exitConfig},
	} {
		o := execute(right(), tc.args...)
		if told := strings.Contains(o.err, "chmod +x"); told != (tc.want == exitNotExecutable) {
			t.Errorf("%q: whether it says how a file is made executable: %v\n%s", tc.args, told, o.err)
		}
		if o.code != tc.want || o.err == "" || o.out != "" {
			t.Errorf("%q: %+v, want %d", tc.args, o, tc.want)
		}
	}
}
