//go:build linux

package cli

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"evergate/test/process"
)

// hostile is what a terminal would obey, or show otherwise than it is: it colours, sets a title, clears the screen as 7 and 8
// bits say it, turns the direction, goes back to the beginning of the line, and is no UTF-8.
const hostile = "\x1b[35mHOSTILE\x1b]0;title\a\u009b2J\x9b2J\u202e\u2066\u200b\ufeff\r\x7f\b\xff\x00"

// hostileShort is what has room where little has.
const hostileShort = "\u202e\u009b1m\x1b["

// impostor answers in Shopify's place, every call alike, in a way of its own.
func impostor(t *testing.T, answer func(r *http.Request) string) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	process.Accept(t, l, func(c net.Conn) {
		defer c.Close()
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(c, answer(r))
	})
	return "http://" + l.Addr().String()
}

func message(head, body string) string {
	return fmt.Sprintf("HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", head, len(body), body)
}

func asJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // of texts and numbers it cannot fail
	}
	return string(text)
}

// withoutControls is a text as net/http's client takes it in a header field: it refuses the controls of ASCII there.
func withoutControls(s string) string {
	var b []byte
	for i := range len(s) {
		if s[i] >= ' ' && s[i] != 0x7f {
			b = append(b, s[i])
		}
	}
	return string(b)
}

// impostors are ways to answer.
func impostors() map[string]func(*http.Request) string {
	refusal := asJSON(map[string]string{"error": hostile, "error_description": hostile, "errors": hostile})
	inHeader := withoutControls(hostile)
	return map[string]func(*http.Request) string{
		"a refusal": func(*http.Request) string {
			return message("400 Bad Request\r\nContent-Type: application/json", refusal)
		},
		"a long refusal": func(*http.Request) string {
			return message("403 Forbidden\r\nContent-Type: application/json", asJSON(map[string]string{"error": strings.Repeat(hostile, 20000)}))
		},
		"a reason": func(*http.Request) string { return message("500 "+inHeader, hostile) },
		"a page": func(*http.Request) string {
			return message("200 OK\r\nContent-Type: text/html", "<title>"+hostile+"</title>")
		},
		"a redirect": func(*http.Request) string {
			return message("302 Found\r\nLocation: https://elsewhere.example/"+inHeader, "")
		},
		"no HTTP":      func(*http.Request) string { return hostile + "\r\n\r\n" },
		"a bad header": func(*http.Request) string { return message("200 OK\r\n"+inHeader+": x", "") },
		"tokens": func(r *http.Request) string {
			head := "200 OK\r\nContent-Type: application/json\r\nX-Shopify-API-Version: " + withoutControls(hostileShort) +
				"\r\nX-Shopify-API-Deprecated-Reason: " + inHeader + "\r\nRetry-After: " + inHeader
			switch {
			case strings.HasSuffix(r.URL.Path, "access_token"):
				return message(head, asJSON(map[string]any{"access_token": permanent, "scope": "read_products," + hostile, "expires_in": 86399,
					"refresh_token": "shprt_fedcba9876543210fedcba9876543210", "refresh_token_expires_in": 7776000}))
			case strings.HasSuffix(r.URL.Path, "access_scopes.json"):
				return message(head, asJSON(map[string]any{"access_scopes": []map[string]string{{"handle": hostileShort}}}))
			case strings.HasSuffix(r.URL.Path, "graphql.json"):
				return message(head, `{"data":{"publicApiVersions":[{"handle":`+asJSON(hostileShort)+`,"supported":true}]}}`)
			case r.Header.Get("X-Shopify-Access-Token") == "":
				return message(strings.Replace(head, "200 OK", "401 Unauthorized", 1), "{}")
			}
			return message(head, "{}")
		},
	}
}

