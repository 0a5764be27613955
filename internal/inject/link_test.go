package inject

import (
	"strings"
	"testing"
)

func TestLinksOfTheShopPointAtTheAddressTheClientUsed(t *testing.T) {
	l := links{domain: shopDomain, host: "localhost:8080", prefix: "/p"}
	for in, want := range map[string]string{
		`<https://blue-finch.myshopify.com/a?b=c>; rel="next"`:                                                           `<http://localhost:8080/p/a?b=c>; rel="next"`,
		`<https://blue-finch.myshopify.com/a>; rel="previous", <https://blue-finch.myshopify.com/b?x=1,2;3>; rel="next"`: `<http://localhost:8080/p/a>; rel="previous", <http://localhost:8080/p/b?x=1,2;3>; rel="next"`,
		`<HTTPS://Blue-Finch.MyShopify.com:443/a>`:                                                                       `<http://localhost:8080/p/a>`,
		`<http://blue-finch.myshopify.com:80/a>`:                                                                         `<http://localhost:8080/p/a>`,
		`<https://blue-finch.myshopify.com:8443/a>`:                                                                      `<https://blue-finch.myshopify.com:8443/a>`,
		`<https://blue-finch.myshopify.com.evil.example/a>`:                                                              `<https://blue-finch.myshopify.com.evil.example/a>`,
		`<https://evil.example/blue-finch.myshopify.com/a>`:                                                              `<https://evil.example/blue-finch.myshopify.com/a>`,
		`<https://user@blue-finch.myshopify.com/a>`:                                                                      `<https://user@blue-finch.myshopify.com/a>`,
		`<https://other.myshopify.com/a>; rel="next"`:                                                                    `<https://other.myshopify.com/a>; rel="next"`,
		`</a?b>; rel="next"`:                         `</p/a?b>; rel="next"`,
		`<a?b>; rel="next", <?b>, <#b>, <>`:          `<a?b>; rel="next", <?b>, <#b>, <>`,
		`<//blue-finch.myshopify.com/a>; rel="next"`: `<http://localhost:8080/p/a>; rel="next"`,
		`<//Blue-Finch.myshopify.com:443/a>`:         `<http://localhost:8080/p/a>`,
		`<//blue-finch.myshopify.com:80/a>`:          `<//blue-finch.myshopify.com:80/a>`,
		`<//evil.example/a>`:                         `<//evil.example/a>`,
		`<https://blue-finch.myshopify.com:/a>`:      `<https://blue-finch.myshopify.com:/a>`,
		`<https://blue-finch.myshopify.com./a>`:      `<https://blue-finch.myshopify.com./a>`,
		`<ftp://blue-finch.myshopify.com/a>`:         `<ftp://blue-finch.myshopify.com/a>`,
		`<x:/a>`:                                     `<x:/a>`,
		`<https://blue-finch.myshopify.com/a>; title="x, <https://blue-finch.myshopify.com/b> \"<https://blue-finch.myshopify.com/c>"; rel=next, <https://blue-finch.myshopify.com/d>`: `<http://localhost:8080/p/a>; title="x, <https://blue-finch.myshopify.com/b> \"<https://blue-finch.myshopify.com/c>"; rel=next, <http://localhost:8080/p/d>`,
		`<https://blue-finch.myshopify.com/a"b>; rel="next", <https://blue-finch.myshopify.com/c>`:                                                                                     `<http://localhost:8080/p/a"b>; rel="next", <http://localhost:8080/p/c>`,
		`<https://blue-finch.myshopify.com>; rel="next"`: `<http://localhost:8080/p>; rel="next"`,
		`<https://blue-finch.myshopify.com?x>`:           `<http://localhost:8080/p?x>`,
		`https://blue-finch.myshopify.com/a; rel="next"`: `https://blue-finch.myshopify.com/a; rel="next"`,
		`<https://blue-finch.myshopify.com/a`:            `<https://blue-finch.myshopify.com/a`,
		`<<https://blue-finch.myshopify.com/a>>`:         `<<https://blue-finch.myshopify.com/a>>`,
		``:                                               ``,
	} {
		if got := l.link(in); got != want {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
	}
}

// FuzzLink holds that nothing but targets at the shop's own host changes.
func FuzzLink(f *testing.F) {
	for _, s := range []string{
		`<https://blue-finch.myshopify.com/a?b=c>; rel="next"`, `<<>>`, `<https://blue-finch.myshopify.com`, `>`, `<>`,
		`<https://x/>, <https://blue-finch.myshopify.com:443/?>`, `<//blue-finch.myshopify.com>, </a>`, `<a>; title="<https://blue-finch.myshopify.com/\"`,
	} {
		f.Add(s)
	}
	const origin, prefix = "http://localhost:1", "/p"
	l := links{domain: shopDomain, host: "localhost:1", prefix: prefix}
	f.Fuzz(func(t *testing.T, in string) {
		out := l.link(in)
		if low := strings.ToLower(in); !strings.Contains(low, "<http") && !strings.Contains(low, "</") && out != in {
			t.Fatalf("%q became %q", in, out)
		}
		if strings.Count(out, "<") != strings.Count(in, "<") || strings.Count(out, ">") != strings.Count(in, ">") {
			t.Fatalf("%q became %q: another number of targets", in, out)
		}
		if strings.Contains(in, origin) || strings.Contains(in, "<"+prefix) {
			return // the check below cannot tell what was rewritten
		}
		// What was put in, taken out again, leaves the bytes around it.
		for _, piece := range strings.Split(out, origin+prefix) {
			for _, piece := range strings.Split(piece, "<"+prefix+"/") {
				if !strings.Contains(in, piece) {
					t.Fatalf("%q became %q: %q was not there", in, out, piece)
				}
			}
		}
	})
}
