package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"evergate/internal/shopify"
	"evergate/internal/shopsim"
	"evergate/test/process"
)

// otherUser is a user other than root, whose processes its other processes can read as a rule.
const otherUser = 65534

// playProxy is Evergate itself as a process of its own, of another user if this one is root. A
// process that changes its user is hidden by that alone, so this is taken back first.
func playProxy(args string) {
	if os.Geteuid() == 0 {
		if err := syscall.Setgid(otherUser); err != nil {
			fmt.Println(err)
			os.Exit(98)
		}
		if err := syscall.Setuid(otherUser); err != nil {
			fmt.Println(err)
			os.Exit(98)
		}
		_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_DUMPABLE, 1, 0)
	}
	w := processEnv()
	w.args = strings.Fields(args)
	os.Exit(run(w))
}

func ownerOf(t *testing.T, path string) uint32 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Uid
}

func TestNobodyOfTheSameUserReadsTheSecretsFromProc(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	sim, upstream := plainShopify(t, shopsim.Options{})
	for _, args := range []string{"", "serve", "demo", "run -- sleep 600"} {
		admin := "127.0.0.1:" + process.FreePort(t)
		cmd := exec.CommandContext(t.Context(), self)
		cmd.Env = []string{
			"PROXY_TEST_COMMAND=proxy " + args, "PATH=" + os.Getenv("PATH"),
			"SHOPIFY_SHOP=" + shopsim.DefaultShop, "SHOPIFY_ACCESS_TOKEN=" + sim.IssueToken("", "", 0), "EVERGATE_UPSTREAM_URL=" + upstream,
			"EVERGATE_LISTEN=127.0.0.1:0", "EVERGATE_ADMIN_LISTEN=" + admin,
		}
		if args == "demo" {
			cmd.Env = []string{"PROXY_TEST_COMMAND=proxy demo", "EVERGATE_LISTEN=127.0.0.1:0", "EVERGATE_ADMIN_LISTEN=" + admin}
		}
		p := process.Launch(t, cmd)
		var scrape string
		process.Eventually(t, func() error {
			resp, err := http.Get("http://" + admin + "/metrics")
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			var b strings.Builder
			if err := resp.Write(&b); err != nil {
				return err
			}
			scrape = b.String()
			return nil
		})
		proc := fmt.Sprintf("/proc/%d/", cmd.Process.Pid)
		for _, name := range []string{"environ", "mem", "maps", "fd"} {
			if owner := ownerOf(t, proc+name); owner != 0 {
				t.Errorf("%q: %s belongs to %d: whoever is that user reads the secrets", args, name, owner)
			}
		}
		// What it reads of itself it goes on reading.
		for _, name := range []string{"process_open_fds", "process_max_fds", "process_resident_memory_bytes", "process_start_time_seconds"} {
			if value, found := process.Metric(scrape, name); !found || value <= 0 {
				t.Errorf("%q: %s is %v (there: %t)", args, name, value, found)
			}
		}
		p.Kill()
	}
}

// TestCommandsThatWaitForAPersonAreHiddenToo has one that waits with the client secret in its environment.
func TestCommandsThatWaitForAPersonAreHiddenToo(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	stdin, typed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	defer typed.Close()
	store, err := os.MkdirTemp("", "hidden-") // another user must get there, which t.TempDir does not let it
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(store)
	if err := os.Chmod(store, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Stdin = stdin
	cmd.Env = []string{
		"PROXY_TEST_COMMAND=proxy login --paste", "SHOPIFY_SHOP=" + shopsim.DefaultShop, "SHOPIFY_CLIENT_ID=" + shopsim.DefaultClientID,
		"SHOPIFY_CLIENT_SECRET=" + shopsim.DefaultClientSecret, "EVERGATE_STORE=file:" + store + "/grants",
	}
	p := process.Launch(t, cmd)
	p.AwaitText(t, &p.Out, "the address to open", func(said string) bool { return strings.Contains(said, "/admin/oauth/authorize?") })
	for _, name := range []string{"environ", "mem"} {
		if owner := ownerOf(t, fmt.Sprintf("/proc/%d/%s", cmd.Process.Pid, name)); owner != 0 {
			t.Errorf("%s belongs to %d: whoever is that user reads the secrets", name, owner)
		}
	}
}

// An agent is the command of `run` and the same user. It is told to look for whatever it could call Shopify with by itself.
func TestACommandThatLooksForTheTokenFindsNone(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	sim, upstream := plainShopify(t, shopsim.Options{})
	dir, err := os.MkdirTemp("", "hunt-") // another user must get there, which t.TempDir does not let it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	script, temporary := filepath.Join(dir, "hunt.sh"), filepath.Join(dir, "tmp")
	if err := errors.Join(os.Mkdir(temporary, 0o777), os.Chmod(dir, 0o777), os.Chmod(temporary, 0o777), os.WriteFile(script, []byte(`
env
cat /proc/[0-9]*/environ /proc/[0-9]*/task/*/environ /proc/[0-9]*/cmdline 2>/dev/null
grep -r . "$TMPDIR" 2>/dev/null
for what in mem maps environ; do
	if (: <"/proc/$PPID/$what") 2>/dev/null; then echo "the parent's $what can be read"; fi
done
echo "looked everywhere"
`), 0o644)); err != nil {
		t.Fatal(err)
	}
	secret := sim.IssueToken("", "", 0)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = []string{
		"PROXY_TEST_COMMAND=proxy run --policy read-only -- sh " + script, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + temporary, "MARK=that was found",
		"SHOPIFY_SHOP=" + shopsim.DefaultShop, "SHOPIFY_ACCESS_TOKEN=" + secret, "COPY=Bearer " + secret, "EVERGATE_UPSTREAM_URL=" + upstream,
	}
	out, err := cmd.Output()
	if found := string(out); err != nil || strings.Count(found, "MARK=that was found") < 2 || !strings.Contains(found, "SHOPIFY_ACCESS_TOKEN="+shopify.PlaceholderToken) ||
		!strings.HasSuffix(found, "looked everywhere\n") || !strings.Contains(found, "BEGIN CERTIFICATE") {
		t.Fatalf("it cannot look: %v\n%.2000s", err, found)
	}
	for what, text := range map[string]string{"the token": secret, "the token's name with something else than the placeholder": "COPY=", "a key of the local CA": "PRIVATE KEY", "memory": "can be read"} {
		if i := strings.Index(string(out), text); i >= 0 {
			t.Errorf("it finds %s: …%q", what, out[max(0, i-100):min(len(out), i+100)])
		}
	}
}
