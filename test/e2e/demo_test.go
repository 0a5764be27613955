package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"evergate/test/process"
)

// startDemo starts the demo and waits for its introduction.
func startDemo(t *testing.T) (p *process.Process, introduction string) {
	t.Helper()
	p = start(t, []string{"EVERGATE_LISTEN=127.0.0.1:0", "EVERGATE_ADMIN_LISTEN=127.0.0.1:0"}, "demo")
	p.AwaitText(t, &p.Out, "the introduction", func(text string) bool {
		introduction = text
		return strings.Contains(text, "Ctrl-C ends it.\n")
	})
	return p, introduction
}

var (
	curlCommand = regexp.MustCompile(`\bcurl .*`)
	demoURL     = regexp.MustCompile(`curl (http://[^/]+)/admin/`)
)

// mustCurl runs every curl command that the text shows, as a person would.
func mustCurl(t *testing.T, text string) {
	t.Helper()
	commands := curlCommand.FindAllString(text, -1)
	if len(commands) < 5 {
		t.Fatalf("only %d commands in\n%s", len(commands), text)
	}
	for _, c := range commands {
		cmd := exec.CommandContext(t.Context(), "bash", "-c", c+" --silent --show-error --fail --max-time 20")
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.TempDir()}
		if out, err := process.Output(cmd); err != nil || out == "" {
			t.Errorf("%s: %v\n%s", c, err, out)
		}
	}
}

func endDemo(t *testing.T, p *process.Process) {
	t.Helper()
	p.Signal(t, syscall.SIGINT)
	if code := p.Exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if said := p.Err.String(); said != "" {
		t.Errorf("on standard error: %s", said)
	}
}

func TestDemoServesAndEndsAtCtrlC(t *testing.T) {
	t.Parallel()
	p, introduction := startDemo(t)
	found := demoURL.FindStringSubmatch(introduction)
	if found == nil {
		t.Fatalf("no URL in\n%s", introduction)
	}
	a, err := exchange(t.Context(), newClient(t, "", ""), http.MethodGet, found[1]+api+"/products.json", "")
	if err != nil || a.status != http.StatusOK || !strings.Contains(a.body, "Product 1") {
		t.Errorf("%v, %v", a, err)
	}
	endDemo(t, p)
}

func TestDemosCommandsWork(t *testing.T) {
	t.Parallel()
	process.RequireProgram(t, "curl", "apt-get install curl")
	process.RequireProgram(t, "bash", "apt-get install bash")
	p, introduction := startDemo(t)
	mustCurl(t, introduction)
	endDemo(t, p)
}

func TestDemosCommandsWorkAfterARenewal(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for a token of 60 seconds to be renewed: not with -short")
	}
	process.RequireProgram(t, "curl", "apt-get install curl")
	process.RequireProgram(t, "bash", "apt-get install bash")
	p, introduction := startDemo(t)
	mustCurl(t, introduction)
	p.AwaitTextWithin(t, &p.Out, "a renewal", 48*time.Second+patience, func(text string) bool {
		return strings.Contains(text, "token renewed (number 2)")
	})
	mustCurl(t, introduction)
	endDemo(t, p)
}
