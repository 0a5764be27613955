//go:build linux

package cli

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"evergate/internal/shopsim"
	"evergate/test/process"
)

const root = "../.."

// block is what happens to a fenced block of commands of a page. Those of a page that are run are run by one shell, from top
// to bottom, as a reader types them.
type block struct {
	// first is its first line, by which it is known.
	first string
	// not is why it is not run; the rest is for those that are.
	not string
	// before and after are commands for what the page says in words, or shows in another way.
	before, after string
	// types is what the reader answers.
	types string
	// says is what has to be in what is printed, as a pattern.
	says string
}

// pagesWithCommands are those of which every block is in the table: a reader goes through them with a terminal beside.
func pagesWithCommands(t *testing.T) []string {
	t.Helper()
	pages := []string{"README.md"}
	for _, folder := range []string{"using", "operating"} {
		found, err := filepath.Glob(filepath.Join(root, "docs", folder, "*.md"))
		if err != nil || len(found) == 0 {
			t.Fatalf("no pages in docs/%s: %v", folder, err)
		}
		for _, path := range found {
			pages = append(pages, "docs/"+folder+"/"+filepath.Base(path))
		}
	}
	return pages
}

// fenced is a block for a shell, also one in a list.
var fenced = regexp.MustCompile("(?ms)^( *)```sh\n(.*?)^ *```$")

// blocksOf returns the texts of a page's blocks for a shell.
func blocksOf(t *testing.T, page string) (texts []string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range fenced.FindAllStringSubmatch(string(b), -1) {
		texts = append(texts, strings.ReplaceAll("\n"+m[2], "\n"+m[1], "\n")[1:])
	}
	return texts
}

// TestWhatThePagesTellToTypeWorks runs the blocks for a shell of README.md and of docs/using and docs/operating. A block that
// cannot be run stands in the table with the reason; one that is not in it fails.
func TestWhatThePagesTellToTypeWorks(t *testing.T) {
	t.Parallel()
	pages := pagesWithCommands(t)
	for i, page := range pages {
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			texts, plan := blocksOf(t, page), typed[page]
			for i, text := range texts {
				if first, _, _ := strings.Cut(text, "\n"); i >= len(plan) || plan[i].first != first {
					t.Fatalf("%s: the block that begins with %q is not the next in the table of pages_table_test.go: say there how it is run, or why it is not", page, first)
				}
			}
			if len(plan) > len(texts) {
				t.Fatalf("%s: there is no block that begins with %q any more", page, plan[len(texts)].first)
			}
			if slices.ContainsFunc(plan, func(b block) bool { return b.not == "" }) {
				run(t, texts, plan, &ports{from: 10_000 + os.Getpid()%50*400 + 12*i})
			}
		})
	}
	for _, page := range slices.Sorted(maps.Keys(typed)) {
		if !slices.Contains(pages, page) {
			t.Errorf("the table has %s, which is no page", page)
		}
	}
}

// ports are those for one page. They are below the system's own, any of which may be taken by a connection at any time.
type ports struct{ from int }

func (p *ports) next(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := strconv.Itoa(p.from)
		p.from++
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}

//go:embed testdata/reader.sh
var reader string

