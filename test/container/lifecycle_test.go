//go:build linux

package container

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// keepsTheOrderOfANativeSidecar goes through the life of a pod with the chart's native sidecar: the app starts
// after the first token, the secret changes meanwhile, and the app still calls when it is told to end.
func keepsTheOrderOfANativeSidecar(t *testing.T, p *podman) {
	old, next := rand.Text(), rand.Text()
	pl := newPlay(t, p, "app/native", "Deployment", map[string]string{"client-secret": old},
		"--url", "http://localhost:8080/admin/api/2026-10/products.json", "--calls", "1000000", "--every", "200ms", "--last", "10")
	pl.startOne(t, "evergate")
	liveness, readiness := pl.command(t, "livenessProbe", "exec", "command"), pl.command(t, "readinessProbe", "exec", "command")
	eventually(t, quick, "the sidecar to be alive", func() bool { return pl.probe(t, liveness).code == 0 })

	// Without Shopify there is no token: nothing may start, nothing may be restarted.
	if res := pl.probe(t, pl.command(t, "startupProbe", "exec", "command")); res.code != 1 || !strings.Contains(res.stderr, "no token yet") {
		t.Errorf("start-up probe without a token: %v", res)
	}
	if res := pl.probe(t, readiness); res.code != 1 {
		t.Errorf("ready without a token: %v", res)
	}
	pl.startOne(t, "shopify")
	pl.awaitStart(t)
	pl.startOne(t, "app")
	pl.awaitCalls(t, 5)
	if res := pl.probe(t, readiness); res.code != 0 {
		t.Errorf("not ready with a token: %v", res)
	}
	runsAsTheChartSays(t, pl)

	pl.changeSecret(t, next)

	pl.term(t, "app")
	pl.mustEnd(t, "app")
	if log := pl.logs(t, pl.container("app")); !strings.Contains(log, "SIGTERM: 10 calls more") {
		t.Errorf("the app was not told to end, or did not hear it:\n%s", log)
	}
	if pl.state(t, "evergate", "Running") != "true" {
		t.Error("the sidecar has ended before it was told to")
	}
	pl.term(t, "evergate")
	pl.mustEnd(t, "evergate")
	if log := pl.logs(t, pl.container("evergate")); strings.Contains(log, old) || strings.Contains(log, next) || strings.Contains(log, "shpat_") {
		t.Errorf("the log gives a secret or a token away:\n%s", log)
	}
}

// runsAsTheChartSays looks at what podman has made of the security context.
func runsAsTheChartSays(t *testing.T, pl *play) {
	t.Helper()
	const format = "{{.HostConfig.ReadonlyRootfs}} {{.Config.User}} {{.EffectiveCaps}}"
	if got := pl.must(t, "inspect", "--format", format, pl.container("evergate")); got != "true 65532:65532 []" {
		t.Errorf("read-only root, user and capabilities are %q, want true 65532:65532 []", got)
	}
}

// changeSecret rotates the client secret as docs/containers/kubernetes.md says: a new one at Shopify, then in the Secret, then
// the old one is revoked. The process stays the same, and the app, which goes on calling, ends with 1 if a call fails.
func (p *play) changeSecret(t *testing.T, next string) {
	t.Helper()
	before := p.state(t, "evergate", "StartedAt") + p.state(t, "evergate", "Pid")
	p.control(t, "secret", `{"secret":"`+next+`"}`)
	p.secrets.write(t, map[string]string{"client-secret": next})
	// Two renewals later there is surely one that began after the change.
	p.awaitRenewals(t, 2)
	p.control(t, "secret", `{"secret":"`+next+`","revoke_old":true}`)
	p.awaitRenewals(t, 2)
	if after := p.state(t, "evergate", "StartedAt") + p.state(t, "evergate", "Pid"); after != before {
		t.Errorf("the sidecar was started anew: %s, then %s", before, after)
	}
}

func (p *play) awaitRenewals(t *testing.T, n int) {
	t.Helper()
	from := p.renewals(t)
	eventually(t, quick, "the token to be renewed", func() bool { return p.renewals(t) >= from+n })
}

