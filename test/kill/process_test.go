//go:build linux

package kill

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	child "evergate/test/process"
)

// tape is what a process prints.
type tape struct{ child.Tape }

func (p *tape) next() (string, <-chan struct{}) { return p.Next() }

// process is `serve` as a child.
type process struct {
	cmd    *exec.Cmd
	log    tape          // standard output and error
	done   chan struct{} // closed when it has ended
	client *http.Client

	upstream string // its way to Shopify
}

// launch starts the binary with these settings and no others.
func launch(t *testing.T, environ []string, adjust ...func(*exec.Cmd)) *process {
	t.Helper()
	p := &process{cmd: exec.Command(program, "serve"), done: make(chan struct{})}
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent"}, environ...)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	p.cmd.WaitDelay = time.Second
	for _, e := range environ {
		if url, ok := strings.CutPrefix(e, "EVERGATE_UPSTREAM_URL="); ok {
			p.upstream = url
		}
	}
	for _, f := range adjust {
		f(p.cmd)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableCompression: true}
	p.client = &http.Client{Transport: transport, Timeout: patience}
	go func() { _ = p.cmd.Wait(); transport.CloseIdleConnections(); close(p.done) }()
	return p
}

// start is launch for a process that lives as long as the test.
func start(t *testing.T, environ []string, adjust ...func(*exec.Cmd)) *process {
	t.Helper()
	p := launch(t, environ, adjust...)
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("process %d printed:\n%s", p.cmd.Process.Pid, p.tail())
		}
	})
	return p
}

func (p *process) tail() string { s := p.log.String(); return s[max(0, len(s)-6<<10):] }

// kill ends the process with SIGKILL and waits for its end.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// stop ends the process with SIGTERM and returns its exit code.
func (p *process) stop(t *testing.T) int {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	return p.exit(t)
}

func (p *process) exit(t *testing.T) int {
	t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		t.Fatalf("still running after %s", patience)
		return -1
	}
}

// addressOf waits for a log line that says where a listener is. False means that the
// process ended first.
func (p *process) addressOf(message string) (string, bool) {
	deadline := time.After(patience)
	for {
		text, more := p.log.next()
		for line := range strings.Lines(text) {
			var l struct {
				Message string `json:"msg"`
				Address string `json:"address"`
			}
			if strings.HasSuffix(line, "\n") && json.Unmarshal([]byte(line), &l) == nil && l.Message == message {
				return l.Address, true
			}
		}
		select {
		case <-more:
		case <-p.done:
			return "", false
		case <-deadline:
			return "", false
		}
	}
}

// call sends a request through the proxy.
func (p *process) call() (status int, body string, err error) {
	return p.get("listening for tools", "/admin/api/2026-10/shop.json")
}

// report is what /status says.
type report struct {
	Ready       bool   `json:"ready"`
	State       string `json:"state"`
	Reauthorize bool   `json:"reauthorization_required"`
	Unsaved     string `json:"unsaved"`
	LastError   string `json:"last_error"`
}

func (p *process) status() (r report, err error) {
	_, body, err := p.get("listening for operators", "/status")
	if err == nil {
		err = json.Unmarshal([]byte(body), &r)
	}
	return r, err
}

func (p *process) get(listener, path string) (status int, body string, err error) {
	address, ok := p.addressOf(listener)
	if !ok {
		return 0, "", fmt.Errorf("the process has ended or never listened")
	}
	resp, err := p.client.Get("http://" + address + path)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// mustServe fails the test unless a request through the proxy succeeds.
func (p *process) mustServe(t *testing.T) {
	t.Helper()
	if status, body, err := p.call(); err != nil || status != http.StatusOK {
		t.Fatalf("a request got %d %s, %v", status, body, err)
	}
}

// says fails the test unless the log comes to hold every one of the pieces.
func (p *process) says(t *testing.T, pieces ...string) {
	t.Helper()
	deadline := time.After(patience)
	for {
		text, more := p.log.next()
		missing := ""
		for _, s := range pieces {
			if !strings.Contains(text, s) {
				missing = s
			}
		}
		if missing == "" {
			return
		}
		select {
		case <-more:
		case <-p.done:
			if text = p.log.String(); !strings.Contains(text, missing) { // the last words may come after the last look
				t.Fatalf("ended without saying %q", missing)
			}
		case <-deadline:
			t.Fatalf("does not say %q", missing)
		}
	}
}

// eventually asks until the answer is nil. It is for states that nothing announces.
func eventually(t *testing.T, ask func() error) {
	t.Helper()
	child.Eventually(t, ask)
}

// awaitStatus waits until /status satisfies ok.
func (p *process) awaitStatus(t *testing.T, what string, ok func(report) bool) {
	t.Helper()
	eventually(t, func() error {
		r, err := p.status()
		if err == nil && !ok(r) {
			err = fmt.Errorf("not %s: %+v", what, r)
		}
		return err
	})
}
