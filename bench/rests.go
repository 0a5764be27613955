//go:build linux

package main

import (
	"errors"
	"fmt"
	"time"
)

// rests measures memory while nothing happens. What is shared with another process counts half, so a peer that shares a file with another
// runs alone, and the others side by side: that takes two minutes for each figure.
func (r *rig) rests(t *table, p plan) error {
	var side, alone []*peer
	for _, one := range r.peers {
		if one.shares {
			alone = append(alone, one)
		} else {
			side = append(side, one)
		}
	}
	groups := [][]*peer{side}
	for _, one := range alone {
		groups = append(groups, []*peer{one})
	}
	for round := range p.rests {
		for _, group := range groups {
			if err := r.rest(t, p, group, round); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *rig) rest(t *table, p plan, group []*peer, round int) error {
	var runs []*running
	for _, peer := range group {
		run, err := r.start(peer, r.at.secure)
		if err != nil {
			return fmt.Errorf("%s: %w", peer.name, err)
		}
		defer run.stop()
		runs = append(runs, run)
	}
	began := time.Now()
	for _, connections := range []int{0, 64, 1000} {
		if connections > 0 && p.settle >= time.Minute {
			time.Sleep(untilTheEndOfAMinute(time.Since(began)))
		}
		if err := r.restWith(t, p, runs, round, connections); err != nil {
			return err
		}
	}
	return nil
}

// untilTheEndOfAMinute is how long it takes until a minute of a process is nearly over. Evergate gives memory back at the end of each of its minutes in
// which nobody called, and closes connections that have waited for two minutes: what is called late in a minute has a whole quiet one before that.
func untilTheEndOfAMinute(age time.Duration) time.Duration {
	const late = 50 * time.Second
	return (late - age%time.Minute + time.Minute) % time.Minute
}

// restWith measures with so many connections of which each has had one call.
func (r *rig) restWith(t *table, p plan, runs []*running, round, connections int) error {
	clients := make([]*client, 0, len(runs))
	for _, run := range runs {
		c, err := newClient(run.listen, connections, post(shop))
		if err != nil {
			return fmt.Errorf("%s: %w", run.name, err)
		}
		defer c.close()
		clients = append(clients, c)
		if err := c.oneByOne(); err != nil {
			return fmt.Errorf("%s: %w", run.name, err)
		}
	}
	time.Sleep(p.settle)
	if connections == 0 {
		time.Sleep(p.settle / 10) // nobody has to be there any more, and the call with which it started was its last for two minutes
	}
	for i, run := range runs {
		bytes, err := pss(run.all)
		if err = errors.Join(err, clients[i].allWait()); err != nil {
			return fmt.Errorf("%s: %w", run.name, err)
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
