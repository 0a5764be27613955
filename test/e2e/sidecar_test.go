package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"evergate/test/process"
)

// sidecar is `serve` in front of a shop.
type sidecar struct {
	*process.Process
	url, admin string // http://127.0.0.1:port
	client     *http.Client
}

// sidecar starts one, with settings that add to or replace the usual ones.
func (s *shopify) sidecar(t *testing.T, more ...string) *sidecar {
	t.Helper()
	p := start(t, s.environ(more...), "serve")
	return &sidecar{
		Process: p,
		url:     "http://" + p.AwaitLog(t, "listening for tools").Address,
		admin:   "http://" + p.AwaitLog(t, "listening for operators").Address,
		client:  newClient(t, "", ""),
	}
}

// readySidecar starts one and waits until it has a token.
func (s *shopify) readySidecar(t *testing.T, more ...string) *sidecar {
	t.Helper()
	c := s.sidecar(t, more...)
	c.awaitReady(t)
	return c
}

// newClient returns a client that follows no redirects. With a network it calls address
// whatever the URL names.
func newClient(t *testing.T, network, address string) *http.Client {
	transport := &http.Transport{DisableCompression: true}
	if network != "" {
		var d net.Dialer
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return d.DialContext(ctx, network, address)
		}
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		Timeout:       patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// answer is a response that was read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) String() string {
	return fmt.Sprintf("%d %q %s", a.status, a.header.Get("X-Evergate-Error"), a.body)
}

// get calls the API below its version.
func (s *sidecar) get(t *testing.T, path string) answer {
	t.Helper()
	return s.call(t, http.MethodGet, s.url+api+path, "")
}

// post sends JSON to the API below its version.
func (s *sidecar) post(t *testing.T, path, body string) answer {
	t.Helper()
	return s.call(t, http.MethodPost, s.url+api+path, body)
}

// ask calls the admin listener.
func (s *sidecar) ask(t *testing.T, path string) answer {
	t.Helper()
	return s.call(t, http.MethodGet, s.admin+path, "")
}

func (s *sidecar) call(t *testing.T, method, url, body string) answer {
	t.Helper()
	a, err := exchange(t.Context(), s.client, method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// exchange sends a request and reads its answer.
func exchange(ctx context.Context, client *http.Client, method, url, body string) (answer, error) {
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, reader)
	if err != nil {
		return answer{}, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	return read(resp)
}

func read(resp *http.Response) (answer, error) {
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(body)}, err
}

// later starts a request and returns where its outcome will be.
func (s *sidecar) later(t *testing.T, path string) <-chan outcome {
	result := make(chan outcome, 1)
	go func() {
		a, err := exchange(t.Context(), s.client, http.MethodGet, s.url+api+path, "")
		result <- outcome{a, err}
	}()
	return result
}

type outcome struct {
	answer
	err error
}

// raw sends the bytes as they are, on a connection of their own, and reads one answer.
func (s *sidecar) raw(t *testing.T, request string) answer {
	t.Helper()
	conn := s.dial(t)
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	a, err := read(resp)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	return a
}

// dial connects to the tools' listener.
func (s *sidecar) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(s.url, "http://"), patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// awaitStatus waits until the admin listener answers path with this status.
func (s *sidecar) awaitStatus(t *testing.T, path string, status int) {
	t.Helper()
	process.Eventually(t, func() error {
		if !s.Running() {
			return errors.New("the sidecar has ended")
		}
		a, err := exchange(t.Context(), s.client, http.MethodGet, s.admin+path, "")
		if err == nil && a.status != status {
			err = fmt.Errorf("%s answers %d %s", path, a.status, a.body)
		}
		return err
	})
}

func (s *sidecar) awaitReady(t *testing.T) { t.Helper(); s.awaitStatus(t, "/readyz", http.StatusOK) }

// awaitRenewal waits until the sidecar has taken over a new token. A token that the
// simulator has merely minted may still be on its way.
func (s *sidecar) awaitRenewal(t *testing.T) {
	t.Helper()
	before := s.obtained(t)
	process.Eventually(t, func() error { return atLeast(s.obtained(t), before+1, "tokens obtained") })
}

// obtained is how many tokens the sidecar says it has obtained.
func (s *sidecar) obtained(t *testing.T) int {
	t.Helper()
	return int(s.metric(t, "evergate_refreshes_total", `result="ok"`))
}

// metric reads the sum of the series that carry all labels, written as label="value".
func (s *sidecar) metric(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	sum, _ := metricOf(s.ask(t, "/metrics").body, name, labels...)
	return sum
}

// metricOf reads a scrape. It reports false when there is no such series.
func metricOf(scrape, name string, labels ...string) (sum float64, found bool) {
	return process.Metric(scrape, name, labels...)
}

// mustStatus fails unless the answer has this status.
func mustStatus(t *testing.T, a answer, status int) {
	t.Helper()
	if a.status != status {
		t.Fatalf("want %d, got %s", status, a)
	}
}

// mustBeOwn fails unless the answer is Evergate's own, with this code.
func mustBeOwn(t *testing.T, a answer, status int, code string) {
	t.Helper()
	if a.status != status || a.header.Get("X-Evergate-Error") != code {
		t.Fatalf("want %d %s, got %s", status, code, a)
	}
	if !strings.HasPrefix(a.body, `{"errors":"`) || !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
		t.Fatalf("not the shape of an error: %v %s", a.header, a.body)
	}
}
