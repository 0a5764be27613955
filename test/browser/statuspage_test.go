package browser

import (
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"evergate/internal/shopsim"
	"evergate/test/process"
)

// pageSeen is what came of looking at the status page; see statuspage.cjs.
type pageSeen struct {
	Live struct {
		Complaints, Requests           []string
		Title, Text                    string
		FirstFocus, NextFocus          string
		Tooltip, Local                 string
		Reloaded, FocusKept, Overflows bool
		Lost, Back                     struct{ Title, Verdict, Icon string }
	}
	Plain  struct{ Text, Refresh string }
	Faults []string
}

func lookAtStatusPage(t *testing.T, p *child, url, call string) pageSeen {
	t.Helper()
	modules := requireBrowser(t)
	chromium, _ := exec.LookPath("chromium")
	var came pageSeen
	drive(t, "statuspage.cjs", modules, 1, map[string]any{"chromium": chromium, "url": url, "call": call, "shots": shots(t), "pid": p.Cmd.Process.Pid}, &came)
	return came
}

func TestTheStatusPageShowsALivingSidecar(t *testing.T) {
	t.Parallel()
	requireBrowser(t)
	s := newShopify(t, shopsim.Options{Seed: 7})
	p := start(t, append(s.environ, "EVERGATE_TOKEN_WAIT=20s"), "serve")
	tools, operators := "http://"+p.address(t, "listening for tools"), "http://"+p.address(t, "listening for operators")
	call := tools + products
	for range 25 {
		get(t, call, http.StatusOK)
	}
	get(t, tools+"/admin/oauth/authorize", http.StatusForbidden)

	seen := lookAtStatusPage(t, p, operators+"/", call)
	if len(seen.Live.Complaints) > 0 || len(seen.Faults) > 0 {
		t.Errorf("the browser complains %q; axe finds %q", seen.Live.Complaints, seen.Faults)
	}
	for _, text := range []string{seen.Live.Text, seen.Plain.Text} {
		for _, want := range []string{"All is well.", "client credentials", "Next renewal", "REST: room for", "of 40 calls", "waited for the rate limit", "supported until"} {
			if !strings.Contains(text, want) {
				t.Errorf("the page does not say %q:\n%s", want, text)
			}
		}
	}
	if seen.Live.Reloaded || !seen.Live.FocusKept || seen.Live.Overflows {
		t.Errorf("reloaded %v, focus kept %v, wider than a phone %v", seen.Live.Reloaded, seen.Live.FocusKept, seen.Live.Overflows)
	}
	if seen.Live.FirstFocus != "Skip to the token" || seen.Live.NextFocus != "Status as JSON" {
		t.Errorf("the Tab key leads to %q and then to %q", seen.Live.FirstFocus, seen.Live.NextFocus)
	}
	if slices.ContainsFunc(seen.Live.Requests, func(p string) bool { return p != "/" && p != "/events" }) {
		t.Errorf("the page loads %q", seen.Live.Requests)
	}
	if seen.Live.Tooltip == "" || seen.Live.Tooltip != seen.Live.Local {
		t.Errorf("the tooltip of a time is %q, and the reader's time %q", seen.Live.Tooltip, seen.Live.Local)
	}
	if lost := seen.Live.Lost; !strings.HasPrefix(lost.Title, "? Connection lost") || !strings.Contains(lost.Verdict, "is lost") {
		t.Errorf("while the sidecar hangs: %+v", lost)
	}
	if back := seen.Live.Back; !strings.HasPrefix(back.Title, "✓ All is well") || !strings.Contains(back.Verdict, "All is well.") || back.Icon == seen.Live.Lost.Icon {
		t.Errorf("when it goes on: %+v", back)
	}
	if !strings.Contains(seen.Plain.Refresh, "refresh") {
		t.Errorf("without a script nothing reloads the page: %q", seen.Plain.Refresh)
	}
	p.stop(t)
}

func get(t *testing.T, url string, want int, header ...string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	client := http.Client{Timeout: process.Patience}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != want {
		t.Fatalf("%s: %d, %v", url, resp.StatusCode, err)
	}
}

func getJSON(t *testing.T, url string, into any) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		t.Fatalf("%s: %v", url, err)
	}
}
