package wire

import (
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"
)

const mebibyte = 1 << 20

// memory is how much of a kind the process has: Rss is all, Anonymous what is not of a file.
func (s *sidecar) memory(kind string) (int, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", s.Cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	m := regexp.MustCompile(`(?m)^` + kind + `:\s+(\d+) kB`).FindSubmatch(b)
	if m == nil {
		return 0, fmt.Errorf("no %s in %q", kind, b)
	}
	n, err := strconv.Atoi(string(m[1]))
	return n << 10, err
}

func (s *sidecar) mustMemory(t *testing.T, kind string) int {
	t.Helper()
	n, err := s.memory(kind)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// highest watches the process until the returned function is called, which tells the most memory it had that is not of a file: its program's
// pages come and go with what other processes need.
func (s *sidecar) highest(t *testing.T) (end func() int) {
	t.Helper()
	stop, result := make(chan struct{}), make(chan int, 1)
	go func() {
		again := time.NewTicker(10 * time.Millisecond)
		defer again.Stop()
		most := 0
		for {
			n, err := s.memory("Anonymous")
			if err != nil {
				t.Error(err)
			}
			most = max(most, n)
			select {
			case <-again.C:
			case <-stop:
				result <- most
				return
			}
		}
	}()
	return func() int { close(stop); return <-result }
}

// zeros is a body of the given size, in the hands of a reader that net/http cannot see the
// size of.
func zeros(n int64) io.Reader { return io.LimitReader(endless{}, n) }

type endless struct{}

// Read implements io.Reader.
func (endless) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// newHauler is an upstream over TLS for large bodies: it swallows what it is sent and sends as
// many bytes as the query says, with their number in the header if the query says so.
func newHauler(t *testing.T) *recorder {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("X-Got", strconv.FormatInt(got, 10))
		n, _ := strconv.ParseInt(r.URL.Query().Get("bytes"), 10, 64)
		if r.URL.Query().Has("known") {
			w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
		}
		_, _ = io.Copy(w, zeros(n))
	}))
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	return &recorder{url: server.URL, caFile: file}
}

// haul sends up bytes and gets down bytes, each with their number known in advance or not.
func (s *sidecar) haul(t *testing.T, client *http.Client, up, down int64, known bool) {
	t.Helper()
	url := fmt.Sprintf("http://%s%s/bulk.json?bytes=%d", s.host, api, down)
	if known {
		url += "&known"
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, zeros(up))
	if err != nil {
		t.Fatal(err)
	}
	if known {
		req.ContentLength = up
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil || n != down || resp.Header.Get("X-Got") != strconv.FormatInt(up, 10) {
		t.Fatalf("%d of %d bytes arrived here and %s of %d there: %v", n, down, resp.Header.Get("X-Got"), up, err)
	}
}

func TestLargeBodiesTakeNoMemory(t *testing.T) {
	const size, most = 256 * mebibyte, 8 * mebibyte
	s := newHauler(t).sidecar(t)
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport, Timeout: 4 * patience}
	for _, known := range []bool{true, false} {
		s.haul(t, client, mebibyte, mebibyte, known) // the connections and buffers that any request needs
	}
	for _, known := range []bool{true, false} {
		for name, bytes := range map[string][2]int64{"up": {size, mebibyte}, "down": {1, size}, "both": {size, size}} {
			t.Run(fmt.Sprintf("%s/known_%v", name, known), func(t *testing.T) {
				before, highest := s.mustMemory(t, "Anonymous"), s.highest(t)
				s.haul(t, client, bytes[0], bytes[1], known)
				grown := highest() - before
				t.Logf("%d KiB more", grown>>10)
				if grown > most {
					t.Errorf("memory grew by %d KiB", grown>>10)
				}
			})
		}
	}
}
