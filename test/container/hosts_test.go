//go:build linux

package container

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// hostsPod is a pod in which the shop's own name leads to the sidecar, as the chart's sidecar.hosts has it.
const hostsPod = "evergate-hosts-test"

// servesAnAppThatCallsTheShopItself is for a program that can be given no address: it calls https://SHOP.myshopify.com, across
// expiries, and finds the sidecar there by /etc/hosts and its certificate by SSL_CERT_FILE.
func servesAnAppThatCallsTheShopItself(t *testing.T, p *podman) {
	for _, volume := range []string{"trust", "roots"} {
		p.afterwards(t, "volume", "rm", "--force", volume)
	}
	p.afterwards(t, "pod", "rm", "--force", "--ignore", "--time", "0", hostsPod)
	p.must(t, "pod", "create", "--name", hostsPod, "--network", "none", "--sysctl", "net.ipv4.ip_unprivileged_port_start=443")
	// The kubelet mounts such a file for hostAliases; podman makes none for a pod without a network.
	hosts := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(hosts, []byte("127.0.0.1\tlocalhost\n127.0.0.1\tblue-finch.myshopify.com\n"), 0o444); err != nil {
		t.Fatal(err)
	}

	secret := rand.Text()
	p.startShopify(t, hostsPod, secret)
	p.startSidecar(t, hostsPod, secretFile(t, secret), "--volume", "roots:/data", "--env", "EVERGATE_LISTEN=127.0.0.1:8080,tls:127.0.0.1:443",
		"--env", "EVERGATE_CA_DIR=memory:", "--env", "EVERGATE_CA_FILE=/data/roots.pem")

	out := p.once(t, "--pod", hostsPod, "--volume", "roots:/roots:ro", "--volume", hosts+":/etc/hosts:ro", "--env", "SSL_CERT_FILE=/roots/roots.pem", appImage, "/app",
		"--url", "https://blue-finch.myshopify.com/admin/api/2026-10/products.json", "--calls", "10", "--every", "500ms")
	t.Log(out)
	if log := p.logs(t, "sidecar"); strings.Contains(log, "shpat_") || strings.Contains(log, "PRIVATE KEY") {
		t.Errorf("the log gives something away:\n%s", log)
	}
}

// refusesToCallItself: without a name server that knows better its calls would come back, so it does not start, and says why.
func refusesToCallItself(t *testing.T, p *podman) {
	res := p.try(t, append(append([]string{"run", "--rm", "--network", "none", "--sysctl", "net.ipv4.ip_unprivileged_port_start=443",
		"--add-host", "blue-finch.myshopify.com:127.0.0.1"}, hardened...),
		"--env", "SHOPIFY_SHOP=blue-finch", "--env", "SHOPIFY_CLIENT_ID=id", "--env", "SHOPIFY_CLIENT_SECRET=secret",
		"--env", "EVERGATE_LISTEN=tls:127.0.0.1:443", "--env", "EVERGATE_CA_DIR=memory:", image)...)
	if res.code != 2 || !strings.Contains(res.stderr, "EVERGATE_RESOLVER") {
		t.Errorf("want exit 2 and a word about EVERGATE_RESOLVER, got %v", res)
	}
}
