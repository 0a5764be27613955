package fleet

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"evergate/internal/envelope"
	"evergate/internal/shopsim"
	"evergate/internal/token"
	"evergate/test/process"
)

// TestFiftyThousandStoredShops measures what stored and active shops cost, in a process that has the grants of many.
func TestFiftyThousandStoredShops(t *testing.T) {
	if testing.Short() || runtime.GOOS != "linux" {
		t.Skip("it writes fifty thousand files, and reads /proc")
	}
	const stored, few, active = 50_000, 100, 2_000
	const perStored, perActive = 800, 12 << 10 // bytes
	all := names(stored)
	s := newShopify(t, shopsim.Settings{}, all[:active])
	dir := filepath.Join(t.TempDir(), "store")
	fillStore(t, s, dir, all, active)
	file := filepath.Join(t.TempDir(), "shops.yaml")
	write(t, file, shopsFile(nil, "stored: true\n"))

	write(t, file+".empty", shopsFile(nil, "stored: true\n"))
	none := start(t, s, "EVERGATE_SHOPS_FILE="+file+".empty", "EVERGATE_STORE=file:"+dir+"-of-nobody")
	c := startInTime(t, s, all[0], "EVERGATE_SHOPS_FILE="+file, "EVERGATE_STORE=file:"+dir)
	if a := none.call(t, all[0]); a.code != "unknown_shop" {
		t.Fatalf("%s", a)
	}
	// The store is gone through once at the start.
	process.Eventually(t, func() error {
		n, _ := process.Metric(process.Fetch(t, c.admin+"/metrics"), "evergate_stored_grants")
		if n != stored {
			return fmt.Errorf("%v grants are known of", n)
		}
		return nil
	})
	idle, before := anonymous(t, none), anonymous(t, c)
	t.Logf("without grants %d KiB, with %d stored %d KiB: %d bytes each", idle>>10, stored, before>>10, (before-idle)/stored)
	if (before-idle)/stored > perStored {
		t.Errorf("a stored shop costs %d bytes", (before-idle)/stored)
	}

	// What going through the store left behind is given back when there are calls, so it is the difference to the first
	// hundred that says what one costs: itself and the room that the garbage collector leaves beside it.
	c.callAll(t, all[:few])
	before = anonymous(t, c)
	c.callAll(t, all[few:active])
	after := anonymous(t, c)
	each := (after - before) / (active - few)
	t.Logf("%d active: %d KiB, %d active: %d KiB, %d bytes each", few, before>>10, active, after>>10, each)
	if each <= 0 || each > perActive {
		t.Errorf("an active shop costs %d bytes", each)
	}
}

// startLimit is in what time a process has to answer, whatever is stored.
const startLimit = 2 * time.Second

// startInTime starts a process that is ready and has answered within the limit: by the work that it took, and by the clock in the
// quickest of a few starts, because a machine that does something else as well is slow at times.
func startInTime(t *testing.T, s *shopify, name string, environ ...string) *sidecar {
	t.Helper()
	const starts = 5
	quickest := time.Hour
	for range starts {
		began := time.Now()
		c := start(t, s, environ...)
		if a := c.call(t, name); !a.isOf(name) {
			t.Fatalf("%s", a)
		}
		ready, err := c.get(t.Context(), c.admin+"/readyz", "")
		if err != nil || ready.status != http.StatusOK {
			t.Fatalf("it answers, and is not ready: %s, %v", ready, err)
		}
		took, work := time.Since(began), processorTime(t, c.Cmd.Process.Pid)
		t.Logf("start to the first answer: %s, of which the processor has worked %s", took, work)
		if work > startLimit {
			t.Errorf("the start takes %s of a processor", work)
		}
		if quickest = min(quickest, took); quickest <= startLimit {
			return c
		}
		c.Kill()
	}
	t.Fatalf("the quickest of %d starts takes %s", starts, quickest)
	return nil
}

// processorTime is what a process has used so far.
func processorTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	const tick = 10 * time.Millisecond // of USER_HZ, which is the same everywhere
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	var sum time.Duration
	for _, field := range fields[11:13] { // utime and stime
		n, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		sum += time.Duration(n) * tick
	}
	return sum
}

// callAll calls each shop once, a few at a time.
func (c *sidecar) callAll(t testing.TB, all []string) {
	t.Helper()
	work := make(chan string)
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for name := range work {
				if a, err := c.get(t.Context(), c.url+"/"+name+".myshopify.com"+shopJSON, ""); err != nil || !a.isOf(name) {
					t.Errorf("%s: %s, %v", name, a, err)
				}
			}
		})
	}
	for _, name := range all {
		work <- name
	}
	close(work)
	callers.Wait()
}

// fillStore writes a record for each shop as Evergate would; only the first are of shops that there are.
func fillStore(t *testing.T, s *shopify, dir string, all []string, real int) {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for i, name := range all {
		shop, err := token.ParseShop(name)
		if err != nil {
			t.Fatal(err)
		}
		access, refresh := "shpat_"+strings.Repeat("0", 32), "shprt_"+strings.Repeat("0", 32)
		if i < real {
			access, refresh = s.IssuePair(name, shopsim.DefaultClientID)
		}
		now := time.Now().Add(-s.age)
		content, err := envelope.Codec{Shop: shop}.Encode(token.Record{
			Shop: shop.Domain(), ClientID: shopsim.DefaultClientID, Grant: "offline", Current: token.Pair{
				Token:   token.Token{Access: token.NewSecret(access), Scopes: []string{"read_products"}, Issued: now, Life: s.life},
				Refresh: token.NewSecret(refresh), RefreshExpires: now.AddDate(0, 0, 90),
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, shop.Domain()+".json"), string(content))
	}
}

// anonymous is the memory in bytes that a process has for itself, after a collection of its garbage.
func anonymous(t *testing.T, c *sidecar) int {
	t.Helper()
	if _, err := c.get(context.Background(), c.admin+"/metrics", ""); err != nil { // which costs memory the first time
		t.Fatal(err)
	}
	least := 0
	deadline := time.Now().Add(5 * time.Second)
	for time.Now().Before(deadline) {
		if n := rollup(t, c.Cmd.Process.Pid); least == 0 || n < least {
			least = n
		}
		runtime.Gosched()
	}
	return least
}

func rollup(t *testing.T, pid int) (bytes int) {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "Anonymous:"); ok {
			kib, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatal("no line Anonymous")
	return 0
}
