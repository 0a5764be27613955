package request

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Context is the context of one request, for a server that ends it itself: it can be a part of something else, and costs nothing beside while nobody
// asks for its channel. It knows the values of its parent, which never ends. Its zero value has no parent yet. Whoever was given it may look at it for as long
// as he likes; see Again for when it can be that of another request.
type Context struct {
	parent context.Context

	mu    sync.Mutex
	asked bool          // somebody has asked for its end, and may do so again
	err   error         // nil: it has not ended
	done  chan struct{} // nil: nobody has asked for it
	watch func()        // see Watch
	after []*func()     // see AfterFunc
}

// Begin gives it its parent, before anybody else has it.
func (c *Context) Begin(parent context.Context) { c.parent = parent }

// End ends it. It may be called again.
func (c *Context) End() {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = context.Canceled
	if c.done != nil {
		close(c.done)
	}
	watch, after := c.watch, c.after
	c.watch, c.after = nil, nil
	c.mu.Unlock()
	if watch != nil {
		go watch()
	}
	for _, f := range after {
		go (*f)()
	}
}

// Again begins it anew for a request after the one that it has ended with, of the same parent. It reports false where somebody may be told of the other's end
// too late for that: who asked for it before, but for Watch. Its caller knows that nobody begins to ask now for the other.
func (c *Context) Again() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked || c.err == nil {
		return false
	}
	c.err = nil
	return true
}

// Watch has f called in a goroutine of its own when the context ends, or now if it has. It is context.AfterFunc for one function at a time, until
// Unwatch, and allocates nothing. It reports false if another one is called then.
func (c *Context) Watch(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.err != nil:
		go f()
	case c.watch != nil:
		return false
	default:
		c.watch = f
	}
	return true
}

// Unwatch ends that. It reports whether f has not been and will not be called.
func (c *Context) Unwatch() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	waits := c.watch != nil
	c.watch = nil
	return waits
}

// AfterFunc is what context.AfterFunc and the contexts that are made of this one ask for, so that none of them needs a goroutine that waits.
func (c *Context) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = true
	if c.err != nil {
		go f()
		return func() bool { return false }
	}
	c.after = append(c.after, &f)
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		i := slices.Index(c.after, &f)
		if i < 0 {
			return false
		}
		c.after = slices.Delete(c.after, i, i+1)
		return true
	}
}

// Done implements context.Context.
func (c *Context) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = true
	if c.done == nil {
		c.done = make(chan struct{})
		if c.err != nil {
			close(c.done)
		}
	}
	return c.done
}

// Err implements context.Context.
func (c *Context) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = true
	return c.err
}

// Deadline implements context.Context. There is none.
func (*Context) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }

// Value implements context.Context.
func (c *Context) Value(key any) any { return c.parent.Value(key) }
