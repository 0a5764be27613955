//go:build linux

package kill

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"evergate/test/process"
)

// sidecar is `serve` as a child.
type sidecar struct {
	*process.Process
	client *http.Client

	upstream string // its way to Shopify
}

// launch starts the binary with these settings and no others. The test kills it.
func launch(t *testing.T, environ []string, adjust ...func(*exec.Cmd)) *sidecar {
	t.Helper()
	return begin(t, process.Launch, environ, adjust)
}

// start is launch for a process that lives as long as the test.
func start(t *testing.T, environ []string, adjust ...func(*exec.Cmd)) *sidecar {
	t.Helper()
	return begin(t, process.Start, environ, adjust)
}

func begin(t *testing.T, run func(testing.TB, *exec.Cmd) *process.Process, environ []string, adjust []func(*exec.Cmd)) *sidecar {
	t.Helper()
	cmd := exec.Command(program, "serve")
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent"}, environ...)
	for _, f := range adjust {
		f(cmd)
	}
	transport := &http.Transport{DisableCompression: true}
	p := &sidecar{Process: run(t, cmd), client: &http.Client{Transport: transport, Timeout: patience}}
	for _, e := range environ {
		if url, ok := strings.CutPrefix(e, "EVERGATE_UPSTREAM_URL="); ok {
			p.upstream = url
		}
	}
	go func() { <-p.Done; transport.CloseIdleConnections() }()
	return p
}

// stop ends the process with SIGTERM and returns its exit code.
func (p *sidecar) stop(t *testing.T) int {
	t.Helper()
	p.Signal(t, syscall.SIGTERM)
	return p.Exit(t)
}

// addressOf waits for a log line that says where a listener is. False means that the
// process ended first.
func (p *sidecar) addressOf(message string) (address string, ok bool) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := p.Printed(ctx, &p.Err, func(string) bool {
		lines := p.Logged(message)
		if len(lines) > 0 {
			address = lines[0].Address
		}
		return len(lines) > 0
	})
	return address, err == nil
}

// call sends a request through the proxy.
func (p *sidecar) call() (status int, body string, err error) {
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

func (p *sidecar) status() (r report, err error) {
	_, body, err := p.get("listening for operators", "/status")
	if err == nil {
		err = json.Unmarshal([]byte(body), &r)
	}
	return r, err
}

func (p *sidecar) get(listener, path string) (status int, body string, err error) {
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
func (p *sidecar) mustServe(t *testing.T) {
	t.Helper()
	if status, body, err := p.call(); err != nil || status != http.StatusOK {
		t.Fatalf("a request got %d %s, %v", status, body, err)
	}
}

// says fails the test unless the log comes to hold every one of the pieces.
func (p *sidecar) says(t *testing.T, pieces ...string) {
	t.Helper()
	for _, piece := range pieces {
		p.AwaitText(t, &p.Err, fmt.Sprintf("it said %q", piece), func(text string) bool { return strings.Contains(text, piece) })
	}
}

// awaitStatus waits until /status satisfies ok.
func (p *sidecar) awaitStatus(t *testing.T, what string, ok func(report) bool) {
	t.Helper()
	process.Eventually(t, func() error {
		r, err := p.status()
		if err == nil && !ok(r) {
			err = fmt.Errorf("not %s: %+v", what, r)
		}
		return err
	})
}
