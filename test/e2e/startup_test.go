package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"evergate/test/process"
)

var wholeSeconds = regexp.MustCompile(`^[1-9][0-9]*$`)

func TestListenersAcceptWhileTheTokenEndpointHangs(t *testing.T) {
	t.Parallel()
	hang := newGate(isTokenPost)
	shop := newShopify(t, shopOptions{around: hang.around})
	s := shop.sidecar(t, "EVERGATE_TOKEN_WAIT=500ms")
	machine := watchMachine(t)
	hang.awaitOne(t)

	began := time.Now()
	a := s.get(t, "/shop.json")
	if took := time.Since(began); took < 500*time.Millisecond || took > 3*time.Second+machine.stoodStill() {
		t.Errorf("the answer took %s", took)
	}
	mustBeOwn(t, a, http.StatusServiceUnavailable, "no_token")
	if after := a.header.Get("Retry-After"); !wholeSeconds.MatchString(after) {
		t.Errorf("Retry-After: %q is not a whole number of seconds", after)
	}
	for path, status := range map[string]int{"/livez": 200, "/readyz": 503, "/startupz": 503, "/": 200, "/status": 200, "/metrics": 200} {
		if a := s.ask(t, path); a.status != status {
			t.Errorf("%s: want %d, got %s", path, status, a)
		}
	}

	hang.open()
	s.awaitReady(t)
	mustStatus(t, s.ask(t, "/startupz"), http.StatusOK)
	mustStatus(t, s.get(t, "/shop.json"), http.StatusOK)
	if n := shop.Stats().TokenPosts; n != 1 {
		t.Errorf("%d token POSTs, though the first one was answered", n)
	}
}

func TestRequestsWaitForTheFirstToken(t *testing.T) {
	t.Parallel()
	hang := newGate(isTokenPost)
	shop := newShopify(t, shopOptions{around: hang.around})
	s := shop.sidecar(t)
	early := s.later(t, "/shop.json")
	hang.awaitOne(t)
	hang.open()
	if first := process.Await(t, "the answer", early); first.err != nil || first.status != http.StatusOK {
		t.Fatalf("got %v, %v", first.answer, first.err)
	}
}

func TestEveryMistakeIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	mistakes := []string{
		"EVERGATE_LISTEN=0.0.0.0:8080", "EVERGATE_TOKEN_WAIT=5", "EVERGATE_LOGLEVEL=info", "EVERGATE_UPSTREAM_URL=ftp://{shop}",
		"SHOPIFY_CLIENT_ID=3f1c9b7a5d2e4f60819273a4b5c6d7e8", "SHOPIFY_CLIENT_SECRET_FILE=/nowhere/secret", "EVERGATE_SHUTDOWN_DELAY=-1s",
	}
	names := []string{"SHOPIFY_SHOP"}
	for _, m := range mistakes {
		if name, _, _ := strings.Cut(m, "="); name != "SHOPIFY_CLIENT_ID" {
			names = append(names, name)
		}
	}
	for _, format := range []string{"text", "json"} {
		for _, args := range [][]string{nil, {"serve"}, {"run", "--", binary}, {"config"}} {
			code, _, stderr := finish(t, append(mistakes, "EVERGATE_LOG_FORMAT="+format), args...)
			if code != 2 {
				t.Errorf("%q with %s: exit code %d", args, format, code)
			}
			for _, name := range names {
				if !strings.Contains(stderr, name) {
					t.Errorf("%q with %s says nothing of %s:\n%s", args, format, name, stderr)
				}
			}
			if format == "json" && !slices.Equal(args, []string{"config"}) { // which prints for people
				mustBeJSONLines(t, stderr)
			}
		}
	}
}

func TestWrongCommandLinesExitWith2(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"sevre"}, {"serve", "--port", "80"}, {"wait", "--timeout", "soon"}, {"quit", "now"}} {
		if code, _, stderr := finish(t, nil, args...); code != 2 || stderr == "" {
			t.Errorf("%q: exit code %d, %q", args, code, stderr)
		}
	}
}

func TestEveryLineIsJSON(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{Settings: wide(2 * time.Second)})
	s := shop.readySidecar(t, "EVERGATE_LOG_LEVEL=debug")
	live(t, shop, s)
	if code := s.Exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	mustBeJSONLines(t, s.Err.String())
	if out := s.Out.String(); out != "" {
		t.Errorf("on standard output: %q", out)
	}
}

