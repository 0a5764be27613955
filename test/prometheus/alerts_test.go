package prometheus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"evergate/test/process"
)

const (
	// calm is how long all is well before anything fails, and trouble how long it fails at
	// least: longer than any `for` and any range together, so that an alert that is wrong would
	// have fired by then.
	calm    = 15 * time.Second
	trouble = (10*time.Minute + 10*time.Minute) / hurry
	// longest bounds the wait for what has to happen.
	longest = 3 * time.Minute
)

// run is all scenarios side by side, and two Prometheus.
type run struct {
	subjects map[string]*subject
	working  context.Context
	group    *sync.WaitGroup
	// classic stores classic buckets, native knows native ones; the second one finds no
	// Evergate in the beginning.
	classic, native *server
}

func newRun(t *testing.T) *run {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r := &run{subjects: map[string]*subject{}, working: ctx, group: &sync.WaitGroup{}}
	t.Cleanup(func() { stop(); r.group.Wait() })
	r.native = startPrometheus(t, "2s", "--enable-feature=native-histograms")
	for _, sc := range scenarios {
		if !sc.late {
			r.begin(t, sc)
		}
	}
	r.classic = startPrometheus(t, "1s") // by now, for it says so if there is no Evergate
	r.classic.scrape(t, r.addresses())
	return r
}

func (r *run) begin(t *testing.T, sc scenario) {
	t.Helper()
	s := newSubject(t, sc)
	r.subjects[sc.name] = s
	s.work(r.working, r.group)
}

// addresses are where Prometheus finds each.
func (r *run) addresses() map[string]string {
	all := map[string]string{}
	for name, s := range r.subjects {
		all[name] = s.admin
	}
	return all
}

// settle waits until every Evergate has been scraped for so long without a gap.
func (r *run) settle(t *testing.T, p *server, d time.Duration) {
	t.Helper()
	eventually(t, longest, func() error {
		ups, err := p.ask(t.Context(), fmt.Sprintf("sum_over_time(up[%ds]) > %d", int(d.Seconds())+2, int(d.Seconds())*8/10))
		if err == nil && len(ups) < len(r.subjects) {
			err = fmt.Errorf("%d of %d have been scraped for %s", len(ups), len(r.subjects), d)
		}
		return err
	})
}

// fail lets everything go wrong, at once.
func (r *run) fail(t *testing.T) {
	t.Helper()
	for _, sc := range scenarios {
		if sc.late {
			r.begin(t, sc)
			continue
		}
		s := r.subjects[sc.name]
		if sc.version != "" {
			s.version.Store(&sc.version)
		}
		if sc.fail != nil {
			sc.fail(s)
		}
	}
	r.scrape(t)
}

func (r *run) scrape(t *testing.T) {
	t.Helper()
	r.classic.scrape(t, r.addresses())
	r.native.scrape(t, r.addresses())
}

// heal undoes what can be undone.
func (r *run) heal(t *testing.T) {
	t.Helper()
	for _, sc := range scenarios {
		if sc.heal != nil {
			sc.heal(r.subjects[sc.name])
		}
	}
	r.scrape(t)
}

// wanted are the alerts of each scenario that has any.
func wanted(counts func(scenario) bool) map[string]string {
	all := map[string]string{}
	for _, sc := range scenarios {
		if sc.want != "" && counts(sc) {
			all[sc.name] = sc.want
		}
	}
	return all
}

// differences says where two sets of alerts differ.
func differences(got, want map[string]string) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(merged(got, want))) {
		if got[name] != want[name] {
			errs = append(errs, fmt.Errorf("%s: %q, want %q", name, got[name], want[name]))
		}
	}
	return errors.Join(errs...)
}

