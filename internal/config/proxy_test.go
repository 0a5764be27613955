package config

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheWayOut(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		set           []string
		want, setting string
	}{
		"direct":         {nil, "", ""},
		"own":            {[]string{"EVERGATE_UPSTREAM_PROXY=http://u:p%40ss@proxy:3128"}, "http://u:p%40ss@proxy:3128", "EVERGATE_UPSTREAM_PROXY"},
		"own_before_all": {[]string{"EVERGATE_UPSTREAM_PROXY=https://a", "HTTPS_PROXY=http://b", "NO_PROXY=*"}, "https://a", "EVERGATE_UPSTREAM_PROXY"},
		// Whoever names a proxy for this upstream means it, even where the environment's would not count.
		"own_loopback": {[]string{"EVERGATE_UPSTREAM_PROXY=socks5h://a:1080", "EVERGATE_UPSTREAM_URL=http://127.0.0.1:1"}, "socks5://a:1080", "EVERGATE_UPSTREAM_PROXY"},
		"environment":  {[]string{"HTTPS_PROXY=http://proxy:3128"}, "http://proxy:3128", "HTTPS_PROXY"},
		"small":        {[]string{"https_proxy=proxy:3128"}, "http://proxy:3128", "https_proxy"},
		"large_first":  {[]string{"https_proxy=a:1", "HTTPS_PROXY=b:1"}, "http://b:1", "HTTPS_PROXY"},
		"other_scheme": {[]string{"HTTP_PROXY=http://proxy:3128"}, "", ""},
		// Whose environment comes from `evergate env` would have it call itself.
		"ourselves":      {[]string{"HTTPS_PROXY=http://127.0.0.1:8080", "EVERGATE_URL=http://127.0.0.1:8080"}, "", ""},
		"another_of_us":  {[]string{"HTTPS_PROXY=http://127.0.0.1:8081", "EVERGATE_URL=http://127.0.0.1:8080"}, "http://127.0.0.1:8081", "HTTPS_PROXY"},
		"exempt":         {[]string{"HTTPS_PROXY=http://proxy:3128", "NO_PROXY=other, .myshopify.com"}, "", ""},
		"small_exempt":   {[]string{"HTTPS_PROXY=http://proxy:3128", "no_proxy=acme.myshopify.com"}, "", ""},
		"loopback":       {[]string{"HTTPS_PROXY=http://proxy:3128", "EVERGATE_UPSTREAM_URL=https://127.0.0.1:8443"}, "", ""},
		"loopback_plain": {[]string{"HTTPS_PROXY=http://proxy:3128", "EVERGATE_UPSTREAM_URL=http://gateway"}, "", ""},
		// A mistake there is none of ours where it does not count.
		"exempt_mistake": {[]string{"HTTPS_PROXY=ftp://proxy", "NO_PROXY=*"}, "", ""},
	} {
		c := mustLoad(t, minimal(tc.set...))
		u, setting, err := c.Proxy()
		got := ""
		if u != nil {
			got = u.String()
		}
		if got != tc.want || setting != tc.setting || err != nil || c.HasProxy() != (u != nil) {
			t.Errorf("%s: %q %q %v", name, got, setting, err)
		}
	}
}

func TestProxyIsReadFromItsFileEachTime(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "proxy")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("http://u:first@proxy:1\n")
	c := mustLoad(t, minimal("EVERGATE_UPSTREAM_PROXY_FILE="+path))
	for _, password := range []string{"first", "second"} {
		write("http://u:" + password + "@proxy:1\n")
		u, setting, err := c.Proxy()
		if err != nil || setting != "EVERGATE_UPSTREAM_PROXY" {
			t.Fatal(setting, err)
		}
		if got, _ := u.User.Password(); got != password {
			t.Errorf("%q, want %q", got, password)
		}
	}
	write("nonsense")
	if _, _, err := c.Proxy(); err == nil || strings.Contains(err.Error(), "nonsense") {
		t.Error(err)
	}
}

