//go:build linux

package main

import (
	"math"
	"os"
	"time"
)

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

// allocations counts what Evergate itself says of its heap, which no load of the machine changes.
func (r *rig) allocations(t *table, p plan) error {
	for _, peer := range r.peers {
		if peer.ready == nil {
			continue
		}
		run, err := r.start(peer, r.at.secure)
		if err != nil {
			return err
		}
		err = countAllocations(t, p, run)
		run.stop()
		if err != nil {
			return err
		}
	}
	return nil
}

func countAllocations(t *table, p plan, run *running) error {
	for _, call := range calls() {
		c, err := newClient(run.listen, 16, call.request)
		if err != nil {
			return err
		}
		defer c.close()
		if _, err := c.closed(p.window); err != nil {
			return err
		}
		mallocs, bytes, err := allocated(run, c, 4*p.window)
		if err != nil {
			return err
		}
		t.add(allocationsRow(call.name), "", 1, run.name, 0, mallocs)
		t.add("bytes allocated per "+call.name+", 16 connections", "B", 0, run.name, 0, bytes)
	}
	return nil
}

// fewestCounted is how many requests are too many for what goes on beside them to show in the figure of one.
const fewestCounted = 2000

// allocated is what a request has Evergate allocate, in objects and in bytes: everything that happens meanwhile, without the least that
// asking for it costs, divided by the answers.
func allocated(run *running, c *client, length time.Duration) (objects, bytes float64, err error) {
	const asks = 5
	var of [2][asks + 1]float64
	done := 0
	for i := range asks + 1 {
		for j, name := range []string{"go_memstats_mallocs_total", "go_memstats_alloc_bytes_total"} {
			if of[j][i], err = metric(run.place, name); err != nil {
				return 0, 0, err
			}
		}
		for i == asks-1 && done < fewestCounted {
			n, err := c.closed(length)
			if err != nil {
				return 0, 0, err
			}
			done += n
		}
	}
	each := func(n [asks + 1]float64) float64 {
		ask := math.Inf(1)
		for i := 1; i < asks; i++ {
			ask = min(ask, n[i]-n[i-1])
		}
		return (n[asks] - n[asks-1] - ask) / float64(done)
	}
	return each(of[0]), each(of[1]), nil
}

func allocationsRow(call string) string { return "allocations per " + call + ", 16 connections" }
