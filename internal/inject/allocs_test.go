//go:build unix && !race

package inject

import "testing"

// What Evergate itself allocates for a request, when everything that grows has grown. A number
// here may fall; one that rises needs a reason. It leaves room for two, because a pool may have
// been emptied. The race detector allocates for itself, so that it is not asked.
func TestAllocationsOfARequest(t *testing.T) {
	most := map[string]float64{"get": 4, "graphql": 8}
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
