package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"evergate/internal/shopsim"
)

// call is one call that a caller made, however often it was sent.
type call struct {
	at   time.Duration // since the start
	took time.Duration
}

// result is what came of a scenario.
type result struct {
	served, refused []call
	need, cost      float64 // what one call must find in the bucket, and takes out of it
}

const query = `{"query":"{ products(first: 50) { nodes { id title handle } } }"}`

func build(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "evergate")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, "evergate/cmd/proxy")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return binary, cmd.Run()
}

// measure runs a scenario with a simulated shop and a sidecar of its own.
func measure(ctx context.Context, dir, binary string, s scenario, length time.Duration) (r result, err error) {
	sim := shopsim.New(shopsim.Options{Shops: []shopsim.Shop{{Domain: shopsim.DefaultShop, Products: 60}}})
	server, err := sim.Start("127.0.0.1:0")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	url, stop, err := sidecar(ctx, dir, binary, server, s)
	if err != nil {
		return r, err
	}
	defer stop()
	c := &crowd{scenario: s, url: url, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: s.callers}}}
	if r.need, r.cost, err = c.price(ctx); err != nil {
		return r, err
	}
	time.Sleep(time.Second) // what the question cost has leaked by then
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	c.run(ctx, &r)
	return r, c.err
}

// sidecar starts the binary and returns the address to call.
func sidecar(ctx context.Context, dir, binary string, server *shopsim.Server, s scenario) (url string, stop func(), err error) {
	ca := filepath.Join(dir, fmt.Sprintf("%s-%d-%s.pem", s.api, s.callers, strings.ReplaceAll(s.way, " ", "-")))
	if err := os.WriteFile(ca, server.CAPEM, 0o600); err != nil {
		return "", nil, err
	}
	port, err := freePort(ctx)
	if err != nil {
		return "", nil, err
	}
	pace := "off"
	if s.way == paced {
		pace = "on"
	}
	cmd := exec.CommandContext(ctx, binary, "serve")
	cmd.Env = []string{
		"SHOPIFY_SHOP=" + shopsim.DefaultShop, "SHOPIFY_CLIENT_ID=" + shopsim.DefaultClientID, "SHOPIFY_CLIENT_SECRET=" + shopsim.DefaultClientSecret,
		"EVERGATE_UPSTREAM_URL=" + server.URL, "EVERGATE_UPSTREAM_CA_FILE=" + ca, "EVERGATE_LISTEN=" + port, "EVERGATE_ADMIN_LISTEN=127.0.0.1:0",
		"EVERGATE_LOG_LEVEL=error", "EVERGATE_PACE=" + pace,
		// Two hundred callers that share two calls a second wait for more than a minute each.
		"EVERGATE_PACE_MAX_WAIT=10m",
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	return "http://" + port, func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }, nil
}

func freePort(ctx context.Context) (string, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// crowd is the callers of a scenario.
type crowd struct {
	scenario
	url    string
	client *http.Client

	mu  sync.Mutex
	err error
}

func (c *crowd) request(ctx context.Context) (*http.Request, error) {
	if c.api == "REST" {
		return http.NewRequestWithContext(ctx, http.MethodGet, c.url+"/admin/api/2026-10/shop.json", http.NoBody)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/admin/api/2026-10/graphql.json", strings.NewReader(query))
	if err == nil {
		r.Header.Set("Content-Type", "application/json")
	}
	return r, err
}

// send sends once and tells whether Shopify refused.
func (c *crowd) send(ctx context.Context) (body []byte, refused bool, err error) {
	r, err := c.request(ctx)
	if err != nil {
		return nil, false, err
	}
	resp, err := c.client.Do(r)
	if err != nil {
		return nil, false, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	refused = resp.StatusCode == http.StatusTooManyRequests || bytes.Contains(body, []byte(`"THROTTLED"`))
	if err == nil && !refused && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %.200s", resp.StatusCode, body)
	}
	return body, refused, err
}

// price asks what a call costs, once the sidecar answers.
func (c *crowd) price(ctx context.Context) (need, cost float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	body, _, err := c.send(ctx)
	for err != nil && ctx.Err() == nil {
		time.Sleep(50 * time.Millisecond)
		body, _, err = c.send(ctx)
	}
	if err != nil || c.api == "REST" {
		return 1, 1, err
	}
	var answer struct {
		Extensions struct {
			Cost struct{ RequestedQueryCost, ActualQueryCost float64 }
		}
	}
	err = json.Unmarshal(body, &answer)
	return answer.Extensions.Cost.RequestedQueryCost, answer.Extensions.Cost.ActualQueryCost, err
}

func (c *crowd) run(ctx context.Context, r *result) {
	began := time.Now()
	var group sync.WaitGroup
	for range c.callers {
		group.Go(func() {
			for ctx.Err() == nil {
				sent := time.Now()
				refused, err := c.call(ctx)
				made := call{time.Since(began), time.Since(sent)}
				if ctx.Err() != nil {
					return
				}
				c.mu.Lock()
				switch {
				case err != nil:
					c.err = err
				case refused:
					r.refused = append(r.refused, made)
				default:
					r.served = append(r.served, made)
				}
				c.mu.Unlock()
				if refused || err != nil {
					time.Sleep(100 * time.Millisecond) // whoever is refused does at least something else first
				}
			}
		})
	}
	group.Wait()
}

// call makes one call. A client that backs off does as Shopify's examples do: it waits a
// second, then two, four and eight, with jitter, and then gives up.
func (c *crowd) call(ctx context.Context) (refused bool, err error) {
	_, refused, err = c.send(ctx)
	if c.way != backoff {
		return refused, err
	}
	for pause := time.Second; refused && err == nil && pause <= 8*time.Second; pause *= 2 {
		select {
		case <-time.After(pause/2 + rand.N(pause)):
		case <-ctx.Done():
			return refused, nil
		}
		_, refused, err = c.send(ctx)
	}
	return refused, err
}
