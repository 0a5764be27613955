//go:build linux

package system

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"evergate/internal/shopify"
	"evergate/internal/shopsim"
	"evergate/test/clients/machine"
	"evergate/test/process"
)

const (
	products, perPage = 25, 3 // of the programs in examples
	// life is how long a token lives, and pause how long each answer of REST takes: a program meets several tokens.
	life, pause = 3 * time.Second, 700 * time.Millisecond
	secret      = shopsim.DefaultClientSecret
)

// result is what came of all clients.
type result struct {
	mu     sync.Mutex
	worked map[string]map[mode]bool
}

func (r *result) note(c client, way mode, worked bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.worked[c.name] == nil {
		r.worked[c.name] = map[mode]bool{}
	}
	r.worked[c.name][way] = worked
}

func TestClientsOfTheSystemWorkWhileTheirTokensExpire(t *testing.T) {
	if testing.Short() {
		t.Skip("runs each client for the lives of several tokens: not with -short")
	}
	r := &result{worked: map[string]map[mode]bool{}}
	t.Run("client", func(t *testing.T) {
		for _, c := range clients {
			for _, way := range c.in {
				t.Run(nameOf(c, way), func(t *testing.T) {
					t.Parallel()
					c.require(t)
					run := newTrial(t, c, way, shopsim.Settings{TokenLife: life, RESTSize: 400, RESTLeak: 40})
					run.Inject(shopsim.Fault{Kind: shopsim.FaultDelay, Endpoint: shopsim.REST, Delay: pause, AfterCommit: true})
					run.start(t, c.command(t)...)
					if slices.Contains(c.fails, way) {
						run.mustFail(t)
						r.note(c, way, false)
						return
					}
					run.mustWork(t)
					r.note(c, way, !t.Failed())
				})
			}
		}
	})
	if !t.Failed() {
		r.compare(t)
	}
}

func nameOf(c client, way mode) string {
	return strings.NewReplacer(", ", "_", "/", "", "`", "").Replace(c.name + " by " + string(way))
}

// trial is one client in one mode, on a machine of its own.
type trial struct {
	*machine.Machine
	client client

	mu     sync.Mutex
	tokens []string

	environ []string // of the program
	before  []string // what comes before its command
	minted  int      // before it was started
	child   *process.Process
}

