//go:build linux

package container

import (
	"archive/tar"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// maxSize leaves room above the binary's own budget of 20 MiB.
const maxSize = 25 << 20

func TestImage(t *testing.T) {
	requireComponents(t)
	p := openPodman(t)
	p.buildImage(t)
	p.buildApp(t)
	for _, property := range []struct {
		name  string
		holds func(*testing.T, *podman)
	}{
		{"holds_the_binary_and_the_roots_only", holdsTheBinaryAndTheRootsOnly},
		{"is_small", isSmall},
		{"knows_its_version", knowsItsVersion},
		{"runs_as_an_unprivileged_number", runsAsAnUnprivilegedNumber},
		{"is_healthy_while_shopify_is_away", isHealthyWhileShopifyIsAway},
		{"is_healthy_on_another_admin_port", isHealthyOnAnotherAdminPort},
		{"is_unhealthy_when_nothing_answers", isUnhealthyWhenNothingAnswers},
		{"ends_cleanly_when_stopped", endsCleanlyWhenStopped},
		{"ends_cleanly_when_told_to_quit", endsCleanlyWhenToldToQuit},
		{"explains_missing_settings", explainsMissingSettings},
		{"serves_an_app_of_its_pod_across_expiries", servesAnAppOfItsPodAcrossExpiries},
		{"serves_an_app_that_calls_the_shop_itself", servesAnAppThatCallsTheShopItself},
		{"refuses_to_call_itself", refusesToCallItself},
		{"keeps_the_order_of_a_native_sidecar", keepsTheOrderOfANativeSidecar},
		{"lets_a_job_complete", letsAJobComplete},
		{"falls_back_to_an_ordinary_container", fallsBackToAnOrdinaryContainer},
		{"lets_a_job_quit_it", letsAJobQuitIt},
		{"keeps_an_offline_grant_on_a_volume", keepsAnOfflineGrantOnAVolume},
		{"serves_callers_of_its_service", servesCallersOfItsService},
	} {
		t.Run(property.name, func(t *testing.T) { property.holds(t, p) })
	}
}

func holdsTheBinaryAndTheRootsOnly(t *testing.T, p *podman) {
	p.must(t, "create", "--name", "contents", image)
	p.afterwards(t, "rm", "contents")
	archive := tar.NewReader(strings.NewReader(p.try(t, "export", "contents").stdout))
	var found []string
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, h.Name)
		if h.Uid != 0 && h.Name != "data/" {
			t.Errorf("%s belongs to user %d: only /data may", h.Name, h.Uid)
		}
		if h.Mode&0o7022 != 0 {
			t.Errorf("%s has mode %o: nobody but its owner may write, and no bit may give privileges", h.Name, h.Mode)
		}
	}
	slices.Sort(found)
	want := []string{"data/", "etc/", "etc/ssl/", "etc/ssl/certs/", "etc/ssl/certs/ca-certificates.crt", "evergate"}
	if !slices.Equal(found, want) {
		t.Errorf("the image holds %q, want %q", found, want)
	}
}

func isSmall(t *testing.T, p *podman) {
	size, err := strconv.Atoi(p.must(t, "inspect", "--format", "{{.Size}}", image))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the image has %.1f MiB", float64(size)/(1<<20))
	if size > maxSize {
		t.Errorf("the image has %d bytes, at most %d are allowed", size, maxSize)
	}
}

func knowsItsVersion(t *testing.T, p *podman) {
	out := p.once(t, "--network", "none", image, "version")
	for _, part := range []string{version, commit, goEnv(t, "GOVERSION")} {
		if !strings.Contains(out, part) {
			t.Errorf("`version` printed %q, without %s", out, part)
		}
	}
	for name, want := range map[string]string{"version": version, "revision": commit, "title": "Evergate", "licenses": "Apache-2.0"} {
		if got := p.must(t, "inspect", "--format", `{{index .Config.Labels "org.opencontainers.image.`+name+`"}}`, image); got != want {
			t.Errorf("the label %s is %q, want %q", name, got, want)
		}
	}
}