// TestNoTerminalObeysWhatShopifyWrites runs the commands that call Shopify on a terminal, with Shopify's place taken.
func TestNoTerminalObeysWhatShopifyWrites(t *testing.T) {
	t.Parallel()
	commands := [][]string{{"check"}, {"check", "--json"}, {"run", "--", "true"}, {"login", "--paste"}, {"token", "import"}, {"check"}, {"token", "show"},
		{"token", "migrate"}, {"run", "--", "true"}, {"store", "list"}, {"store", "check"}, {"token", "revoke", "--yes"}}
	for name, answer := range impostors() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			environ := []string{"SHOPIFY_SHOP=acme", "SHOPIFY_CLIENT_ID=0123456789abcdef", "SHOPIFY_CLIENT_SECRET=shpss_0123456789abcdef0123456789abcdef",
				"EVERGATE_UPSTREAM_URL=" + impostor(t, answer), "EVERGATE_LISTEN=127.0.0.1:0", "EVERGATE_ADMIN_LISTEN=127.0.0.1:0",
				"EVERGATE_TOKEN_WAIT=100ms", "EVERGATE_STORE=file:" + filepath.Join(t.TempDir(), "grants")}
			for _, args := range commands {
				if args[0] == "login" {
					environ = append(environ, "EVERGATE_GRANT=offline")
				}
				p, term := process.OnTerminal(t, process.Command(t, binary, environ, args...))
				switch {
				case args[0] == "login":
					term.Shows(t, p, "?client_id=")
					_, _ = io.WriteString(term.Keys, "http://127.0.0.1:3456/callback?error=%1b%5b35m&error_description=%1b%5b35m%C2%9b%E2%80%AE&state=x\n")
					p.AwaitText(t, &term.Screen, "the question again, or the end", func(screen string) bool { return strings.Count(screen, "Address: ") > 1 })
					_, _ = io.WriteString(term.Keys, "\x03")
				case args[0] == "run": // it waits for what passes by itself
					_ = p.Printed(t.Context(), &term.Screen, func(screen string) bool { return strings.Contains(screen, "failures=2") })
					_, _ = io.WriteString(term.Keys, "\x03")
				case slices.Contains(args, "import"):
					term.Shows(t, p, "oken")
					_, _ = io.WriteString(term.Keys, "shprt_0123456789abcdef0123456789abcdef\n")
				}
				if code := p.Exit(t); code == 126 || code == 127 || code < 0 {
					t.Errorf("%q: exit code %d", args, code)
				}
				mustNotBeObeyed(t, args[0], p.Out.String())
				if name == "tokens" && args[0] == "check" && !strings.Contains(p.Out.String(), `\u202e`) {
					t.Errorf("%q: the version that served it is not shown, so that this proves nothing:\n%s", args, &p.Out)
				}
			}
		})
	}
}

// TestNoTerminalObeysACertificate has check and run meet a certificate whose name a terminal would obey.
func TestNoTerminalObeysACertificate(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"\x1b[35mHOSTILE\x1b]0;title\a\r\b\x7f.example"}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	process.Accept(t, l, func(c net.Conn) {
		_, _ = io.Copy(io.Discard, c)
		_ = c.Close()
	})
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for _, args := range [][]string{{"check"}, {"check", "--json"}, {"run", "--", "true"}} {
		p, _ := process.OnTerminal(t, process.Command(t, binary, environ("EVERGATE_UPSTREAM_URL=https://localhost:"+port, "EVERGATE_UPSTREAM_CA_FILE="+ca,
			"SHOPIFY_CLIENT_ID=0123456789abcdef", "SHOPIFY_CLIENT_SECRET=shpss_0123456789abcdef0123456789abcdef", "EVERGATE_TOKEN_WAIT=100ms"), args...))
		p.Exit(t)
		mustNotBeObeyed(t, args[0], p.Out.String())
	}
}

// TestNoTerminalObeysTheLog has strangers and Shopify write into the log, in each format, and watches the sidecar from
// another terminal meanwhile.
func TestNoTerminalObeysTheLog(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"", "json", "text"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			api, operators := process.FreePort(t), process.FreePort(t)
			environ := []string{"SHOPIFY_SHOP=acme", "SHOPIFY_ACCESS_TOKEN=" + permanent, "EVERGATE_UPSTREAM_URL=" + impostor(t, impostors()["tokens"]),
				"EVERGATE_LISTEN=127.0.0.1:" + api, "EVERGATE_ADMIN_LISTEN=127.0.0.1:" + operators, "EVERGATE_ACCESS_LOG=all", "EVERGATE_LOG_LEVEL=debug",
				"EVERGATE_LOG_FORMAT=" + format}
			p, term := process.OnTerminal(t, process.Command(t, binary, environ, "serve"))
			term.Shows(t, p, api)
			for _, request := range []string{
				"GET /admin/api/2026-10/shop.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nUser-Agent: \u009b2J\u202e\r\n\r\n",
				"GET /admin/api/2026-10/%1b%c2%9b\u202e\u009b.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
				"GET /admin/api/\u202e\u009b/shop.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
				"GET /shop.json HTTP/1.1\r\nHost: \u202e\u009b\r\nConnection: close\r\n\r\n",
				"POST /admin/api/2026-10/graphql.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 31\r\n\r\n{\"query\":\"query \u202e\u009b{shop{id}}\"}",
				hostile + "\r\n\r\n",
			} {
				process.EventuallyWithin(t, process.Patience, 20*time.Millisecond, func() error { return send("127.0.0.1:"+api, request) })
			}
			term.Shows(t, p, "HOSTILE") // Shopify's reason why a version is deprecated
			for _, args := range [][]string{{"status"}, {"status", "--json"}, {"status", "--watch", "--every", "100ms"}} {
				s, screen := process.OnTerminal(t, process.Command(t, binary, append(environ, "TERM=xterm"), args...))
				if len(args) > 2 {
					s.AwaitText(t, &screen.Screen, "a second look", func(text string) bool { return strings.Count(text, "\x1b[3J") > 1 })
					s.Signal(t, syscall.SIGINT)
				}
				s.Exit(t)
				mustNotBeObeyed(t, strings.Join(args, " "), s.Out.String())
			}
			p.Signal(t, syscall.SIGTERM)
			p.Exit(t)
			mustNotBeObeyed(t, "serve", p.Out.String())
		})
	}
}

