package caller

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"evergate/internal/denial/denialtest"
	"evergate/internal/request"
	"evergate/internal/token"
)

// newKey makes a key and returns it with its line.
func newKey(t testing.TB, name, policy string, shops ...string) (key, line string) {
	t.Helper()
	var list []token.Shop
	for _, s := range shops {
		shop, err := token.ParseShop(s)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, shop)
	}
	secret, line, err := NewKey(name, policy, list)
	if err != nil {
		t.Fatal(err)
	}
	return secret.Reveal(), line
}

func TestAKeyIsRandomAndItsLineDoesNotHoldIt(t *testing.T) {
	key, line := newKey(t, "agent", "read-only", "acme", "other")
	random, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(key, "evg_"))
	if err != nil || len(random) != 32 || len(key) != keyLength {
		t.Errorf("%s: %v", key, err)
	}
	digest := sha256.Sum256([]byte(key))
	if want := "agent sha256:" + hex.EncodeToString(digest[:]) + " shops=acme,other policy=read-only"; line != want {
		t.Errorf("%s, want %s", line, want)
	}
	if again, _ := newKey(t, "agent", ""); again == key {
		t.Error("two keys are alike")
	}
}

func TestMistakesInTheFileOfKeysAreAllReported(t *testing.T) {
	key, line := newKey(t, "agent", "")
	name, digest, _ := strings.Cut(line, " ")
	for text, want := range map[string][]string{
		key:                                {"line 1 begins with no name"},
		key + " " + digest:                 {"line 1 begins with no name"},
		"anonymous " + digest:              {"line 1 begins with no name"},
		"other " + digest:                  {"line 1 begins with no name"},
		"a*b " + digest:                    {"line 1 begins with no name"},
		"agent: " + digest:                 {"line 1 begins with no name"},
		name:                               {"line 1 has no sha256:HEX after the name agent", "evergate key agent"},
		name + " " + key:                   {"line 1 has no sha256:HEX"},
		name + " sha256:abc":               {"line 1 has a digest that is not 64"},
		name + " " + digest + "00":         {"line 1 has a digest that is not 64"},
		line + " admin":                    {"line 1 has something after the digest"},
		line + " policy=":                  {"line 1 has something after the digest"},
		line + " policy=a policy=b":        {"line 1 has something after the digest"},
		line + " shops=a shops=b":          {"line 1 has something after the digest"},
		line + " shops=":                   {"line 1 has shops that are none"},
		line + " shops=" + key:             {"line 1 has shops that are none"},
		line + "\n#\n" + line:              {"line 3 has the key of line 1"},
		"x\n\n" + line + "\ny sha256:z":    {"line 1 has no sha256", "line 4 has a digest"},
		strings.Repeat("x", (1<<20)) + "y": {"line 1 begins with no name"},
	} {
		_, err := parseKeys([]byte(text))
		if err == nil {
			t.Errorf("%.100s: accepted", text)
			continue
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%.100s: nothing of %q in %v", text, w, err)
			}
		}
		if strings.Contains(err.Error(), key[4:]) {
			t.Errorf("%.100s: the key is repeated: %v", text, err)
		}
	}
	var many strings.Builder
	for i := range mostKeys + 1 {
		fmt.Fprintf(&many, "agent sha256:%064x\n", i)
	}
	if _, err := parseKeys([]byte(many.String())); err == nil || !strings.Contains(err.Error(), "more than 1000") {
		t.Errorf("too many keys: %v", err)
	}
}

func TestNoKeyIsMadeForAnUnfitName(t *testing.T) {
	for name, policy := range map[string]string{"": "", "a b": "", "anonymous": "", "other": "", "evg_x": "", "x\n": "", "agent": "a b", "b": "x\ny"} {
		if key, line, err := NewKey(name, policy, nil); err == nil || line != "" || !key.Empty() {
			t.Errorf("%q %q: %q, %v", name, policy, line, err)
		}
	}
}