func merged(a, b map[string]string) map[string]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// lacks says which alerts have not fired yet.
func lacks(got, want map[string]string) error {
	var missing []string
	for name, alerts := range want {
		for alert := range strings.FieldsSeq(alerts) {
			if !slices.Contains(strings.Fields(got[name]), alert) {
				missing = append(missing, name+": "+alert)
			}
		}
	}
	if missing == nil {
		return nil
	}
	slices.Sort(missing)
	return fmt.Errorf("not firing: %s", strings.Join(missing, ", "))
}

func every(scenario) bool { return true }

func TestExactlyTheRightAlertsFire(t *testing.T) {
	t.Parallel() // most of it is waiting
	if testing.Short() {
		t.Skip("takes minutes: not with -short")
	}
	requireProgram(t, "prometheus")
	began := time.Now()
	stage := func(what string) { t.Logf("%5.1fs %s", time.Since(began).Seconds(), what) }
	r := newRun(t)
	stage("all is well")
	r.settle(t, r.classic, calm)
	if err := differences(r.classic.everFired(t, time.Since(began)), nil); err != nil {
		t.Errorf("nothing is wrong yet, but there fired\n%v", err)
	}
	panels := readDashboard(t)
	panels.look(t, r.classic, false)
	if err := differences(r.native.firing(t), map[string]string{"": "EvergateAbsent"}); err != nil {
		t.Errorf("a Prometheus that finds no Evergate: %v", err)
	}

	failed := time.Now()
	r.fail(t)
	stage("everything fails")
	want := wanted(every)
	eventually(t, longest, func() error { return lacks(r.classic.firing(t), want) })
	stage("all alerts fire")
	r.awaitTrouble(t, failed)
	if err := differences(r.classic.firing(t), want); err != nil {
		t.Errorf("firing now:\n%v", err)
	}
	if err := differences(r.classic.everFired(t, time.Since(began)), want); err != nil {
		t.Errorf("fired at some time:\n%v", err)
	}
	if got := r.native.firing(t)[""]; got != "" {
		t.Errorf("a Prometheus that has found Evergate goes on saying %s", got)
	}

	panels.look(t, r.classic, true)
	panels.look(t, r.native, true)
	r.mustBeNative(t)

	r.heal(t)
	stage("everything is mended")
	lasting := wanted(func(sc scenario) bool { return sc.heal == nil && !sc.lingers })
	eventually(t, longest, func() error {
		firing := r.classic.firing(t)
		for _, sc := range scenarios {
			if sc.lingers {
				delete(firing, sc.name)
			}
		}
		return differences(firing, lasting)
	})
	stage("no alert fires any more")
}

// awaitTrouble waits until everything has failed for long enough, and sees to it that those
// who should run do.
func (r *run) awaitTrouble(t *testing.T, since time.Time) {
	t.Helper()
	process.EventuallyWithin(t, trouble+longest, time.Second, func() error {
		now, err := r.classic.ask(t.Context(), "vector(time())")
		if err != nil {
			return err
		}
		if passed := time.Duration((now[0].value - float64(since.UnixNano())/1e9) * float64(time.Second)); passed < trouble {
			return fmt.Errorf("only %s have passed", passed)
		}
		return nil
	})
	for name, s := range r.subjects {
		if !s.process.Running() && s.want != "EvergateDown" {
			t.Errorf("%s has ended", name)
		}
	}
}

// mustBeNative sees to it that the second Prometheus has stored native histograms, so that the
// dashboard was asked about those.
func (r *run) mustBeNative(t *testing.T) {
	t.Helper()
	counted, err := r.native.ask(t.Context(), `histogram_count(evergate_request_duration_seconds{instance="healthy"})`)
	if err != nil || len(counted) == 0 || counted[0].value == 0 {
		t.Errorf("no native histograms: %v, %v", counted, err)
	}
	none, err := r.classic.ask(t.Context(), `histogram_count(evergate_request_duration_seconds)`)
	if err != nil || len(none) > 0 {
		t.Errorf("native histograms where they were not asked for: %v, %v", none, err)
	}
}
