package browser

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"evergate/internal/shopsim"
	"evergate/test/process"
)

// login is the command, waiting for the merchant.
type login struct {
	*child
	authorize, redirect string
}

var linkLine = regexp.MustCompile(`(?m)^\s*(https://\S+)\s*\n`)

func beginLogin(t *testing.T, s *shopify, args ...string) *login {
	t.Helper()
	requireBrowser(t) // before anything is started
	port := process.FreePort(t)
	p := start(t, s.environ, append([]string{"login", "--no-browser", "--port", port}, args...)...)
	return &login{
		child:     p,
		redirect:  "http://127.0.0.1:" + port + "/callback",
		authorize: p.AwaitMatch(t, &p.Out, linkLine),
	}
}

func (l *login) visit(s *shopify, press string) visit {
	return visit{Resolve: s.resolve(), URL: l.authorize, Press: press, End: l.redirect}
}

// serve starts the sidecar and returns where tools call.
func serve(t *testing.T, environ []string) (p *child, tools, operators string) {
	t.Helper()
	p = start(t, environ)
	return p, "http://" + p.address(t, "listening for tools"), "http://" + p.address(t, "listening for operators")
}

// shopAnswers calls as a tool does, which knows an address and no token.
func shopAnswers(tools string) error {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: process.Patience}
	resp, err := client.Get(tools + "/admin/api/2026-10/shop.json")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%d %s", resp.StatusCode, body)
	}
	return nil
}

func TestInstallThenServeAcrossARefresh(t *testing.T) {
	t.Parallel()
	s := newShopify(t, shopsim.Options{Settings: shopsim.Settings{OfflineLife: 8 * time.Second}})
	l := beginLogin(t, s)
	page := l.visit(s, "Install").make(t)
	page.mustBeGood(t, code(t, page))
	if page.Status != http.StatusOK || page.Title != "The app is connected" || !strings.Contains(page.Text, shopsim.DefaultShop) || !strings.Contains(page.Text, "go back to the terminal") {
		t.Errorf("%d %s", page.Status, page.Text)
	}
	l.mustEnd(t, 0)
	if out := l.Out.String(); !strings.Contains(out, "authorised on "+shopsim.DefaultShop) || !strings.Contains(out, l.redirect) || !strings.Contains(out, "read_products, write_products") {
		t.Errorf("%s", out)
	}

	p, tools, _ := serve(t, s.environ)
	if err := shopAnswers(tools); err != nil {
		t.Errorf("at once: %v", err)
	}
	process.Eventually(t, func() error {
		if n := len(s.Generations("", "")); n < 3 {
			return fmt.Errorf("%d generations of the refresh token", n)
		}
		return nil
	})
	if err := shopAnswers(tools); err != nil {
		t.Errorf("after two refreshes: %v", err)
	}
	p.stop(t)
	if !s.ChainHeld("", "") {
		t.Error("the grant is lost")
	}
}

// code is what the browser brought along in the address of its last page.
func code(t *testing.T, s seen) string {
	t.Helper()
	last, err := url.Parse(s.Addresses[len(s.Addresses)-1])
	if err != nil || last.Query().Get("code") == "" {
		t.Fatalf("%v", s.Addresses)
	}
	return last.Query().Get("code")
}

func TestCancelEndsTheLogin(t *testing.T) {
	t.Parallel()
	s := newShopify(t, shopsim.Options{})
	l := beginLogin(t, s)
	page := l.visit(s, "Cancel").make(t)
	page.mustBeGood(t)
	if page.Status != http.StatusOK || page.Title != "The app was not connected" {
		t.Errorf("%d %s", page.Status, page.Text)
	}
	l.mustEnd(t, 1)
	if !strings.Contains(l.Err.String(), "not authorised") {
		t.Errorf("%s", &l.Err)
	}
}