// FuzzKeys: what the file's parser accepts comes out again as it went in, and nothing that
// a request can carry fits but the key itself.
func FuzzKeys(f *testing.F) {
	key, line := newKey(f, "agent", "p", "acme")
	f.Add([]byte(line), "Bearer "+key)
	f.Add([]byte("# x\n\n"+line+"\r\n"), key)
	f.Add([]byte("a sha256:"+strings.Repeat("0", 64)+" policy=x shops=a,b"), "Bearer evg_")
	f.Fuzz(func(t *testing.T, text []byte, credential string) {
		ring, err := parseKeys(text)
		if err != nil {
			return
		}
		for _, k := range ring.keys {
			if !ring.names[k.name] || !fitForKey(k.name) || k.shares != any(k.name) {
				t.Fatalf("%q: %+v", text, k)
			}
			if !strings.Contains(strings.ToLower(string(text)), hex.EncodeToString(k.digest[:])) {
				t.Fatalf("%q has no such digest: %+v", text, k)
			}
		}
		for _, header := range []request.Header{{"Authorization": {credential}}, {"X-Shopify-Access-Token": {credential}}} {
			presented, err := presentedKey(header)
			denialtest.Check(t, err)
			if presented == "" {
				continue
			}
			if !strings.HasPrefix(presented, keyPrefix) || !strings.Contains(credential, presented) {
				t.Fatalf("%q carries %q", credential, presented)
			}
			k := ring.find(presented)
			if digest := sha256.Sum256([]byte(presented)); k != nil && k.digest != digest {
				t.Fatalf("%q fits %+v", presented, k)
			}
		}
	})
}

// The key of a command that the sidecar is for is in no file, and is known beside those that are.
func TestAKeyCanEndWithTheProcess(t *testing.T) {
	own, line := newKey(t, "run", "")
	filed, fileLine := newKey(t, "agent", "")
	file := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(file, []byte(fileLine), 0o600); err != nil { // without the end of the line
		t.Fatal(err)
	}
	for _, c := range []struct {
		options Options
		known   map[string]string
	}{
		{Options{Keys: line}, map[string]string{own: "run"}},
		{Options{Keys: line, KeysFile: file}, map[string]string{own: "run", filed: "agent"}},
	} {
		g, err := New(c.options)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Files().Load(); err != nil {
			t.Fatal(err)
		}
		for key, name := range c.known {
			caller, err := g.Identify(&request.Request{Fields: request.Header(http.Header{"Authorization": {"Bearer " + key}})})
			if err != nil || caller.Name != name {
				t.Errorf("%+v, %v, want %s", caller, err, name)
			}
		}
	}
	if _, err := New(Options{Keys: "no line of a key"}); err == nil {
		t.Error("accepted")
	}
}

// TestAFileOfKeysIsReadAsEditorsLeaveIt has a byte order mark before the first name, and what nobody can see in one.
func TestAFileOfKeysIsReadAsEditorsLeaveIt(t *testing.T) {
	_, first := newKey(t, "first", "")
	_, second := newKey(t, "second", "")
	marked := []byte("\uFEFF" + first + "\r\n" + second + "\r\n")
	lines, err := ReadKeys(marked)
	if err != nil || len(lines) != 2 || lines[0].Name != "first" {
		t.Errorf("%+v, %v", lines, err)
	}
	rest, removed := WithoutKeys(marked, "first", "")
	if lines, err := ReadKeys(rest); removed != 1 || err != nil || len(lines) != 1 || lines[0].Name != "second" {
		t.Errorf("%d removed, %q is left: %+v, %v", removed, rest, lines, err)
	}
	if _, err := ReadKeys([]byte(first + "\nsec\u200bond" + second[len("second"):])); err == nil || err.Error() != "line 2 holds a character that cannot be seen (U+200B, of no width): type that line anew" {
		t.Errorf("%v", err)
	}
	if _, err := ReadKeys([]byte("# f\xfcr alle\n" + first)); err != nil {
		t.Errorf("a comment: %v", err)
	}
}
