//go:build linux

package cli

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"evergate/internal/shopsim"
	"evergate/test/process"
)

// onTerminal runs the program on a terminal of its own, as a person would.
func onTerminal(t *testing.T, environ []string, args string) *process.Process {
	t.Helper()
	process.RequireProgram(t, "script", "it is in Debian's package bsdutils")
	return process.Start(t, process.Command(t, "script", environ, "--quiet", "--return", "--command", "exec "+binary+args, "/dev/null"))
}

func appOfSimulator(t *testing.T) []string {
	t.Helper()
	server, err := shopsim.New(shopsim.Options{}).Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, server.CAPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{
		"SHOPIFY_SHOP=" + shopsim.DefaultShop, "SHOPIFY_CLIENT_ID=" + shopsim.DefaultClientID, "SHOPIFY_CLIENT_SECRET=" + shopsim.DefaultClientSecret,
		"EVERGATE_UPSTREAM_URL=" + server.URL, "EVERGATE_UPSTREAM_CA_FILE=" + ca,
		"EVERGATE_LISTEN=127.0.0.1:0", "EVERGATE_ADMIN_LISTEN=127.0.0.1:0", "SHELL=/bin/sh", "PATH=" + os.Getenv("PATH"),
	}
}

func TestAPersonIsGreetedWithWhatToDoNext(t *testing.T) {
	t.Parallel()
	p := onTerminal(t, append(appOfSimulator(t), "EVERGATE_POLICY=read-only"), "")
	call := p.AwaitMatch(t, &p.Out, regexp.MustCompile(`Try it +curl (\S+)`))
	page := p.AwaitMatch(t, &p.Out, regexp.MustCompile(`Watch it +(\S+)`))
	p.AwaitText(t, &p.Out, "the first token", func(s string) bool { return strings.Contains(s, "token obtained") })
	for _, url := range []string{call, page} {
		answer, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", url, answer.Status)
		}
	}
	said := p.Out.String()
	command := regexp.MustCompile(`or: (EVERGATE_ADMIN_LISTEN=\S+) evergate status`).FindStringSubmatch(said)
	if command == nil {
		t.Fatalf("no command finds the sidecar:\n%s", said)
	}
	status := process.Start(t, process.Command(t, binary, command[1:], "status"))
	if code := status.Exit(t); code != 0 || !strings.Contains(status.Out.String(), shopsim.DefaultShop) {
		t.Errorf("%q: %d", command[0], code)
	}
	for _, want := range []string{"for " + shopsim.DefaultShop + ", with client credentials.", "Tools call   http://127.0.0.1:", "read-only (EVERGATE_POLICY)"} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in\n%s", want, said)
		}
	}
	if regexp.MustCompile(`time=|\d\.\d{6}|"msg"|listening for`).MatchString(said) {
		t.Errorf("a person is told what is for machines:\n%s", said)
	}
}

func TestATerminalThatAskedForJSONGetsNothingElse(t *testing.T) {
	t.Parallel()
	p := onTerminal(t, append(appOfSimulator(t), "EVERGATE_LOG_FORMAT=json"), "")
	p.AwaitText(t, &p.Out, "the first token", func(s string) bool { return strings.Contains(s, "token obtained") })
	for line := range strings.Lines(p.Out.String()) {
		if !strings.HasPrefix(line, "{") {
			t.Errorf("%q", line)
		}
	}
}

func TestADemoOnOtherPortsSaysSo(t *testing.T) {
	t.Parallel()
	// The usual ports may be taken on this machine or not; here they are, by us or by somebody else.
	for _, address := range []string{"127.0.0.1:8080", "127.0.0.1:9090"} {
		server := &http.Server{Addr: address}
		go func() { _ = server.ListenAndServe() }()
		t.Cleanup(func() { _ = server.Close() })
	}
	process.Eventually(t, func() error { _, err := http.Get("http://127.0.0.1:8080/"); return err })
	p := process.Start(t, process.Command(t, binary, []string{"EVERGATE_POLICY=read-only"}, "demo"))
	call := p.AwaitMatch(t, &p.Out, regexp.MustCompile(`(?m)^  curl (http://\S+/shop.json)`))
	if !strings.HasPrefix(p.Out.String(), "NOT THE USUAL PORTS") || strings.Contains(call, ":8080") {
		t.Errorf("nothing is said of the ports:\n%s", p.Out.String())
	}
	process.Eventually(t, func() error {
		answer, err := http.Get(call)
		if err != nil {
			return err
		}
		return answer.Body.Close()
	})
}

