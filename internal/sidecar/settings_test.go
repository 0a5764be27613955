package sidecar

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func environ(more ...string) []string {
	return append([]string{"SHOPIFY_SHOP=acme", "SHOPIFY_ACCESS_TOKEN=shpat_" + strings.Repeat("1", 32)}, more...)
}

// writeFile writes a file that only its owner can write.
func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const someKey = "agent sha256:0000000000000000000000000000000000000000000000000000000000000000"

func TestAccessIsReadWithTheRest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sets []string
		want string
	}{
		{[]string{"EVERGATE_POLICY=read-only", "EVERGATE_CLIENT_KEYS_FILE=" + writeFile(t, someKey)}, "by default read-only, keys: 1"},
		{[]string{"EVERGATE_POLICY_FILE=" + writeFile(t, `{"default":"p","callers":{"erp":"full"},"policies":{"p":{"base":"none","mode":"report"}}}`)}, "by default p (reported only), erp full"},
	} {
		s, err := Load(environ(c.sets...))
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Access.Summary(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestMistakesInFilesAreReportedWithTheRest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		set string
		say []string
	}{
		{"EVERGATE_POLICY=readonly", []string{`EVERGATE_POLICY="readonly"`, "write full, read-only or none"}},
		{"EVERGATE_POLICY_FILE=" + writeFile(t, `{"default":"x"}`), []string{"EVERGATE_POLICY_FILE: line 1", "which is not there"}},
		{"EVERGATE_CLIENT_KEYS_FILE=" + writeFile(t, "evg_0123456789"), []string{"EVERGATE_CLIENT_KEYS_FILE: line 1"}},
	} {
		s, err := Load(environ(c.set, "EVERGATE_PACE=fast"))
		if err == nil || s.Config == nil {
			t.Fatalf("%s: accepted", c.set)
		}
		for _, say := range append(c.say, "EVERGATE_PACE") {
			if !strings.Contains(err.Error(), say) {
				t.Errorf("%s: nothing of %q in %v", c.set, say, err)
			}
		}
		if strings.Contains(err.Error(), "0123456789") {
			t.Errorf("%s: a key is repeated: %v", c.set, err)
		}
	}
}
