package e2e

import (
	"strings"
	"testing"
)

// probe runs a command against this sidecar's admin listener, with that setting alone, as in
// a container.
func (s *sidecar) probe(t *testing.T, args ...string) (code int, stderr string) {
	t.Helper()
	code, out, stderr := finish(t, []string{"EVERGATE_ADMIN_LISTEN=" + strings.TrimPrefix(s.admin, "http://")}, args...)
	if out != "" {
		t.Errorf("%q printed %q", args, out)
	}
	return code, stderr
}

func (s *sidecar) mustProbe(t *testing.T, want int, args ...string) {
	t.Helper()
	code, stderr := s.probe(t, args...)
	if code != want {
		t.Errorf("%q: want exit code %d, got %d, %s", args, want, code, stderr)
	}
	if (stderr == "") != (want == 0) {
		t.Errorf("%q: exit code %d and %q", args, code, stderr)
	}
}

func TestProbesTellReadyFromAlive(t *testing.T) {
	t.Parallel()
	hang := newGate(isTokenPost)
	s := newShopify(t, shopOptions{around: hang.around}).sidecar(t)
	s.mustProbe(t, 0, "healthcheck")
	s.mustProbe(t, 1, "healthcheck", "--ready")
	s.mustProbe(t, 1, "healthcheck", "--startup")
	s.mustProbe(t, 1, "wait", "--timeout", "300ms")

	waiting := start(t, []string{"EVERGATE_ADMIN_LISTEN=" + strings.TrimPrefix(s.admin, "http://")}, "wait", "--timeout", patience.String())
	hang.open()
	if code := waiting.Exit(t); code != 0 {
		t.Errorf("wait: exit code %d", code)
	}
	s.mustProbe(t, 0, "healthcheck", "--ready")
	s.mustProbe(t, 0, "healthcheck", "--startup")
	s.mustProbe(t, 0, "wait")

	s.mustProbe(t, 0, "quit")
	if code := s.Exit(t); code != 0 {
		t.Errorf("after quit: exit code %d", code)
	}
	for _, args := range [][]string{{"healthcheck"}, {"healthcheck", "--ready"}, {"wait", "--timeout", "300ms"}, {"quit"}} {
		s.mustProbe(t, 1, args...)
	}
}