func send(address, request string) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, c) // a refusal may reset it
	return nil
}

// ours are the escapes that Evergate itself writes: colours, and clearing the screen for status --watch.
var ours = regexp.MustCompile("\x1b\\[(?:0m|1m|2m|31m|32m|33m|H|2J|3J)")

// longestShown is far above the longest line of our own, with what of others' has room in it.
const longestShown = 8 << 10

func mustNotBeObeyed(t *testing.T, what, screen string) {
	t.Helper()
	if screen == "" && what != "run" {
		t.Errorf("%s: an empty screen", what)
	}
	if !utf8.ValidString(screen) {
		t.Errorf("%s: the screen got what is no UTF-8: %q", what, screen)
	}
	for line := range strings.Lines(ours.ReplaceAllString(screen, "")) {
		line = strings.TrimSuffix(line, "\n")
		if len(line) > longestShown {
			t.Errorf("%s: a line of %d bytes: %.200q", what, len(line), line)
		}
		for _, r := range line {
			if !strconv.IsPrint(r) && r != '\t' {
				t.Errorf("%s: the screen got %U in %.1000q", what, r, line)
				break
			}
		}
	}
}

// TestNoTerminalObeysAFile has commands read files that somebody else wrote: settings, policies, keys, shops, certificates,
// fixtures and archives.
func TestNoTerminalObeysAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	inJSON := asJSON(hostile)
	static := "SHOPIFY_ACCESS_TOKEN=" + permanent
	fixtures := file("fixtures.json", `{"products":[{"title":`+inJSON+`,`+inJSON+`:1}],`+inJSON+`:[]}`)
	for name, c := range map[string]struct {
		environ []string
		args    [][]string
	}{
		"settings":  {nil, [][]string{{"check", "--env-file", file("a.env", static+"\nEVERGATE_"+hostile+"=1\nEVERGATE_LISTEN="+hostile+"\nSHOPIFY_SHOP="+hostile)}, {"config", "--env-file", file("b.env", hostile)}}},
		"a policy":  {[]string{static, "EVERGATE_POLICY_FILE=" + file("policy", `{"policies":{`+inJSON+`:{`+inJSON+`:[`+inJSON+`]}},"default":`+inJSON+`,"callers":{`+inJSON+`:`+inJSON+`}}`)}, nil},
		"no policy": {[]string{static, "EVERGATE_POLICY_FILE=" + file("nopolicy", hostile)}, nil},
		"keys":      {[]string{static, "EVERGATE_CLIENT_KEYS_FILE=" + file("keys", hostile+" "+hostile+"\n")}, [][]string{{"key", "list"}, {"key", "revoke", "agent"}}},
		"shops":     {[]string{"EVERGATE_SHOPS_FILE=" + file("shops", "shops:\n  "+inJSON+":\n    "+inJSON+": 1\n"+inJSON+": x\n"), "SHOPIFY_SHOP="}, nil},
		"no shops":  {[]string{"EVERGATE_SHOPS_FILE=" + file("noshops", hostile), "SHOPIFY_SHOP="}, nil},
		"a path":    {[]string{static, "EVERGATE_UPSTREAM_CA_FILE=" + file(strings.NewReplacer("/", "", "\x00", "").Replace(hostile), hostile)}, nil},
		"fixtures":  {nil, [][]string{{"simulate", "--strict", "--fixtures", fixtures}, {"simulate", "--fixtures", file("f.yaml", hostile)}}},
		"a store":   {[]string{static, "EVERGATE_STORE=file:" + dir}, [][]string{{"store", "import", "--file", file("archive", hostile)}, {"store", "list"}, {"token", "show"}}},
		"a record":  {[]string{static, "EVERGATE_STORE=file:" + filepath.Dir(file("acme.myshopify.com.json", `{"version":`+inJSON+`,"shop":`+inJSON+`}`))}, [][]string{{"store", "list", "--json"}, {"store", "check"}, {"token", "show"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, args := range append(c.args, []string{"check"}, []string{"config"}, []string{"serve"}) {
				p, term := process.OnTerminal(t, process.Command(t, binary, append([]string{"SHOPIFY_SHOP=acme", "EVERGATE_LISTEN=127.0.0.1:0", "EVERGATE_ADMIN_LISTEN=127.0.0.1:0",
					"EVERGATE_UPSTREAM_URL=http://127.0.0.1:1"}, c.environ...), args...))
				if args[0] == "serve" || args[0] == "simulate" { // it may have found nothing wrong
					_ = p.Printed(t.Context(), &term.Screen, func(screen string) bool { return strings.Contains(screen, "\n") })
					_, _ = io.WriteString(term.Keys, "\x03")
				}
				p.Exit(t)
				mustNotBeObeyed(t, strings.Join(args, " "), p.Out.String())
			}
		})
	}
}
