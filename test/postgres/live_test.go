package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"evergate/internal/pgstore"
	"evergate/internal/shopsim"
	"evergate/test/process"
)

// shortLife is what Shopify gives an access token here.
const shortLife = 12 * time.Second

// TestEvergateAndTheAppLiveOnOneChain has the app exchange tokens at the worst moments, in the middle of renewals, with everything else for real. The
// app always reads a pair that is alive, no call through Evergate fails, and the chain that is left goes on.
func TestEvergateAndTheAppLiveOnOneChain(t *testing.T) {
	t.Parallel()
	for _, layout := range []string{pgstore.LayoutPrisma, pgstore.LayoutShopify} {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			socket, tcp := databaseForApp(t, layout)
			l := &living{app: startApp(t, layout, tcp), socket: socket, get: fmt.Sprintf(appSQL[layout].get, acme)}
			l.simulate(t)
			first := l.exchange(t)
			l.evergate(t, layout)
			stop := l.call(t)
			l.awaitRenewal(t, first, false) // how long tokens live here is not known before
			for range 3 {
				l.exchange(t)
				l.awaitNote(t)
			}
			// From now on the app finds what it needs and exchanges nothing more.
			last := l.exchange(t)
			for range 2 {
				last = l.awaitRenewal(t, last, true)
			}
			stop()
			if !l.sim.ChainAlive("acme", shopsim.DefaultClientID) || !l.sim.ChainHeld("acme", shopsim.DefaultClientID) {
				t.Error("the chain is broken")
			}
			if lines := l.process.Logged("something is wrong with the chain of refresh tokens"); len(lines) > 0 {
				t.Errorf("an exchange by the app is an alarm: %+v", lines)
			}
		})
	}
}

type living struct {
	app         *app
	sim         *shopsim.Sim
	server      *shopsim.Server
	socket, get string
	url         string
	process     *process.Process
}

func (l *living) simulate(t *testing.T) {
	t.Helper()
	l.sim = shopsim.New(shopsim.Options{
		Settings: shopsim.Settings{OfflineLife: shortLife, Retry: shopsim.RetryNewPair, RESTSize: 1e6, RESTLeak: 1e6},
		Apps:     []shopsim.App{{ClientID: shopsim.DefaultClientID, ClientSecret: shopsim.DefaultClientSecret, Scopes: "read_products,write_orders"}},
		Shops:    []shopsim.Shop{{Domain: "acme"}},
	})
	// Half of the answers come late although the refresh has taken effect, half take effect late.
	for _, after := range []bool{true, false} {
		l.sim.Inject(shopsim.Fault{Kind: shopsim.FaultDelay, Endpoint: shopsim.TokenEndpoint, Grant: shopsim.GrantRefresh, Delay: 300 * time.Millisecond, AfterCommit: after, Probability: 0.5})
	}
	server, err := l.sim.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	l.server = server
}

// exchange has the app obtain a pair, which retires all refresh tokens before, and store it.
func (l *living) exchange(t *testing.T) (access string) {
	t.Helper()
	access, refresh := l.sim.IssuePair("acme", shopsim.DefaultClientID)
	now := time.Now()
	l.app.do(t, map[string]any{"order": "store", "access": access, "refresh": refresh, "expires": now.Add(shortLife).UnixMilli(), "refreshExpires": now.AddDate(0, 0, 90).UnixMilli()})
	return access
}

func (l *living) evergate(t *testing.T, layout string) {
	t.Helper()
	dir := t.TempDir()
	ca, file := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "shops.yaml")
	text := fmt.Sprintf("defaults:\n  client_id: %s\n  client_secret: %s\nstored: true\n", shopsim.DefaultClientID, shopsim.DefaultClientSecret)
	for path, content := range map[string]string{ca: string(l.server.CAPEM), file: text} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := process.Start(t, process.Command(t, binary(t), []string{
		"EVERGATE_SHOPS_FILE=" + file, "EVERGATE_STORE=" + l.socket, "EVERGATE_STORE_LAYOUT=" + layout, "EVERGATE_STORE_KEY=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
		"EVERGATE_LISTEN=127.0.0.1:0", "EVERGATE_ADMIN_LISTEN=127.0.0.1:0", "EVERGATE_LOG_FORMAT=json", "EVERGATE_CA_DIR=memory:",
		"EVERGATE_UPSTREAM_URL=" + l.server.URL, "EVERGATE_UPSTREAM_CA_FILE=" + ca,
	}, "serve"))
	l.process = p
	l.url = "http://" + p.AwaitLog(t, "listening for tools").Address + "/acme.myshopify.com/admin/api/2026-10/shop.json"
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.Tail())
		}
	})
}

// call calls through Evergate, one call after the other, until it is stopped.
func (l *living) call(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	var good atomic.Int64
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	group.Go(func() {
		for ctx.Err() == nil {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.url, http.NoBody)
			if err != nil {
				t.Error(err)
				return
			}
			resp, err := client.Do(req)
			if err != nil {
				continue // the test ends, or the process has, which is told elsewhere
			}
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Errorf("a call: %d %s", resp.StatusCode, resp.Header.Get("X-Evergate-Error"))
				return
			}
			good.Add(1)
		}
	})
	return func() {
		cancel()
		group.Wait()
		if good.Load() < 100 {
			t.Errorf("only %d calls were answered", good.Load())
		}
	}
}

// awaitNote waits until Evergate has noted in its own row that it begins to renew the pair that is in the app's.
func (l *living) awaitNote(t *testing.T) {
	t.Helper()
	const note = "SELECT handle FROM evergate_beside WHERE shop = 'acme.myshopify.com'"
	pair, before := sql(t, l.socket, l.get)[0][0], fmt.Sprint(sql(t, l.socket, note))
	process.EventuallyWithin(t, time.Minute, 5*time.Millisecond, func() error {
		if now := fmt.Sprint(sql(t, l.socket, note)); now == before && sql(t, l.socket, l.get)[0][0] == pair {
			return errors.New("no renewal begins")
		}
		return nil
	})
}

// awaitRenewal waits until the app reads another access token, and holds that what it reads is alive all the time, if it must be.
func (l *living) awaitRenewal(t *testing.T, before string, alive bool) (access string) {
	t.Helper()
	process.EventuallyWithin(t, time.Minute, 50*time.Millisecond, func() error {
		got := l.app.do(t, map[string]any{"order": "load", "within": 0})
		if alive && !got.Active {
			t.Fatalf("the app finds its session ended, or with other scopes: %d ms are left", got.Expires-time.Now().UnixMilli())
		}
		if access = got.Access; access == before {
			return errors.New("the pair is not renewed")
		}
		return nil
	})
	return access
}
