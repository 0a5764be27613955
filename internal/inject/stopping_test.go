package inject

import (
	"net/http"
	"sync/atomic"
	"testing"

	"evergate/internal/upstream"
)

// A client that keeps its connection is told in time to leave it, by an answer that was under way when the end began, too.
func TestAnswersEndTheirConnectionWhileStopping(t *testing.T) {
	t.Parallel()
	var stopping atomic.Bool
	r := newRig(t, func(_ http.ResponseWriter, req *http.Request) {
		if req.URL.Query().Has("stop") {
			stopping.Store(true)
		}
	}, func(o *Options, _ *upstream.Options) { o.Stopping = &stopping })
	client := http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for _, tc := range []struct {
		path  string
		close bool
	}{
		{"/admin/api/2026-10/shop.json", false},
		{"/nothing/for/us", false},
		{"/admin/api/2026-10/shop.json?stop", true},
		{"/admin/api/2026-10/shop.json", true},
		{"/nothing/for/us", true},
	} {
		resp, err := client.Get(r.url + tc.path)
		if err != nil {
			t.Fatal(err)
		}
		text(t, resp)
		resp.Body.Close()
		if resp.Close != tc.close {
			t.Errorf("%s: %d, the connection ends: %t, want %t", tc.path, resp.StatusCode, resp.Close, tc.close)
		}
	}
}
