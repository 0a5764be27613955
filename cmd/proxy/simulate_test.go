package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"evergate/internal/shopsim"
)

// announced is what simulate --json prints.
type announced struct {
	URL         string            `json:"url"`
	ControlURL  string            `json:"control_url"`
	Shop        string            `json:"shop"`
	ID          string            `json:"client_id"`
	Secret      string            `json:"client_secret"`
	CA          string            `json:"ca_pem"`
	Environment map[string]string `json:"environment"`
}

func startSimulator(t *testing.T, args ...string) (*running, announced) {
	t.Helper()
	s := start(nil, append([]string{"simulate", "--json", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"}, args...)...)
	var a announced
	if err := json.Unmarshal([]byte(s.out.next(t, has("{"))), &a); err != nil {
		t.Fatal(err)
	}
	return s, a
}

func (a announced) client() *http.Client {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(a.CA))
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}, DisableKeepAlives: true}}
}

// token asks for one as the announcement says.
func (a announced) token(t *testing.T, c *http.Client) string {
	t.Helper()
	resp, err := c.PostForm(a.URL+"/admin/oauth/access_token", url.Values{"grant_type": {"client_credentials"}, "client_id": {a.ID}, "client_secret": {a.Secret}})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Token == "" {
		t.Fatalf("%s, %v", resp.Status, err)
	}
	return answer.Token
}

func (a announced) call(t *testing.T, c *http.Client, method, path, token, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, a.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("X-Shopify-Access-Token", token)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func TestSimulateSaysAsJSONWhatAProgramNeeds(t *testing.T) {
	t.Parallel()
	s, a := startSimulator(t, "--shop", "acme")
	token := a.token(t, a.client())
	a.call(t, a.client(), http.MethodPost, "/admin/api/2026-10/graphql.json?code=0011", token, `{"query":"query Names { shop { name } }"}`)
	s.err.next(t, has("  200  POST /admin/oauth/access_token  client_credentials"))
	s.err.next(t, has("  200  POST /admin/api/2026-10/graphql.json?code=[hidden]  Names  cost 2"))
	s.signals <- os.Interrupt
	s.mustEnd(t, exitOK)
	for _, secret := range []string{token, a.Secret, "0011"} {
		if strings.Contains(s.err.String(), secret) {
			t.Errorf("%q is in the log:\n%s", secret, s.err)
		}
	}
	if strings.Count(s.out.String(), "\n") != 1 || a.Shop != "acme.myshopify.com" || a.Environment["SIMULATOR_URL"] != a.URL || a.Environment["SHOPIFY_SHOP"] != a.Shop {
		t.Errorf("%s", s.out)
	}
	if resp, err := a.client().Get(a.ControlURL + "/_sim/state"); err == nil {
		_ = resp.Body.Close()
		t.Error("the control API outlives the simulator")
	}
}

func TestSimulateIsQuietWhenAsked(t *testing.T) {
	t.Parallel()
	s, a := startSimulator(t, "--plain", "--quiet")
	a.token(t, a.client())
	s.signals <- os.Interrupt
	s.mustEnd(t, exitOK)
	if strings.Contains(s.err.String(), "POST") {
		t.Errorf("%s", s.err)
	}
}

func TestAddressesOfEveryInterfaceAreCalledOnTheLoopback(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://0.0.0.0:4443": "https://127.0.0.1:4443", "http://[::]:1": "http://127.0.0.1:1", "https://127.0.0.2:4443": "https://127.0.0.2:4443",
		"http://localhost:2": "http://localhost:2",
	} {
		if got := reachable(address); got != want {
			t.Errorf("%s: %s", address, got)
		}
	}
}

