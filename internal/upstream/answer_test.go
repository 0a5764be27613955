package upstream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"evergate/internal/wire"

	incoming "evergate/internal/request"
)

// released sends a request and reads the answer, and says whether what they are made of may be used again.
func released(t *testing.T, tr *Transport, method, url string, change func(r *http.Request)) bool {
	t.Helper()
	ctx := &Context{Context: t.Context()}
	r, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	change(r)
	resp, err := tr.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, before := resp.Header["X-Path"]; !before || ctx.Release() {
		t.Fatal("it is used again while it is read")
	}
	if text, err := io.ReadAll(resp.Body); err != nil || string(text) != "ok" || resp.Header.Get("X-Path") != r.URL.Path {
		t.Errorf("%q, %v, %q", text, err, resp.Header)
	}
	_ = resp.Body.Close()
	again := ctx.Release() // from here on resp may be another test's
	if again && ctx.Release() {
		t.Error("it was released twice")
	}
	return again
}

func TestNothingIsLeftOfWhatIsUsedAgain(t *testing.T) {
	t.Parallel()
	a := &answered{fields: wire.Sorted{Header: http.Header{"X-Path": {"/"}}, Passed: []byte("A: b\r\n")}, encoding: [1]string{"chunked"}}
	a.Response = http.Response{StatusCode: http.StatusOK, Header: a.fields.Header, Request: askOf(t, t.Context(), "http://x"), Body: &a.body, TransferEncoding: a.encoding[:]}
	header, body := a.Response.Header, a.Response.Body
	a.forget()
	if a.Body != nil || a.Header != nil || a.Request != nil || a.StatusCode != 0 || a.TransferEncoding != nil || a.encoding[0] != "" || len(a.fields.Header) > 0 || len(a.fields.Passed) > 0 {
		t.Errorf("%+v", a)
	}
	if len(header) > 0 {
		t.Errorf("who kept the header reads %v", header)
	}
	if n, err := body.Read(make([]byte, 1)); n != 0 || !errors.Is(err, errBodyClosed) {
		t.Errorf("who kept the body reads %d bytes, %v", n, err)
	}
}

// TestOnlyWhatNobodyHoldsIsUsedAgain says so of every way that a request takes.
func TestOnlyWhatNobodyHoldsIsUsedAgain(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Path", r.URL.Path)
		if r.URL.Path == "/foreign" {
			w.Header().Set("Pragma", "no-cache")
		}
		_, _ = io.WriteString(w, "ok")
	}))
	defer server.Close()
	tr := New(Options{Base: parse(t, server.URL), HeaderTimeout: testTimeout})
	defer tr.CloseIdleConnections()
	for range 3 {
		for name, c := range map[string]struct {
			path   string
			change func(r *http.Request)
			again  bool
		}{
			"an exchange":   {"/ordinary", func(*http.Request) {}, true},
			"net/http":      {"/net", func(r *http.Request) { r.Header.Set("Te", "trailers") }, false},
			"its answer":    {"/foreign", func(*http.Request) {}, false},
			"a long upload": {"/upload", func(r *http.Request) { r.Method, r.Body = http.MethodPost, io.NopCloser(strings.NewReader("body")) }, false},
		} {
			if got := released(t, tr, http.MethodGet, server.URL+c.path, c.change); got != (c.again && canTell) {
				t.Errorf("%s: it may be used again: %t", name, got)
			}
		}
	}
}

// TestARequestThatNetHTTPHasSeenStaysItsOwn is of one that is sent twice, as in a family: net/http may look at the first for longer.
func TestARequestThatNetHTTPHasSeenStaysItsOwn(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	tr := New(Options{Base: parse(t, server.URL), HeaderTimeout: testTimeout})
	defer tr.CloseIdleConnections()
	ctx := &Context{Context: t.Context()}
	r := askOf(t, ctx, server.URL)
	for _, te := range []string{"trailers", ""} {
		r.Header = http.Header{}
		if te != "" {
			r.Header.Set("Te", te)
		}
		resp, err := tr.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	if ctx.Release() {
		t.Error("it may be used again")
	}
}

func askOf(t *testing.T, ctx context.Context, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestARequestThatIsGivenUpEndsItsConnection is of a context that is watched without a channel.
func TestARequestThatIsGivenUpEndsItsConnection(t *testing.T) {
	t.Parallel()
	came := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(came)
		<-r.Context().Done()
	}))
	defer server.Close()
	tr := New(Options{Base: parse(t, server.URL), HeaderTimeout: testTimeout})
	defer tr.CloseIdleConnections()
	var ctx incoming.Context
	ctx.Begin(context.Background())
	go func() { <-came; ctx.End() }()
	if _, err := tr.RoundTrip(askOf(t, &Context{Context: &ctx}, server.URL)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
