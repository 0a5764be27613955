package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"evergate/internal/caller"
	"evergate/internal/shopify"
	"evergate/internal/shopsim"
	"evergate/test/process"
)

// playCommand is what this binary does when `run` has started it.
func playCommand(what string) {
	verb, arg, _ := strings.Cut(what, " ")
	switch n, _ := strconv.Atoi(arg); verb {
	case "exit":
		os.Exit(n)
	case "signal":
		if self, err := os.FindProcess(os.Getpid()); err == nil {
			_ = self.Signal(syscall.Signal(n))
		}
		select {}
	case "call": // a tool: it knows an address, and no token
		client := http.Client{Transport: &http.Transport{}}
		resp, err := client.Get(os.Getenv("EVERGATE_URL") + "/admin/api/2026-10/shop.json")
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(resp.StatusCode)
		fmt.Println(strings.Join(os.Environ(), "\n"))
		os.Exit(5)
	case "proxy":
		playProxy(arg)
	case "wait": // for a signal, which ends it
		fmt.Println("started")
		select {}
	}
	os.Exit(99)
}

// entry is a line of the log.
type entry struct {
	Level   string `json:"level"`
	Message string `json:"msg"`
	Address string `json:"address"`
	Err     string `json:"err"`
}

func parseLog(line string) (e entry) {
	_ = json.Unmarshal([]byte(line), &e)
	return e
}

// tail collects what a command writes and lets a test wait for a line.
type tail struct {
	process.Tape
	read int // what of it next has returned or passed over; one goroutine reads
}

func newTail() *tail { return &tail{} }

// next returns the next line that passes.
func (l *tail) next(t *testing.T, passes func(string) bool) string {
	t.Helper()
	for {
		text, more := l.Next()
		for line := range strings.Lines(text[l.read:]) {
			if !strings.HasSuffix(line, "\n") {
				break
			}
			l.read += len(line)
			if line = strings.TrimSuffix(line, "\n"); passes(line) {
				return line
			}
		}
		process.Await(t, "the line, after "+text, more)
	}
}

func has(part string) func(string) bool {
	return func(line string) bool { return strings.Contains(line, part) }
}

// running is a command that has not ended.
type running struct {
	out, err *tail
	signals  chan os.Signal
	code     chan int
}

func start(environ []string, args ...string) *running {
	r := &running{newTail(), newTail(), make(chan os.Signal, 4), make(chan int, 1)}
	w := env{args: args, environ: environ, stdin: strings.NewReader(""), out: r.out, err: r.err, signals: r.signals}
	go func() { r.code <- run(w) }()
	return r
}

func (r *running) mustEnd(t *testing.T, want int) {
	t.Helper()
	if code := process.Await(t, "its end", r.code); code != want {
		t.Errorf("exit code %d, want %d:\n%s%s", code, want, r.out, r.err)
	}
}

