package kubestore

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"evergate/internal/envelope"
	"evergate/internal/token"
)

// fakeAPI is as much of an API server as one shop's Secret and Lease need, without a network, so that time can be faked. The
// real one is in test/kubernetes; here are the answers that it gives only when something is wrong.
type fakeAPI struct {
	// meddle may answer in place of it, or after it has done its work (answer is then what it would say); nil: it does not.
	meddle func(req *http.Request, answer func() *http.Response) (*http.Response, error)

	mu      sync.Mutex
	version int
	objects map[string]map[string]any // by path
	calls   []string
	tokens  []string
}

func newFake(t testing.TB) (*fakeAPI, *backend) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte("first"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := &fakeAPI{objects: map[string]map[string]any{}}
	return f, f.open(account(dir))
}

// open is another process at the same API server.
func (f *fakeAPI) open(a account) *backend {
	b := &backend{client: newClient("https://api", a), namespace: "ns", keys: envelope.Keys{Current: token.NewSecret(strings.Repeat("k", envelope.KeySize))}}
	b.client.newTransport = func() (http.RoundTripper, error) { return f, nil }
	return b
}

// RoundTrip implements http.RoundTripper.
func (f *fakeAPI) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	f.mu.Lock()
	f.calls = append(f.calls, req.Method+" "+req.URL.Path)
	f.tokens = append(f.tokens, req.Header.Get("Authorization"))
	meddle := f.meddle
	f.mu.Unlock()
	if meddle != nil {
		return meddle(req, func() *http.Response { return f.answer(req) })
	}
	return f.answer(req), nil
}

func (f *fakeAPI) answer(req *http.Request) *http.Response {
	var body map[string]any
	if req.Body != nil {
		_ = json.NewDecoder(req.Body).Decode(&body)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	path := req.URL.Path
	if req.Method == http.MethodPost {
		path += "/" + body["metadata"].(map[string]any)["name"].(string)
	}
	stored := f.objects[path]
	if stored == nil && req.Method != http.MethodPost {
		return answer(404, `{"message":"hunter2"}`)
	}
	given, _ := body["metadata"].(map[string]any)
	if p, ok := body["preconditions"].(map[string]any); ok {
		given = p
	}
	switch {
	case req.Method == http.MethodGet:
		return answerWith(stored)
	case stored != nil && (req.Method == http.MethodPost || given["resourceVersion"] != stored["metadata"].(map[string]any)["resourceVersion"]):
		return answer(409, `{"message":"hunter2"}`)
	case req.Method == http.MethodDelete:
		delete(f.objects, path)
		return answer(200, `{}`)
	}
	f.version++
	given["resourceVersion"] = strconv.Itoa(f.version)
	if given["uid"] == nil {
		given["uid"] = "uid-" + strconv.Itoa(f.version)
	}
	f.objects[path] = body
	return answerWith(body)
}

func answerWith(v any) *http.Response {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return answer(200, string(b))
}

func answer(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

func (f *fakeAPI) count(call string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.calls {
		if c == call {
			n++
		}
	}
	return n
}

func (f *fakeAPI) set(meddle func(*http.Request, func() *http.Response) (*http.Response, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.meddle = meddle
}

var errCut = errors.New("hunter2 was on the wire")

// loses does what it is asked and says nothing.
func loses(_ *http.Request, answer func() *http.Response) (*http.Response, error) {
	answer()
	return nil, errCut
}

func openShop(t testing.TB, b *backend) *shopStore {
	t.Helper()
	s, err := b.Shop(shopNamed(t, "acme"))
	if err != nil {
		t.Fatal(err)
	}
	return s.(*shopStore)
}

// left are the paths of what there is.
func (f *fakeAPI) left() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Keys(f.objects))
}