func TestForgedCallbackIsRefusedAndTheLoginGoesOn(t *testing.T) {
	t.Parallel()
	s := newShopify(t, shopsim.Options{})
	l := beginLogin(t, s)
	forged := visit{Resolve: s.resolve(), URL: l.redirect + "?code=x&hmac=x&shop=x&timestamp=1&state=guessed", End: l.redirect, Name: "-forged"}.make(t)
	forged.mustBeGood(t)
	if forged.Status != http.StatusBadRequest || !strings.Contains(forged.Text, "another login") || !strings.Contains(forged.Text, "still waiting") {
		t.Errorf("%d %s", forged.Status, forged.Text)
	}
	if page := l.visit(s, "Install").make(t); page.Status != http.StatusOK {
		t.Errorf("%d %s", page.Status, page.Text)
	}
	l.mustEnd(t, 0)
}

// The browser is on another machine: where it is sent, nobody listens.
func TestPastedAddress(t *testing.T) {
	t.Parallel()
	s := newShopify(t, shopsim.Options{})
	l := beginLogin(t, s, "--paste")
	v := l.visit(s, "Install")
	v.Unreachable = true
	addresses := v.make(t).Addresses
	if _, err := io.WriteString(l.stdin, addresses[len(addresses)-1]+"\n"); err != nil {
		t.Fatal(err)
	}
	l.mustEnd(t, 0)
	p, tools, _ := serve(t, s.environ)
	if err := shopAnswers(tools); err != nil {
		t.Error(err)
	}
	p.stop(t)
}

func TestHostedLoginOfAMerchantElsewhere(t *testing.T) {
	t.Parallel()
	const public = "login.example.test"
	requireBrowser(t)
	s := newShopify(t, shopsim.Options{Apps: []shopsim.App{{
		ClientID: shopsim.DefaultClientID, ClientSecret: shopsim.DefaultClientSecret,
		AppURL: "https://" + public, RedirectURLs: []string{"https://" + public + "/oauth/callback"},
	}}})
	p, tools, _ := serve(t, append(s.environ, "EVERGATE_GRANT=offline", "EVERGATE_APP_NAME=Stock & Sync", "EVERGATE_PUBLIC_URL=https://"+public, "EVERGATE_LOGIN_LISTEN=127.0.0.1:0"))
	front := publish(t, public, "http://"+p.address(t, "listening for merchants"))
	v := visit{Resolve: s.resolve() + ", MAP " + public + " " + front, URL: "https://" + public + "/oauth/start", Press: "Cancel", End: "https://" + public + "/oauth/callback"}
	v.Name = "-cancelled"
	if page := v.make(t); page.Title != "Stock & Sync was not connected" || !strings.Contains(page.Text, "Start again") || len(page.Cookies) != 0 {
		t.Errorf("%+v", page)
	} else {
		page.mustBeGood(t)
	}
	if shopAnswers(tools) == nil {
		t.Error("there is a grant that nobody gave")
	}
	v.Name, v.Press = "", "Install"
	page := v.make(t)
	page.mustBeGood(t, code(t, page))
	if page.Status != http.StatusOK || page.Title != "Stock & Sync is connected" || len(page.Cookies) != 0 || strings.Contains(page.Text, "Evergate") {
		t.Errorf("%+v", page)
	}
	process.Eventually(t, func() error { return shopAnswers(tools) })
	p.stop(t)
}

// publish stands in front of the login's listener under a public name, with TLS, as a tunnel
// or an ingress does: it passes everything on and leaves the Host as it is.
func publish(t *testing.T, name, merchants string) (address string) {
	t.Helper()
	ca, err := shopsim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	config, err := ca.ServerConfig(name)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(merchants)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Transport: &http.Transport{}, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.SetXForwarded()
		r.Out.Host = r.In.Host
	}}
	server := &http.Server{Handler: proxy, TLSConfig: config, ReadHeaderTimeout: process.Patience, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = server.Serve(tls.NewListener(l, config)) }()
	t.Cleanup(func() { _ = server.Close() })
	return l.Addr().String()
}
