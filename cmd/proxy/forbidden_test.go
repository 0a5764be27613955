package main

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"evergate/internal/shopsim"
)

func TestStatusNamesTheAllowlistUntilTheRouteWorks(t *testing.T) {
	t.Parallel()
	sim, environ := simulated(t)
	r := start(environ, "serve")
	tools, operators := serving(t, r)
	const refusal = `{"errors":"private-words"}`
	sim.Inject(shopsim.Fault{Kind: shopsim.FaultStatus, Status: http.StatusForbidden, Body: refusal, Endpoint: shopsim.REST, Count: 1})
	for _, want := range []struct {
		status  int
		noticed bool
	}{{http.StatusForbidden, true}, {http.StatusOK, false}} {
		status, body := get(t, "http://"+tools+"/admin/api/2026-10/shop.json")
		if status != want.status || want.noticed && body != refusal {
			t.Fatalf("%d %s", status, body)
		}
		for _, page := range []string{"/status", "/"} {
			if _, said := get(t, "http://"+operators+page); strings.Contains(said, "IP allowlist") != want.noticed || strings.Contains(said, "private-words") {
				t.Errorf("after a %d, %s: %s", status, page, said)
			}
		}
	}
	r.signals <- os.Interrupt
	r.mustEnd(t, exitOK)
	if log := r.err.String(); strings.Count(log, "IP allowlist") != 1 || strings.Contains(log, "private-words") {
		t.Error(log)
	}
}
