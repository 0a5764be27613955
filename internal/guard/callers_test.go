package guard

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	"evergate/internal/access"
	"evergate/internal/caller"
	"evergate/internal/denial"
	"evergate/internal/denial/denialtest"
	"evergate/internal/policy"
	"evergate/internal/reload/reloadtest"
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
	secret, line, err := caller.NewKey(name, policy, list)
	if err != nil {
		t.Fatal(err)
	}
	return secret.Reveal(), line
}

func bearer(key string) http.Header { return http.Header{"Authorization": {"Bearer " + key}} }

func TestACallerIsKnownByItsKey(t *testing.T) {
	agent, agentLine := newKey(t, "agent", "read-only")
	agent2, agentLine2 := newKey(t, "agent", "none")
	erp, erpLine := newKey(t, "erp", "", "other")
	gone, goneLine := newKey(t, "gone", "nowhere")
	keys := reloadtest.WriteFile(t, "# keys\n\n"+agentLine+"\n  "+agentLine2+"\t\r\n"+erpLine+"\n"+goneLine)
	admission := newAdmission(t)
	admission.access, _ = access.New(access.Options{KeysFile: keys}) // its error is that one key's policy is nowhere
	unknown, _ := newKey(t, "agent", "")
	for _, c := range []struct {
		what   string
		header http.Header
		name   string
		code   string
	}{
		{"no key", http.Header{}, caller.Anonymous, ""},
		{"a key", bearer(agent), "agent", ""},
		{"a key as Shopify's token", http.Header{"X-Shopify-Access-Token": {agent}}, "agent", ""},
		{"another scheme's case", http.Header{"Authorization": {"bEARER  " + agent + " "}}, "agent", ""},
		{"a key in both", http.Header{"Authorization": {"Bearer " + agent}, "X-Shopify-Access-Token": {agent}}, "agent", ""},
		{"a key beside Shopify's own token", http.Header{"Authorization": {"Bearer " + agent}, "X-Shopify-Access-Token": {"shpat_0"}}, "agent", ""},
		{"no key of ours", http.Header{"Authorization": {"Bearer shpat_0", "Basic evg_x"}, "X-Shopify-Access-Token": {"shpat_0"}}, caller.Anonymous, ""},
		{"a key whose policy refuses", bearer(agent2), "agent", denial.CodeDeniedOperation},
		{"a key for another shop", bearer(erp), "erp", denial.CodeDeniedShop},
		{"a key whose policy is nowhere", bearer(gone), "gone", denial.CodeDeniedOperation},
		{"two keys", http.Header{"Authorization": {"Bearer " + agent}, "X-Shopify-Access-Token": {erp}}, caller.Anonymous, denial.CodeUnauthenticated},
		{"two headers", http.Header{"Authorization": {"Bearer " + agent, "Bearer " + erp}}, caller.Anonymous, denial.CodeUnauthenticated},
		{"two tokens", http.Header{"X-Shopify-Access-Token": {agent, erp}}, caller.Anonymous, denial.CodeUnauthenticated},
		{"an unknown key", bearer(unknown), caller.Anonymous, denial.CodeUnauthenticated},
		{"a key and more", bearer(agent + "x"), caller.Anonymous, denial.CodeUnauthenticated},
		{"most of a key", bearer(agent[:len(agent)-1]), caller.Anonymous, denial.CodeUnauthenticated},
		{"the prefix", bearer("evg_"), caller.Anonymous, denial.CodeUnauthenticated},
		{"the digest", bearer("evg_" + strings.TrimPrefix(strings.Fields(agentLine)[1], "sha256:")), caller.Anonymous, denial.CodeUnauthenticated},
		{"two keys in one", bearer(agent + ", Bearer " + agent), caller.Anonymous, denial.CodeUnauthenticated},
	} {
		r := call(t, "GET", "/admin/api/2026-10/shop.json", "")
		for name, values := range c.header {
			r.Header[name] = values
		}
		p, err := admission.Admit(view(r))
		denialtest.Check(t, err)
		denialtest.Want(t, c.what, err, c.code)
		if p.Caller.Name != c.name {
			t.Errorf("%s: the caller is %s, want %s", c.what, p.Caller.Name, c.name)
		}
		if strings.Contains(denialtest.Of(t, err).Message, agent[4:12]) || strings.Contains(denialtest.Of(t, err).Message, erp[4:12]) {
			t.Errorf("%s: the message gives the key away: %s", c.what, denialtest.Of(t, err).Message)
		}
	}
}

func TestKeysOfOneCallerShareItsFairShare(t *testing.T) {
	first, firstLine := newKey(t, "agent", "")
	second, secondLine := newKey(t, "agent", "")
	admission := admissionWith(t, access.Options{KeysFile: reloadtest.WriteFile(t, firstLine+"\n"+secondLine)})
	keyOf := func(key string) any {
		r := call(t, "GET", "/admin/shop.json", "")
		if key != "" {
			r.Header = bearer(key)
		}
		conn, other := net.Pipe()
		defer conn.Close()
		defer other.Close()
		ctx := admission.access.ConnContext(admission.access.BaseContext(caller.Listener(nil, false, token.Shop{})), conn)
		p, err := admission.Admit(view(r.WithContext(ctx)))
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
	ring := reloadtest.WriteFile(t, line)
	for _, c := range []struct {
		what         string
		authenticate bool
		keys         string
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
		{"beyond and no key is known", true, "", "", bearer(key), denial.CodeUnauthenticated},
		{"nobody may do anything", false, ring, policy.None, nil, denial.CodeUnauthenticated},
		{"nobody may, and there are no keys", false, "", policy.None, nil, denial.CodeDeniedOperation},
	} {
		admission := admissionWith(t, access.Options{Policy: c.policy, KeysFile: c.keys})
		r := call(t, "GET", "/admin/shop.json", "")
		if c.header != nil {
			r.Header = c.header
		}
		ctx := admission.access.ConnContext(admission.access.BaseContext(caller.Listener(nil, c.authenticate, token.Shop{})), &net.TCPConn{})
		_, err := admission.Admit(view(r.WithContext(ctx)))
		denialtest.Want(t, c.what, err, c.code)
	}
}

func TestACallerWithoutAConnectionIsAnonymous(t *testing.T) {
	r := call(t, "GET", "/admin/shop.json", "").WithContext(context.Background())
	p, err := newAdmission(t).Admit(view(r))
	if err != nil || p.Caller != (caller.Caller{Name: caller.Anonymous}) {
		t.Errorf("%+v, %+v", p, err)
	}
}
