package redis

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"evergate/test/process"
	"evergate/test/race"
)

// TestTheRace has five replicas share two hundred chains in one Redis that writes every change to its disk, and is killed now and then. Of the
// races it is the one that takes two minutes where everything is tested.
func TestTheRace(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a minute")
	}
	s := start(t, "--appendonly", "yes", "--appendfsync", "always")
	race.Run(t, race.Options{
		Binary: binary, Address: s.address(), Store: func(address string) string { return "redis://" + address },
		Disturb: func() { s.Kill(); s.again(t) }, LengthOfAll: 2 * time.Minute, MostAmid: 0.05,
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
		Disturb: func() { f.failover(t); f.comeBack(t); f.awaitNamed(t) }, Mend: func() { f.awaitInStep(t) }, Loses: true,
	})
}

// comeBack starts the server again that was the master, while those who have not heard of the new one still ask it. It has nothing at first.
// Until it has what the other has, Sentinel must not take it for one to promote: on a busy machine it takes the new master for lost as
// well, and would put one in its place that has nothing.
func (f *fleet) comeBack(t *testing.T) {
	f.replica.again(t, "--replicaof", "127.0.0.1 "+f.master.port, "--replica-priority", "0")
}

// awaitNamed waits until Sentinel says which the new master is.
func (f *fleet) awaitNamed(t *testing.T) {
	process.Eventually(t, func() error {
		if named, err := f.sentinel.try("SENTINEL", "get-master-addr-by-name", "shops"); err != nil || !strings.Contains(named, f.master.port) {
			return fmt.Errorf("another one is the master: %w: %s", err, named)
		}
		return nil
	})
}

// awaitInStep waits until what was the master can be it again.
func (f *fleet) awaitInStep(t *testing.T) {
	process.Eventually(t, func() error {
		info, err := f.replica.try("INFO", "replication")
		if err != nil || !strings.Contains(info, "role:slave") || !strings.Contains(info, "master_link_status:up") {
			return fmt.Errorf("it does not follow yet: %w: %s", err, info)
		}
		return nil
	})
	f.replica.do(t, "CONFIG", "SET", "replica-priority", "100")
}