// letsAJobComplete: nothing but the job's own end ends the pod, and every container ends with 0.
func letsAJobComplete(t *testing.T, p *podman) {
	pl := newPlay(t, p, "app/native", "Job", map[string]string{"client-secret": rand.Text()},
		"--url", "http://localhost:8080/admin/api/2026-10/products.json", "--calls", "5", "--every", "200ms")
	pl.startOne(t, "shopify")
	pl.startOne(t, "evergate")
	pl.awaitStart(t)
	pl.startOne(t, "app")
	pl.mustEnd(t, "app")
	pl.term(t, "evergate") // a kubelet does that when the last ordinary container has ended
	pl.mustEnd(t, "evergate")
}

// fallsBackToAnOrdinaryContainer is the same life without native sidecars: the start waits for the hook, and
// the app and the sidecar are told to end in the same moment.
func fallsBackToAnOrdinaryContainer(t *testing.T, p *podman) {
	pl := newPlay(t, p, "app/fallback", "Deployment", map[string]string{"client-secret": rand.Text()},
		"--url", "http://localhost:8080/admin/api/2026-10/products.json", "--calls", "1000000", "--every", "200ms", "--last", "10",
		"--quit", "http://localhost:9090/-/quit")
	pl.startOne(t, "evergate")
	hook := pl.background(t, append([]string{"exec", pl.container("evergate")}, pl.command(t, "lifecycle", "postStart", "exec", "command")...)...)
	eventually(t, quick, "the sidecar to be alive", func() bool {
		return pl.probe(t, pl.command(t, "livenessProbe", "exec", "command")).code == 0
	})
	select {
	case res := <-hook:
		t.Fatalf("the hook has not waited for a token: %v", res)
	default:
	}
	pl.startOne(t, "shopify")
	if res := await(t, "the hook", hook); res.code != 0 {
		t.Fatalf("the hook: %v", res)
	}
	pl.startOne(t, "app")
	pl.awaitCalls(t, 5)

	pl.term(t, "evergate", "app")
	pl.mustEnd(t, "app")
	pl.mustEnd(t, "evergate")
	log := pl.logs(t, pl.container("app")) + pl.logs(t, pl.container("evergate"))
	if !strings.Contains(log, "SIGTERM: 10 calls more") || !strings.Contains(log, "shutting down") {
		t.Errorf("one of them was not told to end:\n%s", log)
	}
}

// letsAJobQuitIt: without native sidecars the job has to say that it has finished.
func letsAJobQuitIt(t *testing.T, p *podman) {
	pl := newPlay(t, p, "app/fallback", "Job", map[string]string{"client-secret": rand.Text()},
		"--url", "http://localhost:8080/admin/api/2026-10/products.json", "--calls", "5", "--every", "200ms",
		"--quit", "http://localhost:9090/-/quit")
	pl.startOne(t, "shopify")
	pl.startOne(t, "evergate")
	if res := pl.probe(t, pl.command(t, "lifecycle", "postStart", "exec", "command")); res.code != 0 {
		t.Fatalf("the hook: %v", res)
	}
	pl.startOne(t, "app")
	pl.mustEnd(t, "app")
	pl.mustEnd(t, "evergate")
}

// keepsAnOfflineGrantOnAVolume begins a grant as docs/containers/kubernetes.md says, on a volume as a kubelet prepares one for an
// fsGroup, and finds it again after a restart.
func keepsAnOfflineGrantOnAVolume(t *testing.T, p *podman) {
	p.afterwards(t, "volume", "rm", "--force", "grant")
	p.must(t, "volume", "create", "grant")
	root := p.must(t, "volume", "inspect", "--format", "{{.Mountpoint}}", "grant")
	if os.Getuid() == 0 { // otherwise the volume belongs to the image's user, as podman makes it
		if err := os.Chown(root, 0, 65532); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(root, os.ModeSetgid|0o775); err != nil {
			t.Fatal(err)
		}
	}
	secrets := map[string]string{"client-id": "0123456789abcdef", "client-secret": rand.Text()}
	pl := newPlay(t, p, "app/offline", "Deployment", secrets, "--url", "http://localhost:8080/admin/api/2026-10/products.json", "--calls", "5")
	pl.startOne(t, "shopify")
	pl.startOne(t, "evergate")
	eventually(t, quick, "the sidecar to be alive", func() bool {
		return pl.probe(t, pl.command(t, "livenessProbe", "exec", "command")).code == 0
	})
	pl.importGrant(t)
	pl.awaitStart(t)
	pl.startOne(t, "app")
	pl.mustEnd(t, "app")
	pl.term(t, "evergate")
	pl.mustEnd(t, "evergate")

	pl.startOne(t, "evergate")
	pl.awaitStart(t)
	if os.Getuid() == 0 {
		store := filepath.Join(root, "evergate")
		info, err := os.Stat(store)
		if err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("the store's directory: %v, %v: want one that is open to nobody else", info, err)
		}
		refusesWhatAKubeletOpensToTheGroup(t, pl, store)
	}
}

