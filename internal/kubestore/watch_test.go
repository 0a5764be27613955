package kubestore

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// watched is a fake of the list and the watch alone.
type watched struct {
	mu      sync.Mutex
	lists   int
	from    []string // the resourceVersions of the watches
	status  int      // of the next watch, if it is not 200
	streams []*io.PipeWriter
}

func (w *watched) serve(req *http.Request, _ func() *http.Response) (*http.Response, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	query := req.URL.Query()
	if query.Get("labelSelector") != selector {
		return answer(400, ""), nil
	}
	if !query.Has("watch") {
		w.lists++
		return answer(200, fmt.Sprintf(`{"metadata":{"resourceVersion":"%d00"}}`, w.lists)), nil
	}
	w.from = append(w.from, query.Get("resourceVersion"))
	if w.status != 0 {
		defer func() { w.status = 0 }()
		return answer(w.status, `{"message":"hunter2"}`), nil
	}
	r, stream := io.Pipe()
	context.AfterFunc(req.Context(), func() { stream.CloseWithError(req.Context().Err()) })
	w.streams = append(w.streams, stream)
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: r}, nil
}

func (w *watched) last() *io.PipeWriter {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.streams[len(w.streams)-1]
}

func (w *watched) say(kind, name, version string) {
	fmt.Fprintf(w.last(), `{"type":%q,"object":{"kind":"PartialObjectMetadata","metadata":{"name":%q,"uid":"u","resourceVersion":%q}}}`+"\n", kind, name, version)
	synctest.Wait()
}

func (w *watched) fail(status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.status = status
}

// TestWatchGoesOnFromWhereItWas lets one watch end in every way there is.
func TestWatchGoesOnFromWhereItWas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, b := newFake(t)
		w := &watched{}
		f.set(w.serve)
		var mu sync.Mutex
		var heard []string
		ctx, stop := context.WithCancel(t.Context())
		over := make(chan struct{})
		go func() {
			defer close(over)
			b.Watch(ctx, func(domain string) {
				mu.Lock()
				defer mu.Unlock()
				heard = append(heard, strings.TrimSuffix(domain, ".myshopify.com"))
			})
		}()
		synctest.Wait()
		expect := func(what string, lists int, from string, want ...string) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			w.mu.Lock()
			defer w.mu.Unlock()
			if !slices.Equal(heard, want) || w.lists != lists || w.from[len(w.from)-1] != from {
				t.Errorf("%s: heard %q, want %q; %d lists, want %d; watches from %v, want %s", what, heard, want, w.lists, lists, w.from, from)
			}
			heard = nil
		}
		expect("the beginning", 1, "100", "")
		w.say("ADDED", "evergate-grant-a", "101")
		w.say("MODIFIED", "evergate-grant-a", "102")
		w.say("DELETED", "evergate-grant-b", "103")
		w.say("MODIFIED", "foreign", "104")
		w.say("BOOKMARK", "", "110")
		expect("events", 1, "100", "a", "a", "b")
		w.last().Close() // after its time
		expect("its end", 1, "110")
		w.last().CloseWithError(errCut)
		time.Sleep(firstPause)
		expect("a lost connection", 1, "110")
		w.say("MODIFIED", "evergate-grant-c", "111")
		expect("afterwards", 1, "110", "c")
		time.Sleep(silence + lastPause) // a connection that is dead without a word
		expect("silence", 1, "111")
		w.say("ERROR", "", "")
		time.Sleep(2 * lastPause)
		expect("a version that is too old", 2, "200", "")
		w.fail(410)
		w.last().Close()
		time.Sleep(2 * lastPause)
		expect("the same as a status", 3, "300", "")
		w.fail(503)
		w.last().Close()
		time.Sleep(2 * lastPause)
		expect("an API server that starts", 4, "400", "")
		stop()
		<-over
	})
}

// A watch that fails at once is not begun again at once.
func TestWatchThatFailsPausesLongerAndLonger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, b := newFake(t)
		f.set(func(*http.Request, func() *http.Response) (*http.Response, error) { return nil, errCut })
		ctx, stop := context.WithTimeout(t.Context(), time.Hour)
		defer stop()
		b.Watch(ctx, func(string) { t.Error("it tells of something") })
		if n := f.count("GET " + secretsPath); n < 100 || n > 250 {
			t.Errorf("%d attempts in an hour", n)
		}
	})
}
