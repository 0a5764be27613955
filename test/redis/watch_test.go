package redis

import (
	"context"
	"errors"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"evergate/internal/token"
	"evergate/test/process"
)

// watch collects what a Backend tells: for each domain a channel that holds one notice at most.
func watch(t testing.TB, b token.Backend) map[string]chan struct{} {
	t.Helper()
	told := map[string]chan struct{}{}
	for _, domain := range []string{"", "acme.myshopify.com", "beta.myshopify.com", "gamma.myshopify.com"} {
		told[domain] = make(chan struct{}, 1)
	}
	ctx, stop := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() {
		b.Watch(ctx, func(domain string) {
			select {
			case told[domain] <- struct{}{}:
			default:
			}
		})
	})
	t.Cleanup(func() { stop(); watching.Wait() })
	return told
}

// drain forgets what was told.
func drain(told map[string]chan struct{}) {
	for _, c := range told {
		select {
		case <-c:
		default:
		}
	}
}

// changeIsTold writes a record and reports whether a watcher was told of it.
func changeIsTold(t *testing.T, s token.Store, handle *token.Handle, next token.Record, told <-chan struct{}) error {
	if err := write(t, s, handle, next); err != nil {
		return err
	}
	select {
	case <-told:
		return nil
	case <-time.After(500 * time.Millisecond):
		return errors.New("nobody was told of a change")
	}
}

// write stores a record, if need be after what an earlier attempt has stored, whose answer was lost with its connection.
func write(t *testing.T, s token.Store, handle *token.Handle, next token.Record) error {
	written, err := s.Swap(t.Context(), *handle, next)
	if errors.Is(err, token.ErrConflict) {
		if _, written, err = s.Load(t.Context()); err == nil {
			written, err = s.Swap(t.Context(), written, next)
		}
	}
	if err == nil {
		*handle = written
	}
	return err
}

// TestARestartOfTheServerIsNoticed: what is written while nothing could be told is told of as everything, and what is written
// afterwards by its name.
func TestARestartOfTheServerIsNoticed(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"3", "2"} {
		t.Run("resp"+protocol, func(t *testing.T) {
			t.Parallel()
			s := start(t, "--appendonly", "yes")
			url := "redis://" + s.address() + "?protocol=" + protocol
			told := watch(t, open(t, url))
			process.Await(t, "the beginning", told[""])
			writer := storeOf(t, open(t, url), "acme")
			handle, err := writer.Swap(t.Context(), "", record("acme", 1))
			if err != nil {
				t.Fatal(err)
			}
			process.Await(t, "a change", told["acme.myshopify.com"])
			for range 2 {
				s.Kill()
				drain(told)
				s.again(t)
				process.Await(t, "that everything may have changed", told[""])
				drain(told)
				// That everything may have changed is told when a connection is lost, too, before it can be told of changes again.
				process.EventuallyWithin(t, process.Patience, 100*time.Millisecond, func() error {
					return changeIsTold(t, writer, &handle, record("acme", 2), told["acme.myshopify.com"])
				})
			}
		})
	}
}

// TestAServerThatStandsStillIsNoticed: its connections live, as those do that a firewall has forgotten.
func TestAServerThatStandsStillIsNoticed(t *testing.T) {
	t.Parallel()
	s := start(t)
	told := watch(t, open(t, "redis://"+s.address()+"?write_timeout=1s"))
	process.Await(t, "the beginning", told[""])
	drain(told)
	s.Signal(t, syscall.SIGSTOP)
	time.AfterFunc(15*time.Second, func() { _ = s.Cmd.Process.Signal(syscall.SIGCONT) })
	process.Await(t, "that everything may have changed", told[""])
}

func TestAFlushIsNoticed(t *testing.T) {
	t.Parallel()
	s := start(t)
	b := open(t, "redis://"+s.address())
	told := watch(t, b)
	process.Await(t, "the beginning", told[""])
	drain(told)
	s.do(t, "FLUSHALL")
	process.Await(t, "that everything may have changed", told[""])
}