// importGrant begins an offline grant, as an operator does.
func (p *play) importGrant(t *testing.T) {
	t.Helper()
	var pair struct {
		Refresh string `json:"refresh_token"`
	}
	if err := json.Unmarshal([]byte(p.control(t, "pairs", "{}")), &pair); err != nil || pair.Refresh == "" {
		t.Fatalf("no refresh token from the simulator: %v", err)
	}
	res, err := p.run(t, quick, strings.NewReader(pair.Refresh+"\n"), "exec", "--interactive", p.container("evergate"), "/evergate", "token", "import")
	if err != nil || res.code != 0 {
		t.Fatalf("token import: %v, %v", err, res)
	}
}

// refusesWhatAKubeletOpensToTheGroup is why the chart sets fsGroupChangePolicy: with the standard
// policy a kubelet does this at every start of a pod.
func refusesWhatAKubeletOpensToTheGroup(t *testing.T, pl *play, store string) {
	t.Helper()
	pl.term(t, "evergate")
	pl.mustEnd(t, "evergate")
	if err := os.Chmod(store, os.ModeSetgid|0o770); err != nil {
		t.Fatal(err)
	}
	pl.startOne(t, "evergate")
	if code := pl.must(t, "wait", pl.container("evergate")); code == "0" || !strings.Contains(pl.logs(t, pl.container("evergate")), "is open to other users") {
		t.Errorf("ended with %s, want a refusal of a store that is open to the group", code)
	}
}

// servesCallersOfItsService runs the Deployment's pod: callers use the Service's name, a kubelet and Prometheus the
// pod's address, and nobody else's name is answered.
func servesCallersOfItsService(t *testing.T, p *podman) {
	const service = "shop-evergate.shop.svc:8080"
	secrets := map[string]string{"client-id": "0123456789abcdef", "client-secret": rand.Text()}
	pl := newPlay(t, p, "own/minimal", "Deployment", secrets, "--host", service,
		"--url", "http://127.0.0.1:8080/admin/api/2026-10/products.json", "--calls", "3", "--every", "200ms")
	ask := func(host, address string) result {
		return p.try(t, "run", "--rm", "--pod", pl.pod, appImage, "/app", "--print", "--host", host, "--url", address)
	}
	probe := func(name string) result {
		m, _ := pl.sidecar[name].(map[string]any)
		get, _ := m["httpGet"].(map[string]any)
		return ask("10.0.0.1:9090", fmt.Sprint("http://127.0.0.1:9090", get["path"]))
	}
	pl.startOne(t, "evergate")
	eventually(t, quick, "the liveness probe to succeed", func() bool { return probe("livenessProbe").code == 0 })
	if res := probe("readinessProbe"); res.code == 0 || !strings.Contains(res.stderr, "503") {
		t.Errorf("ready without a token: %v", res)
	}
	pl.startOne(t, "shopify")
	eventually(t, quick, "the readiness probe to succeed", func() bool { return probe("readinessProbe").code == 0 })
	pl.startOne(t, "app")
	pl.mustEnd(t, "app")
	if res := ask("gate.example.com", "http://127.0.0.1:8080/admin/api/2026-10/products.json"); res.code == 0 || !strings.Contains(res.stderr, "421") {
		t.Errorf("under a name that is not its own: %v, want 421", res)
	}
	pl.term(t, "evergate")
	pl.mustEnd(t, "evergate")
}
