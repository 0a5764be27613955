package kubestore

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"evergate/internal/envelope"
	"evergate/internal/token"
)

func TestPlaceIsReadStrictly(t *testing.T) {
	t.Parallel()
	for rest, want := range map[string]place{
		"":                        {"", accountDir},
		"shops":                   {"shops", accountDir},
		"shops-2?account=/run/sa": {"shops-2", "/run/sa"},
		"?account=/run/sa":        {"", "/run/sa"},
	} {
		if got, err := parsePlace(rest); err != nil || got != want || Valid(rest) != nil {
			t.Errorf("%q: %+v, %v", rest, got, err)
		}
	}
	const secret = "hunter2"
	for _, rest := range []string{
		"Shops", "-a", "a-", "a.b", "a/" + secret, "//" + secret, strings.Repeat("a", 64), "a?" + secret, "a?account=" + secret, "a?account=", "a?account=/a&account=/b", "a?account=%" + secret, "ä",
	} {
		if _, err := parsePlace(rest); err == nil || strings.Contains(err.Error(), secret) || Valid(rest) == nil {
			t.Errorf("%q: %v", rest, err)
		}
	}
}

func environ(vars ...string) func(string) string {
	return func(name string) string {
		for _, v := range vars {
			if value, ok := strings.CutPrefix(v, name+"="); ok {
				return value
			}
		}
		return ""
	}
}

func TestOpenSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	keys := envelope.Keys{Current: token.NewSecret(strings.Repeat("k", envelope.KeySize))}
	inPod := environ("KUBERNETES_SERVICE_HOST=fd00::1", "KUBERNETES_SERVICE_PORT=443")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "namespace"), []byte("mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := Open(Options{Rest: "?account=" + dir, Keys: keys, Getenv: inPod})
	if err != nil {
		t.Fatal(err)
	}
	if got := b.(*backend); got.namespace != "mine" || got.client.server != "https://[fd00::1]:443" {
		t.Errorf("%s at %s", got.namespace, got.client.server)
	}
	for name, tc := range map[string]struct {
		o    Options
		hint string
	}{
		"no_pod":       {Options{Rest: "a", Keys: keys, Getenv: environ()}, "KUBERNETES_SERVICE_HOST"},
		"no_key":       {Options{Rest: "a", Getenv: inPod}, "EVERGATE_STORE_KEY"},
		"no_namespace": {Options{Rest: "?account=" + t.TempDir(), Keys: keys, Getenv: inPod}, "kubernetes:NAMESPACE"},
		"bad_rest":     {Options{Rest: "A", Keys: keys, Getenv: inPod}, "kubernetes:NAMESPACE"},
	} {
		if b, err := Open(tc.o); err == nil || b != nil || !strings.Contains(err.Error(), tc.hint) {
			t.Errorf("%s: %v, %v, want a hint: %s", name, b, err, tc.hint)
		}
	}
}
