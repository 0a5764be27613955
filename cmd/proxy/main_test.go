package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

const (
	aClientID = "3f1c9b7a5d2e4f60819273a4b5c6d7e8"
	aSecret   = "shpss_0123456789abcdef0123456789abcdef"
)

// outcome is what a command left behind.
type outcome struct {
	code     int
	out, err string
}

// execute runs one command to its end, in an env that has nothing but environ.
func execute(environ []string, args ...string) outcome {
	var out, errw bytes.Buffer
	code := run(env{args: args, environ: environ, stdin: strings.NewReader(""), out: &out, err: &errw, signals: make(chan os.Signal)})
	return outcome{code, out.String(), errw.String()}
}

func right(more ...string) []string {
	return append([]string{"SHOPIFY_SHOP=acme", "SHOPIFY_CLIENT_ID=" + aClientID, "SHOPIFY_CLIENT_SECRET=" + aSecret}, more...)
}

func TestVersion(t *testing.T) {
	t.Parallel()
	o := execute(nil, "version")
	if o.code != exitOK || o.err != "" || !regexp.MustCompile(`^evergate \S+ \(commit \S+, go1\.\S+\)\n$`).MatchString(o.out) {
		t.Errorf("%+v", o)
	}
	if build().UserAgent() != "Evergate/"+version {
		t.Errorf("%s", build().UserAgent())
	}
}

func TestHelpListsEveryCommand(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"help"}, {"-h"}, {"--help"}, {"-help"}} {
		o := execute(nil, args...)
		if o.code != exitOK || o.err != "" {
			t.Errorf("%q: %+v", args, o)
		}
		for _, c := range commands() {
			if !strings.Contains(o.out, "\n  "+c.name) || !strings.Contains(o.out, c.summary) {
				t.Errorf("%q: nothing of %s:\n%s", args, c.name, o.out)
			}
		}
	}
}

func TestUnknownCommandIsAMistake(t *testing.T) {
	t.Parallel()
	for name, near := range map[string]string{"launch": "", "SERVE": "serve", "check ": "check", "start": "serve", "Stop": "quit"} {
		o := execute(right(), name)
		hint := "; `evergate help` lists what there is\n"
		if near != "" {
			hint = "; did you mean " + near + "?\n"
		}
		if want := `evergate: there is no command "` + name + `"` + hint; o.code != exitConfig || o.out != "" || o.err != want {
			t.Errorf("%+v, want %q", o, want)
		}
	}
}

func TestBadFlagsAreMistakes(t *testing.T) {
	t.Parallel()
	for _, c := range commands() {
		if c.name == "run" { // what follows it is another program's, and so is its help
			if o := execute(right(), "run", "--help"); o.code != exitOK || o.err != "" || !strings.HasPrefix(o.out, "Usage: evergate run ") {
				t.Errorf("%+v", o)
			}
			continue
		}
		if o := execute(right(), c.name, "--no-such-flag"); o.code != exitConfig || !strings.Contains(o.err, "no-such-flag") || o.out != "" {
			t.Errorf("%s: %+v", c.name, o)
		}
		surplus := []string{c.name, "surplus"}
		switch c.name { // they take one argument
		case "key":
			surplus = []string{c.name, "agent", "surplus"}
		case "completion":
			surplus = []string{c.name, "bash", "surplus"}
		}
		if o := execute(right(), surplus...); o.code != exitConfig || !strings.Contains(o.err, c.name+` takes no argument "surplus"`) || o.out != "" {
			t.Errorf("%s: %+v", c.name, o)
		}
		if o := execute(right(), c.name, "--help"); o.code != exitOK || o.err != "" || !strings.HasPrefix(o.out, "Usage: evergate "+c.name) {
			t.Errorf("%s: %+v", c.name, o)
		}
	}
	for _, args := range [][]string{{"--listen=x"}, {"wait", "--timeout", "soon"}, {"simulate", "--products", "many"}, {"healthcheck", "--ready=maybe", "x"}} {
		if o := execute(right(), args...); o.code != exitConfig || o.out != "" {
			t.Errorf("%q: %+v", args, o)
		}
	}
}

