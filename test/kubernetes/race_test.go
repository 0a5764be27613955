package kubernetes

import (
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"evergate/test/process"
	"evergate/test/race"
)

// race has five replicas share chains in Secrets. The API server is started anew now and then, if the race is long enough.
func (g *grantPlaces) race(t *testing.T) {
	namespace := g.make(t)
	binary := filepath.Join(t.TempDir(), "evergate")
	if err := process.Build(binary); err != nil {
		t.Fatal(err)
	}
	race.Run(t, race.Options{
		Binary: binary, Address: strings.TrimPrefix(g.cluster.server, "https://"), Length: 12 * time.Second,
		Lease: 2 * time.Second, Hears: 30 * time.Second,
		LeastOwed: 0.3,             // its API server takes seconds to start
		Shops:     20, Replicas: 5, // what two hundred chains with such short tokens would write is too much for etcd
		Store: func(string) string { return "kubernetes:" + namespace + "?account=" + url.QueryEscape(g.account) },
		Environ: func(address string) []string {
			host, port, _ := strings.Cut(address, ":")
			return []string{"KUBERNETES_SERVICE_HOST=" + host, "KUBERNETES_SERVICE_PORT=" + port}
		},
		Disturb: func() { g.cluster.restartAPI(g.owner) },
	})
}
