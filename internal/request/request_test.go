package request

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestAViewHoldsTheClientsOwnBytes(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodPost, "/admin/%61pi?x=1", strings.NewReader("body"))
	r.Header["X-Two"] = []string{"b", "a"}
	r.TLS = &tls.ConnectionState{}
	local := &net.TCPAddr{Port: 1}
	known := "a key's caller"
	r = r.WithContext(WithConnection(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(local)), known))
	v := Of(r)
	if v.Method != http.MethodPost || v.Target != "/admin/%61pi?x=1" || v.Host != "example.com" || v.HTTP10 || !v.Query || v.Length != 4 {
		t.Errorf("%+v", v)
	}
	if v.Remote != r.RemoteAddr || v.Local != net.Addr(local) || v.TLS != r.TLS || v.Connection != any(known) {
		t.Errorf("the connection is %v, %v, %v, %v", v.Remote, v.Local, v.TLS, v.Connection)
	}
	if got := v.Fields.Values("X-Two"); !slices.Equal(got, []string{"b", "a"}) {
		t.Errorf("X-Two: %q", got)
	}
	if got := v.Fields.Values("x-two"); got != nil {
		t.Errorf("a name that is not canonical has %q", got)
	}
}

func TestWhatIsNotKnownIsZero(t *testing.T) {
	t.Parallel()
	v := Of(&http.Request{ProtoMajor: 1, ProtoMinor: 0, ContentLength: -1})
	if !v.HTTP10 || v.Query || v.Length != -1 || v.Local != nil || v.TLS != nil || v.Connection != nil {
		t.Errorf("%+v", v)
	}
	if got := v.Fields.Values("Host"); got != nil {
		t.Errorf("%q in no header", got)
	}
}

func TestNamesEndWhenToldTo(t *testing.T) {
	t.Parallel()
	h := Header{"A": nil, "B": {"1"}, "C": {"2"}}
	var all []string
	h.Names(func(name string) bool { all = append(all, name); return true })
	if slices.Sort(all); !slices.Equal(all, []string{"A", "B", "C"}) {
		t.Errorf("%q", all)
	}
	seen := 0
	h.Names(func(string) bool { seen++; return false })
	if seen != 1 {
		t.Errorf("%d names after the end", seen-1)
	}
}

func TestMakingAViewAllocatesNothing(t *testing.T) {
	r := &http.Request{Method: http.MethodGet, RequestURI: "/", URL: &url.URL{Path: "/"}, Header: http.Header{"A": {"b"}}}
	r = r.WithContext(WithConnection(t.Context(), "known"))
	if n := testing.AllocsPerRun(100, func() {
		if v := Of(r); v.Fields.Values("A") == nil {
			t.Error("no field")
		}
	}); n != 0 {
		t.Errorf("%.0f allocations", n)
	}
}