func TestALineForARequestSaysWhatBecameOfIt(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]shopsim.Entry{
		"---  POST /admin/oauth/access_token  refresh_token  fault drop": {Method: "POST", RequestURI: "/admin/oauth/access_token", Grant: shopsim.GrantRefresh, Fault: shopsim.FaultDrop},
		"200  POST /admin/api/2026-10/graphql.json  {shop}  throttled":   {Status: 200, Method: "POST", RequestURI: "/admin/api/2026-10/graphql.json", Operation: "{shop}", Cost: 7, Throttled: true},
		"429  GET /admin/api/2026-10/shop.json  throttled":               {Status: 429, Method: "GET", RequestURI: "/admin/api/2026-10/shop.json", Throttled: true},
	} {
		if got := requestLine(e); !strings.HasSuffix(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if long := requestLine(shopsim.Entry{RequestURI: "/" + strings.Repeat("x", 1<<16), Operation: strings.Repeat("x", 1<<16)}); len(long) > 500 {
		t.Errorf("%d bytes", len(long))
	}
}

func TestSimulateReportsAtItsEnd(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/report.json"
	for _, c := range []struct {
		args  []string
		path  string
		code  int
		finds string
	}{
		{[]string{"--strict", "--report", file}, "/admin/shop.json?access_token=shpat_0011", exitFindings, "unversioned (1), first at "},
		{[]string{"--quiet"}, "/admin/shop.json", exitOK, "unversioned (1)"},
		{[]string{"--strict", "--report", file}, "/admin/api/2026-10/shop.json", exitOK, "2 requests, 0 findings"},
		{[]string{"--quiet", "--strict"}, "/admin/api/2026-10/shop.json", exitOK, ""},
	} {
		s, a := startSimulator(t, append([]string{"--plain"}, c.args...)...)
		a.call(t, a.client(), http.MethodGet, c.path, a.token(t, a.client()), "")
		s.signals <- os.Interrupt
		s.mustEnd(t, c.code)
		if said := s.err.String(); !strings.Contains(said, c.finds) || c.finds == "" && said != "" || strings.Contains(said, "shpat_0011") {
			t.Errorf("%q:\n%s", c.args, said)
		}
		if c.args[0] == "--quiet" {
			continue
		}
		var r shopsim.Report
		text, err := os.ReadFile(file)
		if err != nil || json.Unmarshal(text, &r) != nil || r.Requests != 2 || (len(r.Findings) > 0) != (c.code == exitFindings) {
			t.Errorf("%v: %s", err, text)
		}
	}
}

func TestSimulateReadsItsFixturesAgainAtASIGHUP(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/fixtures.json"
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("{\"products\": [\n{\"titel\": 1}]}")
	if o := execute(nil, "simulate", "--fixtures", file); o.code != exitConfig || !strings.Contains(o.err, file+":2: there is no member") {
		t.Errorf("%+v", o)
	}
	write(`{"answers": [{"path": "/admin/api/*/themes.json", "replies": [{"status": 418}]}]}`)
	s, a := startSimulator(t, "--plain", "--fixtures", file)
	token := a.token(t, a.client())
	themes := func(want int) {
		t.Helper()
		if status := a.call(t, a.client(), http.MethodGet, "/admin/api/2026-10/themes.json", token, ""); status != want {
			t.Errorf("%d, want %d", status, want)
		}
	}
	themes(418)
	write("{")
	s.signals <- syscall.SIGHUP
	s.err.next(t, has("the fixtures stay as they were: "+file+":1: want one JSON object"))
	themes(418)
	write("{}")
	s.signals <- syscall.SIGHUP
	s.err.next(t, has("the fixtures have been read again"))
	themes(404)
	s.signals <- os.Interrupt
	s.mustEnd(t, exitOK)
}

func TestASecretThatSomebodyChoseIsNotPrinted(t *testing.T) {
	t.Parallel()
	const secret = "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"
	s := start(nil, "simulate", "--plain", "--listen", "127.0.0.1:0", "--client-secret", secret)
	s.out.next(t, has("Ctrl-C ends it"))
	if said := s.out.String() + s.err.String(); strings.Contains(said, secret) || !strings.Contains(said, "SHOPIFY_CLIENT_SECRET='the secret that you gave'") {
		t.Errorf("%s", said)
	}
}

// TestSimulateEndsWhileAPipeSaysNothing has fixtures come from a program that never writes any.
func TestSimulateEndsWhileAPipeSaysNothing(t *testing.T) {
	t.Parallel()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer write.Close()
	defer read.Close()
	path := fmt.Sprintf("/dev/fd/%d", read.Fd())
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no names of descriptors here: %v", err)
	}
	s := start(nil, "simulate", "--listen", "127.0.0.1:0", "--fixtures", path)
	s.signals <- os.Interrupt
	s.mustEnd(t, exitFailure)
	write.Close() // so that nobody waits for it any more
}

func TestAReportThatCannotBeWrittenIsSaidAtTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "no", "report.json")} {
		if o := execute(nil, "simulate", "--listen", "127.0.0.1:0", "--report", path); o.code != exitConfig || !strings.Contains(o.err, "--report: ") {
			t.Errorf("%s: %+v", path, o)
		}
	}
}

func TestAnAddressThatIsTakenNamesTheFlagForAnother(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for flag, args := range map[string][]string{"--listen": {"--listen", l.Addr().String()}, "--control": {"--listen", "127.0.0.1:0", "--control", l.Addr().String()}} {
		if o := execute(nil, append([]string{"simulate"}, args...)...); o.code != exitFailure || !strings.Contains(o.err, "choose another address with "+flag) {
			t.Errorf("%s: %+v", flag, o)
		}
	}
}