func TestAFlagsWrongValueIsToldWhatIsWanted(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args []string
		says string
	}{
		{[]string{"wait", "--timeout", "3"}, `wait: --timeout cannot be "3": give a time with its unit, such as 30s or 5m`},
		{[]string{"wait", "--timeout"}, `wait: --timeout cannot be nothing: give a time with its unit`},
		{[]string{"wait", "--pid", "x"}, `wait: --pid cannot be "x": give a whole number`},
		{[]string{"simulate", "--products=many"}, `simulate: --products cannot be "many": give a whole number`},
		{[]string{"init", "--file"}, "init: --file cannot be nothing: give it a value"},
		{[]string{"status", "--watch=perhaps"}, "status: invalid boolean value"},
	} {
		if o := execute(nil, test.args...); o.code != exitConfig || !strings.Contains(o.err, test.says) {
			t.Errorf("%q: %d %s", test.args, o.code, o.err)
		}
	}
}

func TestAFileOfSettingsIsNamedWithTheDirectoryWhereItIsNot(t *testing.T) {
	t.Parallel()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if o := execute(nil, "check", "--env-file", "absent.env"); o.code != exitConfig || !strings.Contains(o.err, "there is no absent.env in "+here+": name it in full") {
		t.Errorf("%+v", o)
	}
}

// TestAWaitEndsWithTheProcessThatIsWaitedFor has a process end of which nobody asks how: it is there still, as a zombie.
func TestAWaitEndsWithTheProcessThatIsWaitedFor(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self)
	child.Env = append(os.Environ(), "PROXY_TEST_COMMAND=exit 3")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	pid := child.Process.Pid
	if _, err := io.Copy(io.Discard, out); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "linux" { // others tell of the end when the parent has asked for it
		_ = child.Wait()
	} else {
		defer func() { _ = child.Wait() }()
	}
	nobody := []string{"EVERGATE_ADMIN_LISTEN=127.0.0.1:1"}
	says := fmt.Sprintf("process %d has ended", pid)
	if o := execute(nobody, "wait", "--timeout", "1h", "--pid", strconv.Itoa(pid)); o.code != exitFailure || !strings.Contains(o.err, says) {
		t.Errorf("%+v", o)
	}
	if o := execute(nobody, "wait", "--timeout", "1ms", "--pid", strconv.Itoa(os.Getpid())); o.code != exitFailure || !strings.Contains(o.err, "not ready after 1ms") {
		t.Errorf("%+v", o)
	}
}

func TestConfigPrintsWithoutSecrets(t *testing.T) {
	t.Parallel()
	o := execute(right("EVERGATE_TOKEN_WAIT=7s"), "config")
	if o.code != exitOK || o.err != "" || !strings.Contains(o.out, "[redacted]") || !regexp.MustCompile(`EVERGATE_TOKEN_WAIT +7s +default 5s\n`).MatchString(o.out) {
		t.Errorf("%+v", o)
	}
	if strings.Contains(o.out, aSecret) {
		t.Error("the secret is printed")
	}
}

func TestConfigPrintsWhatItCanOfAWrongOne(t *testing.T) {
	t.Parallel()
	o := execute(right("EVERGATE_TOKEN_WAIT=soon", "EVERGATE_LISTNE=x"), "config")
	if o.code != exitConfig || !strings.Contains(o.out, "SHOPIFY_SHOP") || !strings.Contains(o.out, "EVERGATE_UPSTREAM_TIMEOUT") ||
		!strings.Contains(o.err, "did you mean EVERGATE_LISTEN?") || !strings.Contains(o.err, `EVERGATE_TOKEN_WAIT="soon"`) {
		t.Errorf("%+v", o)
	}
	if o := execute(nil, "config"); o.code != exitConfig || !strings.Contains(o.out, "EVERGATE_LISTEN") || !strings.Contains(o.err, "SHOPIFY_SHOP is not set") {
		t.Errorf("%+v", o)
	}
}

func TestConfigMarkdownNeedsNoConfiguration(t *testing.T) {
	t.Parallel()
	o := execute([]string{"EVERGATE_NONSENSE=1"}, "config", "--markdown")
	if o.code != exitOK || o.err != "" || !strings.HasPrefix(o.out, "| Setting | Default | Meaning |\n") {
		t.Errorf("%+v", o)
	}
}

// A closed port, because nobody has listened on it since.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestProbesFailWhenNobodyListens(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"healthcheck"}, {"healthcheck", "--ready"}, {"quit"}, {"wait", "--timeout", "1ms"}} {
		// A probe's container has this setting only.
		o := execute([]string{"EVERGATE_ADMIN_LISTEN=" + nobody(t)}, args...)
		if o.code != exitFailure || o.out != "" || o.err == "" {
			t.Errorf("%q: %+v", args, o)
		}
		socket := execute([]string{"EVERGATE_ADMIN_LISTEN=unix:" + t.TempDir() + "/admin.sock"}, args...)
		if socket.code != exitFailure {
			t.Errorf("%q: %+v", args, socket)
		}
	}
}

