package redisstore

import (
	"context"
	"errors"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"evergate/internal/clock"
)

const (
	// nodesEvery is how often it is looked who is a master now.
	nodesEvery = 5 * time.Second
	// pollEvery is how often all may have changed, where nobody tells.
	pollEvery = 2 * time.Second
	// firstPause and lastPause are between two attempts to have changes told.
	firstPause = 50 * time.Millisecond
	lastPause  = 2 * time.Second
)

// Watch implements token.Backend: every master is asked to say which records change. A connection that was lost, and a server
// that was restarted, say nothing of what changed meanwhile, nor that they are back; so they are asked again until they answer,
// and then everything may have changed.
func (b *Backend) Watch(ctx context.Context, changed func(domain string)) {
	w := watch{backend: b, changed: changed, nodes: map[string]*watched{}}
	pause := firstPause
	for ctx.Err() == nil {
		r, err := b.connected(ctx)
		if err == nil {
			w.follow(ctx, b.masters(ctx, r))
			pause = nodesEvery
		}
		_ = clock.Sleep(ctx, pause/2+mathrand.N(pause)/2) //nolint:gosec // G404: jitter is no secret. The loop looks at ctx
		pause = min(2*pause, nodesEvery)
	}
	w.running.Wait()
}

// watch is one Watch.
type watch struct {
	backend *Backend
	changed func(domain string)
	nodes   map[string]*watched // by address
	running sync.WaitGroup
}

// watched is a server that is being watched.
type watched struct {
	stop context.CancelFunc
	over chan struct{} // closed when the client to it is of no more use
}

func (w *watched) isOver() bool {
	select {
	case <-w.over:
		return true
	default:
		return false
	}
}

// follow watches the masters that there are now, and no others.
func (w *watch) follow(ctx context.Context, masters map[string]rueidis.Client) {
	for address, node := range w.nodes {
		if masters[address] == nil || node.isOver() {
			node.stop()
			delete(w.nodes, address)
		}
	}
	for address, node := range masters {
		if w.nodes[address] == nil {
			own, stop := context.WithCancel(ctx)
			over := make(chan struct{})
			w.nodes[address] = &watched{stop, over}
			w.running.Go(func() {
				defer close(over)
				w.node(own, node)
			})
		}
	}
}

// node watches one server in the best way that it permits, for as long as the library keeps its client.
func (w *watch) node(ctx context.Context, node rueidis.Client) {
	ways := []func(context.Context, rueidis.Client) error{w.invalidations, w.messages, w.poll}
	pause := firstPause
	for ctx.Err() == nil {
		began := time.Now()
		err := ways[0](ctx, node)
		switch {
		case errors.Is(err, rueidis.ErrClosing):
			return
		case errors.Is(err, errResp2), isRefused(err) && !isPassing(err):
			ways = ways[1:]
			continue
		}
		if time.Since(began) > nodesEvery {
			pause = firstPause
		}
		_ = clock.Sleep(ctx, pause/2+mathrand.N(pause)/2) //nolint:gosec // G404: jitter is no secret. The loop looks at ctx
		pause = min(2*pause, lastPause)
	}
}

// isPassing tells a server that does not serve yet from one that will not do what it is asked for.
func isPassing(err error) bool {
	answer, ok := errors.AsType[*rueidis.RedisError](err)
	return ok && (answer.IsLoading() || answer.IsClusterDown() || answer.IsTryAgain() || strings.HasPrefix(answer.Error(), "MASTERDOWN"))
}

// invalidations has the server say which keys with our prefix change, on a connection for that alone.
func (w *watch) invalidations(ctx context.Context, node rueidis.Client) error {
	connection, _ := node.Dedicate()
	defer connection.Close() // not put back: what was switched on ends with it
	if err := speaksResp3(ctx, connection); err != nil {
		return err
	}
	lost := connection.SetOnInvalidations(func(keys []rueidis.RedisMessage) {
		if keys == nil {
			w.tell("") // everything was flushed
		}
		for i := range keys {
			if key, err := keys[i].ToString(); err == nil {
				if domain, ok := w.backend.domain(key); ok {
					w.tell(domain)
				}
			}
		}
	})
	if err := w.backend.track(ctx, connection); err != nil {
		return err
	}
	w.tell("")
	select {
	case err := <-lost:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// errResp2 says that a connection carries answers alone.
var errResp2 = errors.New("RESP2 has no invalidations")

// speaksResp3 asks, because a server accepts CLIENT TRACKING on a connection on which it then tells of nothing.
func speaksResp3(ctx context.Context, connection rueidis.DedicatedClient) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	hello, err := connection.Do(ctx, connection.B().Arbitrary("HELLO").Build()).AsMap()
	if err != nil {
		return err
	}
	version := hello["proto"]
	if n, err := version.AsInt64(); err != nil || n < 3 {
		return errResp2
	}
	return nil
}

// track has the server tell of changed keys on this connection.
func (b *Backend) track(ctx context.Context, connection rueidis.DedicatedClient) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return connection.Do(ctx, connection.B().Arbitrary("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", b.prefixOf(grantKind)).Build()).Error()
}

// messages has the server pass on what the swap script publishes.
func (w *watch) messages(ctx context.Context, node rueidis.Client) error {
	// It is also called when the library has subscribed anew.
	ctx = rueidis.WithOnSubscriptionHook(ctx, func(rueidis.PubSubSubscription) { w.tell("") })
	return node.Receive(ctx, node.B().Subscribe().Channel(w.backend.channel()).Build(), func(m rueidis.PubSubMessage) {
		if domain, ok := w.backend.domain(w.backend.key(grantKind, m.Message)); ok {
			w.tell(domain)
		}
	})
}

// poll tells that all may have changed, again and again: whoever is told looks at the handles.
func (w *watch) poll(ctx context.Context, _ rueidis.Client) error {
	for {
		w.tell("")
		if err := clock.Sleep(ctx, pollEvery); err != nil {
			return err
		}
	}
}

// tell wakes those who wait for a lease, too: what it was taken for may be done.
func (w *watch) tell(domain string) {
	w.backend.waiters.wake(domain)
	w.changed(domain)
}

// masters are the servers that accept writes, by address. One that does not say what it is counts.
func (b *Backend) masters(ctx context.Context, r *redis) map[string]rueidis.Client {
	nodes := r.Nodes()
	if r.Mode() != rueidis.ClientModeCluster {
		return nodes // the one that the library leads to
	}
	for address, node := range nodes {
		limited, cancel := context.WithTimeout(ctx, patience)
		info, err := node.Do(limited, node.B().Info().Section("replication").Build()).ToString()
		cancel()
		if err == nil && field(info, "role") == "slave" {
			delete(nodes, address)
		}
	}
	return nodes
}

// field is a value of INFO.
func field(info, name string) string {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
