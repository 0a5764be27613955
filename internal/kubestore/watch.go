package kubestore

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"evergate/internal/clock"
	"evergate/internal/netfail"
)

const (
	// watchLife is for how long the API server is asked to keep one watch open; it adds nothing of its own then.
	watchLife = 5 * time.Minute
	// silence is after how long without an event a watch is begun anew: the API server sends a bookmark each minute.
	silence = 3 * time.Minute
	// firstPause and lastPause are the pauses before a watch is begun again that did not work.
	firstPause, lastPause = 500 * time.Millisecond, 30 * time.Second
)

// Watch implements token.Backend: one watch for all shops, without the records themselves.
func (b *backend) Watch(ctx context.Context, changed func(domain string)) {
	w := watch{backend: b, changed: changed}
	pause := firstPause
	for ctx.Err() == nil {
		w.heard = false
		err := w.follow(ctx)
		if w.heard {
			pause = firstPause
		}
		if err == nil && w.heard { // it ended in its time
			continue
		}
		if statusOf(err) != 0 || errors.Is(err, errBroken) {
			w.version = "" // it may be too old, or of a state that a restored etcd no longer knows
		}
		_ = clock.Sleep(ctx, pause/2+rand.N(pause/2)) //nolint:gosec // G404: it spreads load; the loop looks at ctx
		pause = min(2*pause, lastPause)
	}
}

// watch is the state of one Watch.
type watch struct {
	backend *backend
	changed func(domain string)
	version string // up to which everything has been told; empty: it has to be found out
	heard   bool   // something has come
}

// errBroken says that the events so far are no ground to go on from.
var errBroken = errors.New("the watch was ended by the API server")

// follow tells of changes from w.version on until the watch ends.
func (w *watch) follow(ctx context.Context) error {
	if w.version == "" {
		var page struct {
			Metadata listMeta `json:"metadata"`
		}
		if err := w.backend.client.do(ctx, call{method: http.MethodGet, path: w.backend.secrets(""), query: listQuery("", 1), metadataOnly: true}, &page); err != nil {
			return err
		}
		w.version = page.Metadata.ResourceVersion
		w.changed("") // whoever reads now sees that state or a later one, of which the watch tells
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	mute := time.AfterFunc(silence, cancel)
	defer mute.Stop()
	query := url.Values{
		"watch": {"1"}, "labelSelector": {selector}, "resourceVersion": {w.version}, "allowWatchBookmarks": {"true"},
		"timeoutSeconds": {strconv.Itoa(int(watchLife / time.Second))},
	}
	if err := w.backend.client.quiet(ctx); err != nil {
		return err
	}
	body, err := w.backend.client.send(ctx, call{method: http.MethodGet, path: w.backend.secrets(""), query: query, metadataOnly: true})
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }() // it was only read
	events := json.NewDecoder(body)
	for {
		var e event
		switch err := events.Decode(&e); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return netfail.Plain(err)
		}
		if err := w.tell(e); err != nil {
			return err
		}
		mute.Reset(silence)
	}
}

type event struct {
	Type   string `json:"type"`
	Object object `json:"object"`
}

func (w *watch) tell(e event) error {
	if e.Type == "ERROR" || e.Object.Metadata.ResourceVersion == "" {
		return errBroken
	}
	w.heard = true
	w.version = e.Object.Metadata.ResourceVersion
	if e.Type == "BOOKMARK" {
		return nil
	}
	if shop, ok := shopOf(e.Object.Metadata); ok {
		w.changed(shop.Domain())
	}
	return nil
}
