//go:build linux

package main

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// latencies measures how long answers take at a fixed rate, and takes from it what they take without a proxy: at the same
// upstream, over TCP alone, because TLS towards it is a part of what a proxy does.
func (r *rig) latencies(t *table, p plan) error {
	all, stop, err := r.startAll(r.at.secure, r.peers...)
	if err != nil {
		return err
	}
	defer stop()
	all = append(all, &running{peer: &peer{name: directName}, place: place{listen: r.at.plain}})
	for round := range p.latency {
		for _, rate := range rates {
			half, rare := map[string]float64{}, map[string]float64{}
			for _, run := range turn(all, round) {
				took, err := latency(run, rate, p.listen)
				if err != nil {
					return err
				}
				half[run.name], rare[run.name] = quantile(took, 0.5), quantile(took, 0.99)
			}
			for _, run := range all {
				at, in := fmt.Sprintf("p50 at %d requests a second", rate), fmt.Sprintf("p99 at %d requests a second", rate)
				t.add(at, "µs", 0, run.name, round, half[run.name])
				t.add(in, "µs", 0, run.name, round, rare[run.name])
				if run.name != directName {
					t.add("added "+at, "µs", 0, run.name, round, half[run.name]-half[directName])
					t.add("added "+in, "µs", 0, run.name, round, rare[run.name]-rare[directName])
				}
			}
		}
	}
	return r.neverWaited(all)
}

// latency returns what answers took in µs, sorted.
func latency(run *running, rate int, length time.Duration) ([]float64, error) {
	c, err := newClient(run.listen, 16, post(shop))
	if err != nil {
		return nil, err
	}
	defer c.close()
	if _, err := c.fixed(length/5, rate); err != nil {
		return nil, fmt.Errorf("%s: %w", run.name, err)
	}
	took, err := c.fixed(length, rate)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", run.name, err)
	}
	sorted := make([]float64, len(took))
	for i, d := range took {
		sorted[i] = micros(d)
	}
	slices.Sort(sorted)
	return sorted, nil
}

// renewalGap is a bit more than the second in which Evergate renews a token once at most, whoever asks. With what the token
// endpoint takes, a tenth of the calls are made during a renewal, so that a percentile of 99 would show it.
const renewalGap = 1010 * time.Millisecond

// renewals compares latencies of seconds in which the token is renewed with those of others.
func (r *rig) renewals(t *table, p plan) error {
	run, err := r.start(evergate(evergateName, r.evergate, withClientCredentials), r.at.secure)
	if err != nil {
		return err
	}
	defer run.stop()
	for round := range p.renewals {
		quiet, err := latency(run, 500, p.listen)
		if err != nil {
			return err
		}
		stop, ended := make(chan struct{}), make(chan error, 1)
		go func() {
			for {
				if err := renew(run.place); err != nil {
					ended <- err
					return
				}
				select {
				case <-stop:
					ended <- nil
					return
				case <-time.After(renewalGap):
				}
			}
		}()
		busy, err := latency(run, 500, p.listen)
		close(stop)
		if err := errors.Join(err, <-ended); err != nil {
			return err
		}
		t.add("p99 at 500 a second, no renewal", "µs", 0, evergateName, round, quantile(quiet, 0.99))
		t.add("p99 at 500 a second, during renewals", "µs", 0, evergateName, round, quantile(busy, 0.99))
		t.add(renewalRow, "×", 2, evergateName, round, quantile(busy, 0.99)/quantile(quiet, 0.99))
	}
	return nil
}