// plainShopify is a simulated Shopify on a port of the loopback, without TLS.
func plainShopify(t *testing.T, o shopsim.Options) (sim *shopsim.Sim, address string) {
	t.Helper()
	sim = shopsim.New(o)
	server, err := sim.StartPlain("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return sim, server.URL
}

// simulated is a simulated Shopify and the settings that lead to it.
func simulated(t *testing.T) (*shopsim.Sim, []string) {
	t.Helper()
	sim, upstream := plainShopify(t, shopsim.Options{})
	return sim, []string{
		"SHOPIFY_SHOP=" + shopsim.DefaultShop, "SHOPIFY_CLIENT_ID=" + shopsim.DefaultClientID, "SHOPIFY_CLIENT_SECRET=" + shopsim.DefaultClientSecret,
		"EVERGATE_UPSTREAM_URL=" + upstream, "EVERGATE_LISTEN=127.0.0.1:0", "EVERGATE_ADMIN_LISTEN=127.0.0.1:0",
	}
}

// serving waits until a sidecar listens and returns where.
func serving(t *testing.T, r *running) (tools, operators string) {
	t.Helper()
	tools = parseLog(r.err.next(t, has("listening for tools"))).Address
	return tools, parseLog(r.err.next(t, has("listening for operators"))).Address
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestServeFromStartToQuit(t *testing.T) {
	t.Parallel()
	_, environ := simulated(t)
	s := start(environ)
	tools, operators := serving(t, s)
	probe := []string{"EVERGATE_ADMIN_LISTEN=" + operators}
	for _, args := range [][]string{{"wait"}, {"healthcheck"}, {"healthcheck", "--ready"}} {
		if o := execute(probe, args...); o.code != exitOK || o.out+o.err != "" {
			t.Errorf("%q: %+v", args, o)
		}
	}
	if status, body := get(t, "http://"+tools+"/admin/api/2026-10/shop.json"); status != 200 || !strings.Contains(body, shopsim.DefaultShop) {
		t.Errorf("%d %s", status, body)
	}
	if _, metrics := get(t, "http://"+operators+"/metrics"); !strings.Contains(metrics, `evergate_token_usable{shop="`+shopsim.DefaultShop+`"} 1`) ||
		!strings.Contains(metrics, `evergate_refreshes_total{grant="client_credentials",result="ok",shop="`+shopsim.DefaultShop+`"} 1`) ||
		!strings.Contains(metrics, "go_goroutines") || !strings.Contains(metrics, "process_start_time_seconds") || !strings.Contains(metrics, "evergate_build_info{") {
		t.Errorf("%s", metrics)
	}
	if o := execute(probe, "quit"); o.code != exitOK {
		t.Errorf("%+v", o)
	}
	s.mustEnd(t, exitOK)
	log := s.err.String()
	for line := range strings.Lines(log) {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
	if s.out.String() != "" || strings.Contains(log, shopsim.DefaultClientSecret) || strings.Contains(log, "shpat_") || strings.Contains(log, `"ERROR"`) {
		t.Errorf("out %q, log\n%s", s.out, log)
	}
}

func TestServeEndsCleanlyAtASignal(t *testing.T) {
	t.Parallel()
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		_, environ := simulated(t)
		s := start(environ, "serve")
		serving(t, s)
		s.signals <- sig
		s.mustEnd(t, exitOK)
	}
}

// The delay is for callers who do not know yet; whoever says quit knows that there are none.
func TestQuitNeedsAKeyWhereCallersDo(t *testing.T) {
	t.Parallel()
	_, environ := simulated(t)
	key, line, err := caller.NewKey("operator", "none", nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"keys": line, "key": key.Reveal() + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := start(append(environ, "EVERGATE_CLIENT_KEYS_FILE="+filepath.Join(dir, "keys")))
	_, operators := serving(t, s)
	for _, order := range []string{"refresh", "quit", "log-level?level=debug", "token-exchange"} {
		if resp, body := as(t, "localhost", http.MethodPost, "http://"+operators+"/-/"+order, nil); resp.StatusCode != http.StatusForbidden || !strings.Contains(body, "EVERGATE_ADMIN_KEY") {
			t.Errorf("%s: %d %s", order, resp.StatusCode, body)
		}
	}
	for _, path := range []string{"/livez", "/metrics", "/status"} {
		if status, body := get(t, "http://"+operators+path); status != http.StatusOK {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	admin := "EVERGATE_ADMIN_LISTEN=" + operators
	without := start([]string{admin}, "quit")
	without.mustEnd(t, exitFailure)
	with := start([]string{admin, "EVERGATE_ADMIN_KEY_FILE=" + filepath.Join(dir, "key")}, "quit")
	with.mustEnd(t, exitOK)
	s.mustEnd(t, exitOK)
}

func TestQuitEndsTheShutdownDelay(t *testing.T) {
	t.Parallel()
	for _, signalled := range []bool{true, false} {
		_, environ := simulated(t)
		s := start(append(environ, "EVERGATE_SHUTDOWN_DELAY=1h"), "serve")
		_, operators := serving(t, s)
		if signalled {
			s.signals <- syscall.SIGTERM
			s.err.next(t, has("shutting down"))
		}
		if o := execute([]string{"EVERGATE_ADMIN_LISTEN=" + operators}, "quit"); o.code != exitOK {
			t.Errorf("signalled %t: %+v", signalled, o)
		}
		s.mustEnd(t, exitOK)
	}
}

func TestSecondSignalForcesTheEnd(t *testing.T) {
	t.Parallel()
	_, environ := simulated(t)
	s := start(append(environ, "EVERGATE_SHUTDOWN_DELAY=1h"), "serve")
	_, operators := serving(t, s)
	s.signals <- os.Interrupt
	s.err.next(t, has("shutting down"))
	if status, body := get(t, "http://"+operators+"/readyz"); status != 503 || body != "shutting down\n" {
		t.Errorf("%d %s", status, body)
	}
	s.signals <- os.Interrupt
	s.mustEnd(t, exitFailure)
}

func TestAnInterruptedProbeSaysSo(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, args := range [][]string{{"wait", "--timeout", "1h"}, {"healthcheck"}, {"quit"}, {"status"}} {
		p := start([]string{"EVERGATE_ADMIN_LISTEN=" + silent.Addr().String()}, args...)
		p.signals <- os.Interrupt
		p.mustEnd(t, exitFailure)
		if said := p.err.String(); !strings.Contains(said, "evergate: interrupted") || strings.Contains(said, "1h") {
			t.Errorf("%q: %s", args, said)
		}
	}
}

func TestServeAnswers503UntilThereIsAToken(t *testing.T) {
	t.Parallel()
	sim, environ := simulated(t)
	sim.Uninstall("", "")
	s := start(append(environ, "EVERGATE_TOKEN_WAIT=1ms"), "serve")
	tools, operators := serving(t, s)
	s.err.next(t, has("app_not_installed"))
	if status, body := get(t, "http://"+tools+"/admin/api/2026-10/shop.json"); status != 503 || !strings.Contains(body, "install it from the Dev Dashboard") {
		t.Errorf("%d %s", status, body)
	}
	probe := []string{"EVERGATE_ADMIN_LISTEN=" + operators}
	if o := execute(probe, "healthcheck"); o.code != exitOK {
		t.Errorf("%+v", o)
	}
	if o := execute(probe, "healthcheck", "--ready"); o.code != exitFailure || !strings.Contains(o.err, "app_not_installed") {
		t.Errorf("%+v", o)
	}
	if o := execute(probe, "wait", "--timeout", "1ms"); o.code != exitFailure || !strings.Contains(o.err, "not ready after 1ms") {
		t.Errorf("%+v", o)
	}
	s.signals <- os.Interrupt
	s.mustEnd(t, exitOK)
}

func TestRunGivesTheCommandAnAddressAndExitsWithItsCode(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	_, environ := simulated(t)
	r := start(append(environ, "PROXY_TEST_COMMAND=call"), "run", "--", self)
	r.mustEnd(t, 5)
	status, rest, _ := strings.Cut(r.out.String(), "\n")
	if status != "200" || !strings.Contains(rest, "EVERGATE_URL=http://127.0.0.1:") {
		t.Errorf("out\n%s\nlog\n%s", r.out, r.err)
	}
	if rest = strings.ReplaceAll(rest, shopify.PlaceholderToken, ""); strings.Contains(rest, shopsim.DefaultClientSecret) || strings.Contains(rest, "shpat_") {
		t.Error("the command has a secret")
	}
}

// TestRunAdvisesWhatCanBeDone has a permanent token that Shopify refuses, and no client id with which somebody could log in.
func TestRunAdvisesWhatCanBeDone(t *testing.T) {
	t.Parallel()
	_, upstream := plainShopify(t, shopsim.Options{})
	r := start([]string{"SHOPIFY_SHOP=" + shopsim.DefaultShop, "SHOPIFY_ACCESS_TOKEN=shpat_0123456789abcdef0123456789abcdef", "EVERGATE_UPSTREAM_URL=" + upstream}, "run", "--", "true")
	r.mustEnd(t, exitSidecar)
	if said := r.err.String(); !strings.Contains(said, "valid one for SHOPIFY_ACCESS_TOKEN") || strings.Contains(said, "evergate login") || strings.Contains(said, "obtaining") {
		t.Errorf("%s", said)
	}
}

func TestRunPassesSignalsOn(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	_, environ := simulated(t)
	r := start(append(environ, "PROXY_TEST_COMMAND=wait"), "run", self)
	r.out.next(t, has("started"))
	r.signals <- syscall.SIGTERM
	r.mustEnd(t, 128+int(syscall.SIGTERM))
}

func TestDemoWorksWithoutAnySetting(t *testing.T) {
	t.Parallel()
	d := start([]string{"EVERGATE_LISTEN=127.0.0.1:0", "EVERGATE_ADMIN_LISTEN=127.0.0.1:0", "SHOPIFY_SHOP=not a shop", "EVERGATE_TOKEN_WAIT=x"}, "demo")
	line := strings.TrimSpace(d.out.next(t, has("curl http://127.0.0.1:")))
	if status, body := get(t, strings.TrimPrefix(line, "curl ")); status != 200 || !strings.Contains(body, shopsim.DefaultShop) {
		t.Errorf("%d %s", status, body)
	}
	d.signals <- os.Interrupt
	d.mustEnd(t, exitOK)
	if !strings.Contains(d.out.String(), "first token obtained") || d.err.String() != "" {
		t.Errorf("out\n%s\nerr\n%s", d.out, d.err)
	}
}

func TestSimulateRunsUntilASignal(t *testing.T) {
	t.Parallel()
	caFile := t.TempDir() + "/ca.pem"
	for _, args := range [][]string{{"--plain"}, {"--ca-file", caFile}} {
		s := start(nil, append([]string{"simulate", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--shop", "acme.myshopify.com"}, args...)...)
		if line := s.out.next(t, has("simulated Shopify at ")); !strings.Contains(line, "acme.myshopify.com") {
			t.Errorf("%s", line)
		}
		s.out.next(t, has("control API at http://127.0.0.1:"))
		s.signals <- os.Interrupt
		s.mustEnd(t, exitOK)
	}
	if pem, err := os.ReadFile(caFile); err != nil || !strings.Contains(string(pem), "BEGIN CERTIFICATE") {
		t.Errorf("%s, %v", pem, err)
	}
}
