package socket

import (
	"errors"
	"os"
	"sync"
	"syscall"
)

// question is what waits to be written until somebody waits for the answer. What it is made of is kept by the lock of writing.
type question struct {
	text *[]byte // nil: nothing has been written
	sent bool    // some of it has gone out
	err  error   // the rest has not, and will not
}

var texts = sync.Pool{New: func() any { b := make([]byte, 0, MostAsked); return &b }}

var (
	errUnasked = errors.New("something came unasked")
	errRest    = errors.New("a part of it does not fit yet")
)

// Ask implements Asker.
func (c *conn) Ask() {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.question.sent, c.question.err = false, nil
	c.asks.Store(true)
}

// Asked implements Asker.
func (c *conn) Asked() (sent bool, err error) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.asks.Store(false)
	c.question.drop()
	return c.question.sent, c.question.err
}

func (q *question) drop() {
	if q.text != nil {
		*q.text = (*q.text)[:0]
		texts.Put(q.text)
		q.text = nil
	}
}

// keep adds to the question. It reports false if that is too much; then all has to be written at once.
func (q *question) keep(p []byte) bool {
	if q.text == nil {
		q.text = texts.Get().(*[]byte)
	}
	if len(*q.text)+len(p) > cap(*q.text) {
		return false
	}
	*q.text = append(*q.text, p...)
	return true
}

// askOnce is called with a socket of which the poller tells everything that comes from now on. So what has come is looked for here, once, and what is
// not there yet is not: the answer.
func (c *conn) askOnce(fd uintptr) (done bool) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	t, q := &c.in, &c.question
	if !c.asks.Load() || q.text == nil {
		return t.try(fd)
	}
	if t.n, t.err = ReadNow(fd, t.p[:1]); !errors.Is(t.err, syscall.EAGAIN) {
		if t.n > 0 {
			t.n, t.err = 0, errUnasked
		}
		return true
	}
	c.asks.Store(false)
	n, err := writeNow(fd, *q.text)
	switch q.sent = n > 0; {
	case n == len(*q.text):
		q.drop()
		return false
	case err != nil && !errors.Is(err, syscall.EAGAIN):
		t.n, t.err = 0, os.NewSyscallError(c.out.name, err)
	default:
		*q.text = append((*q.text)[:0], (*q.text)[n:]...)
		t.n, t.err = 0, errRest
	}
	return true
}

// writeQuestion writes what is left of the question. out.mu is held.
func (c *conn) writeQuestion() error {
	n, err := c.write(*c.question.text)
	c.question.sent, c.question.err = c.question.sent || n > 0, err
	c.question.drop()
	return err
}