// live leads a life with some trouble: renewals, refusals, faults, and SIGTERM.
func live(t *testing.T, shop *shopify, s *sidecar) {
	t.Helper()
	mustStatus(t, s.get(t, "/shop.json"), http.StatusOK)
	mustStatus(t, s.call(t, http.MethodGet, s.url+"/elsewhere", ""), http.StatusForbidden)
	mustStatus(t, s.raw(t, "GET "+api+"/shop.json HTTP/1.1\r\nHost: example.com\r\n\r\n"), http.StatusMisdirectedRequest)
	shop.Inject(dropOnce)
	mustStatus(t, s.post(t, "/products.json", `{"product":{"title":"Lamp"}}`), http.StatusBadGateway)
	shop.Inject(cutOnce)
	if a, err := exchange(t.Context(), s.client, http.MethodGet, s.url+api+"/products.json", ""); err == nil {
		t.Errorf("an answer that broke off looked whole: %s", a)
	}
	s.awaitRenewal(t)
	shop.RevokeTokens("")
	mustStatus(t, s.get(t, "/shop.json"), http.StatusOK)
	s.awaitRenewal(t)
	s.Signal(t, syscall.SIGTERM)
}

func atLeast(got, want int, what string) error {
	if got < want {
		return fmt.Errorf("%d %s, want %d", got, what, want)
	}
	return nil
}

func mustBeJSONLines(t *testing.T, text string) {
	t.Helper()
	if text == "" {
		t.Error("no line was printed")
	}
	for line := range strings.Lines(text) {
		var l process.LogLine
		if err := json.Unmarshal([]byte(line), &l); err != nil || l.Time.IsZero() || l.Level == "" || l.Message == "" {
			t.Errorf("not a line of the log: %q", line)
		}
	}
}

func TestLevelErrorIsSilentInANormalLife(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{Settings: wide(2 * time.Second)})
	s := shop.onSockets(t, "EVERGATE_LOG_LEVEL=error")
	s.awaitReady(t)
	mustStatus(t, s.get(t, "/shop.json"), http.StatusOK)
	mustStatus(t, s.get(t, "/nothing.json"), http.StatusNotFound)
	process.Eventually(t, func() error { return atLeast(shop.Stats().TokenPosts, 3, "token POSTs") })
	s.Signal(t, syscall.SIGTERM)
	if code := s.Exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if printed := s.Out.String() + s.Err.String(); printed != "" {
		t.Errorf("it printed %q", printed)
	}
}

// onSockets starts a sidecar that listens on Unix sockets, whose addresses are known
// without reading its log.
func (s *shopify) onSockets(t *testing.T, more ...string) *sidecar {
	t.Helper()
	return s.onSocketsIn(t, socketDir(t), more...)
}

// socketDir is a directory whose name leaves room for a socket's, which t.TempDir does not.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "eg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// The sockets of onSocketsIn.
const toolSocket, adminSocket = "tools.sock", "admin.sock"

func (s *shopify) onSocketsIn(t *testing.T, dir string, more ...string) *sidecar {
	t.Helper()
	tools, admin := filepath.Join(dir, toolSocket), filepath.Join(dir, adminSocket)
	environ := s.environ(append([]string{"EVERGATE_LISTEN=unix:" + tools, "EVERGATE_ADMIN_LISTEN=unix:" + admin}, more...)...)
	client := newClient(t, "", "")
	client.Transport.(*http.Transport).DialContext = func(ctx context.Context, _, address string) (net.Conn, error) {
		var d net.Dialer
		path := tools
		if address == "admin.localhost:80" {
			path = admin
		}
		return d.DialContext(ctx, "unix", path)
	}
	return &sidecar{Process: start(t, environ), url: "http://localhost", admin: "http://admin.localhost", client: client}
}

func TestUnixSocketIsForItsOwnerAlone(t *testing.T) {
	t.Parallel()
	dir := socketDir(t)
	s := newShopify(t, shopOptions{}).onSocketsIn(t, dir)
	s.awaitReady(t)
	mustStatus(t, s.get(t, "/shop.json"), http.StatusOK)
	for _, name := range []string{toolSocket, adminSocket} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o", name, info.Mode().Perm())
		}
	}
	created := s.post(t, "/products.json", `{"product":{"title":"Lamp"}}`)
	if location := created.header.Get("Location"); !strings.HasPrefix(location, "http://localhost/admin/api/") {
		t.Errorf("Location: %s", location)
	}
	s.Signal(t, syscall.SIGTERM)
	if code := s.Exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("it left %v behind", left)
	}
}

func TestTakenPortIsAFailure(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	shop := newShopify(t, shopOptions{})
	for _, name := range []string{"EVERGATE_LISTEN", "EVERGATE_ADMIN_LISTEN"} {
		code, _, stderr := finish(t, shop.environ(name+"="+taken.Addr().String()), "serve")
		if code != 1 || !strings.Contains(stderr, name) || !strings.Contains(stderr, "another process listens") {
			t.Errorf("%s: exit code %d, %s", name, code, stderr)
		}
	}
}
