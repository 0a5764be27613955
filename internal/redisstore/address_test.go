package redisstore

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/redis/rueidis"

	"evergate/internal/envelope"
	"evergate/internal/token"
)

const password = "hunter2%2Fx"

func TestAddressesAreUnderstood(t *testing.T) {
	t.Parallel()
	for spec, want := range map[string]struct {
		hosts  []string
		master string
		db     int
		tls    bool
		shown  string
	}{
		"redis://h":                                   {hosts: []string{"h:6379"}, shown: "redis://h"},
		"redis://u:" + password + "@h:7/3":            {hosts: []string{"h:7"}, db: 3, shown: "redis://u:xxxxx@h:7/3"},
		"redis://:" + password + "@h":                 {hosts: []string{"h:6379"}, shown: "redis://:xxxxx@h"},
		"rediss://u@h?addr=i:8&addr=j:9":              {hosts: []string{"h:6379", "i:8", "j:9"}, tls: true, shown: "rediss://u@h?addr=i%3A8&addr=j%3A9"},
		"redis://h?master_set=m&sentinel_password=h2": {hosts: []string{"h:6379"}, master: "m", shown: "redis://h?master_set=m&sentinel_password=xxxxx"},
		"redis://[::1]:7?db=2&prefix=other.app":       {hosts: []string{"[::1]:7"}, db: 2, shown: "redis://[::1]:7?db=2&prefix=other.app"},
	} {
		a, err := parse(spec)
		if err != nil {
			t.Errorf("%s: %v", spec, err)
			continue
		}
		o, err := a.client()
		if err != nil || !slices.Equal(o.InitAddress, want.hosts) || o.Sentinel.MasterSet != want.master || o.SelectDB != want.db || (o.TLSConfig != nil) != want.tls || a.shown != want.shown {
			t.Errorf("%s: %v %q %d %t %s, %v", spec, o.InitAddress, o.Sentinel.MasterSet, o.SelectDB, o.TLSConfig != nil, a.shown, err)
		}
		if want.master != "" && o.Sentinel.Password != "h2" {
			t.Errorf("%s: Sentinel's password is %q", spec, o.Sentinel.Password)
		}
		if (o.Sentinel.TLSConfig != nil) != want.tls || o.Password != "" && o.Password != "hunter2/x" {
			t.Errorf("%s: Sentinel without TLS, or %q", spec, o.Password)
		}
	}
}

func TestWhatIsNoAddressIsRefusedWithoutBeingRepeated(t *testing.T) {
	t.Parallel()
	for spec, hint := range map[string]string{
		"redis:":                                    "percent-encoded",
		"redis://":                                  "percent-encoded",
		"redis:hunter2":                             "percent-encoded",
		"redis://u:12/hunter2@h":                    "percent-encoded",
		"redis://u:hunter2/x@h":                     "percent-encoded",
		"redis://u:hunter2#x@h":                     "percent-encoded",
		"redis://u:%zzhunter2@h":                    "percent-encoded",
		"redis://h/hunter2":                         "percent-encoded",
		"redis://h/1/hunter2":                       "percent-encoded",
		"redis://h?db=hunter2":                      "percent-encoded",
		"redis://h?hunter2=1":                       "parameter that is unknown: remove it",
		"redis://h?a=1;hunter2":                     "percent-encoded",
		"redis://h?db=1&db=2":                       "db twice",
		"redis://h?prefix=hunter2*":                 "prefix that cannot begin a key",
		"redis://h?prefix={hunter2}":                "prefix that cannot begin a key",
		"redis://h?prefix=":                         "prefix that cannot begin a key",
		"redis://h?ca_file=/hunter2":                "write rediss://",
		"rediss://h?cert_file=/hunter2":             "cert_file and key_file",
		"redis://:hunter2@h?password_file=":         "",
		"redis://:hunter2@h?password_file=/hunter2": "keep one",
		"redis://h?sentinel_password=hunter2":       "give master_set",
	} {
		err := Valid(spec)
		switch {
		case hint == "" && err != nil, hint != "" && (err == nil || !strings.Contains(err.Error(), hint)):
			t.Errorf("%s: %v, want %q", spec, err, hint)
		case err != nil && strings.Contains(err.Error(), "hunter2"), strings.Contains(strings.ReplaceAll(Shown(spec), "/hunter2", ""), "hunter2"):
			t.Errorf("%s: %v, %s", spec, err, Shown(spec))
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"redis://u:secret@h:1/2?addr=x:1", "rediss://h?master_set=a", "redis://h?prefix=a&ca_file=/x", "redis://:@?", "redis://u:se/cret@h"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		a, err := parse(spec)
		if err != nil {
			return
		}
		if again, err := parse(a.shown); err != nil || !slices.Equal(again.option.InitAddress, a.option.InitAddress) || again.prefix != a.prefix {
			t.Fatalf("%q is shown as %q, which is %v, %v", spec, a.shown, again.option.InitAddress, err)
		}
	})
}

func TestASharedStoreNeedsAKey(t *testing.T) {
	t.Parallel()
	if b, err := Open("redis://h", envelope.Keys{}); b != nil || err == nil || !strings.Contains(err.Error(), "EVERGATE_STORE_KEY") {
		t.Errorf("%v, %v", b, err)
	}
	if b, err := Open("redis://h", envelope.Keys{Current: token.NewSecret("short")}); b != nil || err == nil {
		t.Errorf("%v, %v", b, err)
	}
}

// TestThePasswordInAFileIsReadAsASecretIs has what editors and copying leave in it.
func TestThePasswordInAFileIsReadAsASecretIs(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "password")
	a, err := parse("redis://h?password_file=" + path)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{"hunter2\n": "hunter2", "\uFEFFhunter2\r\n": "hunter2", "hunter 2": "hunter 2", "hunter2\nhunter3": "more than one line", "hunter2\x00": "a NUL", "h\x00u\x00n\x00t\x00": "UTF-16", "hun\u200bter2": "of no width"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := a.credentials(rueidis.AuthCredentialsContext{})
		switch said := ""; {
		case err != nil:
			if said = err.Error(); !strings.Contains(said, want) || !strings.Contains(said, path) || strings.Contains(said, "hunter") {
				t.Errorf("%q: %v", text, err)
			}
		case c.Password != want:
			t.Errorf("%q: %q", text, c.Password)
		}
	}
}
