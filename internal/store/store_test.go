package store

import (
	"strings"
	"testing"

	"evergate/internal/envelope"
	"evergate/internal/store/storetest"
	"evergate/internal/token"
)

// key returns the key that consists of one letter.
func key(letter string) token.Secret {
	return token.NewSecret(strings.Repeat(letter, envelope.KeySize))
}

func open(t *testing.T, dir string, keys envelope.Keys) *FileStore {
	t.Helper()
	s, err := OpenDir(dir, storetest.Shop(), keys)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMemoryConforms(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) func() token.Store {
		s := Memory(storetest.Shop())
		return func() token.Store { return s }
	})
}

func TestFileConforms(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) func() token.Store {
		dir := t.TempDir() + "/store"
		return func() token.Store { return open(t, dir, envelope.Keys{}) }
	})
}

func TestEncryptedFileConforms(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) func() token.Store {
		dir := t.TempDir() + "/store"
		return func() token.Store { return open(t, dir, envelope.Keys{Current: key("k")}) }
	})
}

func environ(pairs map[string]string) func(string) string {
	return func(name string) string { return pairs[name] }
}

func TestOpenTakesWhatTheSettingNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() + "/a b"
	home := environ(map[string]string{"STATE_DIRECTORY": dir, "LocalAppData": dir})
	if s, err := Open("memory:", storetest.Shop(), envelope.Keys{}, nil); err != nil || s.(*MemoryStore) == nil {
		t.Errorf("memory: %v", err)
	}
	for _, spec := range []string{"file:" + dir, "file://" + dir, "file:"} {
		s, err := Open(spec, storetest.Shop(), envelope.Keys{}, home)
		if err != nil {
			t.Errorf("%s: %v", spec, err)
			continue
		}
		if got := s.(*FileStore).dir; !strings.HasPrefix(got, dir) {
			t.Errorf("%s: opened %s", spec, got)
		}
	}
}

func TestOpenRefusesTheRestWithARemedy(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	for spec, hint := range map[string]string{
		"":                                "give memory: or file:DIR",
		secret:                            "give memory: or file:DIR",
		"memory":                          "give memory: or file:DIR",
		"memory:" + secret:                "takes nothing after the colon",
		"/var/lib/" + secret:              "file:/var/lib/evergate",
		"file://" + secret + "/x":         "absolute path",
		"file:~/" + secret:                "not expanded",
		"file:~":                          "not expanded",
		"file:":                           "EVERGATE_STORE=file:DIR",
		"redis://:" + secret + "@h:6379":  "EVERGATE_STORE_KEY is not set",
		"rediss://:" + secret + "@h:6379": "EVERGATE_STORE_KEY is not set",
		"redis://u:1/" + secret + "@h":    "percent-encoded",
		"kubernetes:ns/" + secret:         "write kubernetes:NAMESPACE",
		secret + "://x":                   "unknown scheme",
	} {
		s, err := Open(spec, storetest.Shop(), envelope.Keys{}, environ(nil))
		if err == nil || s != nil || !strings.Contains(err.Error(), hint) || strings.Contains(err.Error(), secret) {
			t.Errorf("%q: %v, %v, want a hint: %s", spec, s, err, hint)
		}
	}
	if s, err := Open("file:"+t.TempDir()+"/x", storetest.Shop(), envelope.Keys{Current: token.NewSecret(secret)}, nil); err == nil || s != nil || strings.Contains(err.Error(), secret) {
		t.Errorf("a key of the wrong size: %v, %v", s, err)
	}
}

func TestDefaultDir(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, goos string
		env        map[string]string
		want       string // empty: an error
	}{
		{"systemd", "linux", map[string]string{"STATE_DIRECTORY": "/var/lib/evergate", "XDG_STATE_HOME": "/x", "HOME": "/h"}, "/var/lib/evergate"},
		{"first_of_several", "linux", map[string]string{"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}, "/var/lib/a"},
		{"xdg", "linux", map[string]string{"XDG_STATE_HOME": "/x", "HOME": "/h"}, "/x/evergate"},
		{"relative_xdg_is_ignored", "linux", map[string]string{"XDG_STATE_HOME": "x", "HOME": "/h"}, "/h/.local/state/evergate"},
		{"home", "darwin", map[string]string{"HOME": "/h"}, "/h/.local/state/evergate"},
		{"nothing", "linux", nil, ""},
		{"relative_home", "linux", map[string]string{"HOME": "."}, ""},
		{"windows", "windows", map[string]string{"LocalAppData": "/l", "HOME": "/h"}, "/l/evergate"},
		{"windows_nothing", "windows", map[string]string{"HOME": "/h"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := defaultDir(tc.goos, environ(tc.env))
			if strings.ReplaceAll(got, `\`, "/") != tc.want || (err == nil) != (tc.want != "") {
				t.Errorf("%q, %v, want %q", got, err, tc.want)
			}
			if err != nil && !strings.Contains(err.Error(), "set EVERGATE_STORE") {
				t.Errorf("%v does not say what to do", err)
			}
		})
	}
}
