package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"evergate/test/process"
)

func TestPastedAnswer(t *testing.T) {
	t.Parallel()
	for name, shape := range map[string]func(string) string{
		"address":  func(s string) string { return s },
		"query":    func(s string) string { _, q, _ := strings.Cut(s, "?"); return q },
		"quoted":   func(s string) string { return `  "` + s + "\"  \r" },
		"fragment": func(s string) string { return s + "#_=_" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim, environ, _ := loginShop(t)
			b := beginLogin(t, environ, "--paste")
			if b.redirect != "http://127.0.0.1:3456/callback" {
				t.Errorf("%s", b.redirect)
			}
			io.WriteString(b.stdin, "\nhttps://example.com/\n")
			b.err.next(t, has("that is not it"))
			io.WriteString(b.stdin, shape(decide(t, sim, b.authorize, "install"))+"\n")
			b.mustEnd(t, exitOK)
			if !strings.Contains(b.out.String(), "Address: ") || !strings.Contains(b.out.String(), "The app is authorised") {
				t.Errorf("%s", b.out)
			}
		})
	}
}

func TestPasteThatEndsWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	sim, environ, _ := loginShop(t)
	for _, pasted := range []string{"hello\n", "http://127.0.0.1:3456/callback\n", "https://acme.myshopify.com/admin\n"} {
		b := beginLogin(t, environ, "--paste")
		if _, err := io.WriteString(b.stdin, pasted); err != nil {
			t.Fatal(err)
		}
		b.err.next(t, has("no address of an answer was pasted: it begins with http://127.0.0.1:3456/callback?"))
		b.signals <- os.Interrupt
		b.mustEnd(t, exitFailure)
	}
	for name, paste := range map[string]func(authorize string) string{
		"the link itself":    func(authorize string) string { return authorize + "\n" },
		"a long line":        func(string) string { return strings.Repeat("a=b&", 100_000) + "\n" },
		"another page":       func(string) string { return "https://example.com/?page=2\n" },
		"control characters": func(string) string { return "\x00\x1b]0;title\a=\x1b[2J\n" },
	} {
		b := beginLogin(t, environ, "--paste")
		if _, err := io.WriteString(b.stdin, paste(b.authorize)); err != nil {
			t.Fatal(err)
		}
		b.err.next(t, has("no address of an answer was pasted"))
		b.stdin.Close()
		if b.mustEnd(t, exitFailure); strings.ContainsAny(b.err.String(), "\x00\x1b\a") || len(b.err.String()) > 1000 {
			t.Errorf("%s: %d bytes: %.300q", name, len(b.err.String()), b.err)
		}
	}
	if o := execute(environ, "login", "--paste"); o.code != exitFailure || !strings.Contains(o.err, "was not given") {
		t.Errorf("%+v", o)
	}
	b := beginLogin(t, environ, "--paste", "--redirect-url", "http://localhost:3456/auth?x=1")
	io.WriteString(b.stdin, decide(t, sim, b.authorize, "cancel")+"\n")
	b.mustEnd(t, exitFailure)
	if b.redirect != "http://localhost:3456/auth?x=1" {
		t.Errorf("%s", b.redirect)
	}
	b = beginLogin(t, environ, "--paste")
	io.WriteString(b.stdin, "https://example.com/")
	b.stdin.Close()
	b.mustEnd(t, exitFailure)
	if strings.Count(b.err.String(), "no address of an answer was pasted") != 2 {
		t.Errorf("%s", b.err)
	}
}

