//go:build linux

package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"evergate/internal/shopsim"
	"evergate/test/process"
)

// hunt looks for secrets in everything that Evergate says or leaves behind. A secret may be where it was meant to go: at Shopify,
// in the store, in the file that init writes, and on the standard output of the commands that are asked for one.
type hunt struct {
	dir string // where each command runs, and its home

	mu      sync.Mutex
	secrets map[string]string // by what they are
	said    map[string]string // by who said it
}

// secret adds one that must not be found from now on, nor in what was said before.
func (h *hunt) secret(what, value string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.secrets[what] = value
}

func (h *hunt) hears(who, text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.said[who] += text + "\n"
}

// direct follows no redirect and heeds no proxy of this machine's.
var direct = &http.Transport{DisableKeepAlives: true}

// traces are the forms in which a secret, or enough of it, would be recognised.
func traces(secret string) []string {
	_, essence, found := strings.Cut(secret, "_") // without the prefix that says its kind
	if !found {
		essence = secret
	}
	escaped := asJSON(essence)
	all := []string{essence[:len(essence)/2], essence[len(essence)/2:], url.QueryEscape(essence), url.PathEscape(essence), escaped[1 : len(escaped)-1], strconv.Quote(essence),
		hex.EncodeToString([]byte(essence)), strings.ToUpper(essence)}
	for skip := range 3 { // in base64, wherever in a longer text it stands
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := encoding.EncodeToString([]byte(strings.Repeat(" ", skip) + essence))
			all = append(all, text[(skip*8+5)/6:len(text)-2])
		}
	}
	return all
}

// end fails the test for each secret of which there is a trace.
func (h *hunt) end(t *testing.T) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for what, secret := range h.secrets {
		for _, trace := range traces(secret) {
			for who, text := range h.said {
				if at := strings.Index(text, trace); at >= 0 {
					t.Errorf("%s: %s (%s) is in …%s…", who, what, trace, text[max(0, at-150):min(len(text), at+100)])
				}
			}
		}
	}
}

// run runs a command to its end and returns its standard output. Where that is meant to have a secret, it is not searched.
func (h *hunt) run(t *testing.T, environ []string, stdin string, args ...string) string {
	t.Helper()
	who, meant := strings.Join(args, " "), false
	if args[0] == "!" {
		meant, args = true, args[1:]
	}
	cmd := h.command(t, environ, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	_ = cmd.Run() // most of them fail here: how is other tests' business
	if code := cmd.ProcessState.ExitCode(); code < 0 || code > 2 && code != 125 || out.Len()+err.Len() == 0 && args[0] != "run" {
		t.Errorf("%q: exit code %d, and it said %q", args, code, err.String())
	}
	h.hears(who+", standard error", err.String())
	if !meant {
		h.hears(who+", standard output", out.String())
	}
	return out.String()
}

func (h *hunt) command(t *testing.T, environ []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := process.Command(t, binary, slices.Concat(environ, []string{"HOME=" + h.dir, "TMPDIR=" + h.dir}), args...)
	cmd.Dir = h.dir
	return cmd
}

// shopify is the simulator, which tells the hunt what it hands out. While echo is set, it answers with all that it was sent.
func (h *hunt) shopify(t *testing.T) (sim *shopsim.Sim, address string, echo func(bool)) {
	t.Helper()
	sim = shopsim.New(shopsim.Options{})
	var mu sync.Mutex
	echoes := false
	token := regexp.MustCompile(`shp(?:at|rt)_[0-9a-f]{8,}`)
	genuine := sim.Handler()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		now := echoes
		mu.Unlock()
		if now {
			dump, _ := httputil.DumpRequest(r, true)
			w.Header().Set("X-Shopify-API-Deprecated-Reason", r.Header.Get("X-Shopify-Access-Token"))
			w.Header().Set("Location", "https://elsewhere.example/?"+url.QueryEscape(string(dump)))
			w.Header().Set("X-Shopify-API-Version", r.Header.Get("X-Shopify-Access-Token"))
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader([]int{400, 401, 403, 422, 500, 302}[len(dump)%6])
			_ = json.NewEncoder(w).Encode(map[string]string{"error": string(dump), "error_description": string(dump), "errors": string(dump)})
			return
		}
		answer := httptest.NewRecorder()
		genuine.ServeHTTP(answer, r)
		for _, handed := range token.FindAllString(answer.Body.String(), -1) {
			h.secret("a token of Shopify's, "+handed[:9], handed)
		}
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = answer.Body.WriteTo(w)
	}))
	t.Cleanup(server.Close)
	return sim, server.URL, func(on bool) {
		mu.Lock()
		defer mu.Unlock()
		echoes = on
	}
}

