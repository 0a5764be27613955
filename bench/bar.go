//go:build linux

package main

import (
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

//go:embed bar.txt
var barText string

// agreed is a figure of bar.txt.
func agreed(name string) (float64, error) {
	for line := range strings.Lines(barText) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == name {
			return strconv.ParseFloat(fields[1], 64)
		}
	}
	return 0, fmt.Errorf("bench/bar.txt has no %s", name)
}

// mayRise is by how much the ratio of a run may lie above it, which is more than it varies between runs of the same.
const mayRise = 1.1

// bar fails when requests have become dearer. Only the ratio of two programs that ran in turn is looked at, and its median.
func (r *rig) bar() (err error) {
	const rounds, connections = 25, 16
	p := plan{window: 300 * time.Millisecond, warm: 60 * time.Millisecond}
	var both []*peer
	for _, peer := range r.peers {
		if peer.name == nginxName || peer.name == evergateName {
			both = append(both, peer)
		}
	}
	all, stop, err := r.startAll(r.at.secure, both...)
	if err != nil {
		return err
	}
	defer stop()
	for _, b := range []struct {
		of, row string
		request []byte
	}{{"post", cpuPost, post(shop)}, {"get", cpuGet, get(pagePath)}} {
		most, noBar := agreedHere(b.of)
		if noBar != nil {
			return noBar
		}
		t, name := &table{}, fmt.Sprintf(b.row, connections)
		for round := range rounds {
			for _, run := range turn(all, round) {
				each, err := load(run, connections, p, b.request)
				if err != nil {
					return err
				}
				t.add(name, "µs", 1, run.name, round, micros(each))
			}
		}
		ratio, _ := t.row(name).ratio(evergateName, nginxName)
		fmt.Printf("%s: %s × nginx %s; the median of %d rounds is %.2f (quartiles %.2f and %.2f), and bench/bar.txt says %.2f. Load average %s.\n",
			name, evergateName, r.peers[0].version, rounds, ratio.median, ratio.low, ratio.high, most, loadAverage())
		switch {
		case ratio.median > most*mayRise:
			err = errors.Join(err, fmt.Errorf("%s has become dearer: %.2f is more than a tenth above %.2f", name, ratio.median, most))
		case ratio.median*mayRise < most:
			fmt.Printf("It has become cheaper: write %.2f into bench/bar.txt.\n", ratio.median)
		}
	}
	return err
}

// agreedHere is the figure for this kind of processor: the same programs have other ratios on another.
func agreedHere(of string) (float64, error) {
	maker, _, _ := strings.Cut(processor(), " ")
	maker, _, _ = strings.Cut(maker, "(")
	if most, err := agreed(of + "-" + maker); err == nil {
		return most, nil
	}
	return agreed(of + "-other")
}
