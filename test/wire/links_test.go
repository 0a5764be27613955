package wire

import (
	"net"
	"slices"
	"strings"
	"testing"
)

// Where Shopify's Link and Location lead, for each way in which a client can name the shop.
// {here} stands for the address that the client used, {prefix} for what it wrote before the
// path.
var ways = map[string]struct{ sent, want []string }{
	"next page":        {[]string{`<https://{shop}{api}/products.json?limit=2&page_info=a,b;c>; rel="next"`}, []string{`<{here}{api}/products.json?limit=2&page_info=a,b;c>; rel="next"`}},
	"both ways":        {[]string{`<https://{shop}/a>; rel="previous", <https://{shop}/b>; rel="next"`}, []string{`<{here}/a>; rel="previous", <{here}/b>; rel="next"`}},
	"two fields":       {[]string{`<https://{shop}/a>; rel="previous"`, `<https://{shop}/b>; rel="next"`}, []string{`<{here}/a>; rel="previous"`, `<{here}/b>; rel="next"`}},
	"without spaces":   {[]string{`<https://{shop}/a>;rel=previous,<https://{shop}/b>;rel=next`}, []string{`<{here}/a>;rel=previous,<{here}/b>;rel=next`}},
	"odd characters":   {[]string{`<https://{shop}/a?x=%3C%3E,"';=//{shop}/>; rel="next"`}, []string{`<{here}/a?x=%3C%3E,"';=//{shop}/>; rel="next"`}},
	"capitals":         {[]string{`<HTTPS://BLUE-FINCH.MyShopify.COM/A>; rel="next"`}, []string{`<{here}/A>; rel="next"`}},
	"port 443":         {[]string{`<https://{shop}:443/a>`, `<http://{shop}:80/a>`}, []string{`<{here}/a>`, `<{here}/a>`}},
	"no path":          {[]string{`<https://{shop}>`, `<https://{shop}?a>`, `<https://{shop}#a>`}, []string{`<{here}>`, `<{here}?a>`, `<{here}#a>`}},
	"no scheme":        {[]string{`<//{shop}/a>; rel="next"`}, []string{`<{here}/a>; rel="next"`}},
	"no host":          {[]string{`</a?b>; rel="next"`}, []string{`<{prefix}/a?b>; rel="next"`}},
	"relative":         {[]string{`<a>, <?b>, <#c>, <>`}, []string{`<a>, <?b>, <#c>, <>`}},
	"within a title":   {[]string{`<https://{shop}/a>; title="<https://{shop}/b>"; rel=next`}, []string{`<{here}/a>; title="<https://{shop}/b>"; rel=next`}},
	"another host":     {[]string{`<https://evil.example/a>`, `<https://{shop}.evil.example/a>`, `<https://x.{shop}/a>`, `<https://evil.example/{shop}/a>`}, nil},
	"another shop":     {[]string{`<https://red-fox.myshopify.com/a>`}, nil},
	"another port":     {[]string{`<https://{shop}:8443/a>`, `<https://{shop}:80/a>`, `<http://{shop}:443/a>`}, nil},
	"another scheme":   {[]string{`<ftp://{shop}/a>`, `<javascript:alert("https://{shop}/")>`}, nil},
	"a user":           {[]string{`<https://user@{shop}/a>`, `<https://{shop}@evil.example/a>`}, nil},
	"no target at all": {[]string{`https://{shop}/a; rel="next"`, `<https://{shop}/a`, `>`, `x`}, nil},
}

// locations are the same for Location, which is an address alone.
var locations = map[string]string{
	"https://{shop}{api}/products/1.json": "{here}{api}/products/1.json",
	"HTTPS://{shop}:443/a?b=<c>#d":        "{here}/a?b=<c>#d",
	"http://{shop}/a":                     "{here}/a",
	"//{shop}/a":                          "{here}/a",
	"https://{shop}":                      "{here}",
	"/admin/a":                            "{prefix}/admin/a",
	"a/b":                                 "a/b",
	"https://evil.example/a":              "https://evil.example/a",
	"//evil.example/{shop}/a":             "//evil.example/{shop}/a",
	"https://{shop}:8443/a":               "https://{shop}:8443/a",
	"https://{shop}.evil.example/a":       "https://{shop}.evil.example/a",
	"https://user@{shop}/a":               "https://user@{shop}/a",
}

func TestLinksLeadToWhereTheClientCalled(t *testing.T) {
	t.Parallel()
	up := newRecorder(t, func(m message) string {
		var header strings.Builder
		for name, values := range map[string][]string{"Link": m.get("X-Say-Link"), "Location": m.get("X-Say-Location")} {
			for _, v := range values {
				header.WriteString(name + ": " + v + "\r\n")
			}
		}
		return withLength("201 Created", header.String(), "{}")
	})
	s := up.sidecar(t)
	_, port, err := net.SplitHostPort(s.host)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ host, prefix, here string }{
		{s.host, "", "http://" + s.host},
		{"localhost:" + port, "", "http://localhost:" + port},
		{"LocalHost:" + port, "", "http://LocalHost:" + port},
		{"[::1]:" + port, "", "http://[::1]:" + port},
		{"localhost", "", "http://localhost"},
		{"blue-finch.localhost:" + port, "", "http://blue-finch.localhost:" + port},
		{"localhost:" + port, "/" + shopDomain, "http://localhost:" + port + "/" + shopDomain},
		{shopDomain, "", ""}, // the shop's own name: nothing changes
		{shopDomain + ":8080", "", "http://" + shopDomain + ":8080"}, // with a port it is an address like any other
	} {
		call := func(t *testing.T, header string, sent []string) reply {
			t.Helper()
			var lines strings.Builder
			for _, v := range sent {
				lines.WriteString(header + ": " + fill(v, c.here, c.prefix) + "\r\n")
			}
			return request(t, s.dial(t), "POST "+c.prefix+api+"/x.json HTTP/1.1\r\nHost: "+c.host+"\r\n"+lines.String()+"Content-Length: 0\r\n\r\n")
		}
		t.Run(c.host+c.prefix, func(t *testing.T) {
			for name, w := range ways {
				want := slices.Clone(w.want)
				if want == nil || c.here == "" {
					want = slices.Clone(w.sent)
				}
				for i := range want {
					want[i] = fill(want[i], c.here, c.prefix)
				}
				if got := byName(call(t, "X-Say-Link", w.sent).fields)["link"]; !slices.Equal(got, want) {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			for sent, want := range locations {
				if c.here == "" {
					want = sent
				}
				if got := byName(call(t, "X-Say-Location", []string{sent}).fields)["location"]; !slices.Equal(got, []string{fill(want, c.here, c.prefix)}) {
					t.Errorf("%s: %q, want %q", sent, got, fill(want, c.here, c.prefix))
				}
			}
		})
	}
}

// fill puts addresses into a text of the tables.
func fill(s, here, prefix string) string {
	return strings.NewReplacer("{shop}", shopDomain, "{api}", api, "{here}", here, "{prefix}", prefix).Replace(s)
}
