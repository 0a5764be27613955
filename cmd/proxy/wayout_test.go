package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"evergate/internal/check"
)

// forwardProxy carries CONNECT for whoever knows the password, and counts the tunnels.
func forwardProxy(t *testing.T, password string) (address string, tunnels *atomic.Int32) {
	t.Helper()
	tunnels = new(atomic.Int32)
	p := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Authorization", r.Header.Get("Proxy-Authorization")) // for BasicAuth
		if _, given, _ := r.BasicAuth(); r.Method != http.MethodConnect || given != password {
			http.Error(w, "", http.StatusProxyAuthRequired)
			return
		}
		there, err := net.Dial("tcp", r.Host)
		if err != nil {
			http.Error(w, "", http.StatusBadGateway)
			return
		}
		here, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		tunnels.Add(1)
		_, _ = io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { _, _ = io.Copy(here, there); _ = here.Close() }()
		go func() { _, _ = io.Copy(there, here); _ = there.Close() }()
	}))
	t.Cleanup(p.Close)
	return p.Listener.Addr().String(), tunnels
}

func TestCallsAndTokensGoThroughTheProxy(t *testing.T) {
	t.Parallel()
	const password = "a-proxys-password"
	_, environ := simulated(t)
	address, tunnels := forwardProxy(t, password)
	s := start(append(environ, "EVERGATE_UPSTREAM_PROXY=http://user:"+password+"@"+address))
	tools, operators := serving(t, s)
	if status, body := get(t, "http://"+tools+"/admin/api/2026-10/shop.json"); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	if tunnels.Load() == 0 {
		t.Error("nothing went through the proxy")
	}
	_, page := get(t, "http://"+operators+"/status")
	s.signals <- os.Interrupt
	s.mustEnd(t, exitOK)
	log := s.err.String()
	if strings.Contains(log+page, password) || !strings.Contains(log, "http://"+address) {
		t.Errorf("the proxy's name is missing, or its password is told:\n%s", log)
	}
}

func TestCheckSaysWhichWayIsTaken(t *testing.T) {
	t.Parallel()
	const password = "a-proxys-password"
	address, _ := forwardProxy(t, password)
	for name, tc := range map[string]struct {
		set    string
		code   int
		status check.Status
		say    string
	}{
		"direct":  {"EVERGATE_UPSTREAM_PROXY=", exitOK, check.OK, "directly, from 127.0.0.1"},
		"through": {"EVERGATE_UPSTREAM_PROXY=http://u:" + password + "@" + address, exitOK, check.OK, "through the proxy http://" + address},
		"refused": {"EVERGATE_UPSTREAM_PROXY=http://u:wrong-" + password + "@" + address, exitFailure, check.Fail, "the proxy http://" + address + " does not accept"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newGrantShop(t, tc.set)
			byName, _ := s.results(t, tc.code)
			if r := byName["connection"]; r.Status != tc.status || !strings.Contains(r.String(), tc.say) || strings.Contains(r.String(), password) {
				t.Errorf("%s", r)
			}
		})
	}
}
