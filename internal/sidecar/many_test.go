package sidecar

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/config"
	"evergate/internal/shopsfile"
	"evergate/internal/token"
)

// place is a store that can be read, or not.
type place struct {
	token.Backend
	away atomic.Bool
	// records are what can be said of each.
	records []error
	lists   atomic.Int64 // how often they were listed
}

// vacant is the store of a shop that has no record.
type vacant struct{ token.Store }

func (vacant) Load(context.Context) (token.Record, token.Handle, error) {
	return token.Record{}, "", token.ErrNotFound
}

func (p *place) Shop(token.Shop) (token.Store, error) {
	if p.away.Load() {
		return nil, errors.New("connection refused")
	}
	return vacant{}, nil
}

func (p *place) All(context.Context) iter.Seq2[token.Listed, error] {
	p.lists.Add(1)
	return func(yield func(token.Listed, error) bool) {
		if p.away.Load() {
			yield(token.Listed{}, errors.New("connection refused"))
			return
		}
		for i, err := range p.records {
			if !yield(token.Listed{Domain: fmt.Sprintf("shop-%d.myshopify.com", i)}, err) {
				return
			}
		}
	}
}

// A process that is not ready gets no calls that would find the store back.
func TestAStoreThatComesBackIsNoticedWithoutACall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &place{}
		p.away.Store(true)
		m := &many{app: &App{Config: &config.Config{MaxRenewals: 50}, Backend: p}, dir: &directory{}, log: Logger{Logger: slog.New(slog.DiscardHandler)}}
		m.dir.file.Store(&shopsfile.File{Stored: true})
		m.noteStore(errors.New("connection reset"))
		ctx, stop := context.WithCancel(t.Context())
		defer synctest.Wait()
		defer stop()
		go m.watchStore(ctx)
		time.Sleep(time.Minute)
		if m.ready() == nil {
			t.Error("it is away, and the process is ready")
		}
		p.away.Store(false)
		time.Sleep(askAgainEvery + time.Second)
		if err := m.ready(); err != nil {
			t.Errorf("it is back, and still: %v", err)
		}
		p.away.Store(true)
		time.Sleep(askQuietly + time.Second)
		if m.ready() == nil {
			t.Error("it is away, nobody has called, and the process is ready")
		}
	})
}

// TestAStoreOfWhichNothingCanBeReadIsSaid has records of another key, one that is damaged, and a store that goes away and comes back. What is said is said
// once.
func TestAStoreOfWhichNothingCanBeReadIsSaid(t *testing.T) {
	t.Parallel()
	other, damaged := fmt.Errorf("blue-finch: %w", token.ErrKey), errors.New("it is damaged")
	for name, tc := range map[string]struct {
		records []error
		ready   bool
	}{
		"of another key":       {records: slices.Repeat([]error{other}, 50)},
		"most of a key before": {records: append(slices.Repeat([]error{other}, 50), nil), ready: true},
		"of two keys":          {records: []error{other, other, nil, other}, ready: true},
		"a damaged one":        {records: []error{damaged}, ready: true},
		"none":                 {ready: true},
	} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			p := &place{records: tc.records}
			m := &many{app: &App{Config: &config.Config{MaxRenewals: 50}, Backend: p}, dir: &directory{}, doubt: make(chan struct{}, 1), log: Logger{Logger: slog.New(slog.NewTextHandler(&log, nil))}}
			m.dir.file.Store(&shopsfile.File{Stored: true})
			if (fleetTokens{m}).Status().Obtained {
				t.Errorf("%s: the store has not been read, and the process could serve", name)
			}
			ctx, stop := context.WithCancel(t.Context())
			go m.watchStore(ctx)
			time.Sleep(time.Minute)
			if st := (fleetTokens{m}).Status(); st.Usable != tc.ready || st.Obtained != tc.ready {
				t.Errorf("%s: %+v", name, st)
			}
			p.away.Store(true)
			for range 10 {
				m.doubtStore()
				time.Sleep(time.Minute)
			}
			if st := (fleetTokens{m}).Status(); st.Usable || st.Obtained != tc.ready {
				t.Errorf("%s, away: %+v", name, st)
			}
			p.records = append(p.records, nil)
			p.away.Store(false)
			time.Sleep(time.Minute)
			m.renewUnused(ctx)
			stop()
			synctest.Wait()
			if m.ready() != nil || !m.opened.Load() {
				t.Errorf("%s: it is back, and still %v", name, m.ready())
			}
			outages := 1
			if name == "of another key" {
				outages = 2 // and that it is away is another one
			}
			if got := log.String(); strings.Count(got, "cannot be read: only") != outages || strings.Count(got, "can be read again") != 1 {
				t.Errorf("%s: the log says\n%s", name, got)
			} else if said := strings.Contains(got, "grants in the store that cannot be read"); said != (len(tc.records) > 0) {
				t.Errorf("%s: the log says\n%s", name, got)
			}
		})
	}
}

