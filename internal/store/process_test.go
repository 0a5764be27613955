package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"evergate/internal/envelope"
	"evergate/internal/store/storetest"
	"evergate/internal/token"
)

const helperVariable = "EVERGATE_STORE_TEST_HELPER"

// helpers are what this test binary does, instead of running tests, when it is started by
// one of them: something with the store in its working directory.
var helpers = map[string]func(ctx context.Context) error{
	"swap":  helpSwap,
	"lease": helpLease,
}

func TestMain(m *testing.M) {
	help, ok := helpers[os.Getenv(helperVariable)]
	if !ok {
		os.Exit(m.Run())
	}
	if err := help(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func helper(t *testing.T, name, dir string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), helperVariable+"="+name)
	cmd.Stderr = t.Output()
	return cmd
}

// start starts a helper and returns its lines and how to kill it.
func start(t *testing.T, name, dir string) (lines *bufio.Scanner, kill func()) {
	t.Helper()
	cmd := helper(t, name, dir)
	if _, err := cmd.StdinPipe(); err != nil { // stays open until it is dead
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() })
	return bufio.NewScanner(out), func() {
		t.Helper()
		if err := cmd.Process.Kill(); err != nil {
			t.Fatalf("the helper ended by itself: %v", err)
		}
	}
}

// numbered returns a record that can be told from every other by its number, of a
// length that changes from one to the next.
func numbered(n int) token.Record {
	r := storetest.Named(strconv.Itoa(n))
	r.Original = r.Current.Token.Access
	r.Current.Token.Scopes = strings.Split(strings.Repeat(strconv.Itoa(n)+",", n*7%40), ",")
	return r
}

func numberOf(r token.Record) (int, error) { return strconv.Atoi(storetest.NameOf(r)) }

// helpSwap writes one record after the other, and says so after each.
func helpSwap(ctx context.Context) error {
	s, err := OpenDir(".", storetest.Shop(), envelope.Keys{Current: key("k")})
	if err != nil {
		return err
	}
	r, handle, err := s.Load(ctx)
	if err != nil {
		return err
	}
	n, err := numberOf(r)
	for err == nil {
		n++
		if handle, err = s.Swap(ctx, handle, numbered(n)); err == nil {
			_, err = fmt.Println(n)
		}
	}
	return err
}

// After a kill at any moment, the record is whole, and not older than the last one that
// was acknowledged.
func TestKilledWriterLosesNothing(t *testing.T) {
	t.Parallel()
	const lanes = 4
	kills := 100 / lanes
	if testing.Short() {
		kills = 20 / lanes
	}
	for lane := range lanes {
		t.Run(strconv.Itoa(lane), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir() + "/store"
			if _, err := open(t, dir, envelope.Keys{Current: key("k")}).Swap(t.Context(), "", numbered(0)); err != nil {
				t.Fatal(err)
			}
			written := 0
			for range kills {
				acknowledged := max(written, killWriter(t, dir))
				s := open(t, dir, envelope.Keys{Current: key("k")})
				r, _, err := s.Load(t.Context())
				if err != nil {
					t.Fatalf("after record %d was acknowledged: %v", acknowledged, err)
				}
				written, err = numberOf(r)
				if err != nil || !storetest.Equal(r, numbered(written)) || written < acknowledged || written > acknowledged+1 {
					t.Fatalf("after record %d was acknowledged, record %d is stored", acknowledged, written)
				}
				for _, name := range names(t, s) {
					if strings.HasSuffix(name, tempSuffix) {
						t.Fatalf("%s was left", name)
					}
				}
			}
			t.Logf("%d records written by %d processes", written, kills)
		})
	}
}

// killWriter kills a writer at a random moment after a random number of writes, and
// returns the last record that it acknowledged.
func killWriter(t *testing.T, dir string) (acknowledged int) {
	t.Helper()
	lines, kill := start(t, "swap", dir)
	for range rand.IntN(4) {
		if lines.Scan() {
			acknowledged, _ = strconv.Atoi(lines.Text())
		}
	}
	// Some point in the few milliseconds that a write takes.
	moment := time.NewTimer(rand.N(6 * time.Millisecond))
	<-moment.C
	kill()
	for lines.Scan() { // until the process is gone; whole lines only, and it wrote no others
		acknowledged, _ = strconv.Atoi(lines.Text())
	}
	return acknowledged
}

// helpLease takes the lease and holds it.
func helpLease(ctx context.Context) error {
	s, err := OpenDir(".", storetest.Shop(), envelope.Keys{})
	if err != nil {
		return err
	}
	if _, err := s.Lease(ctx); err != nil {
		return err
	}
	fmt.Println("held")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func TestLeaseEndsWithItsHolder(t *testing.T) {
	t.Parallel()
	s, handle, _ := filled(t, envelope.Keys{})
	lines, kill := start(t, "lease", s.dir)
	if !lines.Scan() || lines.Text() != "held" {
		t.Fatalf("the helper says %q", lines.Text())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err := s.Lease(ctx)
	says(t, err, "held by another", s.path(".lease"))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a lease that another process holds: %v, want context.DeadlineExceeded", err)
	}
	if _, err := s.Swap(t.Context(), handle, storetest.Named("b")); err != nil {
		t.Errorf("a write beside a lease: %v", err)
	}
	got := make(chan error, 1)
	go func() {
		release, err := s.Lease(t.Context())
		if err == nil {
			release()
		}
		got <- err
	}()
	kill()
	if err := <-got; err != nil {
		t.Errorf("after the holder was killed: %v", err)
	}
}
