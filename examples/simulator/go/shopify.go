// Package shopify starts a simulated Shopify for a test. Copy this file: it needs Go's own library, and `evergate` on
// the PATH.
package shopify

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Simulator is a simulated Shopify that runs until the end of a test.
type Simulator struct {
	URL          string `json:"url"`
	ControlURL   string `json:"control_url"`
	Shop         string `json:"shop"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
}

// Start starts a simulator on free ports. The test fails if the code under test did anything that is in its report.
func Start(t testing.TB, args ...string) *Simulator {
	t.Helper()
	cmd := exec.Command("evergate", append([]string{
		"simulate", "--plain", "--json", "--strict", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0",
	}, args...)...)
	cmd.Stderr = t.Output()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the simulator has something to report: %v", err)
		}
	})
	var s Simulator
	if err := json.NewDecoder(stdout).Decode(&s); err != nil {
		t.Fatalf("the simulator did not start: %v", err)
	}
	return &s
}

// Control gives an order, such as Control(t, "faults", `{"kind":"drop","endpoint":"token","count":1}`).
func (s *Simulator) Control(t testing.TB, what, body string) {
	t.Helper()
	resp, err := http.Post(s.ControlURL+"/_sim/"+what, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s", what, body, resp.Status)
	}
}
