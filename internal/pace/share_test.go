package pace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// memoryLedger is what the script in Redis is, in this process.
type memoryLedger struct {
	latency time.Duration

	mu       sync.Mutex
	away     bool
	began    time.Time
	books    map[API]*page
	accounts int
	promised float64
}

// asked is how often it was asked.
func (l *memoryLedger) asked() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.accounts
}

type page struct{ empty, returned float64 } // seconds, units

func newMemoryLedger() *memoryLedger {
	return &memoryLedger{latency: time.Millisecond, began: time.Now(), books: map[API]*page{REST: {}, GraphQL: {}}}
}

func (l *memoryLedger) Account(_ context.Context, api API, e Entry) (b Balance, err error) {
	time.Sleep(l.latency / 2)
	defer time.Sleep(l.latency / 2)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accounts++
	if l.away {
		return b, errors.New("away")
	}
	p, now := l.books[api], time.Since(l.began).Seconds()
	depth := e.Size / e.Rate
	after := max(now, max(p.empty, now)+e.Spent/e.Rate)
	if e.Spent < 0 {
		p.returned -= e.Spent
	}
	after = max(after, now+min(e.Full, e.Size)/e.Rate)
	if e.Need > 0 {
		wait := max(0, after+e.Need/e.Rate-now-depth)
		b.Due, b.Promised = time.Duration(wait*float64(time.Second)), wait <= 10
		if b.Promised {
			after += e.Need / e.Rate
			l.promised += e.Need
		}
	}
	b.Free = max(0, (now+depth-after)*e.Rate)
	if b.Lent = min(e.Extra, math.Floor(b.Free)); b.Lent > 0 {
		after += b.Lent / e.Rate
		b.Free -= b.Lent
	}
	p.empty, b.Returned = after, p.returned
	return b, nil
}

// shop is Shopify's bucket.
type shop struct {
	limit
	mu              sync.Mutex
	began           time.Time
	emptyAt         float64
	served, refused int
}

// weigh judges a call that asks for so much and costs so much. It takes 50 ms.
func (s *shop) weigh(requested, actual float64) (full float64, ok bool) {
	time.Sleep(25 * time.Millisecond)
	s.mu.Lock()
	from := max(s.emptyAt, time.Since(s.began).Seconds())
	now := time.Since(s.began).Seconds()
	if ok = from+requested/s.rate-now <= s.size/s.rate+1e-9; ok {
		s.emptyAt = from + actual/s.rate
		s.served++
	} else {
		s.refused++
	}
	full = max(0, s.emptyAt-now) * s.rate
	s.mu.Unlock()
	time.Sleep(25 * time.Millisecond)
	return full, ok
}

// judged is what Shopify says of a call.
func (s *shop) judged(api API, requested, actual float64) Answer {
	full, ok := s.weigh(requested, actual)
	if api == REST {
		if !ok {
			return Answer{Status: http.StatusTooManyRequests, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(fmt.Sprintf(`{"errors":"Exceeded %g calls per second for api client."}`, s.rate)))}
		}
		return Answer{Status: http.StatusOK, Header: http.Header{callLimitHeader: {fmt.Sprintf("%d/%g", int(math.Ceil(full-1e-9)), s.size)}}, Body: http.NoBody}
	}
	throttle := fmt.Sprintf(`"throttleStatus":{"maximumAvailable":%g,"currentlyAvailable":%d,"restoreRate":%g}`, s.size, int(s.size-full), s.rate)
	body := fmt.Sprintf(`{"data":{},"extensions":{"cost":{"requestedQueryCost":%g,"actualQueryCost":%g,%s}}}`, requested, actual, throttle)
	if !ok {
		body = fmt.Sprintf(`{"errors":[{"message":"Throttled","extensions":{"code":"THROTTLED"}}],"extensions":{"cost":{"requestedQueryCost":%g,"actualQueryCost":null,%s}}}`, requested, throttle)
	}
	return Answer{Status: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Length: int64(len(body))}
}

// callThrough has callers call through a pacer until ctx ends, and returns how many calls were served.
func callThrough(ctx context.Context, p *Pacer, s *shop, api API, callers int, requested, actual float64) (served int) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			for ctx.Err() == nil {
				r := p.Reserve(api, Caller{Key: i, Known: true}, []byte(`{"query":"{ shop { name } }"}`))
				for again := true; again; {
					if _, err := r.Wait(ctx); err != nil {
						return
					}
					var body io.ReadCloser
					a := s.judged(api, requested, actual)
					body, again = r.Observe(a)
					_, _ = io.Copy(io.Discard, body)
					body.Close()
					if !again {
						mu.Lock()
						served++
						mu.Unlock()
					}
				}
			}
		})
	}
	all.Wait()
	return served
}