func TestRedirectURLOfTheOperator(t *testing.T) {
	t.Parallel()
	sim, environ, _ := loginShop(t)
	port := process.FreePort(t)
	redirect := "http://localhost:" + port + "/auth/callback"
	b := beginLogin(t, environ, "--redirect-url", redirect)
	if b.redirect != redirect || !strings.Contains(b.authorize, url.QueryEscape(redirect)) {
		t.Errorf("%s in %s", b.redirect, b.authorize)
	}
	if status, _ := get(t, "http://127.0.0.1:"+port+"/callback"); status != http.StatusNotFound {
		t.Errorf("%d", status)
	}
	to := strings.Replace(decide(t, sim, b.authorize, "install"), "localhost", "127.0.0.1", 1)
	if status, page := get(t, to); status != http.StatusOK {
		t.Errorf("%d %s", status, page)
	}
	b.mustEnd(t, exitOK)
}

func TestMistakesBeforeALogin(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	loose := t.TempDir()
	if err := os.Chmod(loose, 0o755); err != nil {
		t.Fatal(err)
	}
	_, environ, _ := loginShop(t)
	for _, tc := range []struct {
		name    string
		environ []string
		args    []string
		code    int
		said    string
	}{
		{"nothing", nil, nil, exitConfig, "SHOPIFY_SHOP is not set"},
		{"no_app", []string{"SHOPIFY_SHOP=acme"}, nil, exitConfig, "SHOPIFY_CLIENT_ID"},
		{"static_only", []string{"SHOPIFY_SHOP=acme", "SHOPIFY_ACCESS_TOKEN=shpat_0123456789abcdef0123456789abcdef"}, nil, exitConfig, "SHOPIFY_CLIENT_ID"},
		{"memory", append(slices.Clip(environ), "EVERGATE_STORE=memory:"), nil, exitConfig, "EVERGATE_STORE=memory: ends with this command"},
		{"store", append(slices.Clip(environ), "EVERGATE_STORE=file:"+loose), nil, exitConfig, "open to other users"},
		{"port", environ, []string{"--port", "70000"}, exitConfig, "1 to 65535"},
		{"port_taken", environ, []string{"--port", port}, exitFailure, "give another --port"},
		{"paste_free", environ, []string{"--paste", "--port", "0"}, exitConfig, "leave --port out"},
		{"port_no_number", environ, []string{"--port", "http"}, exitConfig, "1 to 65535"},
		{"redirect", environ, []string{"--redirect-url", "login.example.com"}, exitConfig, "as it is configured in the app"},
		{"redirect_fragment", environ, []string{"--redirect-url", "https://login.example.com/#x"}, exitConfig, "as it is configured in the app"},
		{"redirect_elsewhere", environ, []string{"--redirect-url", "https://login.example.com/callback"}, exitConfig, "where to listen"},
		{"redirect_no_port", environ, []string{"--redirect-url", "http://localhost/callback"}, exitConfig, "where to listen"},
	} {
		o := execute(tc.environ, append([]string{"login"}, tc.args...)...)
		if o.code != tc.code || !strings.Contains(o.err, tc.said) || strings.Contains(o.out, "authorize") {
			t.Errorf("%s: %+v", tc.name, o)
		}
	}
}

func TestBrowserIsOpenedAndNeedNotBe(t *testing.T) {
	t.Parallel()
	for _, quiet := range []bool{false, true} {
		_, environ, _ := loginShop(t)
		out, opened := newTail(), make(chan string, 1)
		w := env{args: []string{"login", "--port", "0"}, environ: environ, stdin: strings.NewReader(""), out: out, err: out, signals: make(chan os.Signal),
			browse: func(address string) error { opened <- address; return errors.New("there is no browser") }}
		if quiet {
			w.args = append(w.args, "--no-browser")
		}
		signals := make(chan os.Signal, 1)
		w.signals = signals
		code := make(chan int, 1)
		go func() { code <- run(w) }()
		out.next(t, has("Waiting"))
		if !quiet {
			if address := <-opened; !strings.Contains(out.String(), "\n  "+address+"\n") {
				t.Errorf("it opens %s, and prints %s", address, out)
			}
		}
		signals <- os.Interrupt
		if c := <-code; c != exitFailure || strings.Contains(out.String(), "no browser") || len(opened) != 0 {
			t.Errorf("%d %s", c, out)
		}
	}
}
