//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
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
	settle     time.Duration // before memory is looked at
	bulks      int
	pause      time.Duration // before the second burst
	curls      int
	warm       time.Duration
	straced    bool
	renewals   int
	farRounds  int
	onlyPhases []string
}

var (
	full = plan{rounds: 9, window: 500 * time.Millisecond, warm: 150 * time.Millisecond, latency: 7, listen: 2 * time.Second, starts: 21, rests: 3,
		settle: 4 * time.Second, bulks: 5, pause: 75 * time.Second, curls: 15, straced: true, renewals: 9, farRounds: 3}
	quick = plan{rounds: 3, window: 120 * time.Millisecond, warm: 40 * time.Millisecond, latency: 1, listen: time.Second, starts: 5, rests: 1,
		settle: 500 * time.Millisecond, bulks: 1, pause: 2 * time.Second, curls: 3, renewals: 2, farRounds: 1}
)

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

// rests measures memory while nothing happens. Each peer runs alone, because what is shared with another process counts half.
func (r *rig) rests(t *table, p plan) error {
	for round := range p.rests {
		for _, peer := range r.peers {
			if err := r.rest(t, p, peer, round); err != nil {
				return fmt.Errorf("%s: %w", peer.name, err)
			}
		}
	}
	return nil
}

func (r *rig) rest(t *table, p plan, peer *peer, round int) error {
	run, err := r.start(peer, r.at.secure)
	if err != nil {
		return err
	}
	defer run.stop()
	for _, connections := range []int{0, 64, 1000} {
		c, err := newClient(run.listen, connections, post(shop))
		if err != nil {
			return err
		}
		if err := c.oneByOne(); err != nil {
			c.close()
			return err
		}
		time.Sleep(p.settle)
		bytes, err := pss(run.all)
		c.close()
		if err != nil {
			return err
		}
		t.add(restRow(connections), "MiB", 1, run.name, round, bytes/(1<<20))
	}
	return nil
}

// startUps measures from exec to the first answer that was passed on. Evergate finds its token in its store.
func (r *rig) startUps(t *table, p plan) error {
	places := map[*peer]place{}
	for round := -1; round < p.starts; round++ { // the first one fills the store, and the page cache
		for _, peer := range r.peers {
			at, known := places[peer]
			if !known {
				var err error
				if at, err = r.place(r.at.secure); err != nil {
					return err
				}
				places[peer] = at
			}
			began := time.Now()
			run, err := r.startIn(peer, at)
			took := run.answered.Sub(began)
			if err != nil {
				return err
			}
			run.stop()
			if round >= 0 {
				t.add(startRow, "ms", 1, run.name, round, millis(took))
			}
		}
	}
	return nil
}

// far measures calls to a shop that is a round trip of 60 ms away, which the first call of a connection pays three times: for
// TCP, for TLS and for itself.
func (r *rig) far(t *table, p plan) error {
	for round := range p.farRounds {
		if err := r.farRound(t, p, round); err != nil {
			return err
		}
	}
	return nil
}

func (r *rig) farRound(t *table, p plan, round int) error {
	var all []*running
	defer func() {
		for _, run := range all {
			run.stop()
		}
	}()
	for _, peer := range r.peers {
		run, err := r.startReady(peer, r.at.far)
		if err != nil {
			return err
		}
		all = append(all, run)
		if err := r.burst(t, run, round, firstRow, 1); err != nil {
			return err
		}
		if err := r.burst(t, run, round, "first burst of 20, shop 60 ms away", 20); err != nil {
			return err
		}
	}
	time.Sleep(p.pause)
	for _, run := range all {
		if err := r.burst(t, run, round, pauseRow(p), 20); err != nil {
			return err
		}
	}
	return r.curls(t, p, round, all)
}

func (r *rig) burst(t *table, run *running, round int, name string, size int) error {
	c, err := newClient(run.listen, size, get(smallPath))
	if err != nil {
		return err
	}
	defer c.close()
	took, err := c.once()
	t.add(name, "ms", 1, run.name, round, millis(took))
	if err != nil {
		return fmt.Errorf("%s: %w", run.name, err)
	}
	return nil
}

// curls measures one process of curl for each call.
func (r *rig) curls(t *table, p plan, round int, all []*running) error {
	if _, err := exec.LookPath("curl"); err != nil {
		r.logWriter("one curl per call is left out: %v", err)
		return nil
	}
	for i := range p.curls {
		at := round*p.curls + i
		for _, run := range turn(all, i) {
			took, err := timeCurl("-H", "Host: "+shop, "http://"+run.listen+smallPath)
			if err != nil {
				return err
			}
			t.add("one curl per call, shop 60 ms away", "ms", 1, run.name, at, took)
		}
		took, err := timeCurl("--cacert", r.file("ca.pem"), "https://"+r.at.far+smallPath)
		if err != nil {
			return err
		}
		t.add("one curl per call, shop 60 ms away", "ms", 1, directName, at, took)
	}
	return nil
}

func timeCurl(args ...string) (float64, error) {
	began := time.Now()
	_, err := commandOutput([]string{"no_proxy=*"}, "curl", append([]string{"-q", "-sS", "-f", "-o", "/dev/null"}, args...)...)
	return millis(time.Since(began)), err
}

// systemCallRows counts what peers ask of the kernel.
func (r *rig) systemCallRows(t *table, p plan) error {
	if !p.straced {
		return nil
	}
	for _, peer := range r.peers {
		run, err := r.start(peer, r.at.secure)
		if err != nil {
			return err
		}
		err = countSystemCalls(t, run)
		run.stop()
		if err != nil {
			return err
		}
	}
	return nil
}

func countSystemCalls(t *table, run *running) error {
	for _, call := range calls() {
		c, err := newClient(run.listen, 16, call.request)
		if err != nil {
			return err
		}
		_, each, err := systemCalls(run, c)
		c.close()
		if err != nil {
			return err
		}
		if each > 0 {
			t.add("system calls per "+call.name+", 16 connections", "", 1, run.name, 0, each)
		}
	}
	return nil
}

// sizes is the programs themselves, without what they load.
func (r *rig) sizes(t *table, _ plan) error {
	for _, peer := range r.peers {
		info, err := os.Stat(peer.program)
		if err != nil {
			return err
		}
		if peer.name != relayName { // it is a part of this program
			t.add(sizeRow, "MiB", 1, peer.name, 0, float64(info.Size())/(1<<20))
		}
	}
	return nil
}
