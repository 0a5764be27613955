package fleet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/clock"
	"evergate/internal/config"
	"evergate/internal/token"
)

// What a shop costs, as it was measured; docs/operating/fleet.md and store-redis.md have the figures.
const (
	simActive   = 6656 // bytes of an active shop: 6.5 KiB, which test/fleet holds to 12
	simRedis    = 860  // bytes of a grant in Redis
	simCommands = 8    // of a renewal, in turn
	// simTrip and simPost are assumed: a Redis in the same zone, and Shopify's token endpoint from another.
	simTrip = time.Millisecond
	simPost = 200 * time.Millisecond
	simLife = time.Hour
)

// installed is a shop that is called all the time. Its renewal costs time and nothing else.
type installed struct {
	mu      sync.Mutex
	issued  time.Time
	renewAt time.Time
	world   *fleetWorld
}

// fleetWorld is what the shops of a simulation share.
type fleetWorld struct {
	life           time.Duration
	counting       atomic.Bool
	renewals, late atomic.Int64
}

func (m *installed) obtained(at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.issued, m.renewAt = at, at.Add(time.Duration(float64(m.world.life)*(0.7+0.1*rand.Float64())))
}

func (m *installed) Due() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return min(time.Until(m.renewAt), time.Minute)
}

func (m *installed) Rest() (left, life time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return max(0, m.world.life-time.Since(m.issued)), m.world.life
}

func (m *installed) Step(ctx context.Context) {
	if clock.Sleep(ctx, simCommands*simTrip+simPost) != nil {
		return
	}
	if w := m.world; w.counting.Load() {
		w.renewals.Add(1)
		if left, _ := m.Rest(); left == 0 {
			w.late.Add(1)
		}
	}
	m.obtained(time.Now())
}

func (m *installed) Look(context.Context) {}
func (m *installed) Renews() bool         { return true }
func (m *installed) MayForget() bool      { return true }
func (m *installed) Stop()                {}

// outcome is what became of a simulated fleet.
type outcome struct {
	perSecond float64 // renewals
	late      float64 // the share of them whose token had ended
}

// simulate has the real schedule renew the tokens of shops that are all called, in faked time, in their second and third life.
// It is scaled: a thousandth of the shops with a thousandth of an hour's life need as many renewals a second.
func simulate(t *testing.T, shops, scale int, mostPerSecond float64) (o outcome) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &fleetWorld{life: simLife / time.Duration(scale)}
		f := New(Options[*installed]{
			Most: shops, PerSecond: mostPerSecond, Idle: func(*installed) bool { return false },
			Make: func(context.Context, token.Shop, func()) (*installed, error) {
				m := &installed{world: w}
				m.obtained(time.Now().Add(-time.Duration(rand.Float64() * renewedAt * float64(w.life))))
				return m, nil
			},
		})
		for n := range shops / scale {
			if _, err := f.Of(t.Context(), shopNo(t, n)); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { f.Run(ctx) })
		time.Sleep(w.life)
		w.counting.Store(true)
		time.Sleep(2 * w.life)
		w.counting.Store(false)
		cancel()
		running.Wait()
		n := float64(w.renewals.Load())
		o = outcome{n / (2 * w.life).Seconds(), float64(w.late.Load()) / max(1, n)}
	})
	return o
}

// needed is how many renewals a second keep the tokens of shops fresh.
func needed(shops int) float64 { return float64(shops) / (renewedAt * simLife.Seconds()) }

// TestWhereAMillionShopsBreak holds the table of docs/operating/fleet.md to what the schedule does with so many shops. FLEET_SHOPS simulates
// that many instead, unscaled, and says what the schedule itself costs.
func TestWhereAMillionShopsBreak(t *testing.T) {
	t.Parallel()
	usual := usualMost(t)
	if shops, err := strconv.Atoi(os.Getenv("FLEET_SHOPS")); err == nil {
		for _, most := range []float64{usual, 1000} {
			o := simulate(t, shops, 1, most)
			t.Logf("%d shops, at most %.0f a second: %.1f of %.1f needed; %.1f %% of the tokens had ended", shops, most, o.perSecond, needed(shops), 100*o.late)
		}
		return
	}
	page, err := os.ReadFile("../../docs/operating/fleet.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "| shops that are called |")
	table, _, _ = strings.Cut(table, "\n\n")
	for _, shops := range []int{50_000, 100_000, 200_000, 400_000, 1_000_000} {
		row := fmt.Sprintf("| %s | %.0f | %s | %s | %s | %s | %.0f |", thousands(shops), needed(shops),
			simulate(t, shops, 1000, usual).text(), simulate(t, shops, 1000, 1000).text(),
			gib(shops*simActive), gib(shops*simRedis), simCommands*min(needed(shops), workers/(simCommands*simTrip+simPost).Seconds()))
		if !strings.Contains(table, "\n"+row+"\n") && !strings.HasSuffix(table, "\n"+row) {
			t.Errorf("docs/operating/fleet.md has no row\n%s", row)
		}
	}
}

// asked counts how often the schedule looks at it.
type asked struct {
	*installed
	times *atomic.Int64
}

func (m asked) Due() time.Duration {
	m.times.Add(1)
	return m.installed.Due()
}

// A renewal costs the schedule the same however many others wait for theirs.
func TestAScheduleThatIsBehindLooksAtWhoseTurnItIs(t *testing.T) {
	t.Parallel()
	const shops, seconds = 3000, 60
	synctest.Test(t, func(t *testing.T) {
		w := &fleetWorld{life: simLife}
		var times atomic.Int64
		f := New(Options[asked]{Most: shops, PerSecond: 1, Idle: func(asked) bool { return false }, Make: func(context.Context, token.Shop, func()) (asked, error) {
			m := &installed{world: w}
			m.obtained(time.Now().Add(-simLife))
			return asked{m, &times}, nil
		}})
		for n := range shops {
			if _, err := f.Of(t.Context(), shopNo(t, n)); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { f.Run(ctx) })
		time.Sleep(seconds * time.Second)
		cancel()
		running.Wait()
		if n := times.Load(); n > 4*shops {
			t.Errorf("in %d seconds, with a renewal in each, %d shops were looked at %d times", seconds, shops, n)
		}
	})
}

// usualMost is the default of EVERGATE_MAX_RENEWALS.
func usualMost(t *testing.T) float64 {
	t.Helper()
	field, _ := reflect.TypeFor[config.Config]().FieldByName("MaxRenewals")
	most, err := strconv.ParseFloat(field.Tag.Get("envDefault"), 64)
	if err != nil {
		t.Fatal(err)
	}
	return most
}

// text is what the page says of an outcome: the rate only where it is less than needed, and to tens, because renewals are drawn at random.
func (o outcome) text() string {
	if o.late == 0 {
		return "all in time"
	}
	return fmt.Sprintf("about %.0f a second", 10*float64(int(o.perSecond/10+0.5)))
}

func thousands(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%s %03d", thousands(n/1000), n%1000)
}

func gib(bytes int) string { return fmt.Sprintf("%.2f GiB", float64(bytes)/(1<<30)) }
