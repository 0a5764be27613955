package inject

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// seen is a request as it reached the upstream.
type seen struct {
	uri, host string
	header    http.Header
	body      string
}

// recordingUpstream passes each request on to the returned channel and answers with "ok".
func recordingUpstream(t testing.TB) (http.HandlerFunc, <-chan seen) {
	requests := make(chan seen, 16)
	return func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("upstream: %v", err)
		}
		requests <- seen{r.RequestURI, r.Host, r.Header.Clone(), string(b)}
		_, _ = io.WriteString(w, "ok")
	}, requests
}

func TestCredentialsAndHopByHopHeadersEndHere(t *testing.T) {
	upstream, requests := recordingUpstream(t)
	r := newRig(t, upstream)
	r.do(t, "GET", "/admin/api/2026-10/shop.json", nil,
		"X-Shopify-Access-Token", "shpat_clients", "X_Shopify_Access_Token", "shpat_clients", "Content_Length", "5", "Authorization", "Bearer x",
		"Cookie", "a=b", "Forwarded", "for=1.2.3.4", "X-Forwarded-For", "1.2.3.4", "X-Forwarded-Anything", "x",
		"Referer", "http://localhost/x", "Te", "trailers", "Connection", "X-Mine, X-Shopify-Access-Token, User-Agent",
		"X-Mine", "1", "Keep-Alive", "5", "Proxy-Authorization", "x", "Upgrade", "h2c", "Http2-Settings", "x",
		"Accept-Encoding", "br", "Shopify-GraphQL-Cost-Debug", "1", "X-Request-Id", "42", "Accept-Language", "de")
	got := <-requests
	if got.host != shopDomain {
		t.Errorf("Host %q, want the shop's", got.host)
	}
	want := http.Header{"X-Shopify-Access-Token": {"shpat_first"}, "Accept-Encoding": {"br"}, "Shopify-Graphql-Cost-Debug": {"1"},
		"X-Request-Id": {"42"}, "Accept-Language": {"de"}}
	if fmt.Sprint(got.header) != fmt.Sprint(want) {
		t.Errorf("upstream saw\n %v, want\n %v", got.header, want)
	}
}

func TestNothingIsInvented(t *testing.T) {
	upstream, requests := recordingUpstream(t)
	r := newRig(t, upstream)
	_, answers := r.raw(t, "POST /admin/api/2026-10/graphql.json HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}")
	if _, err := http.ReadResponse(answers, nil); err != nil {
		t.Fatal(err)
	}
	got := <-requests
	want := http.Header{"X-Shopify-Access-Token": {"shpat_first"}, "Content-Length": {"2"}}
	if fmt.Sprint(got.header) != fmt.Sprint(want) || got.body != "{}" {
		t.Errorf("upstream saw %v %q, want %v", got.header, got.body, want)
	}
}

func TestPathAndQueryKeepTheirBytes(t *testing.T) {
	upstream, requests := recordingUpstream(t)
	r := newRig(t, upstream)
	for _, target := range []string{
		"/admin/api/2026-10/products.json?ids=1,2&x=%2F..%2F&y=a%20b+c;d",
		"/admin/api/2026-10/products.json?",
		"/admin/api/2026-10/products/caf%C3%A9%7e~!$&'()*+,=:@.json",
		"/admin/api/2026-10/\"<>[]^`{|}.json?\"<>",
		"/admin/api/2026-10/products/100%25.json",
	} {
		_, answers := r.raw(t, "GET "+target+" HTTP/1.1\r\nHost: localhost\r\n\r\n")
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %s", target, resp.StatusCode, text(t, resp))
			continue
		}
		if got := <-requests; got.uri != target {
			t.Errorf("upstream saw %s, want %s", got.uri, target)
		}
	}
}

func TestShopPrefixIsCutAndComesBackInLinks(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Link", `<https://`+shopDomain+req.RequestURI+`?page_info=a,b;c>; rel="next"`)
		w.Header().Set("Location", "https://"+shopDomain+req.RequestURI)
		w.WriteHeader(http.StatusCreated)
	})
	resp := r.do(t, "POST", "/"+shopDomain+"/admin/api/2026-10/products.json", strings.NewReader("{}"))
	base := r.url + "/" + shopDomain + "/admin/api/2026-10/products.json"
	if got, want := resp.Header.Get("Link"), "<"+base+`?page_info=a,b;c>; rel="next"`; got != want {
		t.Errorf("Link %s, want %s", got, want)
	}
	if got := resp.Header.Get("Location"); got != base {
		t.Errorf("Location %s, want %s", got, base)
	}
}

