package guard

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"evergate/internal/denial"
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

func bearer(key string) http.Header { return http.Header{"Authorization": {"Bearer " + key}} }

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

func TestACallerIsKnownByItsKey(t *testing.T) {
	agent, agentLine := newKey(t, "agent", "read-only")
	agent2, agentLine2 := newKey(t, "agent", "none")
	erp, erpLine := newKey(t, "erp", "", "other")
	gone, goneLine := newKey(t, "gone", "nowhere")
	ring, err := parseKeys([]byte("# keys\n\n" + agentLine + "\n  " + agentLine2 + "\t\r\n" + erpLine + "\n" + goneLine))
	if err != nil {
		t.Fatal(err)
	}
	door := newDoor(t)
	door.access.keys.Store(ring)
	unknown, _ := newKey(t, "agent", "")
	for _, c := range []struct {
		what   string
		header http.Header
		name   string
		code   string
	}{
		{"no key", http.Header{}, Anonymous, ""},
		{"a key", bearer(agent), "agent", ""},
		{"a key as Shopify's token", http.Header{"X-Shopify-Access-Token": {agent}}, "agent", ""},
		{"another scheme's case", http.Header{"Authorization": {"bEARER  " + agent + " "}}, "agent", ""},
		{"a key in both", http.Header{"Authorization": {"Bearer " + agent}, "X-Shopify-Access-Token": {agent}}, "agent", ""},
		{"a key beside Shopify's own token", http.Header{"Authorization": {"Bearer " + agent}, "X-Shopify-Access-Token": {"shpat_0"}}, "agent", ""},
		{"no key of ours", http.Header{"Authorization": {"Bearer shpat_0", "Basic evg_x"}, "X-Shopify-Access-Token": {"shpat_0"}}, Anonymous, ""},
		{"a key whose policy refuses", bearer(agent2), "agent", denial.CodeDeniedOperation},
		{"a key for another shop", bearer(erp), "erp", denial.CodeDeniedShop},
		{"a key whose policy is nowhere", bearer(gone), "gone", denial.CodeDeniedOperation},
		{"two keys", http.Header{"Authorization": {"Bearer " + agent}, "X-Shopify-Access-Token": {erp}}, Anonymous, denial.CodeUnauthenticated},
		{"two headers", http.Header{"Authorization": {"Bearer " + agent, "Bearer " + erp}}, Anonymous, denial.CodeUnauthenticated},
		{"two tokens", http.Header{"X-Shopify-Access-Token": {agent, erp}}, Anonymous, denial.CodeUnauthenticated},
		{"an unknown key", bearer(unknown), Anonymous, denial.CodeUnauthenticated},
		{"a key and more", bearer(agent + "x"), Anonymous, denial.CodeUnauthenticated},
		{"most of a key", bearer(agent[:len(agent)-1]), Anonymous, denial.CodeUnauthenticated},
		{"the prefix", bearer("evg_"), Anonymous, denial.CodeUnauthenticated},
		{"the digest", bearer("evg_" + strings.TrimPrefix(strings.Fields(agentLine)[1], "sha256:")), Anonymous, denial.CodeUnauthenticated},
		{"two keys in one", bearer(agent + ", Bearer " + agent), Anonymous, denial.CodeUnauthenticated},
	} {
		r := call(t, "GET", "/admin/api/2026-10/shop.json", "")
		for name, values := range c.header {
			r.Header[name] = values
		}
		p, err := door.Admit(r)
		checkRefusal(t, err)
		wantCode(t, c.what, err, c.code)
		if p.Caller.Name != c.name {
			t.Errorf("%s: the caller is %s, want %s", c.what, p.Caller.Name, c.name)
		}
		if strings.Contains(denialOf(t, err).Message, agent[4:12]) || strings.Contains(denialOf(t, err).Message, erp[4:12]) {
			t.Errorf("%s: the message gives the key away: %s", c.what, denialOf(t, err).Message)
		}
	}
}

func TestKeysOfOneCallerShareItsFairShare(t *testing.T) {
	first, firstLine := newKey(t, "agent", "")
	second, secondLine := newKey(t, "agent", "")
	ring, err := parseKeys([]byte(firstLine + "\n" + secondLine))
	if err != nil {
		t.Fatal(err)
	}
	door := newDoor(t)
	door.access.keys.Store(ring)
	keyOf := func(key string) any {
		r := call(t, "GET", "/admin/shop.json", "")
		if key != "" {
			r.Header = bearer(key)
		}
		conn, other := net.Pipe()
		defer conn.Close()
		defer other.Close()
		ctx := door.access.ConnContext(door.access.BaseContext(&listener{}), conn)
		p, err := door.Admit(r.WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		return p.Caller.Key
	}
	if keyOf(first) != keyOf(second) || keyOf(first) == keyOf("") || keyOf("") == keyOf("") {
		t.Error("who shares with whom is not as it should be")
	}
}

// A listener that others can reach asks for more than one on this machine.
func TestWhoMustSayWhoTheyAre(t *testing.T) {
	key, line := newKey(t, "agent", "")
	ring, err := parseKeys([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what         string
		authenticate bool
		keys         *keyring
		policy       string
		header       http.Header
		code         string
	}{
		{"loopback", false, ring, "", nil, ""},
		{"loopback with a key", false, ring, "", bearer(key), ""},
		{"beyond", true, ring, "", nil, denial.CodeUnauthenticated},
		{"beyond with a key", true, ring, "", bearer(key), ""},
		{"beyond with a wrong key", true, ring, "", bearer(key + "x"), denial.CodeUnauthenticated},
		{"beyond with Shopify's token", true, ring, "", bearer("shpat_0"), denial.CodeUnauthenticated},
		{"beyond and no key is known", true, nil, "", bearer(key), denial.CodeUnauthenticated},
		{"nobody may do anything", false, ring, PolicyNone, nil, denial.CodeUnauthenticated},
		{"nobody may, and there are no keys", false, nil, PolicyNone, nil, denial.CodeDeniedOperation},
	} {
		door := doorWith(t, AccessOptions{Policy: c.policy})
		door.access.keys.Store(c.keys)
		r := call(t, "GET", "/admin/shop.json", "")
		if c.header != nil {
			r.Header = c.header
		}
		ctx := door.access.ConnContext(door.access.BaseContext(&listener{authenticate: c.authenticate}), &net.TCPConn{})
		_, err := door.Admit(r.WithContext(ctx))
		wantCode(t, c.what, err, c.code)
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
		for _, header := range []http.Header{{"Authorization": {credential}}, {"X-Shopify-Access-Token": {credential}}} {
			presented, err := presentedKey(header)
			checkRefusal(t, err)
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

func TestACallerWithoutAConnectionIsAnonymous(t *testing.T) {
	r := call(t, "GET", "/admin/shop.json", "").WithContext(context.Background())
	p, err := newDoor(t).Admit(r)
	if err != nil || p.Caller != (Caller{Name: Anonymous}) {
		t.Errorf("%+v, %+v", p, err)
	}
}
