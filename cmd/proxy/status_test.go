package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"evergate/internal/admin"
)

// reporting is an admin listener that answers with what report returns; its environment.
func reporting(t *testing.T, report func() any) []string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/status" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_ = json.NewEncoder(w).Encode(report())
	}))
	t.Cleanup(server.Close)
	return []string{"EVERGATE_ADMIN_LISTEN=" + server.Listener.Addr().String()}
}

func wellReport() admin.Report {
	now := time.Now()
	return admin.Report{
		Version: "1.2.3", Started: now.Add(-2*time.Hour - 30*time.Second), Ready: true, Shop: "acme.myshopify.com", Grant: "client_credentials", State: "fresh",
		TokenExpires: now.Add(23*time.Hour + 30*time.Second), NextRenewal: now.Add(17*time.Hour + 30*time.Second),
		Verdict: admin.Verdict{Level: admin.LevelOK, Code: "ok", Text: "All is well."},
		Tools:   []admin.Entrance{{URL: "http://127.0.0.1:8080"}, {URL: "unix:/run/evergate.sock"}}, Policy: "by default read-only",
		Calls:        &admin.CallReport{HourCalls: 120, HourFailed: 3, HourWaited: 5, RecentMinutes: 5, RecentCalls: 20},
		Unsuccessful: []admin.FailureReport{{Route: "rest:orders", Status: 403, Code: "read_only", Count: 2, Last: now.Add(-3*time.Hour - 30*time.Second)}, {Route: "graphql", Status: 502, Failed: true, Count: 1, Last: now}},
		Callers:      []admin.CallerReport{{Name: "erp", Calls: 100, Denied: 2, Waits: 5}},
		RateLimits:   []admin.LimitReport{{API: "rest", Available: 38, Capacity: 40}},
		Pacing:       admin.PacingReport{On: true, Waited: 5, Throttled: 1, LongestSeconds: 3.2, LongestCaller: "erp", LongestAt: now.Add(-2*time.Hour - 30*time.Second)},
		APIVersions:  []admin.VersionReport{{Version: "2026-10", Calls: 118}, {Version: "2024-01", Calls: 2, Retires: now.Add(-time.Hour)}},
	}
}

func TestStatusSaysWhatThePageSays(t *testing.T) {
	t.Parallel()
	o := execute(reporting(t, func() any { return wellReport() }), "status")
	if o.code != exitOK || o.err != "" {
		t.Errorf("%+v", o)
	}
	for _, want := range []string{
		"All is well.\n", "acme.myshopify.com, with client credentials; Evergate 1.2.3, up for 2h0m", "fresh, ends in 23h0m, is renewed in 17h0m",
		"http://127.0.0.1:8080\n", "   unix:/run/evergate.sock\n", "by default read-only", "120 in the last hour, 3 failed, 5 waited", "20 in the last 5 minutes, 0 failed",
		"rest:orders: 403 read_only, 2 times, 3h0m ago", "graphql: 502 by Shopify, 1 time", "erp: 100 calls, 2 denied, 5 waited", "rest: room for 38 of 40",
		"5 waited, 0 refused, Shopify throttled 1; the longest wait was 3.2 s: erp, 2h0m ago", "2024-01: 2 calls, retired on ",
	} {
		if !strings.Contains(o.out, want) {
			t.Errorf("no %q in\n%s", want, o.out)
		}
	}
	if strings.Contains(o.out, "\x1b") {
		t.Errorf("what is no terminal gets colours: %q", o.out)
	}
}

func TestStatusTellsByItsExitCodeWhetherCallsAreServed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*admin.Report)
		code   int
		said   string
	}{
		"warning": {func(r *admin.Report) {
			r.Verdict = admin.Verdict{Level: admin.LevelWarning, Text: "The renewal fails."}
		}, exitOK, "The renewal fails."},
		"error": {func(r *admin.Report) {
			r.Verdict = admin.Verdict{Level: admin.LevelError, Text: "Dead.", WhatToDo: "Run it."}
		}, exitFailure, "Dead.\nWhat to do: Run it.\n"},
		"starting": {func(r *admin.Report) { r.Ready, r.State, r.TokenExpires = false, "none", time.Time{} }, exitFailure, "token          none,"},
		"also": {func(r *admin.Report) {
			r.Also = []admin.Verdict{{Level: admin.LevelWarning, Text: "The clock is wrong."}}
		}, exitOK, "- The clock is wrong.\n"},
		"ended":   {func(r *admin.Report) { r.State, r.TokenExpires = "expired", time.Now().Add(-time.Hour-30*time.Second) }, exitOK, "expired, ended 1h0m ago"},
		"unpaced": {func(r *admin.Report) { r.Pacing = admin.PacingReport{} }, exitOK, "pacing         off"},
	} {
		r := wellReport()
		tc.change(&r)
		environ := reporting(t, func() any { return r })
		if o := execute(environ, "status"); o.code != tc.code || !strings.Contains(o.out, tc.said) {
			t.Errorf("%s: %d\n%s", name, o.code, o.out)
		}
		o := execute(environ, "status", "--json")
		var got admin.Report
		if err := json.Unmarshal([]byte(o.out), &got); err != nil || o.code != tc.code || got.Verdict != r.Verdict {
			t.Errorf("%s: %d, %v, %s", name, o.code, err, o.out)
		}
	}
}