// TestFiveProcessesShareABucket: nothing is refused for long, nothing of the bucket is lost, and nobody starves.
func TestFiveProcessesShareABucket(t *testing.T) {
	t.Parallel()
	const processes, length = 5, 3 * time.Minute
	for name, c := range map[string]struct {
		api               API
		limit             limit
		callers           int
		requested, actual float64
	}{
		"rest":          {REST, limit{40, 2}, 3, 1, 1},
		"rest_plus":     {REST, limit{400, 20}, 10, 1, 1},
		"graphql":       {GraphQL, limit{1000, 50}, 3, 50, 50},
		"graphql_cheap": {GraphQL, limit{2000, 100}, 4, 300, 30}, // what was reserved comes back
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ledger := newMemoryLedger()
				s := &shop{limit: c.limit, began: time.Now()}
				ctx, cancel := context.WithTimeout(t.Context(), length)
				defer cancel()
				served := make([]int, processes)
				var all sync.WaitGroup
				for i := range processes {
					p := New(Options{MaxWait: 30 * time.Second, Ledger: ledger})
					all.Go(func() { served[i] = callThrough(ctx, p, s, c.api, c.callers, c.requested, c.actual) })
				}
				all.Wait()
				leaked := c.limit.rate * length.Seconds() / c.actual
				t.Logf("%v, %.0f leaked, %d refused, %d accounts", served, leaked, s.refused, ledger.asked())
				if float64(s.served) < 0.98*leaked {
					t.Errorf("%d calls were served, and %.0f leaked", s.served, leaked)
				}
				// Without a ledger 700 to 9000 are.
				if s.refused > processes {
					t.Errorf("%d were refused", s.refused)
				}
				for i, n := range served {
					if share := float64(n) * processes / float64(s.served); share < 0.6 || share > 1.4 {
						t.Errorf("process %d had %.2f of its share", i, share)
					}
				}
				if ledger.asked() > 4*(s.served+s.refused)+int(length/longestLook)*processes {
					t.Errorf("%d accounts for %d calls", ledger.asked(), s.served)
				}
				time.Sleep(time.Minute) // timers end by themselves
			})
		})
	}
}

// TestMostCallsDoNotWaitForTheLedger: while the bucket is far from full, and when credit was lent.
func TestMostCallsDoNotWaitForTheLedger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ledger := newMemoryLedger()
		ledger.latency = 200 * time.Millisecond
		s := &shop{limit: limit{40, 2}, began: time.Now()}
		p := New(Options{MaxWait: time.Minute, Ledger: ledger})
		for i := range 60 {
			time.Sleep(time.Second)
			r := p.Reserve(REST, Caller{Key: "me"}, nil)
			if took, err := r.Wait(t.Context()); took != 0 || err != nil {
				t.Errorf("call %d waited %s, %v", i, took, err)
			}
			_, _ = r.Observe(s.judged(REST, 1, 1))
		}
		if n := ledger.asked(); n < 30 || n > 130 {
			t.Errorf("%d accounts", n)
		}
		time.Sleep(time.Minute)
	})
}

// TestWithoutItsLedgerAProcessIsOnItsOwn, and it is not when the ledger is back.
func TestWithoutItsLedgerAProcessIsOnItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ledger := newMemoryLedger()
		s := &shop{limit: limit{40, 2}, began: time.Now()}
		p := New(Options{MaxWait: time.Minute, Ledger: ledger})
		set := func(away bool) {
			ledger.mu.Lock()
			defer ledger.mu.Unlock()
			ledger.away = away
		}
		for _, away := range []bool{false, true, false, true} {
			set(away)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			before := ledger.asked()
			if n := callThrough(ctx, p, s, REST, 5, 1, 1); n < 115 {
				t.Errorf("away %t: %d calls in a minute, of 120", away, n)
			}
			cancel()
			if asked := ledger.asked() - before; away && asked > 45 || !away && asked < 50 {
				t.Errorf("away %t: it was asked %d times", away, asked)
			}
		}
		if s.refused > 10 {
			t.Errorf("%d were refused", s.refused)
		}
		time.Sleep(time.Minute)
	})
}

// TestWhatIsNotUsedIsGivenBack: whoever has stopped calling holds nothing that others could use.
func TestWhatIsNotUsedIsGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ledger := newMemoryLedger()
		s := &shop{limit: limit{1000, 50}, began: time.Now()}
		p := New(Options{MaxWait: time.Minute, Ledger: ledger})
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		callThrough(ctx, p, s, GraphQL, 4, 100, 10)
		time.Sleep(3 * time.Second)
		ledger.mu.Lock()
		accounts := ledger.accounts
		model := max(0, ledger.books[GraphQL].empty-time.Since(ledger.began).Seconds()) * 50
		ledger.mu.Unlock()
		s.mu.Lock()
		real := max(0, s.emptyAt-time.Since(s.began).Seconds()) * 50
		s.mu.Unlock()
		if model < real-1 || model > real+110 {
			t.Errorf("the ledger has %.0f points in the bucket, and Shopify %.0f", model, real)
		}
		time.Sleep(time.Hour)
		if n := ledger.asked() - accounts; n > 2 {
			t.Errorf("%d accounts in an hour without a call", n)
		}
	})
}
