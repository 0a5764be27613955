package kubestore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"evergate/internal/clock"
	"evergate/internal/token"
)

const (
	// longestTerm is for how long nobody else takes a lease over that is not renewed: longer than an answer of Shopify's token
	// endpoint takes, and short enough to wait for when a replica has died within a refresh. Where tokens are short-lived it is
	// less, and never below shortestTerm.
	longestTerm, shortestTerm = 15 * time.Second, 2 * time.Second
	// longestBelieved bounds what is believed of another's lease.
	longestBelieved = 5 * time.Minute
	// releaseWait bounds the release: a lease that cannot be given back ends by itself.
	releaseWait = 5 * time.Second
	// firstLook and lastLook are how soon, and how often at last, one looks who has it. Most refreshes take less than a second.
	firstLook, lastLook = 100 * time.Millisecond, time.Second
)

// holding is one right to refresh, from its acquisition to its end.
type holding struct {
	store *shopStore
	term  time.Duration             // for how long it is had, in whole seconds
	me    string                    // holderIdentity; drawn anew each time, so that an answer can be lost
	since atomic.Pointer[time.Time] // when the request was sent that got or renewed it; nil once it is lost
	state objectMeta                // of the Lease; only who acquires, then renew, then release touch it
	stop  context.CancelFunc
	ended chan struct{} // renew has returned
}

// Lease implements token.Store.
func (s *shopStore) Lease(ctx context.Context) (release func(), err error) {
	if ctx.Err() != nil {
		return nil, s.notLeased(context.Cause(ctx))
	}
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, s.notLeased(context.Cause(ctx))
	}
	host, _ := os.Hostname() // is for people
	h := &holding{store: s, term: s.term(), me: host + "_" + rand.Text(), ended: make(chan struct{})}
	if err := h.acquire(ctx); err != nil {
		<-s.turn
		return nil, s.notLeased(err)
	}
	renewing, stop := context.WithCancel(context.WithoutCancel(ctx))
	h.stop = stop
	s.held.Store(h)
	go h.renew(renewing)
	return sync.OnceFunc(func() {
		h.stop()
		<-h.ended
		s.held.Store(nil)
		h.giveBack(context.WithoutCancel(ctx))
		<-s.turn
	}), nil
}

// term follows from the life of the token that was seen last: a lease of a dead replica must not outlast a token.
func (s *shopStore) term() time.Duration {
	life := time.Duration(s.life.Load())
	if life <= 0 {
		return longestTerm
	}
	return min(max(life/5, shortestTerm), longestTerm).Truncate(time.Second)
}

func (s *shopStore) notLeased(err error) error {
	return fmt.Errorf("the right to refresh %s, the Lease %s: %w", s.codec.Shop, s.backend.called(s.name), err)
}

// LeaseLeft implements token.Expiring.
func (s *shopStore) LeaseLeft() time.Duration {
	h := s.held.Load()
	if h == nil {
		return 0
	}
	since := h.since.Load()
	if since == nil {
		return 0
	}
	// A machine that slept has a monotonic clock that did, and one that was set has another wall clock: whichever says more.
	now := time.Now()
	// The tenth part is given up, so that clocks may run at slightly different speeds.
	return h.term - h.term/10 - max(now.Sub(*since), now.Round(0).Sub(since.Round(0)))
}

// acquire returns when the lease is ours.
func (h *holding) acquire(ctx context.Context) (err error) {
	doubtful := false
	defer func() {
		if err != nil && doubtful {
			go h.giveBack(context.WithoutCancel(ctx)) // it may be ours all the same, and nobody would know
		}
	}()
	began := time.Now()
	var other seen
	for look := firstLook; ; look = min(2*look, lastLook) {
		err := h.create(ctx)
		if err == nil {
			return nil
		}
		doubtful = doubtful || isDoubtful(err)
		if statusOf(err) != http.StatusConflict {
			return waited(ctx, err)
		}
		for {
			now, err := h.get(ctx)
			if statusOf(err) == http.StatusNotFound {
				break // it was given back
			}
			if err != nil {
				return waited(ctx, err)
			}
			if now.Spec.Holder == h.me { // an answer was lost
				h.have(began, now.Metadata)
				return nil
			}
			if other.over(now) {
				err = h.put(ctx, now.Metadata)
				if err == nil {
					return nil
				}
				doubtful = doubtful || isDoubtful(err)
				if status := statusOf(err); status != http.StatusConflict && status != http.StatusNotFound {
					return waited(ctx, err)
				}
			}
			if err := clock.Sleep(ctx, look); err != nil {
				return err
			}
			look = min(look+look/2, lastLook)
		}
	}
}