// run has a shell do what a page says, in a home and directory of its own, with a shop of its own and ports that are free.
func run(t *testing.T, texts []string, plan []block, free *ports) {
	for _, program := range []string{"bash", "curl"} {
		process.RequireProgram(t, program, "apt-get install "+program)
	}
	if strings.Contains(strings.Join(texts, ""), "redis-server ") {
		process.RequireProgram(t, "redis-server", "scripts/install-test-deps")
	}
	place, err := os.MkdirTemp("", "pages") // short enough for the name of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(place) })
	sim := shopsim.New(shopsim.Options{})
	server, err := sim.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	permanent := sim.IssueToken("", "", 0)
	secrets := map[string]string{
		"client_secret": shopsim.DefaultClientSecret, "shopify_client_secret": shopsim.DefaultClientSecret,
		"shopify_token": permanent,
	}
	for name, secret := range secrets {
		write(t, filepath.Join(place, "run/secrets", name), secret+"\n", 0o600)
	}
	for _, dir := range []string{"home", "work/bin", "etc/evergate", "run/evergate", "clients", "backup"} {
		if err := os.MkdirAll(filepath.Join(place, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(place, "ca.pem"), string(server.CAPEM), 0o600)
	for link, to := range map[string]string{"work/bin/evergate": binary, "work/deploy": absolute(t, root+"/deploy")} {
		if err := os.Symlink(to, filepath.Join(place, link)); err != nil {
			t.Fatal(err)
		}
	}

	// What a page names of a reader's machine is led to what there is here.
	pairs := []string{
		"/run/secrets/", place + "/run/secrets/", "/etc/evergate", place + "/etc/evergate", "/run/evergate/", place + "/run/evergate/",
		"/tmp/rehearsal", place + "/rehearsal", " /clients", " " + place + "/clients", "/usr/bin/evergate", binary,
		"acme.myshopify.com", shopsim.DefaultShop, "your-shop.myshopify.com", shopsim.DefaultShop,
		"shpat_...", permanent, "make build\n", "\n", "bin/evergate", "evergate", "PERMANENT", permanent,
		"THE-SHOP\n", shopsim.DefaultShop + "\n", "THE-ID\n", shopsim.DefaultClientID + "\n", "THE-SECRET\n", shopsim.DefaultClientSecret + "\n",
	}
	at := map[string]string{} // where what listens on a port of the pages is here
	for _, port := range []string{"8080", "9090", "8081", "9091", "4443", "4444", "8090", "8443", "6379"} {
		at[port] = free.next(t)
		pairs = append(pairs, ":"+port, ":"+at[port], "--port "+port, "--port "+at[port])
	}
	here := strings.NewReplacer(pairs...)

	var script strings.Builder
	script.WriteString(reader)
	for i, b := range plan {
		fmt.Fprintf(&script, "echo '=== %d'\n", i)
		if b.not == "" {
			fmt.Fprintf(&script, "%s\n{\n%s\n} <<TYPED\n%sTYPED\n%s\n", b.before, texts[i], b.types, b.after)
		}
	}
	script.WriteString("echo '=== end'\n")

	ctx, cancel := context.WithTimeout(t.Context(), 2*process.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", here.Replace(script.String()))
	// What it started in the background goes with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	cmd.Dir = filepath.Join(place, "work")
	cmd.Env = []string{
		"HOME=" + place + "/home", "TMPDIR=" + place, "PLACE=" + place, "PATH=" + filepath.Dir(binary) + ":" + os.Getenv("PATH"),
		"SHOPIFY_SHOP=" + shopsim.DefaultShop, "SHOPIFY_CLIENT_ID=" + shopsim.DefaultClientID, "SHOPIFY_CLIENT_SECRET_FILE=" + place + "/run/secrets/client_secret",
		"EVERGATE_UPSTREAM_URL=" + server.URL, "EVERGATE_UPSTREAM_CA_FILE=" + place + "/ca.pem",
		"EVERGATE_LISTEN=127.0.0.1:" + at["8080"], "EVERGATE_ADMIN_LISTEN=127.0.0.1:" + at["9090"],
		"SIMULATOR=" + strings.TrimPrefix(server.URL, "https://"), "JAVA_TOOL_OPTIONS=",
	}
	cmd.Env = append(cmd.Env, goEnvironment()...)
	var out bytes.Buffer // both: what a person sees
	cmd.Stdout, cmd.Stderr = &out, &out
	failure := cmd.Run()
	printed := out.String()
	for i, b := range plan {
		_, rest, ran := strings.Cut(printed, fmt.Sprintf("=== %d\n", i))
		part, _, ended := strings.Cut(rest, "=== ")
		switch {
		case !ran || b.not != "":
		case !ended:
			t.Fatalf("this block fails (%v), and what is after it is not run:\n%s\nprinted:\n%s", failure, texts[i], part)
		case !regexp.MustCompile(b.says).MatchString(part):
			t.Errorf("this block does not print %q:\n%s\nprinted:\n%s", b.says, texts[i], part)
		}
	}
	if failure != nil {
		t.Errorf("%v:\n%s", failure, printed)
	}
}

// goEnvironment is where Go finds what it keeps, for a block that asks it something in another home.
func goEnvironment() (environ []string) {
	for _, name := range []string{"GOPATH", "GOCACHE", "GOMODCACHE", "GOTOOLCHAIN"} {
		out, err := exec.Command("go", "env", name).Output()
		if err == nil {
			environ = append(environ, name+"="+strings.TrimSpace(string(out)))
		}
	}
	return environ
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}
