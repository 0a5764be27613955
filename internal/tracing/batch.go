package tracing

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// batching are the OTEL_BSP_… variables.
type batching struct {
	delay   time.Duration // the longest that a span waits for others
	timeout time.Duration // of sending a batch, with all attempts; zero: none
	queue   int
	batch   int
}

// readBatching reads them. As the specification wants it, what cannot be read is told of, and the default stands in.
func readBatching(getenv func(string) string) (batching, error) {
	var errs []error
	number := func(name string, standard, least, most int) int {
		v := strings.TrimSpace(getenv(name))
		if v == "" {
			return standard
		}
		n, err := strconv.Atoi(v)
		if err != nil || n < least || n > most {
			errs = append(errs, fmt.Errorf("%s: write a number from %d to %d; %d is used", name, least, most, standard))
			return standard
		}
		return n
	}
	const most = 1<<31 - 1 // milliseconds
	b := batching{
		delay:   time.Duration(number("OTEL_BSP_SCHEDULE_DELAY", 5000, 0, most)) * time.Millisecond,
		timeout: time.Duration(number("OTEL_BSP_EXPORT_TIMEOUT", 30000, 0, most)) * time.Millisecond,
		queue:   number("OTEL_BSP_MAX_QUEUE_SIZE", 2048, 1, 1<<20),
		batch:   number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512, 1, 1<<20),
	}
	if b.batch > b.queue {
		b.batch = min(512, b.queue)
	}
	return b, errors.Join(errs...)
}

// batcher takes spans that have ended and hands them to send, several at once. What it holds is bounded: the queue, and one
// batch. It sleeps while there is nothing to send.
type batcher struct {
	batching
	send  func(context.Context, []*span) error
	tell  func(err error, lost int)
	spans chan *span
	full  atomic.Int64 // spans for which the queue had no room and of which nobody has been told

	closed atomic.Bool
	last   chan context.Context // bounds the sending of what is left
	done   chan struct{}
	cancel context.CancelFunc // of what is being sent
}

// newBatcher starts a batcher, which runs until it is closed. tell hears of spans that are lost.
func newBatcher(b batching, send func(context.Context, []*span) error, tell func(err error, lost int)) *batcher {
	ctx, cancel := context.WithCancel(context.Background())
	q := &batcher{
		batching: b, send: send, tell: tell, spans: make(chan *span, b.queue),
		last: make(chan context.Context, 1), done: make(chan struct{}), cancel: cancel,
	}
	go q.run(ctx)
	return q
}

// add takes a span and never waits. One that comes after the end is not sent.
func (q *batcher) add(s *span) {
	if q.closed.Load() {
		return
	}
	select {
	case q.spans <- s:
	default:
		q.full.Add(1)
	}
}

// close sends what is left, as long as the context lasts. Calls after the first do nothing.
func (q *batcher) close(ctx context.Context) error {
	if q.closed.Swap(true) {
		return nil
	}
	q.last <- ctx
	select {
	case <-q.done:
	case <-ctx.Done():
	}
	q.cancel()
	if ctx.Err() != nil {
		return errors.New("the collector did not take them in time")
	}
	return nil
}

func (q *batcher) run(ctx context.Context) {
	defer close(q.done)
	var batch []*span
	due := time.NewTimer(q.delay)
	due.Stop()
	for {
		select {
		case last := <-q.last:
			q.drain(last, batch)
			return
		case <-due.C:
			batch = q.export(ctx, batch)
		case s := <-q.spans:
			if batch = append(batch, s); len(batch) >= q.batch {
				due.Stop()
				batch = q.export(ctx, batch)
			} else if len(batch) == 1 {
				due.Reset(q.delay)
			}
		}
	}
}

// drain sends what is left.
func (q *batcher) drain(ctx context.Context, batch []*span) {
	for ctx.Err() == nil {
		select {
		case s := <-q.spans:
			if batch = append(batch, s); len(batch) >= q.batch {
				batch = q.export(ctx, batch)
			}
		default:
			q.export(ctx, batch)
			return
		}
	}
}

// export sends a batch and returns room for the next one.
func (q *batcher) export(ctx context.Context, batch []*span) []*span {
	if q.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, q.timeout)
		defer cancel()
	}
	if err := q.send(ctx, batch); err != nil {
		q.tell(err, len(batch))
	}
	if n := q.full.Swap(0); n > 0 {
		q.tell(fmt.Errorf("the queue was full with %d spans (OTEL_BSP_MAX_QUEUE_SIZE)", q.queue), int(n))
	}
	clear(batch)
	return batch[:0]
}
