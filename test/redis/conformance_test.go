package redis

import (
	"fmt"
	"sync/atomic"
	"testing"

	"evergate/internal/store/storetest"
	"evergate/internal/token"
)

// place gives each test a prefix of its own, at one server for all.
func place(url string) storetest.BackendPlace {
	var places atomic.Int32
	return func(t *testing.T) func() token.Backend {
		own := fmt.Sprintf("%sprefix=place%d", url, places.Add(1))
		return func() token.Backend { return open(t, own) }
	}
}

func TestOneServerConforms(t *testing.T) {
	t.Parallel()
	s := start(t)
	t.Run("suite", func(t *testing.T) { storetest.RunBackend(t, place("redis://"+s.address()+"?")) })
}

func TestResp2Conforms(t *testing.T) {
	t.Parallel()
	s := start(t)
	t.Run("suite", func(t *testing.T) { storetest.RunBackend(t, place("redis://"+s.address()+"?protocol=2&")) })
}

func TestSentinelConforms(t *testing.T) {
	t.Parallel()
	f := startFleet(t)
	t.Run("suite", func(t *testing.T) { storetest.RunBackend(t, place(f.url()+"&")) })
}

func TestClusterConforms(t *testing.T) {
	t.Parallel()
	all := startCluster(t, 0)
	t.Run("suite", func(t *testing.T) { storetest.RunBackend(t, place("redis://"+all[0].address()+"?")) })
}