func TestATypedSecretIsNotShown(t *testing.T) {
	t.Parallel()
	environ := appOfSimulator(t)
	file := filepath.Join(t.TempDir(), "acme.env")
	process.RequireProgram(t, "script", "it is in Debian's package bsdutils")
	cmd := process.Command(t, "script", environ[3:], "--quiet", "--return", "--command", "exec "+binary+" init --file "+file, "/dev/null")
	typing, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p := process.Start(t, cmd)
	for _, q := range [][2]string{
		{"Shop, ", "http://blue-finch"}, {"is a URL", "-"}, {"Shop, [^$]*Shop, ", shopsim.DefaultShop}, {"Client id ", shopsim.DefaultClientID},
		{"Client secret ", "mistyped"}, {"Not everything is right[^$]*", "a"}, // what was answered is kept by Enter
		{`Shop, [^$]*\[` + shopsim.DefaultShop + `\]: `, ""}, {"Client id [^$]*Client id ", ""}, {"Client secret [^$]*Client secret ", shopsim.DefaultClientSecret},
	} {
		p.AwaitMatch(t, &p.Out, regexp.MustCompile("("+q[0]+")"))
		if q[1] == "-" {
			continue
		}
		if _, err := io.WriteString(typing, q[1]+"\r"); err != nil {
			t.Fatal(err)
		}
	}
	if code := p.Exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if said := p.Out.String(); strings.Contains(said, shopsim.DefaultClientSecret) || !strings.Contains(said, shopsim.DefaultClientID) {
		t.Errorf("the secret is shown, or nothing is:\n%s", said)
	}
	if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), "\nSHOPIFY_CLIENT_SECRET="+shopsim.DefaultClientSecret+"\n") {
		t.Errorf("%q, %v", text, err)
	}
}

// TestWhatATerminalShowsEndsWithIt closes the window in which a sidecar, or the demo, is looked at.
func TestWhatATerminalShowsEndsWithIt(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"", " demo"} {
		alive := filepath.Join(t.TempDir(), "alive")
		if err := syscall.Mkfifo(alive, 0o600); err != nil {
			t.Fatal(err)
		}
		// Both ends, so that opening waits for nobody; the one to write is given up when the program has it.
		held, err := os.OpenFile(alive, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		reader, err := os.Open(alive)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = reader.Close() }()
		p := onTerminal(t, appOfSimulator(t), command+" 3>"+alive)
		p.AwaitText(t, &p.Out, "a token", func(s string) bool { return strings.Contains(s, "token obtained") })
		_ = held.Close()
		p.Kill()
		ended := make(chan error, 1)
		go func() {
			_, err := io.Copy(io.Discard, reader)
			ended <- err
		}()
		if err := process.Await(t, "the end of evergate"+command, ended); err != nil {
			t.Error(err)
		}
	}
}

// TestAWatchedStatusFitsTheTerminalAsItIsResized looks at it on a terminal that is made smaller, as somebody does with its window.
func TestAWatchedStatusFitsTheTerminalAsItIsResized(t *testing.T) {
	t.Parallel()
	environ := appOfSimulator(t)
	served := onTerminal(t, environ, "")
	admin := served.AwaitMatch(t, &served.Out, regexp.MustCompile(`(EVERGATE_ADMIN_LISTEN=\S+) evergate status`))
	served.AwaitText(t, &served.Out, "the first token", func(s string) bool { return strings.Contains(s, "token obtained") })
	process.RequireProgram(t, "script", "it is in Debian's package bsdutils")
	watch := "tty; stty cols 100 rows 40; exec " + binary + " status --watch --every 1h"
	p := process.Start(t, process.Command(t, "script", append(environ, admin), "--quiet", "--return", "--command", watch, "/dev/null"))
	tty := p.AwaitMatch(t, &p.Out, regexp.MustCompile(`(/dev/pts/\d+)`))
	const clear = "\x1b[3J"
	// screen is the last whole screen, when it is one that was waited for. Each change of a size may bring one more of them.
	screen := func(what string, waited func(lines []string) bool) (lines []string) {
		p.AwaitText(t, &p.Out, what, func(s string) bool {
			shown := regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(s[strings.LastIndex(s, clear)+len(clear):], "")
			lines = strings.Split(shown, "\r\n")
			return strings.Contains(s, clear) && waited(lines)
		})
		return lines
	}
	screen("all of it, on a large terminal", func(lines []string) bool {
		return slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, "pacing") })
	})
	resize := process.Start(t, process.Command(t, "stty", environ, "-F", tty, "cols", "30", "rows", "8"))
	if code := resize.Exit(t); code != 0 {
		t.Fatal(resize.Tail())
	}
	lines := screen("a screen of 8 rows, of which the last names what is left out", func(lines []string) bool {
		return len(lines) <= 7 && strings.HasSuffix(lines[len(lines)-1], "more lines)")
	})
	for _, line := range lines {
		if len(line) > 30 {
			t.Errorf("%q is wider than the terminal", line)
		}
	}
}
