//go:build linux

package libraries

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"evergate/internal/shopify"
	"evergate/test/process"
)

// mode is a way to lead a program to Evergate.
type mode string

const (
	byURL   mode = "base URL"
	byRun   mode = "run"
	byHosts mode = "hosts file"
)

var modes = []mode{byURL, byRun, byHosts}

// rounds is how often a program lists, creates and asks; the tokens of one round have expired in the next.
const rounds = 3

// matrix is what came of it.
type matrix struct {
	mu     sync.Mutex
	worked map[string]map[mode]bool
}

func TestLibrariesWorkWhileTheirTokensExpire(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a program for each library and mode: not with -short")
	}
	kit := newKit(t)
	var m matrix
	m.worked = map[string]map[mode]bool{}
	t.Run("each", func(t *testing.T) {
		for _, l := range libraries {
			for _, way := range modes {
				t.Run(strings.ReplaceAll(l.name+" "+string(way), "/", "_"), func(t *testing.T) {
					t.Parallel()
					if way == byRun && l.noRun != "" {
						kit.mustFail(t, l)
						return
					}
					kit.mustWork(t, l, way)
					m.mu.Lock()
					defer m.mu.Unlock()
					if m.worked[l.name] == nil {
						m.worked[l.name] = map[mode]bool{}
					}
					m.worked[l.name][way] = !t.Failed()
				})
			}
		}
	})
	m.compareWithDocs(t)
}

// kit is what the programs need, made once.
type kit struct {
	modules string
	dir     string // with what has been compiled
	// starts has room for those that start, which takes most of the work: where all do so at once, handshakes take too long.
	starts chan struct{}
}

// modulesName is where the packages of npm are kept between runs.
const modulesName = "evergate-libraries-test"

func newKit(t *testing.T) *kit {
	t.Helper()
	process.RequireProgram(t, "javac", "apt-get install default-jdk-headless")
	k := &kit{modules: process.NodeModules(t, modulesName), dir: t.TempDir(), starts: make(chan struct{}, 3)}
	for _, r := range []runtime{node22, node26, bun, deno} {
		if _, err := os.Stat(k.interpreter(r)[0]); err != nil {
			process.Missing(t, "npm has no "+string(r)+" for this machine", "npm ci, on amd64")
		}
	}
	k.build(t, "testdata/goshopify", "go mod download, in testdata/goshopify", "go", "build", "-o", filepath.Join(k.dir, "goshopify"), ".")
	k.build(t, "testdata/java", "apt-get install default-jdk-headless", "javac", "-d", k.dir, "Products.java")
	return k
}

func (k *kit) build(t *testing.T, dir, remedy string, command ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		process.Missing(t, fmt.Sprintf("%s cannot be built: %v: %s", dir, err, out), remedy)
	}
}

// interpreter is how a runtime is started.
func (k *kit) interpreter(r runtime) []string {
	if r == node20 {
		return []string{"node"}
	}
	return strings.Fields(filepath.Join(k.modules, string(r)))
}

// command is how a program is started.
func (k *kit) command(t *testing.T, l library, url string) []string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", l.program))
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{url}, l.args...)
	switch filepath.Ext(path) {
	case ".java":
		return append([]string{"java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", k.dir, "Products"}, args...)
	case ".go":
		return append([]string{filepath.Join(k.dir, "goshopify")}, args...)
	default:
		program := filepath.Join(k.project(t, l, filepath.Dir(path)), filepath.Base(path))
		return slices.Concat(k.interpreter(l.runtime), []string{program}, args)
	}
}

// project is a directory with the programs for Node and the packages that a library sees.
func (k *kit) project(t *testing.T, l library, programs string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(programs)); err != nil {
		t.Fatal(err)
	}
	modules := filepath.Join(dir, "node_modules")
	link := func(name, to string) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(modules, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(k.modules, to), filepath.Join(modules, name)); err != nil {
			t.Fatal(err)
		}
	}
	if l.alias == "" {
		link("", "")
		link("../package.json", "../package.json") // Deno imports what is named there
	} else {
		link(official, l.alias)
	}
	return dir
}

// mustWork runs a program until its tokens have expired several times.
func (k *kit) mustWork(t *testing.T, l library, way mode) {
	k.starts <- struct{}{}
	started := sync.OnceFunc(func() { <-k.starts })
	defer started()
	s, p := k.start(t, l, way)
	made := []int64{}
	for i := range rounds {
		if i > 0 {
			s.awaitExpiry(t)
		}
		got := p.round(t, fmt.Sprintf("product %d", i))
		started()
		if got.Domain != shop {
			t.Errorf("GraphQL says that the shop is %q", got.Domain)
		}
		seen := slices.Compact(slices.Sorted(slices.Values(got.IDs)))
		if len(got.IDs) != products+i || len(seen) != products+i {
			t.Errorf("round %d: %d products, %d of them different; there are %d", i, len(got.IDs), len(seen), products+i)
		}
		for _, id := range made {
			if !slices.Contains(seen, id) {
				t.Errorf("round %d: product %d, which was created, is not there", i, id)
			}
		}
		made = append(made, got.Created)
	}
	p.end(t)
	if got := s.tokens(); got < rounds {
		t.Errorf("%d tokens for %d rounds, of which none is as long as a token lives", got, rounds)
	}
}

