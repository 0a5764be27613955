package sync

import (
	"context"
	"encoding/csv"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"evergate/internal/shopsim"
	"evergate/test/process"
)

// fortune kills what runs, now and then.
type fortune struct {
	t    *testing.T
	shop *shop
	port string

	mu      sync.Mutex
	rng     *rand.Rand
	sidecar *process.Process
	syncing *process.Process
	struck  int
	kills   map[string]int
}

// blows are what strikes mutations, in turn, so that each does.
var blows = []struct {
	name       string
	carriedOut bool
}{{"evergate", false}, {"sync", true}, {"tokens", false}, {"evergate", true}, {"sync", false}, {"tokens", true}}

// strike is called while a mutation is under way; now and then it ends a process, or the tokens that there are.
func (f *fortune) strike(carriedOut bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	blow := blows[f.struck%len(blows)]
	if blow.carriedOut != carriedOut || f.rng.IntN(3) > 0 {
		return
	}
	victim := f.sidecar
	switch blow.name {
	case "tokens":
		f.shop.ExpireTokens()
	case "sync":
		victim = f.syncing
		fallthrough
	default:
		if victim == nil || !victim.Running() {
			return // what it sent is still on its way
		}
		victim.Kill()
	}
	f.struck++
	f.kills[fmt.Sprintf("%s, carried out: %t", blow.name, carriedOut)]++
}

// hurt kills one of both at a time that nothing decides.
func (f *fortune) hurt() {
	f.mu.Lock()
	defer f.mu.Unlock()
	victim, name := f.sidecar, "evergate_whenever"
	if f.rng.IntN(2) == 0 {
		victim, name = f.syncing, "sync_whenever"
	}
	if victim != nil && victim.Running() {
		victim.Kill()
		f.kills[name]++
	}
}

func (f *fortune) pause(longest time.Duration) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Duration(f.rng.Int64N(int64(longest)))
}

// keepAlive starts Evergate again whenever it has ended, as systemd would.
func (f *fortune) keepAlive(ctx context.Context, done chan<- struct{}) {
	defer close(done)
	for {
		p := f.shop.evergate(f.t, f.port)
		f.mu.Lock()
		f.sidecar = p
		f.mu.Unlock()
		select {
		case <-p.Done:
		case <-ctx.Done():
			p.Kill()
			return
		}
	}
}

// runSync starts the sync again and again until it ends by itself with this exit code.
func (f *fortune) runSync(dir, sheet string, code int) {
	f.t.Helper()
	for {
		cmd := process.Command(f.t, python(f.t), []string{"PYTHONDONTWRITEBYTECODE=1", "EVERGATE_URL=http://127.0.0.1:" + f.port},
			folder, "--state", filepath.Join(dir, "state.json"), "--report", filepath.Join(dir, "report.csv"), "--batch", "10", "--settle", "0.5", "--patience", "25", sheet)
		p := process.Launch(f.t, cmd)
		f.mu.Lock()
		f.syncing = p
		f.mu.Unlock()
		longest := process.Patience
		select {
		case <-p.Done:
		case <-time.After(f.pause(6 * time.Second)):
			f.hurt()
		}
		got := p.ExitWithin(f.t, 4*longest)
		if strings.Contains(p.Err.String(), "Traceback") {
			f.t.Fatalf("it broke:\n%s", p.Tail())
		}
		if got == code {
			return
		}
		if got != -1 && got != 3 {
			f.t.Fatalf("exit code %d:\n%s", got, p.Tail())
		}
	}
}

func TestAHundredLivesOfATokenWriteNoRowTwice(t *testing.T) {
	t.Parallel()
	enough := 100
	if testing.Short() {
		enough = 10
	}
	enough = setting(t, "SYNC_LIVES", enough)
	seed := uint64(setting(t, "SYNC_SEED", int(rand.Uint32())))
	s := newShop(t, seed)
	f := &fortune{t: t, shop: s, port: process.FreePort(t), rng: rand.New(rand.NewPCG(seed, seed)), kills: map[string]int{}}
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go f.keepAlive(ctx, gone)
	defer func() { cancel(); <-gone }()
	strike := f.strike

	began, rounds, written := time.Now(), 0, 0
	dir := t.TempDir()
	for ; s.lives() < enough; rounds++ {
		have := s.stock(t)
		want := have.next(f.rng)
		before := len(s.Writes())
		s.trouble()
		s.struck.Store(&strike)
		f.runSync(dir, want.sheet(t, dir), 0)
		s.struck.Store(nil)
		if now := s.stock(t); !maps.Equal(now, want) {
			t.Fatalf("seed %d: the shop is not in step with the sheet: %s", seed, differing(now, want))
		}
		writes := s.Writes()[before:]
		mustBeWrittenOnce(t, seed, writes, have, want)
		mustBeReportedOnce(t, filepath.Join(dir, "report.csv"), have, want)
		written += len(writes)
		if len(s.Writes()) > 4000 {
			t.Fatalf("seed %d: more is written than the simulator keeps", seed)
		}
	}
	t.Logf("seed %d: %d rounds, %d writes, %d tokens in %s; killed: %v", seed, rounds, written, s.lives(), time.Since(began).Round(time.Second), f.kills)
	if f.struck < len(blows) && enough >= 100 {
		t.Errorf("not all that can happen did: %v", f.kills)
	}
}

func differing(a, b stock) string {
	var out []string
	for key := range b {
		if a[key] != b[key] {
			out = append(out, fmt.Sprintf("%s is %s, not %s", key, a[key], b[key]))
		}
	}
	return strings.Join(out, ", ")
}

// mustBeWrittenOnce holds that what differed was written once, and nothing else at all.
func mustBeWrittenOnce(t *testing.T, seed uint64, writes []shopsim.Write, have, want stock) {
	t.Helper()
	times := map[string]int{}
	for _, w := range writes {
		times[w.Resource+" "+w.Field]++
		if w.From == w.To {
			t.Errorf("seed %d: %s was written although it was %s already", seed, w.Resource, w.To)
		}
	}
	for what, n := range times {
		if n > 1 {
			t.Errorf("seed %d: %s was written %d times", seed, what, n)
		}
	}
	if n := strings.Count(differing(have, want)+", ", " is "); n != len(times) {
		t.Errorf("seed %d: %d rows differed, %d were written", seed, n, len(times))
	}
}

// mustBeReportedOnce holds that the report has each change, also those that a killed run made.
func mustBeReportedOnce(t *testing.T, path string, have, want stock) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatalf("the report: %v", err)
	}
	reported := map[string]int{}
	for _, row := range rows[1:] {
		key := row[1]
		if row[2] != "price" {
			key += "/" + row[2]
		}
		reported[key]++
		if row[5] != "" || row[3] != have[key] || row[4] != want[key] {
			t.Errorf("the report says %v; it was %s and is %s", row, have[key], want[key])
		}
	}
	for key := range want {
		changed := 0
		if have[key] != want[key] {
			changed = 1
		}
		if reported[key] != changed {
			t.Errorf("%s changed %d times and is %d times in the report", key, changed, reported[key])
		}
	}
}