// TestDoubtsThatAreNoNewsCostNoLook has every call doubt the store for ten minutes, because of records of another key.
func TestDoubtsThatAreNoNewsCostNoLook(t *testing.T) {
	t.Parallel()
	for name, records := range map[string][]error{"all of another key": {token.ErrKey, token.ErrKey}, "some": {token.ErrKey, nil}} {
		synctest.Test(t, func(t *testing.T) {
			p := &place{records: records}
			m := &many{app: &App{Config: &config.Config{MaxRenewals: 50}, Backend: p}, dir: &directory{}, doubt: make(chan struct{}, 1), log: Logger{Logger: slog.New(slog.DiscardHandler)}}
			ctx, stop := context.WithCancel(t.Context())
			defer synctest.Wait()
			defer stop()
			go m.watchStore(ctx)
			for range 6000 {
				m.doubtStore()
				time.Sleep(100 * time.Millisecond)
			}
			if n := p.lists.Load(); n < 10 || n > 12 {
				t.Errorf("%s: the whole store was looked at %d times in ten minutes", name, n)
			}
			p.away.Store(true)
			m.doubtStore()
			time.Sleep(2 * doubtEvery)
			if err := m.ready(); err == nil || errors.Is(err, token.ErrKey) {
				t.Errorf("%s: it is away, and that is not noticed: %v", name, err)
			}
		})
	}
}

// What an app's sessions need is done whether or not there is room for them, and at nobody's cost.
func TestRenewalsOfWhatNobodyCallsTakeNoPlaceOfThoseWhoAreCalled(t *testing.T) {
	t.Parallel()
	var due, all []string
	for n := range 40 {
		due = append(due, fmt.Sprintf("session-%d", n))
	}
	called := []string{"called-1", "called-2"}
	all = append(append(all, called...), due...)
	r := newFleetRig(t, all, "stored: true\n", "EVERGATE_MAX_ACTIVE_SHOPS=2", "EVERGATE_MAX_RENEWALS=1000")
	for _, name := range called {
		r.store(t, name, time.Minute)
	}
	for _, name := range due {
		r.store(t, name, 50*time.Minute)
	}
	before := map[string]*shop{}
	for _, name := range called {
		s, err := r.many.member(t.Context(), named(t, name))
		if err != nil {
			t.Fatal(err)
		}
		before[name] = s
	}
	for range 3 { // nothing is left to do the second time
		r.many.renewDue(t.Context(), sessions(append(due, "a-shop-of-another-app")))
	}
	for _, name := range due {
		if n := r.asked(name); n != 1 {
			t.Errorf("%s: %d requests for a token", name, n)
		}
	}
	for _, name := range called {
		if s, there := r.many.fleet.Peek(named(t, name)); !there || s != before[name] {
			t.Errorf("%s was called, and had to go", name)
		}
	}
	if n := r.many.fleet.Len(); n != len(called) {
		t.Errorf("%d shops are kept, want those that were called", n)
	}
}

func TestUnusedGrantsAreRenewedAtNobodysCost(t *testing.T) {
	t.Parallel()
	all := []string{"called", "unused-1", "unused-2", "unused-3", "young"}
	r := newFleetRig(t, all, "stored: true\n", "EVERGATE_MAX_ACTIVE_SHOPS=1")
	for _, name := range all {
		age := 8 * 24 * time.Hour
		if name == "young" || name == "called" {
			age = 2 * time.Hour
		}
		r.store(t, name, age)
	}
	if _, err := r.many.member(t.Context(), named(t, "called")); err != nil {
		t.Fatal(err)
	}
	r.many.renewUnused(t.Context())
	for name, want := range map[string]int{"unused-1": 1, "unused-2": 1, "unused-3": 1, "young": 0} {
		if n := r.asked(name); n != want {
			t.Errorf("%s: %d requests for a token, want %d", name, n, want)
		}
	}
	if _, there := r.many.fleet.Peek(named(t, "called")); !there || r.many.fleet.Len() != 1 {
		t.Error("the shop that was called had to go")
	}
}