// newTrial makes the machine, and a sidecar unless the program is started by one.
func newTrial(t *testing.T, c client, way mode, settings shopsim.Settings) *trial {
	t.Helper()
	var leads []string
	if way == byHosts {
		leads = []string{machine.Shop}
	}
	r := &trial{Machine: machine.New(t, settings, products, leads...), client: c}
	r.OnToken(func(e shopsim.TokenEvent) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.tokens = append(r.tokens, e.Token)
	})
	home := "HOME=" + t.TempDir()
	switch way {
	case byRun:
		r.before = []string{binary, "run", "--"}
		r.environ = append(slices.Clone(r.Environ), "EVERGATE_LOG_LEVEL=error")
	case byURL:
		r.serve(t, "127.0.0.1:8080")
		r.environ = withToken("SHOPIFY_URL=" + local)
	case byHosts:
		r.serve(t, "tls:127.0.0.1:443,127.0.0.1:8080")
		r.environ = withToken(r.roots(t, home)...)
	case bySocket:
		socket := filepath.Join(r.Dir, "tools.sock")
		r.serve(t, "unix:"+socket)
		r.client.curlrc += "unix-socket = " + socket + "\n"
		r.environ = withToken("SHOPIFY_URL=http://localhost", "SHOPIFY_SOCKET="+socket)
	}
	r.environ = append(r.environ, home)
	if r.client.curlrc != "" {
		if err := os.WriteFile(filepath.Join(strings.TrimPrefix(home, "HOME="), ".curlrc"), []byte(r.client.curlrc), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// local is where a sidecar listens for programs that can be given an address.
const local = "http://localhost:8080"

// withToken is the environment of a program that was written for Shopify, and of whose token nobody takes notice.
func withToken(more ...string) []string {
	return append([]string{"SHOPIFY_SHOP=" + machine.Shop, "SHOPIFY_ACCESS_TOKEN=" + shopify.PlaceholderToken}, more...)
}

// admin is where operators call.
func (r *trial) admin() string {
	return "EVERGATE_ADMIN_LISTEN=unix:" + filepath.Join(r.Dir, "admin.sock")
}

// serve starts a sidecar.
func (r *trial) serve(t *testing.T, listen string) {
	t.Helper()
	p := process.Start(t, process.Command(t, binary, append(slices.Clone(r.Environ), r.admin(), "EVERGATE_LISTEN="+listen), "serve"))
	p.AwaitLog(t, "listening for operators") // the last of all listeners
}

// roots is the part of `env` that has a program trust the local CA: where its file of hosts leads it to Evergate, it needs no proxy.
func (r *trial) roots(t *testing.T, home string) (environ []string) {
	t.Helper()
	out, err := process.Output(process.Command(t, binary, append(slices.Clone(r.Environ), home, r.admin(), "EVERGATE_LISTEN=127.0.0.1:8080"), "env", "--docker", "--dir", r.Dir))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out) {
		if name, _, _ := strings.Cut(line, "="); !strings.Contains(strings.ToUpper(name), "PROXY") {
			environ = append(environ, strings.TrimSpace(line))
		}
	}
	return environ
}

// start starts the program.
func (r *trial) start(t *testing.T, command ...string) {
	t.Helper()
	command = append(slices.Clone(r.before), command...)
	r.minted = r.Stats().TokensMinted
	r.child = process.Start(t, process.Command(t, command[0], r.environ, command[1:]...))
}

// mustWork checks that the program saw and did what it should, with several tokens, and that it was the client that we think it was.
func (r *trial) mustWork(t *testing.T) {
	code := r.child.ExitWithin(t, 2*process.Patience)
	var want strings.Builder
	for n := range products {
		fmt.Fprintf(&want, "Product %d\n", n+1)
	}
	want.WriteString("Lamp\nAcme\n")
	if out := r.child.Out.String(); code != 0 || out != want.String() {
		t.Errorf("exit code %d, and it printed\n%s", code, out)
	}
	r.mustSay(t)
	if minted := r.Stats().TokensMinted - r.minted; minted < 3 {
		t.Errorf("%d tokens were handed out while it ran: it has not met several", minted)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, known := range append(r.tokens, secret) {
		if strings.Contains(r.child.Out.String()+r.child.Err.String(), known) {
			t.Error("it was told a token or a secret")
		}
	}
	pages, calls := map[string]bool{}, map[string]int{}
	for _, e := range r.Journal() {
		if e.Route == "token" {
			continue
		}
		if agent := e.Header.Get("User-Agent"); !strings.HasPrefix(agent, r.client.agent) || agent == "" != (r.client.agent == "") {
			t.Errorf("%s %s is of %q", e.Method, e.Route, agent)
		}
		switch {
		case e.Status >= http.StatusBadRequest: // where this machine stood still, a token was over before it arrived, and Evergate took the next
		case e.Method == http.MethodGet:
			pages[e.RequestURI] = true
		default:
			calls[e.Method+" "+e.Route]++
		}
	}
	if want := (products + perPage - 1) / perPage; len(pages) != want || calls["POST rest:products"] != 1 || calls["POST graphql"] != 1 || len(calls) != 2 {
		t.Errorf("there should be %d pages, one product and one query: %v %v", want, pages, calls)
	}
}

var protocols = regexp.MustCompile(`\A(?:[0-9.]+\n)+\z`)

// mustSay checks standard error: it is empty, but for what curl was told to say there.
func (r *trial) mustSay(t *testing.T) {
	t.Helper()
	said := r.child.Err.String()
	if r.client.speaks == "" {
		if said != "" {
			t.Errorf("on standard error: %s", said)
		}
		return
	}
	if !protocols.MatchString(said) {
		t.Errorf("on standard error: %s", said)
	}
	for spoken := range strings.FieldsSeq(said) {
		if spoken != r.client.speaks {
			t.Errorf("HTTP/%s was spoken", spoken)
		}
	}
}

// mustFail shows that what the manual says about a client is true.
func (r *trial) mustFail(t *testing.T) {
	if code := r.child.ExitWithin(t, 2*process.Patience); code == 0 || r.child.Out.String() != "" {
		t.Errorf("it works, though the manual says that it does not: exit code %d, %q", code, r.child.Out.String())
	}
	if n := r.Stats().Routes["rest:products"]; len(n) > 0 {
		t.Errorf("calls reached Shopify: %v", n)
	}
}
