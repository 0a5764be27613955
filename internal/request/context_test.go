package request

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

type key struct{}

func begun() *Context {
	c := new(Context)
	c.Begin(context.WithValue(context.Background(), key{}, "value"))
	return c
}

func TestAContextEndsOnceForEverybody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := begun()
		if c.Err() != nil || c.Value(key{}) != "value" {
			t.Fatal(c.Err(), c.Value(key{}))
		}
		var ended atomic.Int64
		count := func() { ended.Add(1) }
		child, cancel := context.WithCancel(c)
		defer cancel()
		if !c.Watch(count) || c.Watch(count) {
			t.Error("it is watched by none, or by two")
		}
		context.AfterFunc(c, count)
		kept := context.AfterFunc(c, count)
		if stopped := context.AfterFunc(c, count); !stopped() || stopped() {
			t.Error("what was stopped was not, or twice")
		}
		go func() { <-c.Done(); count() }()
		synctest.Wait()
		if ended.Load() != 0 || child.Err() != nil {
			t.Fatal("it has ended")
		}
		c.End()
		c.End()
		synctest.Wait()
		if ended.Load() != 4 || kept() || c.Unwatch() {
			t.Errorf("%d were told", ended.Load())
		}
		<-child.Done()
		for _, one := range []context.Context{c, child} {
			if !errors.Is(one.Err(), context.Canceled) || !errors.Is(context.Cause(one), context.Canceled) {
				t.Error(one.Err(), context.Cause(one))
			}
		}
		<-c.Done()
		c.Watch(count)
		context.AfterFunc(c, count)
		synctest.Wait()
		if ended.Load() != 6 {
			t.Error("who comes late is not told")
		}
	})
}

func TestWhoDoesNotWatchAnyMoreIsNotTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := begun()
		c.Watch(func() { t.Error("told") })
		if !c.Unwatch() || c.Unwatch() {
			t.Error("it did not watch, or still does")
		}
		c.End()
		if !errors.Is(context.Cause(c), context.Canceled) {
			t.Error(context.Cause(c))
		}
		<-c.Done()
		synctest.Wait()
	})
}

func TestAContextIsBegunAgainWhereNobodyHasAsked(t *testing.T) {
	t.Parallel()
	asks := map[string]func(c *Context){
		"Done":      func(c *Context) { c.Done() },
		"Err":       func(c *Context) { _ = c.Err() },
		"AfterFunc": func(c *Context) { c.AfterFunc(func() {}) },
		"a child":   func(c *Context) { _, cancel := context.WithCancel(c); cancel() },
	}
	for name, ask := range asks {
		c := begun()
		ask(c)
		c.End()
		if c.Again() {
			t.Errorf("it is another request's though somebody has asked for %s", name)
		}
	}
	c := begun()
	if c.Again() {
		t.Error("it is another's before it has ended")
	}
	for range 3 {
		if c.Value(key{}) != "value" || !c.Watch(func() { t.Error("told") }) || !c.Unwatch() {
			t.Fatal("it is of no use")
		}
		c.End()
		if !c.Again() {
			t.Fatal("it is not begun again")
		}
	}
	if c.Err() != nil {
		t.Error("it has ended with the one before")
	}
	c.End()
	select {
	case <-c.Done():
	default:
		t.Error("nobody is told of its second end")
	}
}

func TestAContextAllocatesNothingWhileNobodyWaits(t *testing.T) {
	parent, c, f := context.Background(), new(Context), func() {}
	if n := testing.AllocsPerRun(100, func() {
		*c = Context{}
		c.Begin(parent)
		c.Watch(f)
		if c.Err() != nil || !c.Unwatch() {
			t.Fatal("it has ended")
		}
		c.End()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
