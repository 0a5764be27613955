//go:build unix && !race

package inject

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

// What Evergate itself allocates for a request, when everything that grows has grown. A number
// here may fall; one that rises needs a reason. It leaves room for two, because a pool may have
// been emptied. The race detector allocates for itself, so that it is not asked.
func TestAllocationsOfARequest(t *testing.T) {
	most := map[string]float64{"get": 4, "graphql": 7}
	for _, c := range calls {
		limit, held := most[c.name]
		if !held {
			continue // judging a document is guard's, and depends on its length
		}
		h, in, w := c.handler(t), c.incoming(t), newSink()
		got := testing.AllocsPerRun(200, func() {
			w.begin()
			h.ServeHTTP(w, in.again())
		})
		if got > limit+2 || w.bytes != len(c.answer) {
			t.Errorf("%s: %v allocations, want %v at most; %d bytes arrived", c.name, got, limit, w.bytes)
		}
	}
}

// The page has a row for each stage, and this is what keeps it true: nothing allocates more than it says, nor so much less that a
// reader is misled. The least of many runs is counted, because that is the one in which no pool had to be filled.
func TestStagesAllocateWhatTheirPageSays(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which would empty the pools
	for range 2 {
		runtime.GC() // of what other tests have left there
	}
	page, err := os.ReadFile("../../docs/developing/request-path.md")
	if err != nil {
		t.Fatal(err)
	}
	sum, whole := map[string]uint64{}, map[string]uint64{}
	for _, st := range stages {
		row := fmt.Sprintf("| %s |", st.name)
		says := make([]uint64, len(calls))
		_, rest, found := strings.Cut(string(page), "\n"+row)
		if _, err := fmt.Sscanf(rest, "%d | %d | %d |", &says[0], &says[1], &says[2]); !found || err != nil {
			t.Fatalf("the page has no row %q with %d numbers: %v", row, len(calls), err)
		}
		for i, c := range calls {
			got := leastMallocs(newStaged(t, c), st)
			if got > says[i] || got+max(1, says[i]/20) < says[i] {
				t.Errorf("%s of %s: %d allocations, and the page says %d", st.name, c.name, got, says[i])
			}
			if st.name == "whole" {
				whole[c.name] = got
			} else {
				sum[c.name] += got
			}
		}
	}
	for name, of := range whole {
		if sum[name] != of {
			t.Errorf("%s: the stages' allocations are %d, the whole's %d: a stage is missing here", name, sum[name], of)
		}
	}
}

func leastMallocs(s *staged, st stage) uint64 {
	least := uint64(math.MaxUint64)
	var before, after runtime.MemStats
	for range 50 {
		s.round(st, func(run func()) {
			runtime.ReadMemStats(&before)
			run()
			runtime.ReadMemStats(&after)
		})
		least = min(least, after.Mallocs-before.Mallocs)
	}
	return least
}
