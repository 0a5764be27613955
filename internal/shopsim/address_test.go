package shopsim

import (
	"net/url"
	"strings"
	"testing"
)

func TestAnAddressIsShownWithoutCredentials(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]string{
		"/admin/api/2026-10/products.json?limit=2&page_info=eyJh": "/admin/api/2026-10/products.json?limit=2&page_info=eyJh",
		"/x?access_token=abc&limit=2":                             "/x?access_token=[hidden]&limit=2",
		"/x?a=shpat%5F0011&b":                                     "/x?a=[hidden]&b",
		"/x?shpat_0011":                                           "/x?[hidden]",
		"/x?code=1&CLIENT_SECRET=2&hmac=3&state=4":                "/x?code=[hidden]&CLIENT_SECRET=[hidden]&hmac=[hidden]&state=4",
		"/admin/shprt_0011/x.json":                                "/admin/[hidden]/x.json",
		"/x?a=3f1c9b7a5d2e4f60819273a4b5c6d7e8":                   "/x?a=[hidden]",
		"/x?a=%zz":                                                "/x?a=[hidden]",
		"/\u009b\xff":                                             "/??",
	} {
		if got := (Entry{RequestURI: uri}).Address(); got != want {
			t.Errorf("%q: %q, want %q", uri, got, want)
		}
	}
}

func FuzzAddress(f *testing.F) {
	f.Add("a", "b")
	f.Add("a/b?c", "&d=")
	f.Fuzz(func(t *testing.T, before, after string) {
		const token = "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"
		for _, uri := range []string{"/" + before + token + after, "/?" + before + "=" + token + after, "/?" + before + "&" + url.QueryEscape(token) + "=" + after} {
			got := Entry{RequestURI: uri}.Address()
			if strings.Contains(got, token) {
				t.Errorf("%q: %q", uri, got)
			}
			if strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("%q: %q cannot be printed", uri, got)
			}
		}
	})
}
