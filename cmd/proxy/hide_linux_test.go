package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

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
	sim := shopsim.New(shopsim.Options{})
	server, err := sim.StartPlain("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	for _, args := range []string{"", "serve", "demo", "run -- sleep 600"} {
		admin := "127.0.0.1:" + process.FreePort(t)
		cmd := exec.CommandContext(t.Context(), self)
		cmd.Env = []string{
			"PROXY_TEST_COMMAND=proxy " + args, "PATH=" + os.Getenv("PATH"),
			"SHOPIFY_SHOP=" + shopsim.DefaultShop, "SHOPIFY_ACCESS_TOKEN=" + sim.IssueToken("", "", 0), "EVERGATE_UPSTREAM_URL=" + server.URL,
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
