package upstream

import (
	"context"
	"net/http"
	"sync"

	"evergate/internal/wire"
)

// answered is a Response with its body and its header.
type answered struct {
	http.Response
	body     answerBody
	fields   wire.Sorted
	encoding [1]string
}

var answerPool = sync.Pool{New: func() any { return new(answered) }}

// newAnswer makes an answer with the header that has been read, and nothing else.
func newAnswer(h *wire.Response, sort *wire.Sort) *answered {
	a := answerPool.Get().(*answered)
	if a.fields.Header == nil {
		a.fields.Header = make(http.Header, usualNames)
	}
	if sort == nil || !h.Split(&a.fields, sort) {
		h.Fill(a.fields.Header)
	}
	return a
}

// usualNames is how many names most answers have.
const usualNames = 8

// Passed are the lines of the answer's fields that Sort passes on, as they are sent, each with its end. The Response's header has those of them that are Shown. It is
// valid until Release. Where somebody else than an exchange carried the request, there is none, and all fields are in the header.
func (c *Context) Passed() []byte {
	if c.answer == nil {
		return nil
	}
	return c.answer.fields.Passed
}

func (c *Context) sort() *wire.Sort {
	if c == nil {
		return nil
	}
	return c.Sort
}

// Release says that nobody uses the answer to the request any more: neither the Response nor its body nor its header, neither the map nor its lists. What
// the fields say may be kept: each is a string, which is as it was. They are used again for another answer if an exchange has made them and the body is over. Release reports whether nobody here uses
// the request either, so that its maker can use it again with all that it is made of: an exchange has done with a request when it has the
// answer, and net/http has not.
func (c *Context) Release() bool {
	a := c.answer
	if a == nil || a.body.x != nil {
		return false
	}
	a.forget()
	answerPool.Put(a)
	c.answer = nil
	return !c.lent
}

// forget keeps the memory of the header and of the lines, and nothing of what they say. Who reads the body after that is told that it is closed.
func (a *answered) forget() {
	a.fields.Again()
	*a = answered{fields: a.fields, body: answerBody{err: errBodyClosed}}
}

// lasting is a context for what may go on when the request is over whose context it was, such as a connection that is being made.
func lasting(ctx context.Context) context.Context {
	if c, ok := ctx.(*Context); ok {
		return c.Context
	}
	return ctx
}
