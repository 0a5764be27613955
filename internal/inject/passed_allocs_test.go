//go:build linux && !race && !nethttp

package inject

import (
	"math"
	"runtime/debug"
	"testing"
)

// The whole way over sockets, in the lanes that are released: everything that a request which is only passed on is made of is used
// again. Without TLS, of which some versions of Go have something escape; TestAllocationsOfTheProcess in bench has it. What
// it comes to elsewhere than on Linux, where net reads and writes, nobody has measured.
func TestARequestThatIsOnlyPassedOnAllocatesNothing(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which would empty the pools
	for _, c := range calls {
		if c.readOnly {
			continue
		}
		ask := c.client(t, c.serve(t, false))
		for range 100 {
			ask() // for the pools, and what is learnt of a client and of answers
		}
		least := math.Inf(1)
		for range 5 { // something else of the process may be counted
			least = min(least, testing.AllocsPerRun(300, ask))
		}
		if least != 0 {
			t.Errorf("%s: %v allocations", c.name, least)
		}
	}
}
