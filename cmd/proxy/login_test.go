package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"evergate/internal/config"
	"evergate/internal/grant"
	"evergate/internal/login"
	"evergate/internal/shopsim"
	"evergate/internal/sidecar"
)

// loginShop is a simulated Shopify and the settings with which a login stores its grant in
// a directory of the test's.
func loginShop(t *testing.T, more ...string) (sim *shopsim.Sim, environ []string, dir string) {
	t.Helper()
	sim, environ = simulated(t)
	state := t.TempDir()
	return sim, append(environ, append([]string{"XDG_STATE_HOME=" + state}, more...)...), filepath.Join(state, "evergate")
}

// begun is a login that waits for its callback.
type begun struct {
	*running
	authorize, redirect string
	stdin               io.WriteCloser
}

// beginLogin starts the command, without a browser, and reads what it prints.
func beginLogin(t *testing.T, environ []string, args ...string) *begun {
	t.Helper()
	if len(args) == 0 {
		args = []string{"--port", "0"} // tests run side by side
	}
	in, stdin := io.Pipe()
	r := &running{newTail(), newTail(), make(chan os.Signal, 4), make(chan int, 1)}
	w := env{args: append([]string{"login"}, args...), environ: environ, stdin: in, out: r.out, err: r.err, signals: r.signals}
	go func() { r.code <- run(w) }()
	t.Cleanup(func() { stdin.Close() })
	b := &begun{running: r, stdin: stdin}
	isAddress := func(line string) bool { return strings.HasPrefix(line, "  http") }
	b.redirect = strings.TrimSpace(r.out.next(t, isAddress))
	b.authorize = strings.TrimSpace(r.out.next(t, isAddress))
	return b
}

// decide is what the merchant does on Shopify's page; it returns where the browser is sent.
func decide(t *testing.T, sim *shopsim.Sim, authorize, decision string) string {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, authorize, strings.NewReader("decision="+decision))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := sim.RoundTripper().RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	to, err := resp.Location()
	if err != nil {
		page, _ := io.ReadAll(resp.Body)
		t.Fatalf("%v: %s", err, page)
	}
	return to.String()
}

func TestLoginByCallback(t *testing.T) {
	t.Parallel()
	sim, environ, dir := loginShop(t, "SHOPIFY_SCOPES=read_products,write_products")
	b := beginLogin(t, environ)
	if !regexp.MustCompile(`^http://127\.0\.0\.1:\d+/callback$`).MatchString(b.redirect) {
		t.Errorf("%s", b.redirect)
	}
	for _, unwanted := range []string{"expiring", "access_mode", "grant_options"} {
		if strings.Contains(b.authorize, unwanted) {
			t.Errorf("%s", b.authorize)
		}
	}
	status, page := get(t, decide(t, sim, b.authorize, "install"))
	if status != http.StatusOK || !strings.Contains(page, "The app is connected") {
		t.Errorf("%d %s", status, page)
	}
	b.mustEnd(t, exitOK)
	for _, part := range []string{"authorised on " + shopsim.DefaultShop, dir, "read_products, write_products", "renewed by itself", "Next: "} {
		if !strings.Contains(b.out.String(), part) {
			t.Errorf("%q is not said:\n%s", part, b.out)
		}
	}
	if err := b.err.String(); err != "" {
		t.Errorf("%s", err)
	}
	s := start(environ)
	tools, _ := serving(t, s)
	if status, body := get(t, "http://"+tools+"/admin/api/2026-10/shop.json"); status != http.StatusOK {
		t.Errorf("the sidecar does not use the grant: %d %s", status, body)
	}
	s.signals <- syscall.SIGTERM
	s.mustEnd(t, exitOK)
}

// signedCallback is a callback with a code nobody knows; edits are pairs of a name and a value.
func signedCallback(redirect, authorize, secret string, made time.Time, edits ...string) string {
	u, _ := url.Parse(authorize)
	q := url.Values{"code": {"0123456789abcdef0123456789abcdef"}, "shop": {shopsim.DefaultShop}, "state": {u.Query().Get("state")}, "timestamp": {strconv.FormatInt(made.Unix(), 10)}}
	for i := 0; i < len(edits); i += 2 {
		q.Set(edits[i], edits[i+1])
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(q.Encode()))
	return redirect + "?" + q.Encode() + "&hmac=" + hex.EncodeToString(mac.Sum(nil))
}

