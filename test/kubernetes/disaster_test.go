package kubernetes

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"evergate/internal/store/storetest"
	"evergate/internal/token"
	"evergate/test/process"
)

// relay is the network between a replica and the API server, which can be cut.
type relay struct {
	address string
	bytes   atomic.Int64 // that have come back

	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]bool
}

func newRelay(t *testing.T, to string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{address: "https://" + l.Addr().String(), conns: map[net.Conn]bool{}}
	t.Cleanup(func() { r.set(true) })
	process.Accept(t, l, func(down net.Conn) {
		up, err := net.Dial("tcp", strings.TrimPrefix(to, "https://"))
		if err != nil || !r.add(down, up) {
			down.Close()
			return
		}
		go func() {
			_, _ = io.Copy(up, down)
			up.Close()
		}()
		n, _ := io.Copy(down, up)
		r.bytes.Add(n)
		down.Close()
		up.Close()
	})
	return r
}

func (r *relay) add(conns ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range conns {
		r.conns[c] = true
	}
	return !r.cut
}

// set cuts it, or mends it.
func (r *relay) set(cut bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = cut
	for c := range r.conns {
		if cut {
			c.Close()
		}
	}
}

// ear hears what a Watch tells.
type ear struct{ heard chan string }

func listen(t *testing.T, b token.Backend) ear {
	t.Helper()
	e := ear{make(chan string, 1000)}
	ctx, stop := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() {
		defer close(over)
		b.Watch(ctx, func(domain string) { e.heard <- domain })
	}()
	t.Cleanup(func() {
		stop()
		<-over
	})
	return e
}

// hears waits until one of these is told.
func (e ear) hears(t *testing.T, wanted ...string) {
	t.Helper()
	for {
		if got := process.Await(t, fmt.Sprintf("word of one of %q", wanted), e.heard); slices.Contains(wanted, got) {
			return
		}
	}
}

func keep(t *testing.T, b token.Backend, old token.Handle, name string) token.Handle {
	t.Helper()
	s, err := b.Shop(storetest.Shop())
	if err != nil {
		t.Fatal(err)
	}
	h, err := s.Swap(t.Context(), old, storetest.Named(name))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

const acme = "acme.myshopify.com"

// watchSurvivesARestart: nothing that is written before, meanwhile or afterwards is missed.
func (g *grantPlaces) watchSurvivesARestart(t *testing.T) {
	b := g.open(t, g.make(t), g.account)
	e := listen(t, b)
	e.hears(t, "")
	h := keep(t, b, "", "before")
	e.hears(t, acme)
	g.cluster.restartAPI(g.owner)
	keep(t, b, h, "after")
	// An API server that has just begun may refuse to go on from where the watch was. Then everybody is told to read, and nothing
	// is told by name of what was there by then.
	e.hears(t, acme, "")
	other, err := token.ParseShop("later")
	if err != nil {
		t.Fatal(err)
	}
	s, err := b.Shop(other)
	if err != nil {
		t.Fatal(err)
	}
	record := storetest.Named("later")
	record.Shop = other.Domain()
	if _, err := s.Swap(t.Context(), "", record); err != nil {
		t.Fatal(err)
	}
	e.hears(t, other.Domain())
}

// watchSurvivesACompaction: who was away for so long that the events are gone is told to read everything again.
func (g *grantPlaces) watchSurvivesACompaction(t *testing.T) {
	namespace := g.make(t)
	away := newRelay(t, g.cluster.server)
	e := listen(t, g.openAt(t, away.address, namespace, g.account))
	e.hears(t, "")
	direct := g.open(t, namespace, g.account)
	h := keep(t, direct, "", "before")
	e.hears(t, acme)
	away.set(true)
	for i := range 5 {
		h = keep(t, direct, h, fmt.Sprint(i))
	}
	g.cluster.compact(t)
	g.cluster.restartAPI(g.owner) // it keeps events in its memory, too
	away.set(false)
	e.hears(t, "")
	keep(t, direct, h, "after")
	e.hears(t, acme)
}

// compact has etcd forget all but the present.
func (c *cluster) compact(t *testing.T) {
	t.Helper()
	var now struct {
		Header struct{ Revision string }
	}
	c.askEtcd(t, "range", `{"key": "AA=="}`, &now)
	c.askEtcd(t, "compaction", `{"revision": "`+now.Header.Revision+`", "physical": true}`, nil)
}

func (c *cluster) askEtcd(t *testing.T, what, body string, into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.etcdURL+"/v3/kv/"+what, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("etcd: %s, %v: %s", resp.Status, err, b)
	}
	if into != nil {
		if err := json.Unmarshal(b, into); err != nil {
			t.Fatal(err)
		}
	}
}

