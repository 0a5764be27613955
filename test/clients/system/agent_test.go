//go:build linux

package system

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"evergate/internal/shopsim"
	"evergate/test/clients/machine"
	"evergate/test/process"
)

// nobody is a user other than root, to whom the kernel does not show everything.
const nobody = 65534

// An agent that was given an address and a policy reads. It changes nothing, and whatever it looks at, there is no token and no secret.
func TestAnAgentReadsAndNeitherWritesNorFindsTheToken(t *testing.T) {
	t.Parallel()
	(client{name: "Python", probe: []string{python, "--version"}}).require(t)
	m := machine.New(t, shopsim.Settings{TokenLife: 2 * time.Second, RESTSize: 1e6, RESTLeak: 1e6}, 3)
	// It reads six times, one after the other, which takes longer than two tokens live.
	m.Inject(shopsim.Fault{Kind: shopsim.FaultDelay, Endpoint: shopsim.REST, Delay: pause, AfterCommit: true})
	var mu sync.Mutex
	secrets := []string{secret}
	m.OnToken(func(e shopsim.TokenEvent) {
		mu.Lock()
		defer mu.Unlock()
		secrets = append(secrets, e.Token)
	})
	dir, program := openTo(t, nobody)
	as := func(cmd []string, environ ...string) *process.Process {
		c := process.Command(t, cmd[0], append(environ, "HOME="+dir, "TMPDIR="+dir), cmd[1:]...)
		c.Dir, c.SysProcAttr = "/", &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		return process.Start(t, c)
	}
	as([]string{"sleep", "600"}, "MARK=another process of this user")
	var environ []string
	for _, e := range m.Environ {
		if name, value, _ := strings.Cut(e, "="); name == "EVERGATE_UPSTREAM_CA_FILE" {
			environ = append(environ, name+"="+copyTo(t, dir, value))
		} else if name != "EVERGATE_CA_DIR" { // `run` has it in memory
			environ = append(environ, e)
		}
	}
	agent := as([]string{binary, "run", "--policy", "read-only", "--", python, program}, environ...)
	if code := agent.ExitWithin(t, 4*process.Patience); code != 0 {
		t.Fatalf("exit code %d", code)
	}

	said := agent.Out.String() + agent.Err.String()
	for what, sign := range map[string]string{
		"what it may read":                     `"title":"Product 3"`,
		"a refusal":                            "X-Evergate-Error: read_only",
		"the metrics":                          "evergate_build_info",
		"the environment of another process":   "MARK=another process of this user",
		"the files that it was given":          "BEGIN CERTIFICATE",
		"that it looked to the end":            "--- done",
		"the placeholder":                      "SHOPIFY_ACCESS_TOKEN=shpat_00000000000000000000000000000000",
		"that what it did is in the audit log": `"msg":"denied"`,
	} {
		if !strings.Contains(said, sign) {
			t.Errorf("it did not see %s, so that the test shows nothing", what)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for _, known := range secrets {
		if i := strings.Index(said, known[len(known)/2:]); i >= 0 {
			t.Errorf("it found a token or a secret: …%q", said[max(0, i-200):min(len(said), i+100)])
		}
	}
	if i := strings.Index(said, "PRIVATE KEY-----"); i >= 0 {
		t.Errorf("it found a key: …%q", said[max(0, i-200):min(len(said), i+20)])
	}
	for _, e := range m.Journal() {
		if e.Route != "token" && e.Method != http.MethodGet && e.Method != http.MethodHead && !isQuery(e) {
			t.Errorf("%s %s reached Shopify: %q", e.Method, e.RequestURI, e.Body)
		}
	}
	if n := m.Stats().TokensMinted; n < 2 || n != len(secrets)-1 {
		t.Errorf("%d tokens were handed out, and %d are known", n, len(secrets)-1)
	}
}

// isQuery reports whether a call of GraphQL reads.
func isQuery(e shopsim.Entry) bool {
	return e.Route == "graphql" && !strings.Contains(string(e.Body), "mutation")
}

// openTo makes a directory of a user's own, with the agent in it.
func openTo(t *testing.T, user int) (dir, program string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent-") // t.TempDir lets no other user in
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	program = copyTo(t, dir, "testdata/agent.py")
	if err := os.Chown(dir, user, user); err != nil {
		process.Missing(t, err.Error(), "sudo go test ./test/clients/system")
	}
	return dir, program
}

// copyTo copies a file for everybody to read.
func copyTo(t *testing.T, dir, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, filepath.Base(path))
	if err := os.WriteFile(to, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return to
}
