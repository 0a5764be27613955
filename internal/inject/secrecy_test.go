package inject

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"evergate/internal/upstream"
)

// answersRaw is an upstream that gives every request the same bytes and hangs up.
func answersRaw(t *testing.T, answer string) *httptest.Server {
	t.Helper()
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, answer)
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
		_ = conn.Close()
	}))
}

// What a broken answer holds is a customer's. Neither the log nor an answer of our own quotes it.
func TestBrokenAnswerIsNotQuoted(t *testing.T) {
	t.Parallel()
	const data = "jane.doe@customer.example"
	for name, answer := range map[string]string{
		"no_http":        data + "\r\n\r\n",
		"status":         "HTTP/1.1 " + data + "\r\n\r\n",
		"version":        data + "/1.1 200 OK\r\n\r\n",
		"header":         "HTTP/1.1 200 OK\r\n" + data + "\r\n\r\n",
		"header_name":    "HTTP/1.1 200 OK\r\n" + data + " : x\r\n\r\n",
		"length":         "HTTP/1.1 200 OK\r\nContent-Length: " + data + "\r\n\r\n",
		"two_lengths":    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: " + data + "\r\n\r\n",
		"transfer":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: " + data + "\r\n\r\n",
		"chunk":          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + data + "\r\n",
		"second_chunk":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n" + data + "\r\n",
		"trailer":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n1\r\na\r\n0\r\n" + data + "\r\n\r\n",
		"trailer_name":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n" + data + " x: y\r\n\r\n",
		"switch":         "HTTP/1.1 101 " + data + "\r\nUpgrade: " + data + "\r\nConnection: upgrade\r\n\r\n",
		"broken_off":     "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc",
		"interim_broken": "HTTP/1.1 103 Early\r\n" + data + "\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log journal
			r := newRigOn(t, answersRaw(t, answer), func(o *Options, _ *upstream.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
			resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(mustRequest(t, r.url+"/admin/api/2026-10/shop.json"))
			told := log.String()
			if err == nil {
				body, _ := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				told += string(body)
				if resp.StatusCode != http.StatusOK && (resp.StatusCode != http.StatusBadGateway || !strings.Contains(told, "not well-formed HTTP") && !strings.Contains(told, "which is none")) {
					t.Errorf("%s %s", resp.Status, told)
				}
			}
			told += log.String()
			if strings.Contains(told, "customer") {
				t.Error(told)
			}
			if !strings.Contains(told, "msg=") {
				t.Error("nothing was logged, so nothing was tried")
			}
		})
	}
}

func mustRequest(t *testing.T, target string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	return req
}
