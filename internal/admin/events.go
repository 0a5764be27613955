package admin

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"evergate/internal/denial"
)

const (
	// eventEvery is how often an open page is brought up to date.
	eventEvery = 2 * time.Second
	// mostStreams bounds the open pages: each costs a page every two seconds and one of the operators' connections, of which probes
	// and scrapes need some, too.
	mostStreams = 8
	// streamPatience is how long a reader may take for one event.
	streamPatience = 10 * time.Second
)

// streams counts the open pages.
type streams struct{ open atomic.Int32 }

// events sends the page again and again as server-sent events (WHATWG HTML, section 9.2).
func (h *handler) events(w http.ResponseWriter, r *http.Request, t Tokens) {
	if h.streams.open.Add(1) > mostStreams {
		h.streams.open.Add(-1)
		(&denial.Error{Status: http.StatusServiceUnavailable, Code: denial.CodeTooManyPages,
			Message: "Too many status pages are open. Close one, or reload this one by hand."}).Answer(w)
		return
	}
	defer h.streams.open.Add(-1)
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	tick := time.NewTicker(eventEvery)
	defer tick.Stop()
	for !h.Stopping() {
		_ = control.SetWriteDeadline(time.Now().Add(streamPatience)) // the listener's own is for short answers
		if _, err := w.Write(h.event(t, r)); err != nil || control.Flush() != nil {
			return
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
		var served bool
		if t, served = h.still(r, t); !served {
			return // whoever asks again is told
		}
	}
}

// still returns whose tokens the page is about now: a shop is made anew when its settings change, or after it made room for others. False:
// it is not served any more.
func (h *handler) still(r *http.Request, before Tokens) (Tokens, bool) {
	ctx, stop := context.WithTimeout(r.Context(), askWait)
	defer stop()
	now, err := h.shopOf(r.WithContext(ctx))
	if err == nil {
		return now, true
	}
	d := denial.Of(err)
	return before, d == nil || d.Code != denial.CodeUnknownShop
}

// event is the page as one message: each of its lines is a line of data.
func (h *handler) event(t Tokens, r *http.Request) []byte {
	var b bytes.Buffer
	for line := range strings.Lines(h.view(t, r).html().String()) {
		b.WriteString("data: ")
		b.WriteString(strings.TrimRight(line, "\r\n"))
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	return b.Bytes()
}