// TestNoCommandTellsASecret runs every command that touches a secret, with right and wrong ones, settings that
// are malformed around one, and a Shopify that sends back what it was sent.
func TestNoCommandTellsASecret(t *testing.T) {
	t.Parallel()
	h := &hunt{dir: t.TempDir(), secrets: map[string]string{}, said: map[string]string{}}
	sim, upstream, echo := h.shopify(t)
	const permanent = "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"
	const wrong, password = "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", `p"ss/w+rd=7f3a9c1e&5b2d`
	storeKey := base64.StdEncoding.EncodeToString([]byte("0f1e2d3c4b5a69788796a5b4c3d2e1f0"))
	h.secret("the client secret", shopsim.DefaultClientSecret)
	h.secret("a wrong client secret", wrong)
	h.secret("a password in an address", password)
	h.secret("the store's key", storeKey)
	h.secret("the store's key, decoded", "0f1e2d3c4b5a69788796a5b4c3d2e1f0")
	h.secret("a permanent token", permanent)
	with := func(more ...string) []string {
		return slices.Concat([]string{"SHOPIFY_SHOP=" + shopsim.DefaultShop, "SHOPIFY_CLIENT_ID=" + shopsim.DefaultClientID, "EVERGATE_UPSTREAM_URL=" + upstream,
			"EVERGATE_LISTEN=127.0.0.1:0", "EVERGATE_ADMIN_LISTEN=127.0.0.1:0", "EVERGATE_TOKEN_WAIT=50ms", "EVERGATE_LOG_LEVEL=debug", "EVERGATE_ACCESS_LOG=all"}, more)
	}
	right := "SHOPIFY_CLIENT_SECRET=" + shopsim.DefaultClientSecret
	static := with("SHOPIFY_CLIENT_ID=", "SHOPIFY_ACCESS_TOKEN="+permanent)
	stored := with(right, "EVERGATE_GRANT=offline", "EVERGATE_STORE=file:"+filepath.Join(h.dir, "store"), "EVERGATE_STORE_KEY="+storeKey)

	// What people begin with.
	for _, secret := range []string{wrong, shopsim.DefaultClientSecret} {
		h.run(t, with(), secret+"\n", "init", "--shop", shopsim.DefaultShop, "--client-id", shopsim.DefaultClientID, "--file", "init.env")
	}
	h.run(t, with(), "", "check", "--env-file", "init.env")
	p, screen := process.OnTerminal(t, h.command(t, with(), "init", "--shop", shopsim.DefaultShop, "--client-id", shopsim.DefaultClientID, "--file", "typed.env"))
	screen.Shows(t, p, "(it is not shown): ")
	_, _ = io.WriteString(screen.Keys, shopsim.DefaultClientSecret+"\n")
	p.Exit(t)
	h.hears("init on a terminal", p.Out.String())
	if !strings.Contains(p.Out.String(), "typed.env") {
		t.Errorf("init did not come to its end:\n%s", &p.Out)
	}
	h.logIn(t, stored)

	// Each command with what is right, what is wrong, and what is malformed around a secret.
	escaped := url.QueryEscape(password)
	for _, environ := range [][]string{
		with(right), with("SHOPIFY_CLIENT_SECRET=" + wrong), static, with(right, "SHOPIFY_ACCESS_TOKEN="+permanent),
		with(`SHOPIFY_CLIENT_SECRET="` + wrong), with("SHOPIFY_CLIENT_SECRET_FILE=" + wrong), with(right, "SHOPIFY_CLIENT_SECRET_PREVIOUS="+wrong+" x"), stored,
		with(right, "EVERGATE_STORE_KEY="+storeKey[1:], "EVERGATE_STORE=file:"+h.dir),
		with(right, "EVERGATE_STORE=redis://user:"+escaped+"@127.0.0.1:1/0", "EVERGATE_STORE_KEY="+storeKey), with(right, "EVERGATE_STORE=redis://user:"+password+"@[::1/0"),
		with(right, "EVERGATE_STORE=postgres://user:"+escaped+"@127.0.0.1:1/db", "EVERGATE_STORE_KEY="+storeKey), with(right, "EVERGATE_STORE=postgres://user:"+password+"@127.0.0.1:x/db"),
		with(right, "EVERGATE_UPSTREAM_PROXY=http://user:"+escaped+"@127.0.0.1:1"), with(right, "EVERGATE_UPSTREAM_PROXY=http://user:"+password+"@127.0.0.1:x"),
		with(right, "EVERGATE_UPSTREAM_PROXY=ftp://user:"+escaped+"@127.0.0.1:1"), with(right, "HTTPS_PROXY=http://user:"+escaped+"@127.0.0.1:1"),
		with(right, "EVERGATE_UPSTREAM_URL=https://user:"+escaped+"@127.0.0.1:1"), with(right, "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_HEADERS=authorization="+password),
		with(right, "EVERGATE_ADMIN_KEY="+password), with(right, "SHOPIFY_REFRESH_TOKEN="+permanent),
	} {
		for _, args := range [][]string{{"check"}, {"check", "--json"}, {"config"}, {"config", "--json"}, {"run", "--", "true"}, {"store", "list", "--json"}, {"store", "check"}, {"token", "show"}} {
			if args[0] == "run" && slices.ContainsFunc(environ, func(s string) bool { return strings.Contains(s, "127.0.0.1:1") }) {
				continue // it waits for what passes by itself
			}
			h.run(t, environ, "", args...)
		}
	}
	h.run(t, with(right), "", "run", "--", "sh", "-c", "env; cat /proc/$PPID/cmdline /proc/$$/cmdline | tr '\\0' ' '")
	h.run(t, with(right), "", "env", "--dotenv")

	// The life of what is stored.
	h.run(t, stored, "", "!", "token", "print")
	h.run(t, stored, "", "token", "show", "--json")
	h.run(t, stored, "", "store", "list", "--json")
	h.run(t, stored, "", "store", "export", "--file", "archive")
	h.run(t, stored, "", "!", "store", "export")
	h.run(t, append(stored, "EVERGATE_STORE_KEY="+base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", 32)))), "", "token", "show")
	other := append(stored, "EVERGATE_STORE=file:"+filepath.Join(h.dir, "other"))
	archive, err := os.ReadFile(filepath.Join(h.dir, "archive"))
	if err != nil {
		t.Fatal(err)
	}
	h.run(t, other, string(archive), "store", "import")
	h.run(t, other, permanent+"\n", "token", "import", "--access", "--yes")
	h.run(t, other, permanent+"\n", "token", "import", "--access", "--no-verify", "--yes")
	h.run(t, other, "", "token", "migrate")
	_, refresh := sim.IssuePair("", "")
	h.secret("a refresh token", refresh)
	h.run(t, other, refresh+"\n", "token", "import", "--yes")
	h.run(t, other, "shprt_"+refresh, "token", "import", "--yes")

	// Clients' keys: shown once, where they are asked for.
	keys := append(with(right), "EVERGATE_CLIENT_KEYS_FILE="+filepath.Join(h.dir, "keys"))
	key := strings.TrimSpace(h.run(t, keys, "", "!", "key", "agent", "--policy", "read-only"))
	h.secret("a client's key", key)
	h.run(t, keys, "", "key", "list")
	h.run(t, keys, "", "key", "list", "--json")
	h.serve(t, keys, key)
	h.run(t, keys, "", "key", "revoke", "agent")
	h.serve(t, stored, key)

	// Shopify sends back whatever it gets.
	echo(true)
	for _, environ := range [][]string{with(right), static, stored, other} {
		for _, args := range [][]string{{"check"}, {"check", "--json"}, {"token", "show"}, {"token", "migrate"}, {"store", "check"}, {"store", "list"}} {
			h.run(t, environ, "", args...)
		}
		h.serve(t, environ, key)
	}
	h.run(t, other, permanent+"\n", "token", "import", "--access", "--yes")
	h.run(t, with(), wrong+"\n", "init", "--shop", shopsim.DefaultShop, "--client-id", shopsim.DefaultClientID, "--file", "echo.env")
	h.run(t, other, "", "token", "revoke", "--yes")
	echo(false)
	h.run(t, stored, "", "token", "revoke", "--yes")

	h.files(t, "init.env", "typed.env", "echo.env")
	h.end(t)
	if n := len(h.secrets); n < 12 {
		t.Errorf("only %d secrets were there to be told", n)
	}
}

// logIn has a merchant consent, who pastes the address that the browser was sent to.
func (h *hunt) logIn(t *testing.T, environ []string) {
	t.Helper()
	p, screen := process.OnTerminal(t, h.command(t, environ, "login", "--paste"))
	address := p.AwaitMatch(t, &screen.Screen, regexp.MustCompile(`https://(\S+?&state=\S+)\s`))
	screen.Shows(t, p, "Address: ")
	at, err := url.Parse("https://" + address)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, setting(environ, "EVERGATE_UPSTREAM_URL")+at.RequestURI(), strings.NewReader("decision=install"))
	if err != nil {
		t.Fatal(err)
	}
	r.Host = at.Host
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := direct.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	_, _ = io.WriteString(screen.Keys, answer.Header.Get("Location")+"\n")
	if code := p.Exit(t); code != 0 {
		t.Errorf("login: exit code %d", code)
	}
	h.hears("login --paste", p.Out.String())
}

func setting(environ []string, name string) (value string) {
	for _, entry := range environ {
		if v, found := strings.CutPrefix(entry, name+"="); found {
			value = v
		}
	}
	return value
}

// serve has a sidecar at every level of the log answer what it can be asked, on both listeners, with and without a
// client's key, and looks at its command line.
func (h *hunt) serve(t *testing.T, environ []string, key string) {
	t.Helper()
	for _, level := range []string{"debug", "info", "error"} {
		api, operators := process.FreePort(t), process.FreePort(t)
		p := process.Start(t, h.command(t, slices.Concat(environ, []string{"EVERGATE_LISTEN=127.0.0.1:" + api, "EVERGATE_ADMIN_LISTEN=127.0.0.1:" + operators,
			"EVERGATE_LOG_LEVEL=" + level, "EVERGATE_LOG_FORMAT=" + map[string]string{"debug": "json"}[level]}), "serve"))
		ask := func(method, target, key string) error {
			r, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(`{"query":"{shop{id}}"}`))
			if err != nil {
				return err
			}
			if key != "" {
				r.Header.Set("X-Shopify-Access-Token", key)
			}
			r.Header.Set("Content-Type", "application/json")
			answer, err := direct.RoundTrip(r)
			if err != nil {
				return err
			}
			defer answer.Body.Close()
			dump, err := httputil.DumpResponse(answer, true)
			if strings.Contains(target, operators) || answer.Header.Get("Evergate-Error") != "" { // what Shopify answers is passed on
				h.hears(method+" "+target, string(dump))
			}
			return err
		}
		process.Eventually(t, func() error { return ask(http.MethodGet, "http://127.0.0.1:"+operators+"/livez", "") })
		for _, key := range []string{key, permanent, ""} {
			for _, path := range []string{"/admin/api/2026-10/shop.json", "/admin/api/2026-10/graphql.json", "/admin/oauth/access_token", "/" + url.PathEscape(key), "/admin/api/2026-10/" + key + "%2f.json"} {
				for _, method := range []string{http.MethodGet, http.MethodPost} {
					if err := ask(method, "http://127.0.0.1:"+api+path, key); err != nil {
						t.Errorf("%s %s: %v", method, path, err)
					}
				}
			}
		}
		for _, path := range []string{"/", "/status", "/metrics", "/readyz", "/startupz", "/-/refresh", "/-/loglevel", "/debug/pprof/cmdline", "/nothing"} {
			if err := ask(http.MethodGet, "http://127.0.0.1:"+operators+path, ""); err != nil {
				t.Errorf("GET %s: %v", path, err)
			}
		}
		_ = ask(http.MethodPost, "http://127.0.0.1:"+operators+"/-/refresh", key)
		h.run(t, append(environ, "EVERGATE_ADMIN_LISTEN=127.0.0.1:"+operators), "", "status")
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.Cmd.Process.Pid))
		if err != nil {
			t.Error(err)
		}
		h.hears("the command line", string(line))
		p.Signal(t, syscall.SIGTERM)
		p.Exit(t)
		h.hears("serve at "+level, p.Out.String()+p.Err.String())
	}
}

// files searches what was left behind. Whoever may read those files that are named was meant to have the secret.
func (h *hunt) files(t *testing.T, meant ...string) {
	t.Helper()
	err := filepath.WalkDir(h.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(h.dir, path)
		switch info, _ := d.Info(); {
		case !slices.Contains(meant, name):
			h.hears("the file "+name, string(text))
		case info.Mode().Perm() != 0o600:
			t.Errorf("%s: %s", name, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