func TestProbesOfAWrongConfigurationSaySo(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"healthcheck"}, {"quit"}, {"wait"}} {
		for _, set := range []string{"EVERGATE_ADMIN_LISTEN=9090", "EVERGATE_ADMIN_LISTEN=127.0.0.1:1,127.0.0.1:2", "EVERGATE_ADMIN_LISTNE=127.0.0.1:1"} {
			if o := execute([]string{set}, args...); o.code != exitConfig || !strings.Contains(o.err, "EVERGATE_ADMIN_LISTEN") {
				t.Errorf("%q with %s: %+v", args, set, o)
			}
		}
	}
}

// Kubernetes restarts a container whose probe fails: a secret that cannot be read is no
// reason for that, while the sidecar goes on with the token it has.
func TestProbesReadNoSecret(t *testing.T) {
	t.Parallel()
	admin := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer admin.Close()
	missing := t.TempDir() + "/gone"
	environ := []string{"EVERGATE_ADMIN_LISTEN=" + admin.Listener.Addr().String(), "SHOPIFY_CLIENT_SECRET_FILE=" + missing, "EVERGATE_STORE_KEY_FILE=" + missing}
	for _, args := range [][]string{{"healthcheck"}, {"healthcheck", "--ready"}, {"healthcheck", "--startup"}, {"wait"}, {"quit"}} {
		if o := execute(environ, args...); o.code != exitOK {
			t.Errorf("%q: %+v", args, o)
		}
	}
}

func TestServeReportsEveryMistakeInALineOfJSON(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"serve"}} {
		o := execute([]string{"EVERGATE_TOKEN_WAIT=-1s", "EVERGATE_LISTNE=x"}, args...)
		lines := strings.Split(strings.TrimSuffix(o.err, "\n"), "\n")
		if o.code != exitConfig || o.out != "" || len(lines) != 4 {
			t.Fatalf("%+v", o)
		}
		for _, line := range lines {
			if e := parseLog(line); e.Level != "ERROR" || e.Message != "configuration" || e.Err == "" {
				t.Errorf("%s", line)
			}
		}
	}
}

func TestServeReportsMistakesToPeopleAsAList(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"serve"}, {"run", "--", "true"}} {
		o := execute([]string{"EVERGATE_LOG_FORMAT=text", "SHOPIFY_SHOP=acme"}, args...)
		if o.code != exitConfig || !strings.HasPrefix(o.err, "evergate: the configuration is not right:\n  - no credentials") || !strings.Contains(o.err, "`evergate config` lists every setting") {
			t.Errorf("%+v", o)
		}
	}
}

func TestWrongAllowedHostIsAConfigurationError(t *testing.T) {
	t.Parallel()
	o := execute(right("EVERGATE_ALLOWED_HOSTS=*.internal", "EVERGATE_LISTEN=127.0.0.1:0", "EVERGATE_ADMIN_LISTEN=127.0.0.1:0"), "serve")
	if o.code != exitConfig || !strings.Contains(o.err, "EVERGATE_ALLOWED_HOSTS") {
		t.Errorf("%+v", o)
	}
}

func TestTakenPortIsAFailureThatSaysWhatToDo(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, set := range [][]string{
		{"EVERGATE_LISTEN=" + l.Addr().String(), "EVERGATE_ADMIN_LISTEN=127.0.0.1:0"},
		{"EVERGATE_LISTEN=127.0.0.1:0", "EVERGATE_ADMIN_LISTEN=" + l.Addr().String()},
	} {
		o := execute(right(set...), "serve")
		if o.code != exitFailure || !strings.Contains(o.err, "another process listens on "+l.Addr().String()) {
			t.Errorf("%+v", o)
		}
	}
}

func TestSimulateRefusesWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"--shop", "not a shop"}, {"--products", "-1"}, {"--client-id", ""}, {"--token-life", "-1s"}, {"--plain", "--listen", "127.0.0.1:0", "--ca-file", t.TempDir() + "/ca.pem"},
	} {
		if o := execute(nil, append([]string{"simulate"}, args...)...); o.code != exitConfig || o.err == "" {
			t.Errorf("%q: %+v", args, o)
		}
	}
}