// tokenRotates: the kubelet replaces the file, and the old token is worth nothing any more.
func (g *grantPlaces) tokenRotates(t *testing.T) {
	namespace := g.make(t)
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(g.account)); err != nil {
		t.Fatal(err)
	}
	b := g.open(t, namespace, dir)
	h := keep(t, b, "", "before")
	file := filepath.Join(dir, "token")
	good := read(t, file)
	if err := os.WriteFile(file, []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := b.Shop(storetest.Shop())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Load(t.Context()); err == nil || !strings.Contains(err.Error(), "401") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("with a token that is none: %v", err)
	}
	if f := b.Check(t.Context()); len(f) != 1 || !strings.Contains(f[0].Text, "401") {
		t.Errorf("with a token that is none: %+v", f)
	}
	if err := os.WriteFile(file, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	keep(t, b, h, "after")
}

// madeAgainIsAnother: what is deleted and made again has another handle, and what was read before is no ground to write on.
func (g *grantPlaces) madeAgainIsAnother(t *testing.T) {
	namespace := g.make(t)
	b := g.open(t, namespace, g.account)
	s, err := b.Shop(storetest.Shop())
	if err != nil {
		t.Fatal(err)
	}
	h := keep(t, b, "", "first")
	saved := g.cluster.mustKubectl(t, "", "get", "secret", "evergate-grant-acme", "--namespace", namespace, "--output", "json")
	g.cluster.mustKubectl(t, "", "delete", "secret", "evergate-grant-acme", "--namespace", namespace)
	if _, err := s.Swap(t.Context(), h, storetest.Named("second")); !errors.Is(err, token.ErrConflict) {
		t.Errorf("a write to what was deleted: %v, want token.ErrConflict", err)
	}
	var object map[string]any
	if err := json.Unmarshal([]byte(saved), &object); err != nil {
		t.Fatal(err)
	}
	metadata := object["metadata"].(map[string]any)
	delete(metadata, "resourceVersion")
	delete(metadata, "uid")
	g.cluster.mustKubectl(t, asJSON(t, object), "create", "--filename", "-") // a backup that is put back
	if changed, err := s.Changed(t.Context(), h); err != nil || !changed {
		t.Errorf("changed: %t, %v", changed, err)
	}
	if _, err := s.Swap(t.Context(), h, storetest.Named("second")); !errors.Is(err, token.ErrConflict) {
		t.Errorf("a write to what was made again: %v, want token.ErrConflict", err)
	}
	r, again, err := s.Load(t.Context())
	if err != nil || storetest.NameOf(r) != "first" || again == h {
		t.Errorf("the backup: %q as %q, %v", storetest.NameOf(r), again, err)
	}
	// What others have put on it stays, and what is in it is encrypted.
	g.cluster.mustKubectl(t, "", "label", "secret", "evergate-grant-acme", "theirs=yes", "--namespace", namespace)
	if _, again, err = s.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	keep(t, b, again, "hunter2")
	all := g.cluster.mustKubectl(t, "", "get", "secret", "evergate-grant-acme", "--namespace", namespace, "--output", `jsonpath={.metadata.labels} {.type} {.data.record}`)
	if !strings.Contains(all, `"theirs":"yes"`) || !strings.Contains(all, `"app.kubernetes.io/managed-by":"evergate"`) || !strings.Contains(all, " evergate/grant ") {
		t.Errorf("the Secret has %s", all)
	}
}

