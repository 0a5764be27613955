package e2e

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"evergate/internal/shopsim"
	"evergate/test/process"
)

// firstByte tells when the first byte of a request's body arrives at Shopify.
type firstByte struct {
	io.ReadCloser
	seen chan<- struct{}
}

// Read implements io.Reader.
func (f *firstByte) Read(b []byte) (int, error) {
	n, err := f.ReadCloser.Read(b)
	if n > 0 {
		select {
		case f.seen <- struct{}{}:
		default:
		}
	}
	return n, err
}

func TestUploadIsStreamed(t *testing.T) {
	t.Parallel()
	for name, framing := range map[string]struct{ header, first, last string }{
		"chunked":        {"Transfer-Encoding: chunked", "e\r\n{\"product\":{\"t\r\n", "e\r\nitle\":\"Lamp\"}}\r\n0\r\n\r\n"},
		"long_and_known": {"Content-Length: 28", `{"product":{"t`, `itle":"Lamp"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := make(chan struct{}, 1)
			shop := newShopify(t, shopOptions{around: func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if isAPICall(r) {
						r.Body = &firstByte{r.Body, seen}
					}
					next.ServeHTTP(w, r)
				})
			}})
			s := shop.readySidecar(t, "EVERGATE_REPLAY_BUFFER=16")
			conn := s.dial(t)
			mustSend(t, conn, "POST "+api+"/products.json HTTP/1.1\r\nHost: localhost\r\n"+framing.header+"\r\n\r\n"+framing.first)
			process.Await(t, "the first part at Shopify", seen)
			mustSend(t, conn, framing.last)
			mustStatus(t, mustReceive(t, bufio.NewReader(conn)), http.StatusCreated)
		})
	}
}

func mustSend(t *testing.T, conn io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

func mustReceive(t *testing.T, from *bufio.Reader) answer {
	t.Helper()
	resp, err := http.ReadResponse(from, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := read(resp)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestSlowAnswerArrivesAsItComes(t *testing.T) {
	t.Parallel()
	const pause = time.Second
	for name, known := range map[string]bool{"content_length": true, "chunked": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shop := newShopify(t, shopOptions{})
			s := shop.readySidecar(t)
			shop.Inject(shopsim.Fault{Kind: shopsim.FaultSlowBody, Endpoint: shopsim.API, Chunks: 3, Pause: pause, ContentLength: known})
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+api+"/shop.json", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := s.client.Do(req) // returns with the header
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			header := time.Now()
			var first [1]byte
			if _, err := io.ReadFull(resp.Body, first[:]); err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			rest, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			// Shopify takes one pause before the first part and two more before the last.
			if lead := time.Since(begun); lead < pause/2 {
				t.Errorf("the first byte came %s before the last", lead)
			}
			if lead := begun.Sub(header); lead < pause/4 {
				t.Errorf("the header came %s before the first byte", lead)
			}
			if (resp.ContentLength >= 0) != known {
				t.Errorf("Content-Length: %d", resp.ContentLength)
			}
			if body := string(first[:]) + string(rest); !strings.HasPrefix(body, `{"shop":`) || !strings.HasSuffix(body, "}") {
				t.Errorf("got %s", body)
			}
		})
	}
}

func TestBrokenOffAnswerDoesNotLookWhole(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{})
	s := shop.readySidecar(t)
	for _, fault := range []shopsim.Fault{cutOnce, {Kind: shopsim.FaultCut, Endpoint: shopsim.API, Method: "POST", Count: 1}} {
		shop.Inject(fault)
		method := max(fault.Method, http.MethodGet)
		if a, err := exchange(t.Context(), s.client, method, s.url+api+"/products.json", ""); err == nil {
			t.Errorf("%s: looked whole: %s", method, a)
		}
		mustStatus(t, s.get(t, "/shop.json"), http.StatusOK)
	}
}

func TestMalformedBodyIsTheClientsMistake(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{})
	s := shop.readySidecar(t)
	a := s.raw(t, "POST "+api+"/products.json HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"pro\r\nnonsense\r\n")
	mustBeOwn(t, a, http.StatusBadRequest, "bad_request_body")
	mustStatus(t, s.get(t, "/shop.json"), http.StatusOK)
}
