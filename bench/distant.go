//go:build linux

package main

import (
	"fmt"
	"os/exec"
	"time"
)

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
