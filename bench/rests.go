//go:build linux

package main

import (
	"fmt"
	"time"
)

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
