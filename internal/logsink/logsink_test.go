package logsink

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// reader is the other end of a log: it can stop, and it can refuse.
type reader struct {
	mu   sync.Mutex
	got  bytes.Buffer
	fail func(p []byte) (int, error) // nil: it takes everything
	gate chan struct{}               // nil: it does not wait; else it takes one write for each value
}

func (r *reader) Write(p []byte) (int, error) {
	if r.gate != nil {
		<-r.gate
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		n, err := r.fail(p)
		r.got.Write(p[:n])
		return n, err
	}
	return r.got.Write(p)
}

func (r *reader) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got.String()
}

func TestLinesComeOutWholeAndInOrder(t *testing.T) {
	t.Parallel()
	r := &reader{}
	s := New(r)
	var all sync.WaitGroup
	for writer := range 8 {
		all.Go(func() {
			for i := range 200 {
				fmt.Fprintf(s, "%d %d\n", writer, i)
			}
		})
	}
	all.Wait()
	s.Flush(time.Minute)
	next := map[int]int{}
	count := 0
	for line := range strings.Lines(r.String()) {
		var writer, i int
		if _, err := fmt.Sscanf(line, "%d %d\n", &writer, &i); err != nil || i != next[writer] {
			t.Fatalf("%q, want %d", line, next[writer])
		}
		next[writer]++
		count++
	}
	if count != 1600 || s.Dropped() != 0 {
		t.Errorf("%d lines, %d dropped", count, s.Dropped())
	}
}

func TestAReaderThatStopsHoldsUpNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &reader{gate: make(chan struct{})}
		s := New(r)
		defer close(s.wake)
		line := strings.Repeat("x", 999) + "\n"
		const written = 5000
		for range written {
			if n, err := io.WriteString(s, line); n != len(line) || err != nil {
				t.Fatalf("%d, %v", n, err)
			}
		}
		synctest.Wait()
		if s.Dropped() == 0 {
			t.Fatal("everything waits")
		}
		if len(s.waiting) > most {
			t.Errorf("%d bytes wait", len(s.waiting))
		}
		began := time.Now()
		s.Flush(time.Second)
		if waited := time.Since(began); waited != time.Second {
			t.Errorf("flushed for %s", waited)
		}
		close(r.gate) // it reads on
		s.Flush(time.Hour)
		if got := strings.Count(r.String(), "\n"); uint64(got)+s.Dropped() != written || strings.Trim(r.String(), "x\n") != "" {
			t.Errorf("%d lines there, %d dropped, of %d", got, s.Dropped(), written)
		}
		fmt.Fprintln(s, "again")
		s.Flush(time.Hour)
		if !strings.HasSuffix(r.String(), "\nagain\n") {
			t.Error("what comes later is lost, too")
		}
		if cap(s.waiting) > kept || cap(s.spare) > kept {
			t.Errorf("%d and %d bytes are kept", cap(s.waiting), cap(s.spare))
		}
	})
}

func TestAReaderThatHasGoneIsTriedAgain(t *testing.T) {
	t.Parallel()
	r := &reader{fail: func([]byte) (int, error) { return 0, errors.New("broken pipe") }}
	s := New(r)
	for i := range 10 {
		fmt.Fprintln(s, i)
		s.Flush(time.Minute)
	}
	if s.Dropped() != 10 {
		t.Errorf("%d dropped", s.Dropped())
	}
	r.mu.Lock()
	r.fail = nil
	r.mu.Unlock()
	fmt.Fprintln(s, "back")
	s.Flush(time.Minute)
	if got := r.String(); got != "back\n" || s.Dropped() != 10 {
		t.Errorf("%q, %d dropped", got, s.Dropped())
	}
}

// A disk that is full takes what it has room for.
func TestALineThatIsThereInPartGetsAnEnd(t *testing.T) {
	t.Parallel()
	room := 10
	r := &reader{}
	r.fail = func(p []byte) (int, error) {
		n := min(room, len(p))
		room -= n
		if n < len(p) {
			return n, errors.New("no space left on device")
		}
		return n, nil
	}
	s := New(r)
	for _, line := range []string{"first\n", "second\n", "third\n"} {
		fmt.Fprint(s, line)
		s.Flush(time.Minute)
	}
	r.mu.Lock()
	room = 1000
	r.mu.Unlock()
	fmt.Fprint(s, "fourth\n")
	s.Flush(time.Minute)
	if got := r.String(); got != "first\nseco\nfourth\n" || s.Dropped() != 2 {
		t.Errorf("%q, %d dropped", got, s.Dropped())
	}
}

func BenchmarkWrite(b *testing.B) {
	s := New(io.Discard)
	line := []byte(strings.Repeat("x", 199) + "\n")
	b.ReportAllocs()
	for b.Loop() {
		_, _ = s.Write(line)
	}
}
