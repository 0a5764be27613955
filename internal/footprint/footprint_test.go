package footprint

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
)

// returned is how much of the heap has been given back to the system, in bytes.
func returned() uint64 {
	released := []metrics.Sample{{Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(released)
	return released[0].Value.Uint64()
}

func TestTheHeapIsReturnedOnceItHasBeenCollected(t *testing.T) { //nolint:paralleltest // others' allocations would count
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	const size = 64 << 20
	garbage := make([]byte, size)
	for i := 0; i < size; i += 4096 {
		garbage[i] = 1
	}
	runtime.KeepAlive(garbage)
	runtime.GC()
	if !collected() {
		t.Fatal("the garbage collector has run, and that is not known")
	}
	before := returned()
	if err := Release(); err != nil {
		t.Fatal(err)
	}
	if after := returned(); after < before+size/2 {
		t.Errorf("%d MiB were given back, of %d that are garbage", int64(after-before)>>20, size>>20)
	}
}