func TestStatusWithoutASidecar(t *testing.T) {
	t.Parallel()
	if o := execute([]string{"EVERGATE_ADMIN_LISTEN=127.0.0.1:1"}, "status"); o.code != exitFailure || !strings.Contains(o.err, "no sidecar answers on 127.0.0.1:1") || o.out != "" {
		t.Errorf("%+v", o)
	}
	if o := execute(reporting(t, func() any { return "something else" }), "status"); o.code != exitFailure || !strings.Contains(o.err, "is no sidecar") {
		t.Errorf("%+v", o)
	}
	if o := execute(nil, "status", "--watch", "--every", "1ms"); o.code != exitConfig {
		t.Errorf("%+v", o)
	}
}

func TestStatusIsWatchedUntilASignal(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	environ := reporting(t, func() any {
		r := wellReport()
		if r.Started = time.Now(); asked.Add(1) > 1 {
			r.Verdict.Text = "It was worse."
		}
		return r
	})
	out, signals, code := newTail(), make(chan os.Signal, 1), make(chan int, 1)
	go func() {
		code <- run(env{args: []string{"status", "--watch", "--every", "100ms"}, environ: environ, out: out, err: out, signals: signals})
	}()
	out.next(t, has("All is well."))
	out.next(t, has("It was worse."))
	signals <- os.Interrupt
	if c := <-code; c != exitOK {
		t.Errorf("exit code %d\n%s", c, out)
	}
}

// What reads it may leave, as `head` does, and a disk may be full.
func TestStatusIsNotWatchedByNobody(t *testing.T) {
	t.Parallel()
	for _, more := range [][]string{nil, {"--json"}} {
		environ := reporting(t, func() any { return wellReport() })
		said := newTail()
		args := append([]string{"status", "--watch", "--every", "100ms"}, more...)
		if code := run(env{args: args, environ: environ, out: closedPipe{}, err: said}); code != exitFailure || !strings.Contains(said.String(), io.ErrClosedPipe.Error()) {
			t.Errorf("%q: exit code %d\n%s", more, code, said)
		}
	}
}

// TestStatusIsNotWatchedByAPipesReaderThatLeft has nothing new to write.
func TestStatusIsNotWatchedByAPipesReaderThatLeft(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("a pipe's reader is missed by a write alone there")
	}
	environ := reporting(t, wellReportAt(time.Now()))
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer write.Close()
	code := make(chan int, 1)
	go func() {
		code <- run(env{args: []string{"status", "--watch", "--every", "100ms"}, environ: environ, out: write, err: io.Discard})
	}()
	first := make([]byte, 16)
	if _, err := io.ReadFull(read, first); err != nil || string(first[:3]) != "All" {
		t.Fatalf("%q, %v", first, err)
	}
	_ = read.Close()
	if c := <-code; c != exitFailure {
		t.Errorf("exit code %d", c)
	}
}

// wellReportAt reports the same each time.
func wellReportAt(now time.Time) func() any {
	r := wellReport()
	r.TokenExpires, r.NextRenewal, r.Unsuccessful, r.Pacing.LongestSeconds = time.Time{}, time.Time{}, nil, 0
	r.Started = now.Add(-49 * time.Hour) // is said in days
	return func() any { return r }
}

// closedPipe is a pipe whose reader has left.
type closedPipe struct{}

func (closedPipe) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestStatusShowsWhatATerminalWouldObey(t *testing.T) {
	t.Parallel()
	const hostile = "red\x1b[31m\x1b]0;title\a\u009b2J\u202e\r\nline"
	environ := reporting(t, func() any {
		r := wellReport()
		r.Verdict.Text, r.Shop, r.Policy = hostile, hostile, hostile
		r.Callers = append(r.Callers, admin.CallerReport{Name: hostile})
		return r
	})
	o := execute(environ, "status")
	if o.code != exitOK || strings.ContainsAny(o.out, "\x1b\a\u009b\u202e\r") || strings.Count(o.out, "red\\u001b[31m\\u001b]0;title\\u0007\\u009b2J\\u202e  line") != 4 {
		t.Errorf("%q", o.out)
	}
}
