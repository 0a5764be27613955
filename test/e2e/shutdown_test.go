package e2e

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"evergate/internal/shopsim"
	"evergate/test/process"
)

// Faults that several tests use.
var (
	dropOnce = shopsim.Fault{Kind: shopsim.FaultDrop, Endpoint: shopsim.API, Count: 1}
	cutOnce  = shopsim.Fault{Kind: shopsim.FaultCut, Endpoint: shopsim.API, Count: 1}
)

// busySidecar is ready and has one request under way, which ends when the gate is opened.
func busySidecar(t *testing.T, more ...string) (*sidecar, *gate, <-chan outcome) {
	t.Helper()
	hold := newGate(isAPICall)
	s := newShopify(t, shopOptions{around: hold.around}).readySidecar(t, more...)
	slow := s.later(t, "/shop.json")
	hold.awaitOne(t)
	return s, hold, slow
}

func TestRequestUnderWayEndsBeforeTheProcessDoes(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			s, hold, slow := busySidecar(t)
			s.Signal(t, sig)
			s.awaitStatus(t, "/readyz", http.StatusServiceUnavailable)
			mustStatus(t, s.ask(t, "/livez"), http.StatusOK)
			hold.open()
			if got := process.Await(t, "the slow answer", slow); got.err != nil || got.status != http.StatusOK || !strings.Contains(got.body, "Blue Finch") {
				t.Errorf("got %v, %v", got.answer, got.err)
			}
			if code := s.Exit(t); code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

func TestShutdownDelayGoesOnAccepting(t *testing.T) {
	t.Parallel()
	s := newShopify(t, shopOptions{}).readySidecar(t, "EVERGATE_SHUTDOWN_DELAY=10m")
	s.Signal(t, syscall.SIGTERM)
	s.awaitStatus(t, "/readyz", http.StatusServiceUnavailable)
	mustStatus(t, s.raw(t, "GET "+api+"/shop.json HTTP/1.1\r\nHost: localhost\r\n\r\n"), http.StatusOK) // on a new connection
	if !s.Running() {
		t.Error("it ended before the delay did")
	}
}

func TestShutdownDelayEnds(t *testing.T) {
	t.Parallel()
	const delay = 500 * time.Millisecond
	s := newShopify(t, shopOptions{}).readySidecar(t, "EVERGATE_SHUTDOWN_DELAY="+delay.String())
	began := time.Now()
	s.Signal(t, syscall.SIGTERM)
	if code := s.Exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if took := time.Since(began); took < delay {
		t.Errorf("it ended %s after the signal", took)
	}
}

func TestDrainTimeOutExitsWith1(t *testing.T) {
	t.Parallel()
	s, _, slow := busySidecar(t, "EVERGATE_SHUTDOWN_TIMEOUT=300ms")
	s.Signal(t, syscall.SIGTERM)
	if code := s.Exit(t); code != 1 {
		t.Errorf("exit code %d", code)
	}
	if got := process.Await(t, "the slow request's end", slow); got.err == nil {
		t.Errorf("the client was told %s", got.answer)
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	for name, setting := range map[string]string{
		"while_draining": "EVERGATE_SHUTDOWN_TIMEOUT=10m", "in_the_delay": "EVERGATE_SHUTDOWN_DELAY=10m",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _, _ := busySidecar(t, setting)
			s.mustEndAtASecondSignal(t)
		})
	}
}

// mustEndAtASecondSignal sends one signal, and another when the first has been heard.
func (s *sidecar) mustEndAtASecondSignal(t *testing.T) {
	t.Helper()
	s.Signal(t, syscall.SIGTERM)
	s.AwaitLog(t, "shutting down")
	s.Signal(t, syscall.SIGTERM)
	if code := s.Exit(t); code != 1 {
		t.Errorf("exit code %d", code)
	}
}

func TestSecondSignalEndsARotationThatHangs(t *testing.T) {
	t.Parallel()
	hang := newGate(isTokenPost)
	s := newShopify(t, shopOptions{around: hang.around}).sidecar(t)
	hang.awaitOne(t)
	s.mustEndAtASecondSignal(t)
}

func TestRotationThatHasBegunIsFinished(t *testing.T) {
	t.Parallel()
	hang := newGate(isTokenPost)
	s := newShopify(t, shopOptions{around: hang.around}).sidecar(t, "EVERGATE_SHUTDOWN_TIMEOUT=1ms")
	hang.awaitOne(t)
	s.Signal(t, syscall.SIGTERM)
	s.AwaitLog(t, "shutting down")
	if !s.Running() {
		t.Error("it ended in the middle of a rotation")
	}
	hang.open()
	if code := s.Exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if !strings.Contains(s.Err.String(), `"token obtained"`) {
		t.Error("the token that Shopify handed out was thrown away")
	}
}

func TestKilledSidecarStartsAgainAtOnce(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{Settings: wide(2 * time.Second)})
	dir := socketDir(t)
	for range 3 {
		s := shop.onSocketsIn(t, dir)
		s.awaitReady(t)
		mustStatus(t, s.get(t, "/shop.json"), http.StatusOK)
		s.Signal(t, syscall.SIGKILL) // its sockets stay behind
		s.Exit(t)
	}
	s := shop.onSocketsIn(t, dir)
	s.awaitReady(t)
	s.Signal(t, syscall.SIGTERM)
	if code := s.Exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
