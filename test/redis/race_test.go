package redis

import (
	"testing"

	"evergate/internal/shopsim"
	"evergate/test/race"
)

// TestTheRace has five replicas share two hundred chains in one Redis that writes every change to its disk, and is killed now and then.
func TestTheRace(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a minute")
	}
	s := start(t, "--appendonly", "yes", "--appendfsync", "always")
	race.Run(t, race.Options{
		Binary: binary, Retry: shopsim.RetryNewPair, Address: s.address(), Store: func(address string) string { return "redis://" + address },
		Disturb: func() { s.Kill(); s.again(t) },
	})
}