// withoutANamespace says so.
func (g *grantPlaces) withoutANamespace(t *testing.T) {
	b := g.open(t, g.make(t)+"-not", g.account)
	if f := b.Check(t.Context()); len(f) != 1 || !f[0].Loses {
		t.Errorf("%+v", f)
	}
	gone := g.openAt(t, "https://127.0.0.1:"+process.FreePort(t), "anywhere", g.account)
	if f := gone.Check(t.Context()); len(f) != 1 || !f[0].Loses || !strings.Contains(f[0].Text, "connection refused") {
		t.Errorf("without an API server: %+v", f)
	}
}

var shops = flag.Int("shops", 600, "how many shops TestGrantsInSecrets lists; docs/operating/store-kubernetes.md has what it says of 1000 and 5000")

// listsManyShops measures what it costs to read everything.
func (g *grantPlaces) listsManyShops(t *testing.T) {
	namespace := g.make(t)
	b := g.open(t, namespace, g.account)
	began := time.Now()
	names := make(chan int)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range names {
				if err := writeLikeALiveOne(t.Context(), b, fmt.Sprintf("a-shop-of-many-%05d", i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range *shops {
		names <- i
	}
	close(names)
	wg.Wait()
	t.Logf("%d shops written in %s", *shops, time.Since(began))
	r := newRelay(t, g.cluster.server)
	counted := g.openAt(t, r.address, namespace, g.account)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began = time.Now()
	seen := map[string]bool{}
	for listed, err := range counted.All(t.Context()) {
		if err != nil || seen[listed.Domain] || listed.Record.Shop != listed.Domain {
			t.Fatalf("%q: %v", listed.Domain, err)
		}
		seen[listed.Domain] = true
	}
	took := time.Since(began)
	runtime.ReadMemStats(&after)
	counted.Close()
	if len(seen) != *shops {
		t.Errorf("%d shops are listed, want %d", len(seen), *shops)
	}
	process.Eventually(t, func() error {
		if r.bytes.Load() == 0 {
			return errors.New("the connection is still open")
		}
		return nil
	})
	t.Logf("%d shops listed in %s, %d bytes, %d each; %d bytes were allocated", *shops, took, r.bytes.Load(), r.bytes.Load()/int64(*shops), after.TotalAlloc-before.TotalAlloc)
}

// writeLikeALiveOne stores a record with all that one has during a refresh.
func writeLikeALiveOne(ctx context.Context, b token.Backend, name string) error {
	shop, err := token.ParseShop(name)
	if err != nil {
		return err
	}
	s, err := b.Shop(shop)
	if err != nil {
		return err
	}
	at := time.Now()
	_, err = s.Swap(ctx, "", token.Record{
		Shop: shop.Domain(), ClientID: strings.Repeat("0", 32), Grant: "offline", Epoch: strings.Repeat("e", 26), Generation: 1234, Writer: "evergate-5c9d8f7b6d-x2x9k/1",
		Current: token.Pair{
			Token:   token.Token{Access: token.NewSecret("shpat_" + strings.Repeat("a", 32)), Scopes: []string{"read_products", "write_products", "read_orders", "write_orders", "read_inventory"}, Issued: at, Life: time.Hour},
			Refresh: token.NewSecret("shprt_" + strings.Repeat("b", 64)), RefreshExpires: at.Add(90 * 24 * time.Hour),
		},
		Previous: &token.Previous{Refresh: token.NewSecret("shprt_" + strings.Repeat("c", 64)), Expires: at, FirstUsed: at},
		Attempt:  &token.Attempt{Fingerprint: strings.Repeat("f", 16), Started: at},
	})
	return err
}
