package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"evergate/test/process"
)

func TestFiftyClientsForTwoMinutesAcrossRenewals(t *testing.T) {
	t.Parallel()
	const life = 6 * time.Second
	tokens := 26 // two minutes: a token is renewed after 4.5 seconds on average
	if testing.Short() {
		tokens = 4
	}
	shop := newShopify(t, shopOptions{Settings: wide(life)})
	s := shop.sidecar(t)
	ages, machine := watchAge(t, s), watchMachine(t)

	began := time.Now()
	stop := startHammer(t, s, 50)
	process.EventuallyWithin(t, time.Duration(tokens)*life+patience, 100*time.Millisecond, func() error {
		if n := shop.Stats().TokenPosts; n < tokens {
			return fmt.Errorf("%d of %d tokens were asked for", n, tokens)
		}
		return nil
	})
	done := stop()
	took := time.Since(began)
	t.Logf("%d requests in %s", done, took.Round(time.Second))
	if done < 50*5 {
		t.Errorf("only %d requests came to their end", done)
	}

	process.Eventually(t, func() error { // a renewal may be under way
		posts, seen := shop.Stats().TokenPosts, ages.now()
		if posts != int(seen.attempts) || posts != seen.falls+1 && seen.faithful() {
			return fmt.Errorf("%d token POSTs, %g counted, the token's age fell %d times", posts, seen.attempts, seen.falls)
		}
		return nil
	})
	machine.mustKnowEveryToken(t, shop, life)
	if still := machine.stoodStill(); still > life/10 {
		t.Logf("the machine stood still for %s: nothing more can be said of time", still)
		return
	}
	// A token is renewed at 70 to 80 % of its life, never sooner.
	if renewals, most := ages.now().falls, int(took/(life*7/10))+1; renewals < int(took/life)-1 || renewals > most {
		t.Errorf("%d renewals of tokens that live for %s in %s", renewals, life, took)
	}
	for _, result := range []string{"transient", "config", "reauthorize"} {
		if n := s.metric(t, "evergate_refreshes_total", `result="`+result+`"`); n != 0 {
			t.Errorf("%g attempts ended as %s", n, result)
		}
	}
}

// call is a request and what its answer must be.
type call struct {
	method, path, body string
	status             int
	want               string
}

// callOf returns the nth call of a client: it lists, queries and creates in turn.
func callOf(client, n int) call {
	switch n % 3 {
	case 0:
		return call{http.MethodGet, "/products.json?limit=2", "", http.StatusOK, `{"products":[`}
	case 1:
		return call{http.MethodPost, "/graphql.json", `{"query":"{ shop { name } }"}`, http.StatusOK, `"data":{"shop":{"name":"Blue Finch"}}`}
	}
	title := fmt.Sprintf(`"title":"Lamp %d of client %d"`, n, client)
	return call{http.MethodPost, "/products.json", `{"product":{` + title + `}}`, http.StatusCreated, title}
}

func (c call) make(ctx context.Context, client *http.Client, url string) error {
	a, err := exchange(ctx, client, c.method, url+api+c.path, c.body)
	if err == nil && (a.status != c.status || !strings.Contains(a.body, c.want)) {
		err = errors.New(a.String())
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", c.method, c.path, err)
	}
	return nil
}

// startHammer has clients call, each about seven times a second over one connection, until
// stop, which returns how many calls were made. Any failure fails the test.
func startHammer(t *testing.T, s *sidecar, clients int) (stop func() int) {
	t.Helper()
	over, end := context.WithCancel(t.Context())
	total := make(chan int, 1)
	stop = sync.OnceValue(func() int { end(); return <-total })
	t.Cleanup(func() { stop() })
	go func() { total <- hammerUntil(over, t, s, clients) }()
	return stop
}

func hammerUntil(over context.Context, t *testing.T, s *sidecar, clients int) int {
	var all sync.WaitGroup
	var done, failed atomic.Int64
	for id := range clients {
		client := newClient(t, "", "")
		all.Go(func() {
			pace := time.NewTicker(150 * time.Millisecond)
			defer pace.Stop()
			for n := id; over.Err() == nil; n++ { // the clients do not march in step
				// Not over: what has begun is brought to its end.
				if err := callOf(id, n).make(t.Context(), client, s.url); err == nil {
					done.Add(1)
				} else if failed.Add(1) <= 5 {
					t.Errorf("client %d: %v", id, err)
				}
				select {
				case <-pace.C:
				case <-over.Done():
				}
			}
		})
	}
	all.Wait()
	if n := failed.Load(); n > 0 {
		t.Errorf("%d of %d requests failed", n, n+done.Load())
	}
	return int(done.Load())
}

// ageWatch scrapes the metrics again and again.
type ageWatch struct {
	mu   sync.Mutex
	seen ageSeen
}

type ageSeen struct {
	at       time.Time
	gap      time.Duration // the longest between two looks
	age      float64
	falls    int     // how often the age was lower than before
	attempts float64 // to obtain a token, by the counter
}

// faithful reports whether no fall can have been missed: a token is at least 2.1 seconds
// old when it is renewed, so one second later the new one is still younger than it was.
func (s ageSeen) faithful() bool { return s.gap < time.Second }

// watchAge watches the token's age until the test ends.
func watchAge(t *testing.T, s *sidecar) *ageWatch {
	w := &ageWatch{}
	client := newClient(t, "", "")
	ctx, stop := context.WithCancel(t.Context())
	var scraping sync.WaitGroup
	t.Cleanup(func() { stop(); scraping.Wait() })
	scraping.Go(func() {
		again := time.NewTicker(100 * time.Millisecond)
		defer again.Stop()
		for ctx.Err() == nil {
			if a, err := exchange(ctx, client, http.MethodGet, s.admin+"/metrics", ""); err == nil {
				w.add(a.body)
			}
			select {
			case <-again.C:
			case <-ctx.Done():
			}
		}
	})
	return w
}

func (w *ageWatch) add(scrape string) {
	age, found := metricOf(scrape, "evergate_token_age_seconds")
	if !found {
		return // no token yet
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if !w.seen.at.IsZero() {
		w.seen.gap = max(w.seen.gap, now.Sub(w.seen.at))
	}
	if age < w.seen.age {
		w.seen.falls++
	}
	w.seen.at, w.seen.age = now, age
	w.seen.attempts, _ = metricOf(scrape, "evergate_refreshes_total")
}

func (w *ageWatch) now() ageSeen {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen
}
