package guard

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"evergate/internal/denial"
	"evergate/internal/denial/denialtest"
	"evergate/internal/shopify"
)

func TestAdminAPIPathsPass(t *testing.T) {
	for _, path := range []string{
		"/admin/api/2026-10/graphql.json",
		"/admin/api/2026-10/products.json",
		"/admin/api/unstable/graphql.json",
		"/admin/api/2026-10/products/632910392/images.json",
		"/admin/api/2026-10/products/",
		"/admin/api/2026-10/products",
		"/admin/api/2026-10/products/access_tokens_are_cool.json",
		"/admin/api/2026-10/products/oauth.json",
		"/admin/api/2026-10/access_tokens_are_cool.json",
		"/admin/api/2026-10/oauthors.json",
		"/admin/api/2026-10/products/a..b.json",
		"/admin/api/2026-10/products/...",
		"/admin/api/2026-10/products/.hidden",
		"/admin/api/2026-10/products/..%2e",
		"/admin/api/2026-10/products/100%25.json",
		"/admin/api/2026-10/products/caf%C3%A9%20noir.json",
		"/admin/api/2026-10/products/caf\xc3\xa9.json",
		"/admin/api/2026-10/products/%e0%a0%80%f0%90%80%80.json", // the first of their length
		"/admin/api/2026-10/products/a%3Fb%23c%3Bd.json",
		"/admin/api/2026-10/products/a;b=c.json",
		"/admin/%61pi/2026-10/shop.json",
		"/admin/shop.json",
		"/admin/products/1/images.json",
		"/admin/products/1/images/2.json",
	} {
		for _, method := range []string{"GET", "POST", "DELETE", "OPTIONS", "HEAD", "PROPFIND"} {
			if err := checkPath(method, path); err != nil {
				t.Errorf("%s %s: %+v, want it to pass", method, path, err)
			}
		}
	}
}

func TestScopesCanOnlyBeRead(t *testing.T) {
	for _, c := range []struct{ method, path, code string }{
		{"GET", "/admin/oauth/access_scopes.json", ""},
		{"POST", "/admin/oauth/access_scopes.json", denial.CodeDeniedMethod},
		{"DELETE", "/admin/oauth/access_scopes.json", denial.CodeDeniedMethod},
		{"get", "/admin/oauth/access_scopes.json", denial.CodeDeniedMethod},
		{"GET", "/admin/oauth/access_scopes", denial.CodeDeniedPath},
		{"GET", "/admin/oauth/access_scopes.json/", denial.CodeDeniedPath},
		{"GET", "/admin/oauth/%61ccess_scopes.json", denial.CodeDeniedPath},
		{"GET", "/admin/OAuth/access_scopes.json", denial.CodeDeniedPath},
		{"GET", "/admin/api/2026-10/oauth/access_scopes.json", denial.CodeDeniedPath},
	} {
		denialtest.Want(t, c.method+" "+c.path, checkPath(c.method, c.path), c.code)
	}
}

func TestNoSpellingOfACredentialPathPasses(t *testing.T) {
	names := []string{
		"oauth", "oauth/access_token", "oauth/authorize", "oauth/anything/else",
		"api_permissions", "api_permissions/current", "access_tokens", "access_tokens/delegate",
	}
	prefixes := []string{"/admin/", "/admin/api/", "/admin/api/2026-10/", "/admin/api/unstable/", "/admin/API/2026-10/", "/admin/api.json/x/", "/admin/api;v=1/x/"}
	suffixes := []string{"", ".json", ".xml", "/", "/.json", "/x.json", ".json/", ";x.json", "%20.json", "%09/x.json", "%3f.json", "%23/x.json", "%0a.json", "+.json"}
	for _, prefix := range prefixes {
		for _, name := range names {
			for _, suffix := range suffixes {
				for _, spelling := range spellings(name) {
					path := prefix + spelling + suffix
					if err := checkPath("POST", path); denialtest.Of(t, err).Code != denial.CodeDeniedPath || denialtest.Of(t, err).Status != http.StatusForbidden {
						t.Fatalf("POST %s: %+v, want %s", path, err, denial.CodeDeniedPath)
					}
				}
			}
		}
	}
}

// spellings writes name in other cases and with letters percent-encoded up to 40 times.
func spellings(name string) []string {
	all := []string{name, strings.ToUpper(name), strings.ToUpper(name[:1]) + name[1:]}
	for _, i := range []int{0, 1, len(name) / 2, len(name) - 1} {
		if name[i] == '/' {
			continue
		}
		for _, rounds := range []int{0, 1, 2, 39} {
			escape := fmt.Sprintf("%%%s%02X", strings.Repeat("25", rounds), name[i])
			all = append(all, name[:i]+escape+name[i+1:], name[:i]+strings.ToLower(escape)+name[i+1:])
		}
	}
	// An escape whose own digits are escaped: %%36 is what one round leaves of %25%336.
	return append(all, fmt.Sprintf("%%25%%3%c%x", fmt.Sprintf("%x", name[0])[0], name[0]&15)+name[1:])
}