func runsAsAnUnprivilegedNumber(t *testing.T, p *podman) {
	p.evergate(t, "--network", "none")
	if user := p.must(t, "inspect", "--format", "{{.Config.User}}", image); user != "65532:65532" {
		t.Errorf("the image's user is %q, want 65532:65532", user)
	}
	top := strings.Fields(p.must(t, "top", "evergate", "user", "group"))
	if want := []string{"USER", "GROUP", "65532", "65532"}; !slices.Equal(top, want) {
		t.Errorf("podman top says %q, want %q", top, want)
	}
}

func isHealthyWhileShopifyIsAway(t *testing.T, p *podman) {
	p.evergate(t, "--network", "none")
	if health := p.must(t, "inspect", "--format", "{{.State.Health.Status}}", "evergate"); health != "healthy" {
		t.Errorf("podman says %q, want healthy", health)
	}
	if res := p.try(t, "exec", "evergate", "/evergate", "healthcheck", "--ready"); res.code != 1 {
		t.Errorf("ready without a token: %v", res)
	}
}

func isHealthyOnAnotherAdminPort(t *testing.T, p *podman) {
	p.evergate(t, "--network", "none", "--env", "EVERGATE_ADMIN_LISTEN=127.0.0.1:9191")
}

func isUnhealthyWhenNothingAnswers(t *testing.T, p *podman) {
	p.start(t, "unhealthy", "--network", "none", image, "simulate", "--listen", "127.0.0.1:4443")
	if res := p.try(t, "healthcheck", "run", "unhealthy"); res.code != 1 {
		t.Errorf("healthy although nothing listens: %v", res)
	}
}

func endsCleanlyWhenStopped(t *testing.T, p *podman) {
	p.evergate(t, "--network", "none")
	// After ten seconds podman kills, and the exit code would be 137.
	p.must(t, "stop", "--time", "10", "evergate")
	if code := p.must(t, "inspect", "--format", "{{.State.ExitCode}}", "evergate"); code != "0" {
		t.Errorf("exit code %s after the stop signal, want 0\n%s", code, p.logs(t, "evergate"))
	}
}

func endsCleanlyWhenToldToQuit(t *testing.T, p *podman) {
	p.evergate(t, "--network", "none")
	// From beside the sidecar, as an app does when it has finished: a process inside would be killed with it.
	p.once(t, "--network", "container:evergate", image, "quit")
	if code := p.must(t, "wait", "evergate"); code != "0" {
		t.Errorf("exit code %s after quit, want 0\n%s", code, p.logs(t, "evergate"))
	}
}

func explainsMissingSettings(t *testing.T, p *podman) {
	res := p.try(t, append(append([]string{"run", "--rm", "--network", "none"}, hardened...), image)...)
	if res.code != 2 || !strings.Contains(res.stderr, "SHOPIFY_SHOP") {
		t.Errorf("without any setting: want exit 2 and a word about SHOPIFY_SHOP, got %v", res)
	}
}

// once runs a container to its end, which has to be a good one, and returns what it printed.
func (p *podman) once(t *testing.T, args ...string) string {
	t.Helper()
	return p.must(t, append(append([]string{"run", "--rm"}, hardened...), args...)...)
}

// start runs a container in the background until t ends. When t fails, it shows what the container printed.
func (p *podman) start(t *testing.T, name string, args ...string) {
	t.Helper()
	p.afterwards(t, "rm", "--force", "--time", "0", "--ignore", name)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s printed:\n%s", name, p.logs(t, name))
		}
	})
	p.must(t, append(append([]string{"run", "--detach", "--name", name}, hardened...), args...)...)
}

// evergate starts the sidecar of a shop that cannot be reached and returns when it is healthy.
func (p *podman) evergate(t *testing.T, args ...string) {
	t.Helper()
	p.start(t, "evergate", append(args, "--env", "SHOPIFY_SHOP=blue-finch", "--env", "SHOPIFY_CLIENT_ID=id",
		"--env", "SHOPIFY_CLIENT_SECRET=secret", image)...)
	var last result
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the last health check: %v", last)
		}
	})
	eventually(t, quick, "the container to be healthy", func() bool {
		last = p.try(t, "healthcheck", "run", "evergate")
		return last.code == 0
	})
}

// logs returns everything the container has printed.
func (p *podman) logs(t *testing.T, name string) string {
	t.Helper()
	res := p.try(t, "logs", name)
	return res.stdout + res.stderr
}
