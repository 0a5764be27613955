package pace

import (
	"errors"
	"io"
	"sync"

	"evergate/internal/prefixed"
)

// largestRefusal bounds in bytes what is held back of an answer while it is not clear whether
// it is a refusal, which is much shorter.
const largestRefusal = 16 << 10

// costReader is what follows the beginning of a GraphQL answer that peek has read: it passes
// the bytes on and reads the cost from a copy of them.
type costReader struct {
	src         io.ReadCloser
	reservation Reservation
	refused     bool // the answer is a refusal
	work        *costWork

	// passed is the whole answer: what peek has read, then this reader.
	passed prefixed.Body
}

// costWork is what reading one answer takes and the next one can use again.
type costWork struct {
	scan       scanner
	compressed decompressor
	first      [largestRefusal]byte // what peek has read
}

var costWorks = sync.Pool{New: func() any { return new(costWork) }}

var costReaders = sync.Pool{New: func() any { return new(costReader) }}

func newCostReader(src io.ReadCloser, r Reservation, encoding string) *costReader {
	c := costReaders.Get().(*costReader)
	*c = costReader{src: src, reservation: r, work: costWorks.Get().(*costWork)}
	c.work.scan.reset()
	c.work.compressed.reset(r.pacer.common.decoders, encoding)
	c.passed.Rest = c
	return c
}

// peek reads as much as it takes to know whether the answer is a refusal. What one read gives
// is enough if it has a beginning of data, so that a slow answer is not held back.
func (c *costReader) peek() (throttled bool) {
	w, n := c.work, 0
	var err error
	for err == nil && n < len(w.first) && !w.decided() {
		var more int
		more, err = c.src.Read(w.first[n:])
		if n == 0 && errors.Is(err, io.EOF) && !w.compressed.active() {
			if report, ok := parseUsualAnswer(w.first[:more]); ok {
				c.passed.Prefix, c.passed.Err = w.first[:more], err
				c.reservation.learnCost(report, true, false)
				return false
			}
		}
		w.add(w.first[n : n+more])
		n += more
		if w.compressed.active() {
			w.compressed.scanInto(&w.scan, err != nil)
		}
	}
	c.passed.Prefix, c.passed.Err = w.first[:n], err
	if err == nil {
		return false
	}
	if w.scan.ended && !w.scan.data && errors.Is(err, io.EOF) && saysThrottled(w.scan.errors) {
		report, ok := parseCost(w.scan.extensions)
		c.refused = !ok || !report.actual.known // what has cost something has run
	}
	c.settle(err)
	return c.refused
}

// decided reports whether nothing that may follow makes the answer a refusal.
func (w *costWork) decided() bool {
	return w.scan.data || w.scan.broken || w.compressed.unreadable
}

// add takes a copy of what passes.
func (w *costWork) add(p []byte) {
	if w.compressed.active() {
		w.compressed.write(p)
		return
	}
	w.scan.write(p)
}

// Read implements io.Reader.
func (c *costReader) Read(p []byte) (int, error) {
	n, err := c.src.Read(p)
	if c.reservation.open {
		c.work.add(p[:n])
		if err != nil {
			if c.work.compressed.active() && errors.Is(err, io.EOF) {
				c.work.compressed.scanInto(&c.work.scan, true)
			}
			c.settle(err)
		}
	}
	return n, err
}

// Close implements io.Closer. An answer that was not read to its end says nothing.
func (c *costReader) Close() error {
	c.settle(nil)
	if c.work != nil {
		c.work.release()
		c.work = nil
	}
	return c.src.Close()
}

// settle ends the attempt with what the answer said up to end, which is what reading ended
// with. It may be called again.
func (c *costReader) settle(end error) {
	if !c.reservation.open {
		return
	}
	var report costReport
	ok := false
	if c.work.scan.ended && errors.Is(end, io.EOF) {
		report, ok = parseCost(c.work.scan.extensions)
	}
	c.reservation.learnCost(report, ok, c.refused)
}

// release hands the memory to the next answer. Nothing may refer to it any more.
func (w *costWork) release() {
	w.scan.shrink()
	w.compressed.shrink()
	costWorks.Put(w)
}
