package redis

import (
	"fmt"
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

// restore starts the server again that was the master, and waits until it has what the master has.
func (f *fleet) restore(t *testing.T) {
	f.replica.again(t)
	process.Eventually(t, func() error {
		if info, err := f.replica.try("INFO", "replication"); err != nil || !strings.Contains(info, "role:slave") || !strings.Contains(info, "master_link_status:up") {
			return fmt.Errorf("it does not follow yet: %w, %s", err, info)
		}
		return nil
	})
}
