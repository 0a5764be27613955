//go:build linux

// Command bench compares Evergate with the proxies that somebody would use in its place: CPU time, latency and memory, in
// one run on one machine, so that the ratios mean something. README.md beside it says how; `make bench-peers` runs it.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options is what it was asked for.
type options struct {
	quick, bar         bool
	only               string
	evergate, also     string
	docs, raw, profile string
	connections        int
	call               string
	share              float64
	serve              string
	args               []string
}

func run() error {
	var o options
	flag.BoolVar(&o.quick, "quick", false, "fewer and shorter rounds: less than a minute")
	flag.BoolVar(&o.bar, "bar", false, "fail if the CPU per POST, or per GET, has risen by a tenth over bench/bar.txt, against nginx")
	flag.Float64Var(&o.share, "share", 1, "of the rounds of a run that is not quick")
	flag.StringVar(&o.only, "only", "", "phases, comma separated: cpu, latency, renewal, memory, start, bulk, far, size, allocations, syscalls")
	flag.StringVar(&o.evergate, "evergate", "", "a binary to measure in place of what the source makes")
	flag.StringVar(&o.also, "also", "", "another binary of Evergate, to compare: NAME=PATH")
	flag.StringVar(&o.docs, "docs", "", "a directory for performance.md and its plot")
	flag.StringVar(&o.raw, "raw", "", "a file for every figure of every round, as JSON")
	flag.StringVar(&o.profile, "profile", "", "write a CPU profile of Evergate into this file, and count its system calls")
	flag.IntVar(&o.connections, "connections", 16, "of -profile")
	flag.StringVar(&o.call, "call", "post", "of -profile: post, or get")
	flag.StringVar(&o.serve, "serve", "", "for its own children")
	flag.Parse()
	o.args = flag.Args()
	switch {
	case o.serve == "upstream" && len(o.args) == 2:
		return serveUpstream(o.args[0], o.args[1])
	case o.serve == "relay" && len(o.args) == 3:
		return serveRelay(o.args[0], o.args[1], o.args[2])
	case len(o.args) > 0 || o.serve != "":
		return fmt.Errorf("%q is not understood", o.args)
	}
	return measure(o)
}

func measure(o options) (err error) {
	dir, err := os.MkdirTemp("", "evergate-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	r, err := newRig(dir)
	if err != nil {
		return err
	}
	defer r.upstream.stop()
	if o.profile != "" {
		request := post(shop)
		if o.call == "get" {
			request = get(pagePath)
		}
		return r.profile(o.profile, o.connections, request)
	}
	if err := r.choosePeers(o); err != nil {
		return err
	}
	// Nothing of this program is to happen beside what it measures.
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(1 << 30)
	if err := pin(loadCore()); err != nil {
		return err
	}
	if o.bar {
		return r.bar()
	}
	return r.compare(o)
}

// choosePeers finds the peers and builds Evergate.
func (r *rig) choosePeers(o options) error {
	r.evergate = o.evergate
	if r.evergate == "" {
		r.evergate = r.file("evergate")
		if err := buildEvergate(r.evergate, ""); err != nil {
			return err
		}
	}
	r.peers = r.others()
	if len(r.peers) == 0 || r.peers[0].name != nginxName {
		return errors.New("there is no nginx, which everything is compared with: run scripts/install-bench-peers")
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	r.peers = append(r.peers, limit(self), evergate(evergateName, r.evergate, nil))
	if name, path, ok := strings.Cut(o.also, "="); ok {
		other := evergate(name, path, nil)
		other.shares = true // it may be the same program
		r.peers = append(r.peers, other)
	}
	return nil
}

func (r *rig) compare(o options) error {
	rep := &report{plan: full.part(o.share), peers: r.peers, began: time.Now(), loads: [2]string{loadAverage(), ""}}
	if o.quick {
		rep.plan = quick
	}
	if o.only != "" {
		rep.plan.onlyPhases = strings.Split(o.only, ",")
	}
	var err error
	if rep.table, err = r.measure(rep.plan); err != nil {
		return err
	}
	rep.took, rep.loads[1] = time.Since(rep.began), loadAverage()
	fmt.Printf("\n%s\n%s\n%s", rep.figures(), rep.goals(), rep.circumstances())
	if o.raw != "" {
		err = rep.writeRaw(o.raw)
	}
	if o.docs != "" {
		err = errors.Join(err, rep.writeDocs(o.docs))
	}
	return err
}

// writeRaw writes what the table is made of.
func (r *report) writeRaw(file string) error {
	type figures struct {
		Row, Unit string
		Figures   map[string][]*float64 // of a peer, for each round; null: not measured
	}
	var all []figures
	for _, row := range r.rows {
		f := figures{row.name, row.unit, map[string][]*float64{}}
		for peer, measured := range row.figures {
			for _, figure := range measured {
				at := &figure
				if figure != figure { // NaN
					at = nil
				}
				f.Figures[peer] = append(f.Figures[peer], at)
			}
		}
		all = append(all, f)
	}
	b, err := json.MarshalIndent(all, "", " ")
	return errors.Join(err, os.WriteFile(file, append(b, '\n'), 0o644))
}
