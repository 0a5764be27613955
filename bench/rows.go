//go:build linux

package main

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// plan is how much is measured.
type plan struct {
	rounds     int           // of the loads
	window     time.Duration // of one load
	latency    int           // rounds of the latencies
	listen     time.Duration // of one latency
	starts     int
	rests      int           // rounds of memory at rest
	settle     time.Duration // before memory is looked at; Evergate gives back what only calls need after a whole minute of the clock without any, and closes a connection that waits after two
	bulks      int
	pause      time.Duration // before the second burst: longer than a connection rests
	curls      int
	warm       time.Duration
	straced    bool
	renewals   int
	farRounds  int
	onlyPhases []string
}

var (
	full = plan{rounds: 25, window: 180 * time.Millisecond, warm: 60 * time.Millisecond, latency: 7, listen: 2 * time.Second, starts: 21, rests: 1,
		settle: 117 * time.Second, bulks: 5, pause: 390 * time.Second, curls: 25, straced: true, renewals: 9, farRounds: 1}
	quick = plan{rounds: 2, window: 120 * time.Millisecond, warm: 40 * time.Millisecond, latency: 1, listen: time.Second, starts: 5, rests: 1,
		settle: 500 * time.Millisecond, bulks: 1, pause: 2 * time.Second, curls: 3, renewals: 1, farRounds: 1}
)

// part is a plan with fewer rounds.
func (p plan) part(share float64) plan {
	for _, rounds := range []*int{&p.rounds, &p.latency, &p.starts, &p.rests, &p.bulks, &p.renewals, &p.farRounds} {
		*rounds = max(1, int(math.Round(float64(*rounds)*share)))
	}
	return p
}

const directName = "direct"

// phase is a group of rows that are measured together.
type phase struct {
	name    string
	measure func(r *rig, t *table, p plan) error
}

var phases = []phase{
	{"cpu", (*rig).loads},
	{"latency", (*rig).latencies},
	{"renewal", (*rig).renewals},
	{"memory", (*rig).rests},
	{"start", (*rig).startUps},
	{"bulk", (*rig).bulks},
	{"far", (*rig).far},
	{"size", (*rig).sizes},
	{"allocations", (*rig).allocations},
	{"syscalls", (*rig).systemCallRows},
}

func (r *rig) measure(p plan) (*table, error) {
	t := &table{}
	for _, ph := range phases {
		if len(p.onlyPhases) > 0 && !slices.Contains(p.onlyPhases, ph.name) {
			continue
		}
		r.logWriter("%s: %s", time.Now().Format(time.TimeOnly), ph.name)
		if err := ph.measure(r, t, p); err != nil {
			return nil, fmt.Errorf("%s: %w", ph.name, err)
		}
	}
	return t, nil
}

// startAll runs peers side by side. One that waits costs the others nothing.
func (r *rig) startAll(upstream string, peers ...*peer) (all []*running, stop func(), err error) {
	stop = func() {
		for _, run := range all {
			run.stop()
		}
	}
	for _, p := range peers {
		run, err := r.start(p, upstream)
		if err != nil {
			stop()
			return nil, nil, err
		}
		all = append(all, run)
	}
	return all, stop, nil
}

// turn is the peers in another order in each round, so that nobody always follows the same one.
func turn(all []*running, round int) []*running {
	at := round % len(all)
	return slices.Concat(all[at:], all[:at])
}

const (
	postSize = 2 << 10
	cpuPost  = "CPU per POST of 2 KiB, %d connections"
	cpuGet   = "CPU per GET of 50 KiB, %d connections"
)

// call is one of the two that most rows are about.
type call struct {
	name    string
	request []byte
}

func calls() []call {
	return []call{{"POST of 2 KiB", post(shop)}, {"GET of 50 KiB", get(pagePath)}}
}

var counts = []int{1, 16, 64, 256}

var rates = []int{500, 2000}

const (
	renewalRow = "p99 during renewals against otherwise"
	startRow   = "start to first answer"
	firstRow   = "first call once ready, shop 60 ms away"
	sizeRow    = "size of the program"
)

func restRow(connections int) string {
	if connections == 0 {
		return "memory (PSS) at rest"
	}
	return fmt.Sprintf("memory (PSS), %d connections that wait", connections)
}

func pauseRow(p plan) string {
	return fmt.Sprintf("burst of 20 after a pause of %.0f s, shop 60 ms away", p.pause.Seconds())
}

// loads measures the CPU time of requests. What Evergate does with many shops, and inside CONNECT, is a row of its own, beside
// what nginx took for the same call without either.
func (r *rig) loads(t *table, p plan) error {
	all, stop, err := r.startAll(r.at.secure, r.peers...)
	if err != nil {
		return err
	}
	defer stop()
	variants, stopVariants, err := r.startAll(r.at.secure, evergate(shopsName, r.evergate, withShops), evergate(connectName, r.evergate, withCA))
	if err != nil {
		return err
	}
	defer stopVariants()
	for round := range p.rounds {
		for _, connections := range counts {
			for _, run := range turn(all, round) {
				for _, call := range calls() {
					each, err := load(run, connections, p, call.request)
					if err != nil {
						return err
					}
					t.add(fmt.Sprintf("CPU per "+call.name+", %d connections", connections), "µs", 1, run.name, round, micros(each))
				}
			}
		}
		if err := r.variants(t, p, round, variants); err != nil {
			return err
		}
	}
	return r.neverWaited(all)
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func load(run *running, connections int, p plan, requests ...[]byte) (time.Duration, error) {
	c, err := newClient(run.listen, connections, requests...)
	if err != nil {
		return 0, err
	}
	defer c.close()
	if _, err := c.closed(p.warm); err != nil {
		return 0, fmt.Errorf("%s: %w", run.name, err)
	}
	return perRequest(run, c, p.window)
}

func (r *rig) variants(t *table, p plan, round int, variants []*running) error {
	var requests [][]byte
	for i := range manyShops {
		requests = append(requests, post(shopName(i)+".myshopify.com"))
	}
	each, err := load(variants[0], 16, p, requests...)
	if err != nil {
		return err
	}
	inside, err := insideConnect(variants[1], 16, p)
	if err != nil {
		return err
	}
	nginx := t.row(fmt.Sprintf(cpuPost, 16)).figures[r.peers[0].name][round]
	for _, v := range []struct {
		name   string
		figure time.Duration
	}{{"CPU per POST, 16 connections, 1 000 shops", each}, {"CPU per POST, 16 connections, TLS inside CONNECT", inside}} {
		t.add(v.name, "µs", 1, r.peers[0].name, round, nginx)
		t.add(v.name, "µs", 1, evergateName, round, micros(v.figure))
	}
	return nil
}
