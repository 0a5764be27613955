package browser

import (
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"evergate/internal/shopsim"
)

// pageSeen is what came of looking at the status page; see statuspage.cjs.
type pageSeen struct {
	Live struct {
		Complaints, Requests           []string
		Title, Text                    string
		FirstFocus, NextFocus          string
		Reloaded, FocusKept, Overflows bool
	}
	Plain  struct{ Text, Refresh string }
	Faults []string
}

func lookAtStatusPage(t *testing.T, url, call string) pageSeen {
	t.Helper()
	modules := requireBrowser(t)
	chromium, _ := exec.LookPath("chromium")
	var came pageSeen
	drive(t, "statuspage.cjs", modules, map[string]string{"chromium": chromium, "url": url, "call": call, "shots": shots(t)}, &came)
	return came
}

func TestTheStatusPageShowsALivingSidecar(t *testing.T) {
	t.Parallel()
	requireBrowser(t)
	s := newShopify(t, shopsim.Options{Seed: 7})
	p := start(t, append(s.environ, "EVERGATE_TOKEN_WAIT=20s"), "serve")
	tools, operators := "http://"+p.address(t, "listening for tools"), "http://"+p.address(t, "listening for operators")
	call := tools + "/admin/api/2026-01/products.json"
	for range 25 {
		get(t, call, http.StatusOK)
	}
	get(t, tools+"/admin/oauth/authorize", http.StatusForbidden)

	seen := lookAtStatusPage(t, operators+"/", call)
	if len(seen.Live.Complaints) > 0 || len(seen.Faults) > 0 {
		t.Errorf("the browser complains %q; axe finds %q", seen.Live.Complaints, seen.Faults)
	}
	for _, text := range []string{seen.Live.Text, seen.Plain.Text} {
		for _, want := range []string{"All is well.", "client_credentials", "Next renewal", "REST: room for", "of 40 calls", "waited for the rate limit", "2026-01"} {
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
	if slices.ContainsFunc(seen.Live.Requests, func(p string) bool { return p != "/" && p != "/events" && p != "/favicon.ico" }) {
		t.Errorf("the page loads %q", seen.Live.Requests)
	}
	if !strings.Contains(seen.Plain.Refresh, "refresh") {
		t.Errorf("without a script nothing reloads the page: %q", seen.Plain.Refresh)
	}
	p.stop(t)
}

func get(t *testing.T, url string, want int) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != want {
		t.Fatalf("%s: %d, %v", url, resp.StatusCode, err)
	}
}
