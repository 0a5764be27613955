package redis

import (
	"errors"
	"strings"
	"testing"

	"evergate/test/process"
	"evergate/test/race"
)

// TestTheRace has five replicas share two hundred chains in one Redis that writes every change to its disk, and is killed now and then.
func TestTheRace(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a minute")
	}
	s := start(t, "--appendonly", "yes", "--appendfsync", "always")
	race.Run(t, race.Options{
		Binary: binary, Address: s.address(), Store: func(address string) string { return "redis://" + address },
		Disturb: func() { s.Kill(); s.again(t) },
	})
}

// TestTheRaceWithFailovers has the master of a Sentinel be lost now and then, with what it had not passed on.
func TestTheRaceWithFailovers(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a minute")
	}
	f := startFleet(t)
	race.Run(t, race.Options{
		Binary: binary, Store: func(string) string { return f.url() },
		Disturb: func() { f.failover(t); f.restore(t) },
	})
}

// restore starts the server again that was the master, and waits until one has what the other has. On a busy machine Sentinel takes the new
// master for lost, too: then it is that one which follows.
func (f *fleet) restore(t *testing.T) {
	f.replica.again(t)
	process.Eventually(t, func() error {
		for _, s := range []*server{f.replica, f.master} {
			info, err := s.try("INFO", "replication")
			if err != nil || !strings.Contains(info, "role:slave") || !strings.Contains(info, "master_link_status:up") {
				continue
			}
			if s == f.master {
				f.master, f.replica = f.replica, f.master
			}
			return nil
		}
		return errors.New("none follows the other yet")
	})
}
