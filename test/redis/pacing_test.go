package redis

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"evergate/internal/shopsim"
	"evergate/test/process"
)

const storeKey = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// replicas are processes in front of one simulated shop.
type replicas struct {
	sim  *shopsim.Sim
	urls []string
	// client is that of all callers.
	client *http.Client
}

// shopfront starts n processes that share a store, and waits until each has a token.
func shopfront(t *testing.T, n int, store string, more ...string) *replicas {
	t.Helper()
	sim := shopsim.New(shopsim.Options{Settings: shopsim.Settings{RESTSize: 80, RESTLeak: 4}})
	server, err := sim.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, server.CAPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	r := &replicas{sim: sim, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 10}}}
	t.Cleanup(r.client.CloseIdleConnections)
	var all []*process.Process
	for range n {
		all = append(all, process.Start(t, process.Command(t, binary, append([]string{
			"SHOPIFY_SHOP=" + shopsim.DefaultShop, "SHOPIFY_CLIENT_ID=" + shopsim.DefaultClientID, "SHOPIFY_CLIENT_SECRET=" + shopsim.DefaultClientSecret,
			"EVERGATE_UPSTREAM_URL=" + server.URL, "EVERGATE_UPSTREAM_CA_FILE=" + ca, "EVERGATE_LISTEN=127.0.0.1:0", "EVERGATE_ADMIN_LISTEN=127.0.0.1:0",
			"EVERGATE_STORE=" + store, "EVERGATE_STORE_KEY=" + storeKey, "EVERGATE_PACE_MAX_WAIT=1m", "EVERGATE_LOG_FORMAT=json",
		}, more...), "serve")))
	}
	for _, p := range all {
		r.urls = append(r.urls, "http://"+p.AwaitLog(t, "listening for tools").Address)
		admin := "http://" + p.AwaitLog(t, "listening for operators").Address
		process.Eventually(t, func() error {
			_, err := get(t.Context(), r.client, admin+"/readyz")
			return err
		})
	}
	return r
}

func get(ctx context.Context, client *http.Client, url string) (status int, err error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, err
	}
	resp, err := client.Do(q)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// call has some callers call each of the processes until ctx ends, and counts what was served by each.
func (r *replicas) call(ctx context.Context, t *testing.T, callers int) (served []int64) {
	counts := make([]atomic.Int64, len(r.urls))
	var all sync.WaitGroup
	for i, url := range r.urls {
		for range callers {
			all.Go(func() {
				for ctx.Err() == nil {
					status, err := get(ctx, r.client, url+"/admin/api/2026-10/shop.json")
					switch {
					case ctx.Err() != nil:
					case err != nil || status != http.StatusOK:
						t.Errorf("%d, %v", status, err)
						return
					default:
						counts[i].Add(1)
					}
				}
			})
		}
	}
	all.Wait()
	for i := range counts {
		served = append(served, counts[i].Load())
	}
	return served
}

// refusals are those of the rate limit, which no caller saw.
func (r *replicas) refusals() (n int) {
	for _, byStatus := range r.sim.Stats().Routes {
		n += byStatus[http.StatusTooManyRequests]
	}
	return n
}

// TestFiveReplicasShareARateLimit: next to nothing is refused, nothing of the limit is left, and nobody starves.
func TestFiveReplicasShareARateLimit(t *testing.T) {
	s := start(t)
	const length = 25 * time.Second
	refused := map[string]int{}
	for _, pace := range []string{"local", "on"} {
		r := shopfront(t, 5, "redis://"+s.address()+"?prefix="+pace, "EVERGATE_PACE="+pace)
		ctx, cancel := context.WithTimeout(t.Context(), length)
		defer cancel()
		served := r.call(ctx, t, 3)
		var sum int64
		for _, n := range served {
			sum += n
		}
		refused[pace] = r.refusals()
		t.Logf("EVERGATE_PACE=%s: %v are %d, %d were refused", pace, served, sum, refused[pace])
		if pace == "local" {
			continue
		}
		if least := int64(0.95 * 4 * length.Seconds()); sum < least {
			t.Errorf("%d calls were served, and %d leaked", sum, least)
		}
		for i, n := range served {
			if share := float64(n) * 5 / float64(sum); share < 0.5 || share > 1.5 {
				t.Errorf("replica %d had %.2f of its share", i, share)
			}
		}
	}
	if refused["on"] > 15 || refused["on"] > refused["local"]/3 {
		t.Errorf("%d calls were refused with a ledger, and %d without", refused["on"], refused["local"])
	}
}

// TestReplicasGoOnWithoutRedis: what was lent and promised by a server that is killed is not waited for.
func TestReplicasGoOnWithoutRedis(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := shopfront(t, 2, "redis://"+s.address())
	ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
	defer cancel()
	kill := time.AfterFunc(12*time.Second, s.Kill)
	defer kill.Stop()
	var sum int64
	for _, n := range r.call(ctx, t, 3) {
		sum += n
	}
	if sum < 140 { // 80 that fit, and of 100 that leak some that were refused at first
		t.Errorf("%d calls were served", sum)
	}
}
