//go:build linux

package container

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const pod = "evergate-test"

// servesAnAppOfItsPodAcrossExpiries is what the sidecar is for: an app that knows no token calls localhost for
// longer than any token lives, and no call fails. Shopify is the simulator, in the same pod and from the same image.
func servesAnAppOfItsPodAcrossExpiries(t *testing.T, p *podman) {
	p.afterwards(t, "volume", "rm", "--force", "trust")
	p.afterwards(t, "pod", "rm", "--force", "--ignore", "--time", "0", pod)
	p.must(t, "pod", "create", "--name", pod, "--network", "none")

	secret := rand.Text()
	p.startShopify(t, pod, secret)
	p.startSidecar(t, pod, secretFile(t, secret))

	// Twenty calls, half a second apart, are three lives of a token and a bit.
	out := p.once(t, "--pod", pod, appImage, "/app", "--url", "http://localhost:8080/admin/api/2026-10/products.json",
		"--calls", "20", "--every", "500ms")
	t.Log(out)
	if fetched := p.refreshes(t); fetched < 3 {
		t.Errorf("%d tokens were fetched: the calls have not crossed two expiries", fetched)
	}
	p.must(t, "stop", "--time", "10", "sidecar")
	if code := p.must(t, "inspect", "--format", "{{.State.ExitCode}}", "sidecar"); code != "0" {
		t.Errorf("the sidecar ended with %s, want 0", code)
	}
	for _, name := range []string{"shopify", "sidecar"} {
		log := p.logs(t, name)
		if log == "" {
			t.Errorf("%s has logged nothing: that it keeps secrets says nothing then", name)
		}
		if strings.Contains(log, secret) || strings.Contains(log, "shpat_") {
			t.Errorf("the log of %s gives a secret or a token away:\n%s", name, log)
		}
	}
}

// startShopify runs the simulator. Its CA is its own and goes to a new volume, which takes the ownership of the
// image's /data over: otherwise the unprivileged user could not write there.
func (p *podman) startShopify(t *testing.T, pod, secret string) {
	t.Helper()
	p.start(t, "shopify", "--pod", pod, "--volume", "trust:/data", image, "simulate", "--listen", "127.0.0.1:4443",
		"--control", "127.0.0.1:4444", "--shop", "blue-finch", "--client-id", "id", "--client-secret", secret,
		"--token-life", "3s", "--ca-file", "/data/ca.pem")
	ca := filepath.Join(p.must(t, "volume", "inspect", "--format", "{{.Mountpoint}}", "trust"), "ca.pem")
	eventually(t, quick, "the simulator to write its CA", func() bool {
		pem, err := os.ReadFile(ca)
		return err == nil && strings.Contains(string(pem), "END CERTIFICATE")
	})
}

func (p *podman) startSidecar(t *testing.T, pod, secretFile string, more ...string) {
	t.Helper()
	p.start(t, "sidecar", append(more, "--pod", pod, "--volume", "trust:/trust:ro",
		"--volume", secretFile+":/run/secrets/shopify_client_secret:ro",
		"--env", "SHOPIFY_CLIENT_SECRET_FILE=/run/secrets/shopify_client_secret",
		"--env", "SHOPIFY_SHOP=blue-finch", "--env", "SHOPIFY_CLIENT_ID=id", "--env", "EVERGATE_LOG_FORMAT=json",
		"--env", "EVERGATE_UPSTREAM_URL=https://127.0.0.1:4443", "--env", "EVERGATE_UPSTREAM_CA_FILE=/trust/ca.pem", image)...)
	p.must(t, "exec", "sidecar", "/evergate", "wait", "--timeout", "30s")
}

// secretFile is readable by the image's user, who owns nothing on this machine.
func secretFile(t *testing.T, secret string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "client-secret")
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o444); err != nil {
		t.Fatal(err)
	}
	return path
}

var refreshed = regexp.MustCompile(`(?m)^evergate_refreshes_total\{.*result="ok".*\} (\d+)$`)

// refreshes asks the sidecar how many tokens it has fetched.
func (p *podman) refreshes(t *testing.T) int {
	t.Helper()
	metrics := p.once(t, "--pod", pod, appImage, "/app", "--url", "http://localhost:9090/metrics", "--print")
	m := refreshed.FindStringSubmatch(metrics)
	if m == nil {
		t.Fatalf("no evergate_refreshes_total with result=\"ok\" in:\n%s", metrics)
	}
	fetched, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return fetched
}