// What is wrong with one record is not wrong with the store, and whoever names that shop makes nobody unready.
func TestARecordThatCannotBeReadMakesNobodyUnready(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &place{}
		m := &many{app: &App{Config: &config.Config{MaxRenewals: 50}, Backend: p}, dir: &directory{}, doubt: make(chan struct{}, 1), log: Logger{Logger: slog.New(slog.DiscardHandler)}}
		ctx, stop := context.WithCancel(t.Context())
		defer synctest.Wait()
		defer stop()
		go m.watchStore(ctx)
		for range 100 {
			m.doubtStore()
			time.Sleep(time.Second)
			if err := m.ready(); err != nil {
				t.Fatal(err)
			}
		}
		p.away.Store(true)
		m.doubtStore()
		time.Sleep(2 * doubtEvery)
		if m.ready() == nil {
			t.Error("it is away, and the process is ready")
		}
	})
}

// A merchant logs in at one replica. The others hear of it from the store, also those that had no grant of the shop to look at.
func TestALoginAtAnotherReplicaEndsAnInferredGrant(t *testing.T) {
	t.Parallel()
	r := newFleetRig(t, []string{"acme", "other", "named"}, "shops: {acme: {}, other: {}, named: {grant: client_credentials}}\n")
	before := map[string]*shop{}
	for _, name := range []string{"acme", "other", "named"} {
		s, err := r.many.member(t.Context(), named(t, name))
		if err != nil || s.in.Grant != config.GrantClientCredentials {
			t.Fatalf("%s: %v", name, err)
		}
		before[name] = s
	}
	r.store(t, "acme", time.Minute)
	eventually(t, func() error {
		s, err := r.many.member(t.Context(), named(t, "acme"))
		if err != nil {
			return err
		}
		if s.in.Grant != config.GrantOffline || !s.in.HasFallback() {
			return fmt.Errorf("it goes on with %s", s.in.Grant)
		}
		return nil
	})
	r.store(t, "named", time.Minute) // where the file says which grant it is, that stays
	r.many.fleet.Changed("")
	for _, name := range []string{"other", "named"} {
		if s, err := r.many.member(t.Context(), named(t, name)); err != nil || s != before[name] {
			t.Errorf("%s was made anew: %v", name, err)
		}
	}
}

// counted counts how often records are looked at.
type counted struct {
	token.Backend
	looks *atomic.Int64
}

func (b counted) Shop(shop token.Shop) (token.Store, error) {
	s, err := b.Backend.Shop(shop)
	return countedStore{s, b.looks}, err
}

type countedStore struct {
	token.Store
	looks *atomic.Int64
}

func (s countedStore) Load(ctx context.Context) (token.Record, token.Handle, error) {
	s.looks.Add(1)
	return s.Store.Load(ctx)
}

func (s countedStore) Changed(ctx context.Context, old token.Handle) (bool, error) {
	s.looks.Add(1)
	return s.Store.Changed(ctx, old)
}

// The file may be edited every second, and ten thousand shops be active of which it says what it said.
func TestAnEditCostsTheStoreNothingForShopsOfWhichItSaysNothing(t *testing.T) {
	t.Parallel()
	var looks atomic.Int64
	shops := []string{"late"}
	file := "shops:\n"
	for n := range 30 {
		shops = append(shops, fmt.Sprintf("acme-%d", n))
		file += fmt.Sprintf("  acme-%d: {grant: offline}\n", n)
	}
	r := newFleetRigOn(t, func(b token.Backend) token.Backend { return counted{b, &looks} }, shops, file).run(t)
	before := map[string]*shop{}
	for _, name := range shops {
		r.store(t, name, time.Minute)
		if w := r.call(name); (w.Code == http.StatusOK) != (name != "late") {
			t.Fatalf("%s: %d %s", name, w.Code, w.Body)
		}
		before[name], _ = r.many.fleet.Peek(named(t, name))
	}
	was := looks.Load()
	for range 3 {
		r.edit(t, file+"  late: {}\n")
		r.many.again <- struct{}{}
		eventually(t, func() error {
			if w := r.call("late"); w.Code != http.StatusOK {
				return fmt.Errorf("late: %d %s", w.Code, w.Body)
			}
			return nil
		})
		r.edit(t, file)
		r.many.again <- struct{}{}
		eventually(t, func() error {
			if w := r.call("late"); w.Code != http.StatusNotFound {
				return fmt.Errorf("late: %d %s", w.Code, w.Body)
			}
			return nil
		})
	}
	if n := looks.Load() - was; n > 3*5 { // those for the shop that came and went
		t.Errorf("six edits cost %d looks into the store", n)
	}
	for _, name := range shops[1:] {
		if s, _ := r.many.fleet.Peek(named(t, name)); s != before[name] {
			t.Errorf("%s was made anew", name)
		}
	}
}
