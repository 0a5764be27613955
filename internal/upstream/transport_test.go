package upstream

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
)

// A caller that knows that nothing was sent may say so, and need not charge a rate limit.
func TestFailureToConnectIsADialError(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.NotFoundHandler())
	plain.Close()
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)
	for name, base := range map[string]string{"nobody listens": plain.URL, "a certificate nobody trusts": untrusted.URL} {
		tr := New(Options{Base: parse(t, base), HeaderTimeout: testTimeout})
		resp, err := tr.RoundTrip(request(t, "POST", base))
		var dial *DialError
		if !errors.As(err, &dial) {
			t.Errorf("%s: %v %v, want a DialError", name, resp, err)
		}
	}
}

func TestBrokenConnectionIsNoDialError(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	t.Cleanup(server.Close)
	resp, err := New(Options{Base: parse(t, server.URL), HeaderTimeout: testTimeout}).RoundTrip(request(t, "POST", server.URL))
	var dial *DialError
	if err == nil || errors.As(err, &dial) {
		t.Errorf("%v %v: it was sent", resp, err)
	}
}

// Whatever a request says, it goes to the upstream: a URL of another host is dialled nowhere.
func TestRequestGoesToTheUpstreamOnly(t *testing.T) {
	t.Parallel()
	here := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	t.Cleanup(here.Close)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("dialled another host") }))
	t.Cleanup(elsewhere.Close)
	tr := New(Options{Base: parse(t, here.URL), HeaderTimeout: testTimeout})
	t.Cleanup(tr.CloseIdleConnections)
	resp, err := tr.RoundTrip(request(t, "GET", elsewhere.URL))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusTeapot {
		t.Error(resp.Status)
	}
}
