package kubestore

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/store/storetest"
)

const leasesPath = "/apis/coordination.k8s.io/v1/namespaces/ns/leases"

// A holder that has died is followed by another once that has seen its lease unchanged for all its life.
func TestDeadHoldersLeaseIsTakenOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, b := newFake(t)
		dead := openShop(t, b)
		release, err := dead.Lease(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		if left := dead.LeaseLeft(); left <= 0 || left > longestTerm {
			t.Errorf("%s are left", left)
		}
		time.Sleep(2 * longestTerm) // renewed all the time
		if left := dead.LeaseLeft(); left < longestTerm/2 {
			t.Errorf("it is renewed, and %s are left", left)
		}
		f.set(cutOff(dead)) // from here on it cannot renew
		cut := time.Now()
		next := openShop(t, f.open(b.client.account))
		taken, err := next.Lease(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(cut); waited < longestTerm || waited > longestTerm+2*lastLook {
			t.Errorf("it was taken over after %s", waited)
		}
		if left := dead.LeaseLeft(); left > 0 {
			t.Errorf("two hold it: the first believes to have %s", left)
		}
		f.set(nil) // the first is back, and hears of it
		time.Sleep(2 * longestTerm / 3)
		if left := dead.LeaseLeft(); left > 0 {
			t.Errorf("two hold it: the first believes to have %s", left)
		}
		release()
		if next.LeaseLeft() <= 0 {
			t.Error("the first has given back what the second holds")
		}
		taken()
		if len(f.left()) != 0 {
			t.Errorf("left over: %v", f.left())
		}
	})
}

// cutOff lets nothing of s through.
func cutOff(s *shopStore) func(*http.Request, func() *http.Response) (*http.Response, error) {
	me := s.held.Load().me
	return func(req *http.Request, answer func() *http.Response) (*http.Response, error) {
		if req.Method == http.MethodPut {
			var b strings.Builder
			body, _ := req.GetBody()
			buf := make([]byte, 4096)
			n, _ := body.Read(buf)
			b.Write(buf[:n])
			if strings.Contains(b.String(), me) {
				return nil, errCut
			}
		}
		return answer(), nil
	}
}

func TestLeaseWhoseAnswerWasLostIsHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, b := newFake(t)
		s := openShop(t, b)
		f.set(loses)
		if _, err := s.Lease(t.Context()); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Fatalf("without an answer: %v", err)
		}
		synctest.Wait()
		f.set(nil)
		release, err := s.Lease(t.Context()) // the one before was not given back, and ends by itself
		if err != nil {
			t.Fatal(err)
		}
		// A renewal without an answer is known again.
		f.set(loses)
		time.Sleep(longestTerm/3 + time.Second)
		f.set(nil)
		time.Sleep(longestTerm / 3)
		if s.LeaseLeft() < longestTerm/2 {
			t.Errorf("%s are left", s.LeaseLeft())
		}
		release()
		if len(f.left()) != 0 || s.LeaseLeft() != 0 {
			t.Errorf("left over: %v, %s", f.left(), s.LeaseLeft())
		}
	})
}

// Who gives up while its request is under way must not leave a lease behind that holds up everybody.
func TestGivenUpLeaseIsGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, b := newFake(t)
		s := openShop(t, b)
		ctx, cancel := context.WithCancel(t.Context())
		f.set(func(req *http.Request, answer func() *http.Response) (*http.Response, error) {
			if req.Method == http.MethodPost {
				defer cancel()
				return loses(req, answer)
			}
			return answer(), nil
		})
		if _, err := s.Lease(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want context.Canceled", err)
		}
		synctest.Wait()
		if len(f.left()) != 0 {
			t.Errorf("left over: %v", f.left())
		}
	})
}

func TestTermFollowsFromTheLifeOfTheToken(t *testing.T) {
	t.Parallel()
	_, b := newFake(t)
	for life, want := range map[time.Duration]time.Duration{0: longestTerm, 5 * time.Second: shortestTerm, 27 * time.Second: 5 * time.Second, time.Hour: longestTerm} {
		r := storetest.Named("a")
		r.Current.Token.Life = life
		s, reader := openShop(t, b), openShop(t, b)
		_, h, _ := s.Load(t.Context())
		if _, err := s.Swap(t.Context(), h, r); err != nil {
			t.Fatal(err)
		}
		if _, _, err := reader.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s.term() != want || reader.term() != want {
			t.Errorf("a life of %s: %s for who wrote it, %s for who read it, want %s", life, s.term(), reader.term(), want)
		}
	}
}

// A lease that says nothing, or too much, of its life.
func TestStrangeLeaseEnds(t *testing.T) {
	t.Parallel()
	for seconds, want := range map[any]time.Duration{nil: longestTerm, 0: longestTerm, -5: longestTerm, 1: time.Second, 1 << 40: longestBelieved} {
		synctest.Test(t, func(t *testing.T) {
			f, b := newFake(t)
			f.objects[leasesPath+"/evergate-grant-acme"] = map[string]any{
				"metadata": map[string]any{"name": "evergate-grant-acme", "uid": "u", "resourceVersion": "1"},
				"spec":     map[string]any{"holderIdentity": "somebody", "leaseDurationSeconds": seconds},
			}
			began := time.Now()
			release, err := openShop(t, b).Lease(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			release()
			if waited := time.Since(began); waited < want || waited > want+2*lastLook {
				t.Errorf("%v seconds: waited %s, want %s", seconds, waited, want)
			}
		})
	}
}
