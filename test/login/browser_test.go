package login

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// visit is what a person does in a browser; see browser.cjs.
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
	if v.Shots = os.Getenv("LOGIN_SCREENSHOTS"); v.Shots == "" {
		v.Shots = t.TempDir()
	}
	job, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	var out, errw bytes.Buffer
	cmd := exec.CommandContext(ctx, "node", "browser.cjs")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "NODE_PATH=" + modules}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(job), &out, &errw
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it takes its browser along
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		t.Fatalf("the visit: %v\n%s", err, &errw)
	}
	var s seen
	if err := json.Unmarshal(out.Bytes(), &s); err != nil {
		t.Fatalf("%v: %s", err, &out)
	}
	return s
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
	for _, program := range []string{"chromium", "node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			pkg := map[string]string{"node": "nodejs"}[program]
			if pkg == "" {
				pkg = program
			}
			missing(t, program+" is not installed", "apt-get install "+pkg)
		}
	}
	modules, err := installModules()
	if err != nil {
		missing(t, err.Error(), "npm ci --ignore-scripts, in test/login")
	}
	return modules
}

// missing skips the test on a person's machine. Where everything has to be there, a skipped
// test would be a hole nobody sees, so it fails.
func missing(t *testing.T, what, remedy string) {
	t.Helper()
	if os.Getenv("CI") != "" || os.Getenv("TEST_COMPONENTS") == "required" {
		t.Fatalf("%s: run `%s`", what, remedy)
	}
	t.Skipf("%s: to run this test, `%s`", what, remedy)
}

// installModules installs what package-lock.json names, once for each state of that file:
// from then on no network is needed.
func installModules() (modules string, err error) {
	lock, err := os.ReadFile("package-lock.json")
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(lock)
	home := filepath.Join(cache, "evergate-login-test", hex.EncodeToString(sum[:8]))
	modules = filepath.Join(home, "node_modules")
	if _, err := os.Stat(modules); err == nil {
		return modules, nil
	}
	if err := os.MkdirAll(filepath.Dir(home), 0o755); err != nil {
		return "", err
	}
	temp, err := os.MkdirTemp(filepath.Dir(home), "new-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)
	manifest, err := os.ReadFile("package.json")
	if err != nil {
		return "", err
	}
	for name, content := range map[string][]byte{"package.json": manifest, "package-lock.json": lock} {
		if err := os.WriteFile(filepath.Join(temp, name), content, 0o644); err != nil {
			return "", err
		}
	}
	cmd := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = temp
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("playwright-core is not installed: npm ci: %w: %s", err, out)
	}
	// Whole or not at all; another test process may be faster.
	if err := os.Rename(temp, home); err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, syscall.ENOTEMPTY) {
		return "", err
	}
	return modules, nil
}
