package inject

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"evergate/internal/denial"
	"evergate/internal/token"
)

// testPatience bounds what would otherwise hang; it is never waited for in a test that passes.
const testPatience = 20 * time.Second

func TestFirstBytesOfASlowAnswerGoOutAtOnce(t *testing.T) {
	for _, length := range []string{"", "10"} {
		t.Run("length_"+length, func(t *testing.T) {
			goOn := make(chan struct{})
			r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
				if length != "" {
					w.Header().Set("Content-Length", length)
				}
				w.WriteHeader(http.StatusOK)
				_ = http.NewResponseController(w).Flush()
				waitFor(req.Context(), goOn) // the client must see the header before this
				_, _ = io.WriteString(w, "first")
				_ = http.NewResponseController(w).Flush()
				waitFor(req.Context(), goOn) // and these bytes before this
				_, _ = io.WriteString(w, "last.")
			})
			_, answers := r.raw(t, "GET /admin/api/2026-10/shop.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
			resp, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatal(err)
			}
			goOn <- struct{}{}
			b := make([]byte, 5)
			if _, err := io.ReadFull(resp.Body, b); err != nil || string(b) != "first" {
				t.Fatalf("%q %v", b, err)
			}
			goOn <- struct{}{}
			if rest := text(t, resp); rest != "last." {
				t.Errorf("%q", rest)
			}
		})
	}
}

func waitFor(ctx context.Context, ch <-chan struct{}) {
	select {
	case <-ch:
	case <-ctx.Done():
	case <-time.After(testPatience):
	}
}

func TestUploadOfUnknownLengthIsStreamed(t *testing.T) {
	first := make(chan string)
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		b := make([]byte, 5)
		_, _ = io.ReadFull(req.Body, b)
		first <- string(b)
		rest, _ := io.ReadAll(req.Body)
		_, _ = w.Write(append(b, rest...))
	})
	conn, answers := r.raw(t, "POST /admin/api/2026-10/products.json HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
	if got := <-first; got != "first" {
		t.Fatalf("%q", got)
	}
	fmt.Fprint(conn, "4\r\nlast\r\n0\r\n\r\n")
	resp, err := http.ReadResponse(answers, nil)
	if err != nil || text(t, resp) != "firstlast" {
		t.Errorf("%v %v", resp, err)
	}
}

func TestAnswerThatBreaksOffBreaksTheClientsConnection(t *testing.T) {
	for _, length := range []string{"", "Content-Length: 100\r\n"} {
		t.Run("length_"+fmt.Sprint(length != ""), func(t *testing.T) {
			r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				framing, body := length, "part"
				if framing == "" {
					framing, body = "Transfer-Encoding: chunked\r\n", "4\r\npart\r\n"
				}
				fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\n%s\r\n%s", framing, body)
			})
			resp := r.do(t, "GET", "/admin/api/2026-10/shop.json", nil)
			got, err := io.ReadAll(resp.Body)
			if err == nil {
				t.Error("the answer looks whole")
			}
			if string(got) != "part" {
				t.Errorf("%q, want what had come", got)
			}
		})
	}
}

func TestClientThatGoesAwayCancelsTheRequestToShopify(t *testing.T) {
	arrived, gone := make(chan struct{}), make(chan struct{})
	r := newRig(t, func(_ http.ResponseWriter, req *http.Request) {
		close(arrived)
		<-req.Context().Done()
		close(gone)
	})
	conn, _ := r.raw(t, "GET /admin/api/2026-10/shop.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
	<-arrived
	_ = conn.Close()
	select {
	case <-gone:
	case <-time.After(testPatience):
		t.Fatal("the upstream request goes on")
	}
}

func TestMalformedChunkedBodyIsTheClientsMistake(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) { _, _ = io.Copy(w, req.Body) })
	_, answers := r.raw(t, "POST /admin/api/2026-10/products.json HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\nzz\r\n")
	resp, err := http.ReadResponse(answers, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusBadRequest || resp.Header.Get("X-Evergate-Error") != denial.CodeBadBody {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
}

func TestSilentUpstreamIsATimeOut(t *testing.T) {
	r := newRig(t, func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() }, withHeaderTimeout(50*time.Millisecond))
	resp := r.do(t, "GET", "/admin/api/2026-10/shop.json", nil)
	if resp.StatusCode != http.StatusGatewayTimeout || resp.Header.Get("X-Evergate-Error") != denial.CodeUpstreamTimeout {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
}

func TestUnreachableUpstreamIsABadGateway(t *testing.T) {
	r := newRig(t, func(http.ResponseWriter, *http.Request) {})
	r.upstream.Close()
	resp := r.do(t, "POST", "/admin/api/2026-10/products.json", strings.NewReader("{}"))
	body := text(t, resp)
	if resp.StatusCode != http.StatusBadGateway || !strings.Contains(body, "nothing was sent") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

func TestNoTokenIsUnavailableWithAnIntegerRetryAfter(t *testing.T) {
	for wait, want := range map[time.Duration]string{0: "1", 1200 * time.Millisecond: "2", time.Minute: "60"} {
		r := newRig(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent without a token") },
			withTokenError(&token.UnavailableError{Err: errors.New("app_not_installed: install it"), RetryAfter: wait}))
		resp := r.do(t, "GET", "/admin/api/2026-10/shop.json", nil)
		body := text(t, resp)
		if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") != want ||
			resp.Header.Get("X-Evergate-Error") != denial.CodeNoToken || !strings.Contains(body, "install it") {
			t.Errorf("%d %v %s, want 503 with Retry-After %s", resp.StatusCode, resp.Header, body, want)
		}
	}
}

// An upstream that answers while the upload goes on must get every byte of it: net/http's
// server used to take 256 KiB of the body for itself when our answer began.
func TestUploadIsWholeEvenWhenTheAnswerBeginsEarly(t *testing.T) {
	const size = 8 << 20
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		_, _ = io.Copy(w, req.Body)
	}, withReplayBuffer(1<<10))
	for _, name := range []string{"length", "chunked"} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), "POST", r.url+"/admin/api/2026-10/products.json", io.LimitReader(&counter{}, size))
			if err != nil {
				t.Fatal(err)
			}
			if name == "length" {
				req.ContentLength = size
			}
			resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			want := &counter{}
			n, err := io.Copy(comparer{t, want}, resp.Body)
			if n != size || err != nil {
				t.Errorf("%d bytes of %d: %v", n, size, err)
			}
		})
	}
}

// counter is an endless body whose bytes tell their place.
type counter struct{ n uint32 }

func (c *counter) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(c.n ^ c.n>>8 ^ c.n>>16)
		c.n++
	}
	return len(p), nil
}

// comparer fails the test at the first byte that is not the next of want.
type comparer struct {
	t    *testing.T
	want *counter
}

func (c comparer) Write(p []byte) (int, error) {
	want := make([]byte, len(p))
	_, _ = c.want.Read(want)
	if !bytes.Equal(p, want) {
		c.t.Fatal("the body that came back is not the one that was sent")
	}
	return len(p), nil
}
