//go:build linux

package system

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"evergate/internal/shopsim"
	"evergate/test/clients/machine"
	"evergate/test/process"
)

// The few lines that the manual shows for each client are run as they stand there.
func TestTheManualsLinesRun(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for _, c := range clients {
		title, _, _ := strings.Cut(c.name, ", HTTP/") // curl's versions of HTTP have one section
		if shown[title] {
			continue
		}
		shown[title] = true
		_, section, found := strings.Cut(string(text), "\n### "+title+"\n")
		_, fenced, opened := strings.Cut(section, "\n```")
		_, fenced, _ = strings.Cut(fenced, "\n") // the language
		code, _, closed := strings.Cut(fenced, "\n```\n")
		if !found || !opened || !closed {
			t.Errorf("%s shows no lines for %s", manual, title)
			continue
		}
		for _, way := range c.in {
			if way == bySocket || slices.Contains(c.fails, way) {
				continue
			}
			t.Run(nameOf(c, way), func(t *testing.T) {
				t.Parallel()
				c.require(t)
				mustGreet(t, newTrial(t, c, way, shopsim.Settings{}), way, code)
			})
		}
	}
}

// mustGreet runs lines that print the shop's name.
func mustGreet(t *testing.T, r *trial, way mode, code string) {
	t.Helper()
	const address = "https://" + machine.Shop
	if !strings.Contains(code, address) {
		t.Fatalf("they do not call %s: %s", address, code)
	}
	if way == byURL {
		code = strings.ReplaceAll(code, address, local)
	}
	r.start(t, r.client.interpreter(), r.Write(t, "program", code+"\n"))
	if code := r.child.ExitWithin(t, 2*process.Patience); code != 0 || !strings.Contains(r.child.Out.String(), "Acme") {
		t.Errorf("exit code %d, and it printed %q", code, r.child.Out.String())
	}
	if n := r.Stats().Routes["rest:shop"][http.StatusOK]; n != 1 {
		t.Errorf("%d calls reached Shopify", n)
	}
}
