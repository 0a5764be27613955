package pace

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const second = int64(time.Second)

func TestABucketGivesItsSizeAtOnceAndItsRateAfterwards(t *testing.T) {
	t.Parallel()
	b, now := newBucket(&limit{size: 40, rate: 2}), int64(0)
	for i := range 40 {
		if _, _, ok := b.take(now, 1); !ok {
			t.Fatalf("call %d of 40 did not fit", i+1)
		}
	}
	_, wait, ok := b.take(now, 1)
	if ok || wait != 500*time.Millisecond {
		t.Errorf("call 41: fits %v, or in %s; want in 500ms", ok, wait)
	}
	if _, _, ok := b.take(now+second/2, 1); !ok {
		t.Error("after 500 ms no call fits")
	}
	if a := b.available(now + 100*second); a != 40 {
		t.Errorf("an idle bucket has room for %v", a)
	}
}

func TestWhatIsLargerThanTheBucketPassesWhenTheBucketIsEmpty(t *testing.T) {
	t.Parallel()
	b := newBucket(&limit{size: 100, rate: 10})
	if _, _, ok := b.take(0, 5000); !ok {
		t.Error("it would wait for ever, and Shopify's own refusal says why")
	}
	if _, wait, ok := b.take(0, 5000); ok || wait != 10*time.Second {
		t.Errorf("behind itself it waits %s", wait)
	}
}

func TestForcingNeverOverfillsTheBucket(t *testing.T) {
	t.Parallel()
	b := newBucket(&limit{size: 40, rate: 2})
	for range 500 {
		b.force(0, 1)
	}
	if _, wait, ok := b.take(0, 1); ok || wait > 500*time.Millisecond {
		t.Errorf("after 500 forced calls the next waits %s, as if Shopify had counted what it refused", wait)
	}
}

func TestAnObservationCorrectsOnlyWhatItContradicts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name        string
		before      float64 // units in the bucket at second 10
		least, most float64 // observed at some time between second 9 and 10
		unseen      int64
		want        float64
	}{
		{"a_fraction_is_kept", 20.5, 20, 21, 0, 20.5},
		{"others_have_filled_it", 10, 30, 31, 0, 28}, // it may have leaked for a second since
		{"it_is_emptier", 30, 9, 10, 0, 10},
		{"it_is_emptier_but_more_is_on_its_way", 30, 9, 10, 15, 25},
		{"all_explained_by_what_is_on_its_way", 30, 9, 10, 40, 30},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBucket(&limit{size: 40, rate: 2})
			now := 10 * second
			b.emptyAt.Store(now + b.limit.Load().span(c.before))
			b.learn(observation{now: now, sent: 9 * second, least: c.least, most: c.most, unseen: c.unseen})
			if got := 40 - b.available(now); got < c.want-0.001 || got > c.want+0.001 {
				t.Errorf("%.2f in the bucket, want %.2f", got, c.want)
			}
		})
	}
}

func TestAnotherRateKeepsHowFullTheBucketIs(t *testing.T) {
	t.Parallel()
	b := newBucket(&limit{size: 40, rate: 2})
	b.force(0, 30)
	b.learnLimit(0, 400, 20)
	if a := b.available(0); a < 369.9 || a > 370.1 {
		t.Errorf("room for %.2f of 400 with 30 in it", a)
	}
	for _, nonsense := range []limit{{0, 2}, {40, 0}, {-1, -1}} {
		b.learnLimit(0, nonsense.size, nonsense.rate)
		if got := *b.limit.Load(); got != (limit{400, 20}) {
			t.Errorf("%v was taken over from %v", got, nonsense)
		}
	}
}

func TestTogetherNoMoreIsTakenThanThereIs(t *testing.T) {
	t.Parallel()
	b := newBucket(&limit{size: 1000, rate: 50})
	var taken atomic.Int64
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 1000 {
				cost := rand.Int64N(5) + 1
				if _, _, ok := b.take(0, cost); ok {
					taken.Add(cost)
				}
			}
		})
	}
	group.Wait()
	if n := taken.Load(); n > 1000 || n < 996 {
		t.Errorf("%d taken of 1000", n)
	}
	if b.charged.Load() != taken.Load() || b.inFlight.Load() != taken.Load() {
		t.Errorf("charged %d, in flight %d, taken %d", b.charged.Load(), b.inFlight.Load(), taken.Load())
	}
}
