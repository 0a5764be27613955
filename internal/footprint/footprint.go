// Package footprint gives back memory that the process does not need while nothing happens.
//
// Invariants: what is given back is read again from where it came from when it is needed, so nothing is lost, whatever
// the process is doing meanwhile; where that cannot be known of a piece of memory, it is kept.
package footprint

import (
	"runtime/debug"
	"runtime/metrics"
)

// Release gives back what is not needed at rest. It takes about a millisecond, and what a run of the garbage collector does.
func Release() error {
	if collected() {
		debug.FreeOSMemory()
	}
	return ReleaseFile()
}

// collected reports whether the garbage collector has run. Before, all of the heap is smaller than what its first run
// makes for itself, so running it would cost memory.
func collected() bool {
	cycles := []metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}}
	metrics.Read(cycles)
	return cycles[0].Value.Kind() == metrics.KindUint64 && cycles[0].Value.Uint64() > 0
}
