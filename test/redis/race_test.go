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

// restore starts the server again that was the master, and waits until it has what the other has. Until then Sentinel must not take it for
// one to promote: on a busy machine it takes the new master for lost as well, and would put one in its place that has nothing.
func (f *fleet) restore(t *testing.T) {
	f.replica.again(t, "--replicaof", "127.0.0.1 "+f.master.port, "--replica-priority", "0")
	process.Eventually(t, func() error {
		info, err := f.replica.try("INFO", "replication")
		if err != nil || !strings.Contains(info, "role:slave") || !strings.Contains(info, "master_link_status:up") {
			return fmt.Errorf("it does not follow yet: %w: %s", err, info)
		}
		return nil
	})
	f.replica.do(t, "CONFIG", "SET", "replica-priority", "100")
}
