package supply

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"evergate/test/process"
)

const (
	// window is how long a process that nobody calls is looked at. A timer of two seconds would wake it five times in that.
	window = 10 * time.Second
	// mostSwitches are how often its threads may go to sleep in the meantime. One timer that runs out costs two to four such.
	mostSwitches = 8
	// mostWindows are looked at: once a minute it has something to do.
	mostWindows = 6
)

func TestNothingWakesAProcessThatNobodyCalls(t *testing.T) {
	t.Parallel()
	connected := make(chan struct{}, 100)
	shop := httptest.NewUnstartedServer(http.NotFoundHandler()) // whose connections stay open
	shop.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connected <- struct{}{}
		}
	}
	shop.Start()
	t.Cleanup(shop.Close)
	p := atRest(t, shop.URL)
	process.Await(t, "a warm connection", connected)
	fewest := 1 << 30
	for range mostWindows {
		before, slept := switches(t, p.Cmd.Process.Pid), 0
		<-time.After(window)
		for thread, n := range switches(t, p.Cmd.Process.Pid) {
			slept += n - before[thread]
		}
		if fewest = min(fewest, slept); fewest <= mostSwitches {
			return
		}
	}
	t.Errorf("its threads went to sleep %d times in %s, and %d are allowed: strace -f says what wakes it, docs/adr/0028-what-is-in-memory-at-rest.md what may", fewest, window, mostSwitches)
}

// switches is how often each thread of a process has gone to sleep.
func switches(t *testing.T, pid int) map[string]int {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(tasks) == 0 {
		t.Fatal("it has no threads", err)
	}
	all := map[string]int{}
	for _, path := range tasks {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // a thread that has just ended
		}
		_, rest, _ := strings.Cut(string(text), "\nvoluntary_ctxt_switches:")
		var n int
		if _, err := fmt.Sscan(rest, &n); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		all[path] = n
	}
	return all
}
