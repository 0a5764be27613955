package tracing

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestTheVariablesOfBatchesAreHeeded(t *testing.T) {
	t.Parallel()
	standard := batching{delay: 5 * time.Second, timeout: 30 * time.Second, queue: 2048, batch: 512}
	for _, c := range []struct {
		name  string
		env   []string
		want  func(*batching)
		wrong string
	}{
		{"defaults", nil, func(*batching) {}, ""},
		{"all", []string{"OTEL_BSP_SCHEDULE_DELAY", "50", "OTEL_BSP_EXPORT_TIMEOUT", " 60 ", "OTEL_BSP_MAX_QUEUE_SIZE", "70", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8"},
			func(b *batching) { *b = batching{50 * time.Millisecond, 60 * time.Millisecond, 70, 8} }, ""},
		{"at_once_and_for_ever", []string{"OTEL_BSP_SCHEDULE_DELAY", "0", "OTEL_BSP_EXPORT_TIMEOUT", "0"}, func(b *batching) { b.delay, b.timeout = 0, 0 }, ""},
		{"a_small_queue", []string{"OTEL_BSP_MAX_QUEUE_SIZE", "70"}, func(b *batching) { b.queue, b.batch = 70, 70 }, ""},
		{"a_batch_beyond_the_queue", []string{"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4000"}, func(*batching) {}, ""},
		{"a_delay_that_is_none", []string{"OTEL_BSP_SCHEDULE_DELAY", "hunter2"}, func(*batching) {}, "OTEL_BSP_SCHEDULE_DELAY:"},
		{"below_zero", []string{"OTEL_BSP_EXPORT_TIMEOUT", "-1"}, func(*batching) {}, "OTEL_BSP_EXPORT_TIMEOUT:"},
		{"no_queue", []string{"OTEL_BSP_MAX_QUEUE_SIZE", "0"}, func(*batching) {}, "OTEL_BSP_MAX_QUEUE_SIZE:"},
		{"a_queue_that_fits_nowhere", []string{"OTEL_BSP_MAX_QUEUE_SIZE", "1000000000000"}, func(*batching) {}, "OTEL_BSP_MAX_QUEUE_SIZE:"},
		{"no_batch", []string{"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "-3"}, func(*batching) {}, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE:"},
	} {
		want := standard
		c.want(&want)
		got, err := readBatching(environ(c.env...))
		if got != want || (err != nil) != (c.wrong != "") || err != nil && (!strings.HasPrefix(err.Error(), c.wrong) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
}

// collector takes batches, when it may.
type collector struct {
	mu    sync.Mutex
	sizes []int
	seen  map[*span]bool
	open  chan struct{} // closed: it answers
	err   error
	lost  int
	told  []string
}

func newCollector(answers bool) *collector {
	c := &collector{open: make(chan struct{}), seen: map[*span]bool{}}
	if answers {
		close(c.open)
	}
	return c
}

func (c *collector) send(ctx context.Context, spans []*span) error {
	if len(spans) == 0 {
		return nil
	}
	select {
	case <-c.open:
	case <-ctx.Done():
		return ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sizes = append(c.sizes, len(spans))
	for _, s := range spans {
		c.seen[s] = true
	}
	return c.err
}

func (c *collector) tell(err error, lost int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost += lost
	c.told = append(c.told, err.Error())
}

func (c *collector) state() (sizes []int, seen, lost int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sizes, len(c.seen), c.lost
}

func addSpans(q *batcher, n int) {
	for range n {
		q.add(&span{})
		synctest.Wait()
	}
}

func TestSpansWaitForOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCollector(true)
		q := newBatcher(batching{delay: time.Second, queue: 100, batch: 10}, c.send, c.tell)
		defer func() { _ = q.close(t.Context()) }()
		addSpans(q, 23)
		if sizes, _, _ := c.state(); len(sizes) != 2 || sizes[0] != 10 || sizes[1] != 10 {
			t.Errorf("full batches: %v", sizes)
		}
		time.Sleep(time.Second - 1)
		synctest.Wait()
		if _, seen, _ := c.state(); seen != 20 {
			t.Errorf("%d before the delay was over", seen)
		}
		time.Sleep(1)
		synctest.Wait()
		if sizes, seen, lost := c.state(); seen != 23 || len(sizes) != 3 || lost != 0 {
			t.Errorf("after the delay: %v, %d, %d lost", sizes, seen, lost)
		}
	})
}

// What is held is bounded, whoever is late, and what is not held is counted.
func TestAFullQueueCostsSpansAndNobodyWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCollector(false)
		q := newBatcher(batching{delay: time.Hour, queue: 20, batch: 10}, c.send, c.tell)
		start := time.Now()
		addSpans(q, 100)
		if time.Since(start) != 0 {
			t.Error("somebody waited")
		}
		close(c.open)
		synctest.Wait()
		if err := q.close(t.Context()); err != nil {
			t.Error(err)
		}
		sizes, seen, lost := c.state()
		if seen != 30 || lost != 70 || len(c.told) != 1 || !strings.Contains(c.told[0], "OTEL_BSP_MAX_QUEUE_SIZE") {
			t.Errorf("%v: %d were sent and %d lost: %q", sizes, seen, lost, c.told)
		}
	})
}

func TestSendingABatchIsGivenUpInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCollector(false)
		q := newBatcher(batching{delay: time.Second, timeout: 2 * time.Second, queue: 20, batch: 10}, c.send, c.tell)
		addSpans(q, 3)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if _, seen, lost := c.state(); seen != 0 || lost != 3 {
			t.Errorf("%d sent, %d lost", seen, lost)
		}
		close(c.open)
		addSpans(q, 3)
		if err := q.close(t.Context()); err != nil {
			t.Error(err)
		}
		if _, seen, lost := c.state(); seen != 3 || lost != 3 {
			t.Errorf("afterwards: %d sent, %d lost", seen, lost)
		}
	})
}

func TestAStopSendsWhatIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCollector(true)
		q := newBatcher(batching{delay: time.Hour, queue: 100, batch: 10}, c.send, c.tell)
		for range 35 {
			q.add(&span{}) // without waiting: some are in the queue, some in a batch
		}
		if err := q.close(t.Context()); err != nil {
			t.Error(err)
		}
		q.add(&span{})
		if len(q.spans) != 0 {
			t.Error("one that came late is kept")
		}
		if sizes, seen, lost := c.state(); seen != 35 || len(sizes) != 4 || lost != 0 {
			t.Errorf("%v: %d of 35, %d lost", sizes, seen, lost)
		}
		for range 2 {
			if err := q.close(t.Context()); err != nil {
				t.Errorf("once more: %v", err)
			}
		}
	})
}

// synctest.Test fails when a goroutine is left.
func TestAStopIsBoundedInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCollector(false)
		q := newBatcher(batching{delay: time.Second, queue: 100, batch: 10}, c.send, c.tell)
		tracer := &Tracer{ended: q.add, close: q.close}
		addSpans(q, 35)
		start := time.Now()
		if err := tracer.Close(); err == nil || time.Since(start) != stopWithin {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestAStopWaitsForNoCollectorThatIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCollector(true)
		c.err = errors.New("connection refused")
		q := newBatcher(batching{delay: time.Second, queue: 100, batch: 10}, c.send, c.tell)
		addSpans(q, 35)
		start := time.Now()
		if err := q.close(t.Context()); err != nil || time.Since(start) != 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if _, _, lost := c.state(); lost != 35 {
			t.Errorf("%d of 35 are said to be lost", lost)
		}
	})
}

// endable is a collector's end of a connection that can be closed.
type endable struct {
	answering
	closed int
}

func (e *endable) CloseIdleConnections() { e.closed++ }

func TestATracersConnectionsEndWithIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, sent := sending(t), 0
		conn := &endable{answering: func(*http.Request) (*http.Response, error) { sent++; return answer(200), nil }}
		e.client.Transport = conn
		tracer := start(sampler{allTraces, true}, batching{delay: time.Hour, queue: 10, batch: 10}, e, slog.New(slog.DiscardHandler))
		tracer.Begin(httptest.NewRequest(http.MethodGet, "/", http.NoBody), "rest:shop", "acme.myshopify.com").Done(200, "")
		if err := tracer.Close(); err != nil || sent != 1 || conn.closed != 1 {
			t.Errorf("%v, %d messages, closed %d times", err, sent, conn.closed)
		}
	})
}

func TestManyAddWhileItStops(t *testing.T) {
	t.Parallel()
	c := newCollector(true)
	q := newBatcher(batching{delay: time.Millisecond, queue: 64, batch: 16}, c.send, c.tell)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 500 {
				q.add(&span{})
			}
		})
	}
	if err := q.close(t.Context()); err != nil {
		t.Error(err)
	}
	all.Wait()
	if _, seen, lost := c.state(); seen+lost > 4000 {
		t.Errorf("%d sent and %d lost of 4000", seen, lost)
	}
}

func TestACollectorThatIsAwayIsMentionedOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c := &complaints{log: slog.New(slog.NewTextHandler(&log, nil))}
		for range 90 {
			c.tell(errors.New("collector:4318: connection refused"), 7)
			time.Sleep(time.Second)
		}
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != 2 || !strings.Contains(lines[0], "spans=7") || !strings.Contains(lines[1], "spans=420") || !strings.Contains(lines[1], "connection refused") {
			t.Errorf("%s", &log)
		}
	})
}