// waited is ctx's cause if that has ended the waiting, else err.
func waited(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// seen is a lease of another's, as it was seen first.
type seen struct {
	state objectMeta
	at    time.Time
}

// over reports whether now may be taken over: it has been given back, or was seen unchanged for all its life. What its holder's
// clock says does not matter.
func (s *seen) over(now lease) bool {
	if now.Spec.Holder == "" {
		return true
	}
	if s.state.UID != now.Metadata.UID || s.state.ResourceVersion != now.Metadata.ResourceVersion {
		s.state, s.at = now.Metadata, time.Now()
		return false
	}
	life := time.Duration(min(now.Spec.Seconds, int(longestBelieved/time.Second))) * time.Second
	if life <= 0 {
		life = longestTerm
	}
	return time.Since(s.at) >= life
}

func (h *holding) have(since time.Time, state objectMeta) {
	h.state = state
	h.since.Store(&since)
}

func (h *holding) path() string { return h.store.backend.leases(h.store.name) }

func (h *holding) get(ctx context.Context) (now lease, err error) {
	err = h.store.backend.client.do(ctx, call{method: http.MethodGet, path: h.path()}, &now)
	return now, err
}

func (h *holding) mine(m objectMeta) lease {
	return lease{APIVersion: "coordination.k8s.io/v1", Kind: "Lease", Metadata: m,
		Spec: leaseSpec{Holder: h.me, Seconds: int(h.term / time.Second), Renewed: time.Now().UTC().Format("2006-01-02T15:04:05.000000Z")}}
}

// create and put make it ours, counted from before the request was sent.
func (h *holding) create(ctx context.Context) error {
	return h.send(ctx, call{method: http.MethodPost, path: h.store.backend.leases(""), body: h.mine(newMeta(h.store.codec.Shop))})
}

func (h *holding) put(ctx context.Context, over objectMeta) error {
	m := newMeta(h.store.codec.Shop)
	m.UID, m.ResourceVersion = over.UID, over.ResourceVersion
	return h.send(ctx, call{method: http.MethodPut, path: h.path(), body: h.mine(m)})
}

func (h *holding) send(ctx context.Context, q call) error {
	sent := time.Now()
	q.metadataOnly = true
	var now object
	if err := h.store.backend.client.do(ctx, q, &now); err != nil {
		return err
	}
	h.have(sent, now.Metadata)
	return nil
}

// renew keeps it until ctx ends or somebody else has it.
func (h *holding) renew(ctx context.Context) {
	defer close(h.ended)
	every := h.term / 3
	for wait := every; clock.Sleep(ctx, wait) == nil; {
		err := h.putWithin(ctx, every)
		switch status := statusOf(err); {
		case err == nil:
			wait = every
			continue
		case status == http.StatusConflict || status == http.StatusNotFound:
			now, err := h.get(ctx)
			if err == nil && now.Spec.Holder == h.me { // an earlier renewal was done without an answer
				h.state, wait = now.Metadata, 0
				continue
			}
			if err == nil || statusOf(err) == http.StatusNotFound {
				h.since.Store(nil)
				return
			}
		}
		wait = h.term / 10
	}
}

// putWithin gives up a request that takes so long that there is time for another.
func (h *holding) putWithin(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return h.put(ctx, h.state)
}

// giveBack deletes the Lease if it is ours still. If that cannot be done it ends by itself.
func (h *holding) giveBack(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, releaseWait)
	defer cancel()
	if h.state.UID != "" && !errors.Is(h.remove(ctx, h.state), errChanged) {
		return
	}
	if now, err := h.get(ctx); err == nil && now.Spec.Holder == h.me {
		_ = h.remove(ctx, now.Metadata) // as above
	}
}

var errChanged = errors.New("the Lease has changed")

func (h *holding) remove(ctx context.Context, m objectMeta) error {
	err := h.store.backend.client.do(ctx, call{method: http.MethodDelete, path: h.path(), body: deleteOptions{
		APIVersion: "v1", Kind: "DeleteOptions", Preconditions: preconditions{UID: m.UID, ResourceVersion: m.ResourceVersion},
	}}, nil)
	if statusOf(err) == http.StatusConflict {
		return errChanged
	}
	return err
}

type deleteOptions struct {
	APIVersion    string        `json:"apiVersion"`
	Kind          string        `json:"kind"`
	Preconditions preconditions `json:"preconditions"`
}

type preconditions struct {
	UID             string `json:"uid"`
	ResourceVersion string `json:"resourceVersion"`
}

var _ token.Expiring = (*shopStore)(nil)