func TestClientThatUsesTheShopsOwnNameGetsItBack(t *testing.T) {
	const link = `<https://` + shopDomain + `/admin/api/2026-10/products.json?page_info=x>; rel="next"`
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Link", link) })
	_, answers := r.raw(t, "GET /admin/api/2026-10/products.json HTTP/1.1\r\nHost: "+shopDomain+"\r\n\r\n")
	resp, err := http.ReadResponse(answers, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.Header.Get("Link"); got != link {
		t.Errorf("Link %s, want it unchanged", got)
	}
}

func TestAnswerComesBackAsItIs(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h["Content-Type"] = nil
		h.Set("Set-Cookie", "a=b")
		h.Set("Strict-Transport-Security", "max-age=1")
		h.Set("Alt-Svc", "h3")
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("X-Request-Id", "r-1")
		h.Set("Content-Encoding", "gzip")
		h["Date"] = []string{"Thu, 01 Jan 2026 00:00:00 GMT"}
		w.WriteHeader(http.StatusLocked)
		_, _ = io.WriteString(w, "\x1f\x8b not really")
	})
	resp := r.do(t, "GET", "/admin/api/2026-10/shop.json", nil)
	if resp.StatusCode != http.StatusLocked || text(t, resp) != "\x1f\x8b not really" {
		t.Errorf("%d", resp.StatusCode)
	}
	want := http.Header{"X-Request-Id": {"r-1"}, "Content-Encoding": {"gzip"}, "Content-Length": {"13"},
		"Date": {"Thu, 01 Jan 2026 00:00:00 GMT"}}
	if fmt.Sprint(resp.Header) != fmt.Sprint(want) {
		t.Errorf("client saw\n %v, want\n %v", resp.Header, want)
	}
}

func TestRedirectIsPassedOnAndNotFollowed(t *testing.T) {
	calls := 0
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		calls++
		w.Header().Set("Location", "https://elsewhere.example/admin/api/2026-10/shop.json")
		w.WriteHeader(http.StatusMovedPermanently)
	})
	resp := r.do(t, "GET", "/admin/api/2026-10/shop.json", nil)
	if resp.StatusCode != http.StatusMovedPermanently || calls != 1 {
		t.Errorf("%d after %d calls", resp.StatusCode, calls)
	}
	if got := resp.Header.Get("Location"); got != "https://elsewhere.example/admin/api/2026-10/shop.json" {
		t.Errorf("Location %s", got)
	}
}

func TestUpgradeIsDroppedAndTheRequestServed(t *testing.T) {
	upstream, requests := recordingUpstream(t)
	r := newRig(t, upstream)
	resp := r.do(t, "GET", "/admin/api/2026-10/shop.json", nil,
		"Connection", "Upgrade, HTTP2-Settings", "Upgrade", "h2c", "HTTP2-Settings", "AAMAAABkAAQAoAAAAAIAAAAA")
	if resp.StatusCode != http.StatusOK {
		t.Errorf("%d", resp.StatusCode)
	}
	if got := <-requests; got.header["Upgrade"] != nil || got.header["Http2-Settings"] != nil {
		t.Errorf("upstream saw %v", got.header)
	}
}

func TestKeepAliveServesManyRequests(t *testing.T) {
	upstream, requests := recordingUpstream(t)
	r := newRig(t, upstream)
	conn, answers := r.raw(t, "")
	for i := range 5 {
		fmt.Fprintf(conn, "POST /admin/api/2026-10/graphql.json HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n%d", i)
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := text(t, resp); got != "ok" {
			t.Errorf("%q", got)
		}
		if got := <-requests; got.body != fmt.Sprint(i) {
			t.Errorf("upstream saw %q, want %d", got.body, i)
		}
	}
}

func TestRefusedRequestReachesNobody(t *testing.T) {
	upstream, requests := recordingUpstream(t)
	r := newRig(t, upstream)
	resp := r.do(t, "POST", "/admin/oauth/access_token", strings.NewReader("{}"))
	if resp.StatusCode != http.StatusForbidden || resp.Header.Get("X-Evergate-Error") == "" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	if len(requests) > 0 {
		t.Error("it reached the upstream")
	}
	if got := r.count(t, "evergate_denied_total", "denied_path"); got != 1 {
		t.Errorf("counted %v times", got)
	}
}

func TestHeadAndEmptyAnswersHaveNoBody(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodHead {
			w.Header().Set("Content-Length", "1234")
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	conn, answers := r.raw(t, "HEAD /admin/api/2026-10/shop.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
	head, err := http.ReadResponse(answers, &http.Request{Method: http.MethodHead})
	if err != nil || head.ContentLength != 1234 {
		t.Fatalf("%v %v", head, err)
	}
	fmt.Fprint(conn, "DELETE /admin/api/2026-10/products/1.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
	resp, err := http.ReadResponse(answers, nil)
	if err != nil || resp.StatusCode != http.StatusNoContent {
		t.Fatalf("%v %v", resp, err)
	}
	assertNothingMore(t, answers)
}

// assertNothingMore checks that no stray byte follows an answer.
func assertNothingMore(t *testing.T, answers *bufio.Reader) {
	t.Helper()
	if n := answers.Buffered(); n > 0 {
		b, _ := answers.Peek(n)
		t.Errorf("stray bytes %q", b)
	}
}
