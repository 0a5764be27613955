package pace

import (
	"errors"
	"io"
	"net/http"

	"evergate/internal/prefixed"
)

// peekSize bounds in bytes what is held back of an answer while it is not clear whether it
// is a refusal, which is much shorter.
const peekSize = 16 << 10

// watcher is the body of a GraphQL answer. It passes the bytes on and reads a copy of them.
type watcher struct {
	body   io.ReadCloser
	turn   Turn
	scan   scanner
	packed *unpacker // nil: the body is not compressed
	// refused says that the answer is a refusal.
	refused bool

	first []byte // read already, not passed on yet
	err   error  // what reading ended with
}

// peek reads as much as it takes to know whether the answer is a refusal.
func (w *watcher) peek() (throttled bool) {
	buf := make([]byte, 0, 512)
	for w.err == nil && len(buf) < peekSize {
		if len(buf) == cap(buf) {
			grown := make([]byte, len(buf), min(8*cap(buf), peekSize))
			copy(grown, buf)
			buf = grown
		}
		var n int
		n, w.err = w.body.Read(buf[len(buf):cap(buf)])
		w.see(buf[len(buf) : len(buf)+n])
		buf = buf[:len(buf)+n]
		if w.packed != nil {
			w.packed.look(&w.scan, w.err != nil)
		}
		if w.scan.data || w.scan.broken || w.scan.ended && w.err != nil || w.packed != nil && w.packed.unreadable {
			break
		}
	}
	w.first = buf
	if !w.scan.ended || w.scan.data || !errors.Is(w.err, io.EOF) || !saysThrottled(w.scan.errors) {
		return false
	}
	report, ok := parseCost(w.scan.extensions)
	return !ok || report.Actual == nil // what has cost something has run
}

// see takes a copy of what passes.
func (w *watcher) see(p []byte) {
	if w.packed != nil {
		w.packed.write(p)
		return
	}
	w.scan.write(p)
}

// Read implements io.Reader.
func (w *watcher) Read(p []byte) (int, error) {
	if len(w.first) > 0 {
		n := copy(p, w.first)
		w.first = w.first[n:]
		if len(w.first) == 0 && w.err != nil {
			w.settle()
			return n, w.err
		}
		return n, nil
	}
	if w.err != nil {
		w.settle()
		return 0, w.err
	}
	n, err := w.body.Read(p)
	w.see(p[:n])
	if err != nil {
		w.err = err
		w.settle()
	}
	return n, err
}

// Close implements io.Closer. An answer that was not read to its end says nothing.
func (w *watcher) Close() error {
	w.settle()
	return w.body.Close()
}

// settle ends the turn with what the answer said. It may be called again.
func (w *watcher) settle() {
	if !w.turn.open {
		return
	}
	if w.packed != nil && errors.Is(w.err, io.EOF) {
		w.packed.look(&w.scan, true)
	}
	var report costReport
	ok := false
	if w.scan.ended && errors.Is(w.err, io.EOF) {
		report, ok = parseCost(w.scan.extensions)
	}
	w.turn.learnCost(report, ok, w.refused)
}

// readShort reads the body of a refusal and puts it back. What is longer than any refusal
// is left alone.
func readShort(resp *http.Response) []byte {
	read := prefixed.Read(resp.Body, peekSize)
	resp.Body = read
	return read.Prefix
}