func TestPathsWithTwoReadingsAreRefused(t *testing.T) {
	cases := []string{
		"//admin/api/2026-10/shop.json",
		"/admin//api/2026-10/shop.json",
		"/admin/api//shop.json",
		"/admin/api/2026-10//",
		"/admin/api/2026-10/;x/shop.json",
		"/admin/api/2026-10/;x",
		`\admin/api/2026-10/shop.json`,
		"/admin/api/2026-10/x%",
		"/admin/api/2026-10/x%2",
		"/admin/api/2026-10/%zz.json",
		"/admin/api/2026-10/%u002f.json",
		"/admin/api/2026-10/%2%35f.json",
		"/admin/api/2026-10/x#y.json",
		"/admin/api/2026-10/x?y.json",
		"/admin/api/2026-10/x y.json",
		"/admin/api/2026-10/x\r\ny.json",
		"/admin/api/2026-10/x\x00.json",
		"/admin/oauth/../api/2026-10/shop.json",
		"/..%3b/admin/api/2026-10/shop.json",
		"/" + strings.Repeat("a", 1000) + "/../admin",
	}
	for _, segment := range []string{
		".", "..", "%2e", "%2E%2e", ".%2e", "%2e.", "%252e%252e", "%25252e.", "%25%32e.", "..;x", ".;", "..;", "%2e%2e;x=y", "..%3Bx", "..%253bx",
		"a%2fb", "a%2Fb", "%2f", "a%252fb", "a%252Fb", "a%25252fb", "a%25%32fb", "a%%32fb", "%zz%2f", "%25zz%252f",
		`a\b`, `\`, "a%5cb", "a%5Cb", "a%255cb", "%00", "a%2500", "a%252500",
		"%c0%af", "%C1%9c", "%25c0%25af", "\xc0\xaf", "%e0%80%af", "%e0%9f%bf", "%f0%80%80%af", "%f0%8f%bf%bf", "%c0",
	} {
		for _, format := range []string{"/%s/admin/shop.json", "/admin/%s/x.json", "/admin/api/2026-10/%s", "/admin/api/2026-10/%s/", "/admin/api/%s/x"} {
			cases = append(cases, fmt.Sprintf(format, segment))
		}
	}
	for _, path := range cases {
		err := checkPath("GET", path)
		denialtest.Want(t, path, err, denial.CodeAmbiguousPath)
		if denialtest.Of(t, err).Status != http.StatusBadRequest {
			t.Errorf("%s: status %d, want 400", path, denialtest.Of(t, err).Status)
		}
	}
}

func TestEverythingElseIsDenied(t *testing.T) {
	for _, path := range []string{
		"", "*", "/", "admin/api/2026-10/shop.json", "localhost:80",
		"/admin", "/admin/", "/admin/api", "/admin/api/", "/admin/products", "/admin/shop.json/", "/admin/shop.xml", "/admin/shop.JSON",
		"/Admin/api/2026-10/shop.json", "/%61dmin/api/2026-10/shop.json", "/administrator/shop.json",
		"/api/2026-10/graphql.json", "/payments_apps/api/2026-10/graphql.json", "/cart.json", "/x/admin/api/2026-10/shop.json",
	} {
		denialtest.Want(t, path, checkPath("GET", path), denial.CodeDeniedPath)
	}
	for _, method := range []string{"TRACE", "CONNECT", "trace", "Connect"} {
		denialtest.Want(t, method, checkPath(method, "/admin/api/2026-10/shop.json"), denial.CodeDeniedMethod)
	}
}

func TestMessagesRepeatNoRawBytes(t *testing.T) {
	for _, path := range []string{
		"/admin/\r\nSet-Cookie:x",
		"/<script>\u202e\x1b[31m",
		"/\xff\xfe/" + strings.Repeat("\x01", 1<<16),
	} {
		message := denialtest.Of(t, checkPath("GET", path)).Message
		for _, c := range []byte(message) {
			if c < ' ' || c > '~' {
				t.Fatalf("the message %q has the byte %#x", message, c)
			}
		}
		if len(message) > 800 {
			t.Errorf("the message has %d bytes", len(message))
		}
	}
}

func TestDecodingTakesLinearTime(t *testing.T) {
	// A megabyte of one escape that is encoded half a million times over. Decoding it
	// round by round would outlast the test's deadline.
	path := "/admin/api/2026-10/%" + strings.Repeat("25", 1<<19) + "2f"
	denialtest.Want(t, "deeply encoded slash", checkPath("GET", path), denial.CodeAmbiguousPath)
}

func TestAllowedPathsAllocateNothing(t *testing.T) {
	for _, path := range []string{"/admin/api/2026-10/graphql.json", "/admin/api/2026-10/products/caf%C3%A9.json", "/admin/shop.json", shopify.ScopesPath} {
		if n := testing.AllocsPerRun(100, func() { CheckPath("GET", path) }); n != 0 {
			t.Errorf("%s: %v allocations", path, n)
		}
	}
}

func BenchmarkCheckPath(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		CheckPath("POST", "/admin/api/2026-10/graphql.json")
	}
}

// checkPath is CheckPath's word alone; a refused path has no target, and another has its bytes.
func checkPath(method, path string) error {
	target, err := CheckPath(method, path)
	if err != nil != (target == shopify.Target{}) || err == nil && target.Path != path {
		panic(fmt.Sprintf("%s %q: %+v with the target %+v", method, path, err, target))
	}
	return err
}