// TestAFailoverUnderLoad: the master is killed while three shops are written to. Writes that were confirmed may be lost with
// it; then the store says that something else is stored, and goes on from there.
func TestAFailoverUnderLoad(t *testing.T) {
	t.Parallel()
	f := startFleet(t)
	b, other := open(t, f.url()), open(t, f.url())
	told := watch(t, other)
	process.Await(t, "the beginning", told[""])
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var writing sync.WaitGroup
	var mu sync.Mutex
	written := map[string]uint64{}
	for _, name := range []string{"acme", "beta", "gamma"} {
		s := storeOf(t, b, name)
		writing.Go(func() {
			var handle token.Handle
			for generation := uint64(1); ctx.Err() == nil; {
				next, err := s.Swap(ctx, handle, record(name, generation))
				switch {
				case err == nil:
					handle = next
					mu.Lock()
					written[name] = generation
					mu.Unlock()
					generation++
				case errors.Is(err, token.ErrConflict):
					// What we believed to be stored was lost, or is ours without our having heard of it.
					r, stored, err := s.Load(ctx)
					if err == nil && r.Generation > generation {
						t.Errorf("%s: generation %d is stored, and %d was the last one written", name, r.Generation, generation)
					}
					if err == nil {
						handle = stored
					}
					if errors.Is(err, token.ErrNotFound) {
						handle = ""
					}
				}
			}
		})
	}
	at := func(name string) uint64 { mu.Lock(); defer mu.Unlock(); return written[name] }
	all := func(than map[string]uint64) error {
		for _, name := range []string{"acme", "beta", "gamma"} {
			if at(name) <= than[name] {
				return errors.New("nothing was written for " + name)
			}
		}
		return nil
	}
	process.Eventually(t, func() error { return all(map[string]uint64{"acme": 20, "beta": 20, "gamma": 20}) })
	f.failover(t)
	drain(told)
	process.Await(t, "that everything may have changed", told[""])
	before := map[string]uint64{"acme": at("acme"), "beta": at("beta"), "gamma": at("gamma")}
	process.EventuallyWithin(t, time.Minute, 100*time.Millisecond, func() error { return all(before) })
	drain(told)
	for _, name := range []string{"acme", "beta", "gamma"} {
		process.Await(t, "a change after the failover", told[name+".myshopify.com"])
	}
	stop()
	writing.Wait()
	for listed, err := range other.All(t.Context()) {
		if err != nil || listed.Record.Generation == 0 {
			t.Errorf("%+v, %v", listed, err)
		}
	}
}

// TestAFailoverInAClusterIsNoticed: the master of a shop's slot is killed, and a replica takes its place.
func TestAFailoverInAClusterIsNoticed(t *testing.T) {
	t.Parallel()
	all := startCluster(t, 1)
	url := "redis://" + all[0].address() + "?addr=" + all[1].address() + "&addr=" + all[2].address()
	told := watch(t, open(t, url))
	process.Await(t, "the beginning", told[""])
	store := storeOf(t, open(t, url), "acme")
	handle, err := store.Swap(t.Context(), "", record("acme", 1))
	if err != nil {
		t.Fatal(err)
	}
	process.Await(t, "a change", told["acme.myshopify.com"])
	killed := 0
	for _, s := range all {
		role := s.do(t, "INFO", "replication")
		if _, err := s.try("GET", "evergate:grant:{acme.myshopify.com}"); err == nil && strings.Contains(role, "role:master") {
			process.Eventually(t, func() error {
				if info := s.do(t, "INFO", "replication"); !strings.Contains(info, "state=online") {
					return errors.New("no replica yet: " + info)
				}
				return nil
			})
			s.Kill()
			killed++
		}
	}
	if killed != 1 {
		t.Fatalf("%d servers are the master of the slot", killed)
	}
	drain(told)
	process.EventuallyWithin(t, time.Minute, 250*time.Millisecond, func() error {
		return write(t, store, &handle, record("acme", 2))
	})
	process.Await(t, "that everything may have changed", told[""])
	drain(told)
	process.EventuallyWithin(t, time.Minute, time.Second, func() error {
		return changeIsTold(t, store, &handle, record("acme", 3), told["acme.myshopify.com"])
	})
}
