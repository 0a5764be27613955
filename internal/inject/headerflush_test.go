package inject

import (
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// flushes counts how often a header was flushed.
type flushes struct{ n int }

func (f *flushes) Flush() { f.n++ }

// readerFunc is a body.
type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestAHeaderIsFlushedOnlyWhileItsBodyIsWaitedFor also has a body whose read panics, after which the answer is somebody else's.
func TestAHeaderIsFlushedOnlyWhileItsBodyIsWaitedFor(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		takes  time.Duration
		panics bool
		want   int
	}{
		"it is late":        {takes: 2 * headerFlushDelay, want: 1},
		"it is there":       {},
		"its reader panics": {panics: true},
	} {
		synctest.Test(t, func(t *testing.T) {
			h, f := &Handler{flushers: sync.Pool{New: newHeaderFlusher}}, &flushes{}
			body := readerFunc(func([]byte) (int, error) {
				if time.Sleep(tc.takes); tc.panics {
					panic("no body")
				}
				return 0, io.EOF
			})
			func() {
				defer func() { _ = recover() }()
				_, _ = h.readFirst(body, make([]byte, 10), f)
			}()
			time.Sleep(10 * headerFlushDelay)
			synctest.Wait()
			if f.n != tc.want {
				t.Errorf("%s: flushed %d times, want %d", name, f.n, tc.want)
			}
		})
	}
}