func TestProxyMistakesAreExplainedWithoutThePassword(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"EVERGATE_UPSTREAM_PROXY", "HTTPS_PROXY"} {
		for value, say := range map[string]string{
			"ftp://u:hunter2@proxy":          "http, https or socks5",
			"socks4://u:hunter2@proxy":       "http, https or socks5",
			"http://u:hunter2@proxy/path":    "has a path",
			"http://u:hunter2@proxy?x":       "has a path",
			"http://u:hunter2@":              "names no host",
			"http://u:hunter2%@proxy":        "cannot be read as a URL",
			"http://u:hunter2/3@proxy":       "cannot be read as a URL",
			"http://u%3Av:hunter2@proxy":     "cannot hold a colon",
			"socks5://u:@proxy":              "1 to 255 bytes",
			"http://u:hunter2@proxy:port":    "cannot be read as a URL",
			"http:u:hunter2@proxy.test:3128": "http, https or socks5",
		} {
			if name == "HTTPS_PROXY" && !strings.Contains(value, "://") {
				continue
			}
			got := mistakes(t, minimal(name+"="+value)...)
			mustSay(t, got, name, say)
			if strings.Contains(strings.Join(got, "\n"), "hunter2") {
				t.Errorf("the password is in %q", got)
			}
		}
	}
	mustSay(t, mistakes(t, minimal("EVERGATE_UPSTREAM_PROXY=proxy.internal:3128")...), "EVERGATE_UPSTREAM_PROXY", "http://proxy.internal:3128")
}

func TestNoProxyFollowsTheRulesOfGo(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		list, host string
		want       bool
	}{
		{"", "acme.myshopify.com", false},
		{"*", "acme.myshopify.com", true},
		{"acme.myshopify.com", "acme.myshopify.com", true},
		{"ACME.myshopify.com", "acme.MYshopify.com", true},
		{"myshopify.com", "acme.myshopify.com", true},
		{".myshopify.com", "acme.myshopify.com", true},
		{"*.myshopify.com", "acme.myshopify.com", true},
		{".acme.myshopify.com", "acme.myshopify.com", false},
		{"shopify.com", "acme.myshopify.com", false},
		{"a, ,acme.myshopify.com ", "acme.myshopify.com", true},
		{"acme.myshopify.com:443", "acme.myshopify.com", true},
		{"acme.myshopify.com:444", "acme.myshopify.com", false},
		{"acme.myshopify.com:8443", "acme.myshopify.com:8443", true},
		{"192.0.2.0/24", "192.0.2.7", true},
		{"192.0.2.0/24", "198.51.100.7", false},
		{"192.0.2.7", "192.0.2.7", true},
		{"192.0.2.7:443", "192.0.2.7", true},
		{"2001:db8::1", "[2001:db8::1]", true},
		{"[2001:db8::1]:443", "[2001:db8::1]", true},
		{"", "localhost", true},
		{"", "127.9.9.9", true},
		{"", "[::1]:8443", true},
		{".", "acme.myshopify.com", false},
	} {
		if got := isExempt(tc.list, &url.URL{Scheme: "https", Host: tc.host}); got != tc.want {
			t.Errorf("NO_PROXY=%q exempts %s: %v, want %v", tc.list, tc.host, got, tc.want)
		}
	}
}

func TestAPortThatThereIsNotIsRefused(t *testing.T) {
	t.Parallel()
	for _, set := range []string{
		"EVERGATE_UPSTREAM_PROXY=http://bob:s3cret@proxy.internal:99999", "HTTPS_PROXY=http://bob:s3cret@proxy.internal:0", "https_proxy=bob:s3cret@proxy.internal:65536", "EVERGATE_UPSTREAM_PROXY=socks5://proxy.internal:70000",
		"EVERGATE_UPSTREAM_URL=https://gateway.internal:99999",
	} {
		name, _, _ := strings.Cut(set, "=")
		if got := mistakes(t, minimal(set)...); len(got) != 1 || !strings.HasPrefix(got[0], name) || !strings.Contains(got[0], "from 1 to 65535") || strings.Contains(got[0], "s3cret") {
			t.Errorf("%s: %q", set, got)
		}
	}
}

// Programs differ over ALL_PROXY. What is not used is said where it could be the only way.
func TestAProxyThatIsNotUsedIsSaid(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		set  []string
		said bool
	}{
		{[]string{"ALL_PROXY=socks5://bob:s3cret@proxy:1080"}, true}, {[]string{"all_proxy=http://proxy:1"}, true},
		{[]string{"ALL_PROXY=http://proxy:1", "HTTPS_PROXY=http://proxy:1"}, false}, {[]string{"ALL_PROXY=http://proxy:1", "NO_PROXY=.myshopify.com"}, false},
		{[]string{"ALL_PROXY=http://proxy:1", "EVERGATE_UPSTREAM_PROXY=http://proxy:1"}, false}, {[]string{"ALL_PROXY="}, false}, {nil, false},
	} {
		said := ""
		for _, w := range mustLoad(t, minimal(c.set...)).Warnings {
			said += w.Error()
		}
		if strings.Contains(said, "is set, which Evergate does not use") != c.said || strings.Contains(said, "s3cret") {
			t.Errorf("%v: %q", c.set, said)
		}
	}
}
