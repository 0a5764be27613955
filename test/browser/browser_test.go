package browser

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"evergate/test/process"
)

// visit is what a person does in a browser; see login.cjs.
type visit struct {
	Chromium    string `json:"chromium"`
	Resolve     string `json:"resolve"`
	URL         string `json:"url"`
	Press       string `json:"press,omitempty"`
	End         string `json:"end"`
	Unreachable bool   `json:"unreachable,omitempty"`
	Shots       string `json:"shots"`
	Name        string `json:"name"`
}

// seen is what came of a visit: the page at its end, and the way there.
type seen struct {
	Addresses, Complaints, Cookies []string
	Status                         int
	Headers                        map[string]string
	Title, Lang, Text, HTML        string
	Headings                       []string
	Mains                          int
	Styled, Overflows              bool
	Contrast                       struct{ Light, Dark float64 }
}

// make makes the visit, with Chromium.
func (v visit) make(t *testing.T) seen {
	t.Helper()
	modules := requireBrowser(t)
	v.Chromium, _ = exec.LookPath("chromium")
	v.Name = strings.NewReplacer("/", "-", "Test", "").Replace(t.Name()) + v.Name
	v.Shots = shots(t)
	var came seen
	drive(t, "login.cjs", modules, 1, v, &came)
	return came
}

// drive runs a script that drives a browser: it reads the job and writes what it has seen, which takes time for every page.
func drive(t *testing.T, script, modules string, pages int, job, seen any) {
	t.Helper()
	in, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(3+pages)*process.Patience)
	defer cancel()
	var out, errw bytes.Buffer
	cmd := exec.CommandContext(ctx, "node", script)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "NODE_PATH=" + modules}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &errw
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it takes its browser along
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, &errw)
	}
	if err := json.Unmarshal(out.Bytes(), seen); err != nil {
		t.Fatalf("%v: %s", err, &out)
	}
}

// shots is the directory for photographs.
func shots(t *testing.T) string {
	if dir := os.Getenv("BROWSER_SCREENSHOTS"); dir != "" {
		return dir
	}
	return t.TempDir()
}

// mustBeGood checks what every page owes to whoever reads it.
func (s seen) mustBeGood(t *testing.T, secrets ...string) {
	t.Helper()
	if s.Lang != "en" || s.Mains != 1 || len(s.Headings) != 1 || s.Headings[0] != s.Title || !s.Styled || s.Overflows {
		t.Errorf("the page is not well made: %+v", s)
	}
	if s.Contrast.Light < 4.5 || s.Contrast.Dark < 4.5 {
		t.Errorf("it cannot be read: contrast %+v", s.Contrast)
	}
	if s.Headers["referrer-policy"] != "no-referrer" || !strings.HasPrefix(s.Headers["content-security-policy"], "default-src 'none'; style-src 'sha256-") {
		t.Errorf("%v", s.Headers)
	}
	for _, c := range s.Complaints {
		if !strings.Contains(c, "status of 4") { // Chromium says so of every such answer
			t.Errorf("the browser complains: %s", c)
		}
	}
	for _, secret := range append(secrets, "shpat_", "shprt_", "shpss_") {
		if strings.Contains(s.HTML, secret) {
			t.Errorf("the page holds %s", secret)
		}
	}
}

// requireBrowser ends the test where the browser or what drives it is not installed, and
// returns where playwright-core is.
func requireBrowser(t *testing.T) (modules string) {
	t.Helper()
	if testing.Short() {
		t.Skip("drives a browser: not with -short")
	}
	process.RequireProgram(t, "chromium", "apt-get install chromium")
	return process.NodeModules(t, "evergate-browser-test")
}
