package access

import (
	"evergate/internal/caller"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestASummaryIsShortHoweverManyCallersThereAre(t *testing.T) {
	_, line, err := caller.NewKey("agent", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	var callers []string
	for i := range 20 {
		callers = append(callers, fmt.Sprintf(`"c%02d":"full"`, i))
	}
	for text, want := range map[string]string{
		`{"default":"none"}`: "by default none, keys: 1",
		`{"default":"none","callers":{"a":"full","b":"read-only"}}`:         "by default none, a full, b read-only, keys: 1",
		`{"default":"none","callers":{` + strings.Join(callers, ",") + `}}`: "by default none, c00 full, c01 full, c02 full, c03 full, c04 full, 15 more callers, keys: 1",
	} {
		a, err := New(Options{PolicyFile: writeFile(t, text), KeysFile: writeFile(t, line)})
		if err != nil {
			t.Fatal(err)
		}
		if got := a.Summary(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestEveryMistakeNamesItsSetting(t *testing.T) {
	_, line, err := caller.NewKey("agent", "nowhere", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = New(Options{
		PolicyFile: writeFile(t, `{"default":"x","y":1}`), KeysFile: writeFile(t, "x\ny\n"), Peers: "uid:x,nobody", CertFile: writeFile(t, ""), KeyFile: filepath.Join(t.TempDir(), "missing"),
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for i, l := range strings.Split(err.Error(), "\n") {
		if !strings.HasPrefix(l, "EVERGATE_") && !strings.HasPrefix(l, "the peer ") {
			t.Errorf("line %d: %s", i, l)
		}
	}
	for _, setting := range []string{"EVERGATE_POLICY_FILE: line 1: y", "EVERGATE_POLICY_FILE: line 1: default", "EVERGATE_CLIENT_KEYS_FILE: line 1", "EVERGATE_CLIENT_KEYS_FILE: line 2", "EVERGATE_SOCKET_PEERS", "EVERGATE_TLS_CERT_FILE"} {
		if !strings.Contains(err.Error(), setting) {
			t.Errorf("nothing of %s in %v", setting, err)
		}
	}
	_, err = New(Options{KeysFile: writeFile(t, line)})
	if err == nil || !strings.Contains(err.Error(), "the key of agent names the policy nowhere") {
		t.Errorf("%v", err)
	}
	if _, err := New(Options{Policy: "read_only"}); err == nil || !strings.Contains(err.Error(), "EVERGATE_POLICY=") {
		t.Errorf("%v", err)
	}
}

// writeFile writes a file that only its owner can write.
func writeFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
