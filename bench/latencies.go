//go:build linux

package main

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
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

// shortLife is how long a token lives that is renewed all the time, in seconds. Evergate renews one after three quarters of its
// life. With what the token endpoint takes, a fifteenth of the calls are made during a renewal, so that a percentile of 99
// would show it if they waited.
const shortLife = 2

// askGap is a bit more than the second in which Evergate renews a token once at most when somebody asks.
const askGap = 1010 * time.Millisecond

// longLife is that of a token that is not renewed while something is measured.
const longLife = 3600

// renewals compares latencies of seconds in which the token is renewed with those of others. It is renewed as it always is, by its age:
// to ask for that on the admin listener would measure the report that such a call returns.
func (r *rig) renewals(t *table, p plan) error {
	run, err := r.start(evergate(evergateName, r.evergate, withClientCredentials), r.at.secure)
	if err != nil {
		return err
	}
	defer run.stop()
	length := 3 * p.listen // for several renewals
	for round := range p.renewals {
		var rare [2]float64
		for i, life := range []int{longLife, shortLife} {
			if err := r.live(run.place, life); err != nil {
				return err
			}
			before, err := metric(run.place, "evergate_refreshes_total")
			if err != nil {
				return err
			}
			took, err := latency(run, 500, length)
			if err != nil {
				return err
			}
			after, err := metric(run.place, "evergate_refreshes_total")
			if err != nil {
				return err
			}
			if renewed := after - before; (renewed > 0) != (life == shortLife) {
				return fmt.Errorf("the token, which lives for %d s, was renewed %g times in %v", life, renewed, length)
			}
			rare[i] = quantile(took, 0.99)
		}
		t.add("p99 at 500 a second, no renewal", "µs", 0, evergateName, round, rare[0])
		t.add("p99 at 500 a second, during renewals", "µs", 0, evergateName, round, rare[1])
		t.add(renewalRow, "×", 2, evergateName, round, rare[1]/rare[0])
	}
	return nil
}

// live has the upstream hand out tokens that live for so many seconds, and Evergate have one.
func (r *rig) live(p place, seconds int) error {
	if _, _, err := operators(place{admin: r.at.plain}, http.MethodGet, lifePath+strconv.Itoa(seconds)); err != nil {
		return err
	}
	time.Sleep(askGap)
	return renew(p)
}
