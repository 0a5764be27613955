package e2e

import (
	"bufio"
	"io"
	"net/http"
	"testing"

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
