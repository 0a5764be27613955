package redis

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"evergate/internal/token"
	"evergate/test/process"
)

// thief stands between a client and a server and, when told to, keeps the server's next answer and cuts the connection.
type thief struct {
	address string
	steals  atomic.Bool
	stolen  atomic.Int32
}

func between(t testing.TB, s *server) *thief {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &thief{address: l.Addr().String()}
	var all sync.WaitGroup
	t.Cleanup(func() { l.Close(); all.Wait() })
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { f.pass(c, s.address()) })
		}
	})
	return f
}

func (f *thief) pass(client net.Conn, address string) {
	defer client.Close()
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		defer server.Close()
		_, _ = io.Copy(server, client)
	}()
	b := make([]byte, 64<<10)
	for {
		n, err := server.Read(b)
		if err != nil {
			return
		}
		if f.steals.CompareAndSwap(true, false) {
			f.stolen.Add(1)
			return
		}
		if _, err := client.Write(b[:n]); err != nil {
			return
		}
	}
}

// TestALostAnswerCostsNothing: the command is sent again, and finds its own work.
func TestALostAnswerCostsNothing(t *testing.T) {
	t.Parallel()
	s := start(t)
	f := between(t, s)
	store := storeOf(t, open(t, "redis://"+f.address), "acme")
	if _, err := store.Changed(t.Context(), ""); err != nil { // the connection is there
		t.Fatal(err)
	}
	var handle token.Handle
	for generation := uint64(1); generation <= 20; generation++ {
		f.steals.Store(true)
		next, err := store.Swap(t.Context(), handle, record("acme", generation))
		if err != nil {
			t.Fatalf("generation %d: %v", generation, err)
		}
		handle = next
		if r, stored, err := store.Load(t.Context()); err != nil || r.Generation != generation || stored != handle {
			t.Fatalf("%d as %q, %v, want %d as %q", r.Generation, stored, err, generation, handle)
		}
	}
	for range 10 {
		f.steals.Store(true)
		release, err := store.Lease(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		f.steals.Store(true)
		release()
		if out := s.do(t, "EXISTS", "evergate:lease:{acme.myshopify.com}"); out != "0" {
			t.Fatalf("the lease is still there: %s", out)
		}
	}
	if n := f.stolen.Load(); n < 40 {
		t.Errorf("%d answers were stolen", n)
	}
}

// TestALostAnswerIsNoOthers: between a write and its repetition another one may come.
func TestALostAnswerIsNoOthers(t *testing.T) {
	t.Parallel()
	s := start(t)
	store := storeOf(t, open(t, "redis://"+s.address()), "acme")
	first, err := store.Swap(t.Context(), "", record("acme", 1))
	if err != nil {
		t.Fatal(err)
	}
	second, err := store.Swap(t.Context(), first, record("acme", 2))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Swap(t.Context(), first, record("acme", 2)); !errors.Is(err, token.ErrConflict) {
		t.Errorf("%v, want a conflict: an equal record is another write", err)
	}
	if _, stored, err := store.Load(t.Context()); err != nil || stored != second {
		t.Errorf("%q, %v", stored, err)
	}
}

func TestForgottenScriptsAreSentAgain(t *testing.T) {
	t.Parallel()
	s := start(t)
	store := storeOf(t, open(t, "redis://"+s.address()), "acme")
	var handle token.Handle
	for generation := range uint64(3) {
		s.do(t, "SCRIPT", "FLUSH")
		next, err := store.Swap(t.Context(), handle, record("acme", generation+1))
		if err != nil {
			t.Fatal(err)
		}
		handle = next
	}
}

const leaseKey = "evergate:lease:{acme.myshopify.com}"

func left(s token.Store) time.Duration { return s.(token.Expiring).LeaseLeft() }

// TestALeaseLastsNoLongerThanItSays compares both ends: what the server will give away is never called ours.
func TestALeaseLastsNoLongerThanItSays(t *testing.T) {
	t.Parallel()
	s := start(t)
	store := storeOf(t, open(t, "redis://"+s.address()), "acme")
	if d := left(store); d > 0 {
		t.Errorf("without a lease: %s", d)
	}
	r := record("acme", 1)
	r.Current.Token.Life = 5 * time.Second // so that it is a short one
	if _, err := store.Swap(t.Context(), "", r); err != nil {
		t.Fatal(err)
	}
	release, err := store.Lease(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	for began := time.Now(); time.Since(began) < 3*time.Second; {
		asked, ours := time.Now(), left(store)
		theirs, err := time.ParseDuration(s.do(t, "PTTL", leaseKey) + "ms")
		if err != nil {
			t.Fatal(err)
		}
		if ours <= 0 || theirs > 1001*time.Millisecond {
			t.Fatalf("ours lasts %s, the server's %s", ours, theirs)
		}
		if ours > theirs+time.Since(asked)+time.Millisecond { // PTTL rounds
			t.Fatalf("it lasts %s for us and %s for the server", ours, theirs)
		}
	}
	release()
	if d := left(store); d > 0 {
		t.Errorf("after its release: %s", d)
	}
}

// TestALostLeaseIsKnownToBeLost: taken by another after a failover or a pause, or out of reach for too long.
func TestALostLeaseIsKnownToBeLost(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*server){
		"taken": func(s *server) { s.do(t, "SET", leaseKey, "another") },
		"gone":  func(s *server) { s.do(t, "DEL", leaseKey) },
		"still": func(s *server) { s.Signal(t, syscall.SIGSTOP) },
		"dead":  func(s *server) { s.Kill() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			store := storeOf(t, open(t, "redis://"+s.address()), "acme")
			release, err := store.Lease(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			lose(s)
			process.Eventually(t, func() error {
				if d := left(store); d > 0 {
					return errors.New("it is still held for " + d.String())
				}
				return nil
			})
			if name == "still" {
				s.Signal(t, syscall.SIGCONT)
			}
			release()
			if name == "taken" && s.do(t, "GET", leaseKey) != "another" {
				t.Error("the other's lease was released")
			}
		})
	}
}

// TestALeaseOfTheDeadEnds: whoever waits has it soon after, and not before.
func TestALeaseOfTheDeadEnds(t *testing.T) {
	t.Parallel()
	s := start(t)
	store := storeOf(t, open(t, "redis://"+s.address()), "acme")
	s.do(t, "SET", leaseKey, "the dead", "PX", "1500")
	began := time.Now()
	release, err := store.Lease(t.Context())
	if took := time.Since(began); err != nil || took < 1300*time.Millisecond {
		t.Fatalf("after %s: %v", took, err)
	}
	release()
	s.do(t, "SET", leaseKey, "one without an end")
	if release, err = store.Lease(t.Context()); err != nil {
		t.Fatal(err)
	}
	release()
}

// TestWhatIsStoredIsEncrypted, and what is not, is not believed.
func TestWhatIsStoredIsEncrypted(t *testing.T) {
	t.Parallel()
	s := start(t)
	store := storeOf(t, open(t, "redis://"+s.address()), "acme")
	handle, err := store.Swap(t.Context(), "", record("acme", 1))
	if err != nil {
		t.Fatal(err)
	}
	const key = "evergate:grant:{acme.myshopify.com}"
	value := s.do(t, "GET", key)
	if strings.Contains(value, "shpat") || s.do(t, "TTL", key) != "-1" {
		t.Errorf("%s, for %s", value, s.do(t, "TTL", key))
	}
	for name, wrong := range map[string]string{
		"other_handle": strings.Repeat("x", 43) + value[43:],
		"altered":      value[:len(value)-9] + "AAAAAA" + value[len(value)-3:],
		"cut_short":    value[:60],
		"no_record":    "x",
		"handle_alone": value[:43],
	} {
		s.do(t, "SET", key, wrong)
		if _, _, err := store.Load(t.Context()); err == nil || errors.Is(err, token.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := store.Swap(t.Context(), "", record("acme", 2)); !errors.Is(err, token.ErrConflict) {
			t.Errorf("%s: it is overwritten: %v", name, err)
		}
	}
	s.do(t, "DEL", key)
	s.do(t, "LPUSH", key, "a list")
	if _, _, err := store.Load(t.Context()); err == nil || !strings.Contains(err.Error(), "WRONGTYPE") {
		t.Errorf("%v", err)
	}
	if changed, err := store.Changed(t.Context(), handle); err == nil {
		t.Errorf("%t", changed)
	}
	seen := 0
	for listed, err := range open(t, "redis://"+s.address()).All(t.Context()) {
		if seen++; err == nil || listed.Domain != "acme.myshopify.com" {
			t.Errorf("%+v, %v", listed, err)
		}
	}
	if seen != 1 {
		t.Errorf("%d are listed", seen)
	}
}