func TestForgedCallbacksAreRefusedAndDoNotEndTheLogin(t *testing.T) {
	t.Parallel()
	const secret = shopsim.DefaultClientSecret
	now := time.Now()
	sim, environ, dir := loginShop(t)
	b := beginLogin(t, environ)
	for _, tc := range []struct{ name, address, page, said string }{
		{"empty", b.redirect, "not a callback of Shopify", "not a callback of Shopify's"},
		{"garbage", b.redirect + "?%zz", "not a callback of Shopify", "not a callback of Shopify's"},
		{"state", signedCallback(b.redirect, b.authorize, secret, now, "state", "guessed"), "another login", "another login"},
		{"hmac", signedCallback(b.redirect, b.authorize, "shpss_guessed", now), "not signed with this app", "not signed with this app"},
		{"tampered", signedCallback(b.redirect, b.authorize, secret, now) + "&x=1", "not signed with this app", "not signed with this app"},
		{"shop", signedCallback(b.redirect, b.authorize, secret, now, "shop", "evil-shop.myshopify.com"), "another shop", "evil-shop.myshopify.com was authorised"},
		{"not_a_shop", signedCallback(b.redirect, b.authorize, secret, now, "shop", "evil.example"), "another shop", "it names none"},
		{"stale", signedCallback(b.redirect, b.authorize, secret, now.Add(-time.Hour)), "five minutes", "five minutes"},
		{"future", signedCallback(b.redirect, b.authorize, secret, now.Add(time.Hour)), "five minutes", "five minutes"},
		{"declined_by_a_stranger", b.redirect + "?error=access_denied&state=x", "another login", "another login"},
	} {
		status, page := get(t, tc.address)
		if status != http.StatusBadRequest || !strings.Contains(page, tc.page) {
			t.Errorf("%s: %d %s", tc.name, status, page)
		}
		if line := b.err.next(t, has("a callback was refused")); !strings.Contains(line, tc.said) {
			t.Errorf("%s: %s", tc.name, line)
		}
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*.json")); files != nil {
		t.Errorf("something is stored: %v", files)
	}
	if status, page := get(t, decide(t, sim, b.authorize, "install")); status != http.StatusOK {
		t.Errorf("the login does not go on: %d %s", status, page)
	}
	b.mustEnd(t, exitOK)
}

func TestReplayedCodeEndsTheLogin(t *testing.T) {
	t.Parallel()
	sim, environ, _ := loginShop(t)
	first := beginLogin(t, environ)
	callback := decide(t, sim, first.authorize, "install")
	get(t, callback)
	first.mustEnd(t, exitOK)
	used, _ := url.Parse(callback)

	b := beginLogin(t, environ)
	status, page := get(t, signedCallback(b.redirect, b.authorize, shopsim.DefaultClientSecret, time.Now(), "code", used.Query().Get("code")))
	if status != http.StatusBadGateway || !strings.Contains(page, "used already") {
		t.Errorf("%d %s", status, page)
	}
	b.mustEnd(t, exitFailure)
	if !strings.Contains(b.err.String(), "used already") || strings.Contains(b.err.String(), used.Query().Get("code")) || !sim.ChainAlive("", "") {
		t.Errorf("%s", b.err)
	}
}

func TestDeclinedLoginExitsWithFailure(t *testing.T) {
	t.Parallel()
	sim, environ, _ := loginShop(t)
	b := beginLogin(t, environ)
	if status, page := get(t, decide(t, sim, b.authorize, "cancel")); status != http.StatusOK || !strings.Contains(page, "was not connected") {
		t.Errorf("%d %s", status, page)
	}
	b.mustEnd(t, exitFailure)
	if !strings.Contains(b.err.String(), "not authorised") {
		t.Errorf("%s", b.err)
	}
}

func TestInterruptedLoginStoresNothing(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"--paste", "--port", "3456"}} {
		_, environ, _ := loginShop(t)
		b := beginLogin(t, environ, args...)
		b.signals <- os.Interrupt
		b.mustEnd(t, exitFailure)
		if !strings.Contains(b.err.String(), "nothing was stored") {
			t.Errorf("%q: %s", args, b.err)
		}
	}
}

// The ten minutes are the flow's; this is how the command ends when they are over.
func TestLoginThatNobodyAnswersEnds(t *testing.T) {
	t.Parallel()
	_, environ, _ := loginShop(t, "EVERGATE_GRANT=offline")
	for _, paste := range []bool{false, true} {
		ctx, cancel := context.WithCancelCause(t.Context())
		cfg, err := config.Load(environ)
		if err != nil {
			t.Fatal(err)
		}
		installation, err := sidecar.OpenInstallation(cfg, environ, build())
		if err != nil {
			t.Fatal(err)
		}
		out := newTail()
		in, _ := io.Pipe()
		l := loginCommand{env: env{stdin: in, out: out, err: out}, loginFlags: loginFlags{paste: paste, port: portFlag{given: true}}, installation: installation,
			flow: login.New(login.Options{Grant: grant.Offline{Endpoint: installation.Endpoint}, Store: installation.Store})}
		ended := make(chan error, 1)
		go func() { _, err := l.run(ctx); ended <- err }()
		out.next(t, has("Open this address"))
		cancel(errNoCallback)
		if err := <-ended; !errors.Is(err, errNoCallback) {
			t.Errorf("%v", err)
		}
	}
}

func TestCodeOnItsWayIsWorthTheWait(t *testing.T) {
	t.Parallel()
	sim, environ, _ := loginShop(t)
	b := beginLogin(t, environ)
	callback := decide(t, sim, b.authorize, "install")
	reached := make(chan struct{})
	sim.OnToken(func(shopsim.TokenEvent) {
		b.signals <- os.Interrupt // while Shopify is answering
		close(reached)
	})
	status, _ := get(t, callback)
	<-reached
	b.mustEnd(t, exitOK)
	if status != http.StatusOK || !strings.Contains(b.out.String(), "stored") {
		t.Errorf("%d\n%s", status, b.out)
	}
}
