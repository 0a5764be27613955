package supply

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"evergate/test/process"
)

// largestBinary is a ceiling. Nearly all of the file is in memory while the sidecar starts, so what is added to it is added to
// that, too. When it is reached, `go tool nm -size -sort size` says what came in.
const largestBinary = 18<<20 - 256<<10

func TestTheBinaryDoesNotGrowUnnoticed(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("links the whole program: not with -short")
	}
	here, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(build(t, here, "GOOS=linux", "GOARCH=amd64"))
	if err != nil {
		t.Fatal(err)
	}
	if size := info.Size(); size > largestBinary {
		t.Errorf("as released it has %.2f MiB, and %.2f are allowed", float64(size)/(1<<20), float64(largestBinary)/(1<<20))
	}
}

const (
	// mostAtRest is how much memory a process may have that nobody calls, in KiB. nginx with one worker has 9 to 12 MiB.
	mostAtRest = 9 << 10
	// mostGoroutines are those that wait in it, those of the scrape that counts them included.
	mostGoroutines = 20
	// mostInitialised is what all packages may allocate before main begins, in bytes, and mostOfOurs what one of ours may:
	// everybody pays for it at each start, whatever the command, and keeps most of it.
	mostInitialised, mostOfOurs = 420 << 10, 6 << 10
)

// initialised is a line of GODEBUG=inittrace=1.
var initialised = regexp.MustCompile(`(?m)^init (\S+) @.*?, (\d+) bytes,`)

// atRest starts the program as it is released, with the shop at an address, and returns when it has given back what it does not need at rest.
func atRest(t *testing.T, shop string, environ ...string) *process.Process {
	t.Helper()
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" || testing.Short() {
		t.Skip("links the whole program and looks at it in /proc: only on Linux, and not with -short")
	}
	here, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	p := process.Start(t, process.Command(t, build(t, here), append([]string{
		"SHOPIFY_SHOP=acme", "SHOPIFY_ACCESS_TOKEN=shpat_0123456789abcdef0123456789abcdef", "EVERGATE_LISTEN=127.0.0.1:0", "EVERGATE_ADMIN_LISTEN=127.0.0.1:0",
		"EVERGATE_UPSTREAM_URL=" + shop, "EVERGATE_LOG_LEVEL=debug", "EVERGATE_LOG_FORMAT=json",
	}, environ...)))
	p.AwaitLog(t, "memory that is not needed at rest is given back")
	return p
}

func TestAProcessThatNobodyCallsIsSmall(t *testing.T) {
	t.Parallel()
	p := atRest(t, "https://127.0.0.1:1", "GODEBUG=inittrace=1")
	rollup, err := os.ReadFile("/proc/" + strconv.Itoa(p.Cmd.Process.Pid) + "/smaps_rollup")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(rollup), "\nRss:")
	var kib int
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatalf("%v: %s", err, rollup)
	}
	if kib > mostAtRest {
		t.Errorf("it has %d KiB at rest, and %d are allowed:\n%s", kib, mostAtRest, rollup)
	}
	total := 0
	for _, m := range initialised.FindAllStringSubmatch(p.Err.String(), -1) {
		n, _ := strconv.Atoi(m[2])
		if total += n; n > mostOfOurs && strings.HasPrefix(m[1], "evergate/") {
			t.Errorf("%s allocates %d bytes before main begins, and %d are allowed: make it when it is first used", m[1], n, mostOfOurs)
		}
	}
	if total == 0 || total > mostInitialised {
		t.Errorf("the packages allocate %d bytes before main begins, and %d are allowed; GODEBUG=inittrace=1 says which", total, mostInitialised)
	}
	scrape := process.Fetch(t, "http://"+p.AwaitLog(t, "listening for operators").Address+"/metrics")
	if n, found := process.Metric(scrape, "go_goroutines"); !found || n > mostGoroutines {
		t.Errorf("%v goroutines are waiting, and %d are allowed", n, mostGoroutines)
	}
}
