//go:build unix

package inject

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"evergate/internal/shopify"
)

// The benchmarks compare ways to forward the same load in one process on one machine:
// only their ratios mean anything. cpu-µs/op counts client, proxy and upstream together.

var benchBody = bytes.Repeat([]byte("x"), 2<<10)

func benchUpstream(b *testing.B, h2 bool) *httptest.Server {
	b.Helper()
	answer := bytes.Repeat([]byte("y"), 1<<10)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set("X-Request-Id", "00000000-0000-0000-0000-000000000000")
		_, _ = w.Write(answer)
	}))
	s.EnableHTTP2 = h2
	s.StartTLS()
	b.Cleanup(s.Close)
	return s
}

// load sends b.N requests from the given number of kept-alive connections.
func load(b *testing.B, target string, connections int) {
	b.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
	defer client.CloseIdleConnections()
	work := make(chan struct{}, connections)
	failed := make(chan error, connections)
	before := cpuTime()
	b.ResetTimer()
	for range connections {
		go func() {
			var err error
			for range work {
				if err == nil {
					err = post(client, target)
				}
			}
			failed <- err
		}()
	}
	for range b.N {
		work <- struct{}{}
	}
	close(work)
	for range connections {
		if err := <-failed; err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64((cpuTime()-before).Microseconds())/float64(b.N), "cpu-µs/op")
}

func post(client *http.Client, target string) error {
	resp, err := client.Post(target+"/admin/api/2026-10/graphql.json", "application/json", bytes.NewReader(benchBody))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d: %w", resp.StatusCode, err)
	}
	return nil
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkForward sets Evergate beside httputil.ReverseProxy, with net/http's own pool of
// two idle connections and with a generous one, and beside no proxy at all.
func BenchmarkForward(b *testing.B) {
	for _, connections := range []int{16, 64} {
		for _, way := range []string{"relay", "evergate", "reverseproxy_pool2", "reverseproxy_pool256"} {
			b.Run(fmt.Sprintf("%s/connections_%d", way, connections), func(b *testing.B) {
				upstream := benchUpstream(b, false)
				load(b, frontFor(b, way, upstream), connections)
			})
		}
	}
}

// BenchmarkUpstreamProtocol sets HTTP/1.1 and HTTP/2 towards Shopify side by side.
func BenchmarkUpstreamProtocol(b *testing.B) {
	for _, connections := range []int{1, 16, 64} {
		for _, way := range []string{"evergate", "evergate_h2"} {
			b.Run(fmt.Sprintf("%s/connections_%d", way, connections), func(b *testing.B) {
				upstream := benchUpstream(b, way == "evergate_h2")
				load(b, frontFor(b, way, upstream), connections)
			})
		}
	}
}

func frontFor(b *testing.B, way string, upstream *httptest.Server) string {
	b.Helper()
	tlsConfig := &tls.Config{RootCAs: rootsOf(upstream), MinVersion: tls.VersionTLS12}
	switch way {
	case "evergate":
		return newRigOn(b, upstream).url
	case "evergate_h2":
		return newRigOn(b, upstream).withTransport(&http.Transport{
			TLSClientConfig: tlsConfig, ForceAttemptHTTP2: true, DisableCompression: true,
		}).url
	}
	target, err := url.Parse(upstream.URL)
	if err != nil {
		b.Fatal(err)
	}
	pool := 0 // net/http's default
	if strings.HasSuffix(way, "256") {
		pool = 256
	}
	if way == "relay" {
		return directFront(b, upstream, tlsConfig)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header.Set(shopify.HeaderAccessToken, "shpat_bench")
		},
		Transport: &http.Transport{TLSClientConfig: tlsConfig, MaxIdleConnsPerHost: pool},
	}
	front := httptest.NewServer(proxy)
	b.Cleanup(front.Close)
	return front.URL
}

// directFront is a TCP relay that only adds TLS: the least that any proxy here can cost.
func directFront(b *testing.B, upstream *httptest.Server, config *tls.Config) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	address := strings.TrimPrefix(upstream.URL, "https://")
	go func() {
		for {
			here, err := l.Accept()
			if err != nil {
				return
			}
			go relay(here, address, config)
		}
	}()
	return "http://" + l.Addr().String()
}

func relay(here net.Conn, address string, config *tls.Config) {
	defer here.Close()
	d := tls.Dialer{Config: config}
	there, err := d.DialContext(context.Background(), "tcp", address)
	if err != nil {
		return
	}
	defer there.Close()
	go func() { _, _ = io.Copy(there, here) }()
	_, _ = io.Copy(here, there)
}

// withTransport replaces the way to the upstream.
func (r *rig) withTransport(t http.RoundTripper) *rig {
	r.handler.opt.Transport = t
	return r
}

// BenchmarkBurst sends fifty requests at once to an upstream that no connection leads to
// yet: what HTTP/2 is better at.
func BenchmarkBurst(b *testing.B) {
	const burst = 50
	for _, way := range []string{"evergate", "evergate_h2"} {
		b.Run(way, func(b *testing.B) {
			upstream := benchUpstream(b, way == "evergate_h2")
			front := frontFor(b, way, upstream)
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: burst}}
			defer client.CloseIdleConnections()
			for b.Loop() {
				upstream.CloseClientConnections()
				failed := make(chan error, burst)
				for range burst {
					go func() { failed <- post(client, front) }()
				}
				for range burst {
					if err := <-failed; err != nil {
						b.Log(err) // a connection closed in the very moment of its use
					}
				}
			}
		})
	}
}