// mustFail shows that what the manual says about a library is true.
func (k *kit) mustFail(t *testing.T, l library) {
	s, p := k.start(t, l, byRun)
	if _, err := io.WriteString(p.stdin, "product\n"); err != nil {
		t.Fatal(err)
	}
	if code := p.Exit(t); code == 0 || p.Out.String() != "" {
		t.Errorf("it works: the manual says that it does not. Exit code %d, %q", code, p.Out.String())
	}
	if n := s.Stats().Routes["rest:products"]; len(n) > 0 {
		t.Errorf("calls reached Shopify: %v", n)
	}
}

// program is one that runs.
type program struct {
	*process.Process
	stdin io.WriteCloser
	lines int // that have been read
}

// seen is what it has seen in one round.
type seen struct {
	IDs     []int64 `json:"ids"`
	Created int64   `json:"created"`
	Domain  string  `json:"domain"`
}

func (p *program) round(t *testing.T, title string) (got seen) {
	t.Helper()
	if _, err := io.WriteString(p.stdin, title+"\n"); err != nil {
		t.Fatal(err)
	}
	var lines []string
	p.AwaitTextWithin(t, &p.Out, "the end of a round", 2*process.Patience, func(text string) bool {
		lines = strings.SplitAfter(text, "\n")
		return len(lines) > p.lines+1
	})
	if err := json.Unmarshal([]byte(lines[p.lines]), &got); err != nil {
		t.Fatalf("%v: %s", err, lines[p.lines])
	}
	p.lines++
	return got
}

func (p *program) end(t *testing.T) {
	t.Helper()
	if err := p.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if code := p.Exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// start makes a machine with Evergate on it, and starts the program there.
func (k *kit) start(t *testing.T, l library, way mode) (*site, *program) {
	t.Helper()
	return k.startCommand(t, way, filepath.Ext(l.program) == ".java", func(url string) []string { return k.command(t, l, url) })
}

// startCommand does so with a command that may be told where to call; SHOPIFY_URL has it, too, where it is not the shop's own.
func (k *kit) startCommand(t *testing.T, way mode, java bool, command func(url string) []string) (*site, *program) {
	t.Helper()
	switch way {
	case byURL:
		const url = "http://localhost:8080"
		s := newSite(t)
		s.serve(t, "")
		return s, s.launch(t, append([]string{"SHOPIFY_URL=" + url}, placeholders...), command(url))
	case byHosts:
		s := newSite(t, shop)
		s.serve(t, "tls:127.0.0.1:443")
		return s, s.launch(t, append(s.trust(t, java), placeholders...), command("https://"+shop))
	default:
		s := newSite(t)
		return s, s.launch(t, s.Environ, append([]string{binary, "run", "--"}, command("https://"+shop)...))
	}
}

// placeholders stand for what is not needed, for programs that do not start without.
var placeholders = []string{"SHOPIFY_SHOP=" + shop, "SHOPIFY_ACCESS_TOKEN=" + shopify.PlaceholderToken, "SHOPIFY_API_SECRET=placeholder"}

// serve starts Evergate.
func (s *site) serve(t *testing.T, listen string) {
	t.Helper()
	p := process.Start(t, process.Command(t, binary, append(slices.Clone(s.Environ), "EVERGATE_LISTEN="+listen)))
	p.AwaitLog(t, "listening for tools")
}

// trust has a program trust the local CA, as docs/using/ca.md says.
func (s *site) trust(t *testing.T, java bool) []string {
	t.Helper()
	pem, err := process.Output(process.Command(t, binary, s.Environ, "ca"))
	if err != nil {
		t.Fatal(err)
	}
	root := s.Write(t, "root.pem", pem)
	if !java {
		return []string{"NODE_EXTRA_CA_CERTS=" + root, "SSL_CERT_FILE=" + root}
	}
	store := filepath.Join(s.Dir, "roots.p12")
	if out, err := process.Output(process.Command(t, "keytool", nil, "-importcert", "-noprompt", "-alias", "evergate", "-file", root,
		"-keystore", store, "-storetype", "PKCS12", "-storepass", "changeit")); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return []string{"JAVA_TOOL_OPTIONS=-Djavax.net.ssl.trustStore=" + store + " -Djavax.net.ssl.trustStorePassword=changeit"}
}

func (s *site) launch(t *testing.T, environ, command []string) *program {
	t.Helper()
	cmd := process.Command(t, command[0], environ, command[1:]...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	return &program{Process: process.Start(t, cmd), stdin: stdin}
}
