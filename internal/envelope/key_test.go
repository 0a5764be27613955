package envelope

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"evergate/internal/token"
)

func TestKeyIsReadInEverySpelling(t *testing.T) {
	t.Parallel()
	raw := make([]byte, KeySize)
	for i := range raw {
		raw[i] = byte(0xe0 + i) // has both - _ and + / in base64
	}
	for _, s := range []string{
		base64.StdEncoding.EncodeToString(raw), base64.RawStdEncoding.EncodeToString(raw),
		base64.URLEncoding.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw),
		hex.EncodeToString(raw), strings.ToUpper(hex.EncodeToString(raw)),
		" " + base64.StdEncoding.EncodeToString(raw) + "\n",
	} {
		if k, err := ParseKey(s); err != nil || k.Reveal() != string(raw) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestWhatIsNoKeyIsRefusedUnseen(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", "hunter2hunter2", strings.Repeat("hunter2x", 4), strings.Repeat("hunter2x", 8),
		base64.StdEncoding.EncodeToString(make([]byte, KeySize-1)), base64.StdEncoding.EncodeToString(make([]byte, KeySize+1)),
		strings.Repeat("00", KeySize-1), strings.Repeat("00", KeySize+1),
	} {
		k, err := ParseKey(s)
		if err == nil || !k.Empty() {
			t.Errorf("%q is taken for a key", s)
			continue
		}
		if !strings.Contains(err.Error(), "openssl rand -base64 32") || len(s) > 2 && strings.Contains(err.Error(), s[:7]) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestKeysAreCheckedAtOpen(t *testing.T) {
	t.Parallel()
	short := token.NewSecret("hunter2")
	for name, tc := range map[string]struct {
		keys Keys
		hint string
	}{
		"short":         {Keys{Current: short}, "EVERGATE_STORE_KEY: not a key"},
		"previous":      {Keys{Current: key("k"), Previous: short}, "EVERGATE_STORE_KEY_PREVIOUS: not a key"},
		"previous_only": {Keys{Previous: key("k")}, "set EVERGATE_STORE_KEY"},
	} {
		if err := tc.keys.Validate(); err == nil || !strings.Contains(err.Error(), tc.hint) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want a hint: %s", name, err, tc.hint)
		}
	}
	if s := fmt.Sprintf("%v %+v %#v", Keys{Current: short}, Keys{Current: short}, Keys{Current: short}); strings.Contains(s, "hunter2") {
		t.Errorf("keys can be printed: %s", s)
	}
}
