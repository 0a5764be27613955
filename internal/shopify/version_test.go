package shopify

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPathNamesItsVersion(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/admin/api/2026-10/shop.json":                  "2026-10",
		"/admin/api/2026-10/":                           "2026-10",
		"/admin/api/2026-10":                            "2026-10",
		"/admin/api/2019-04/graphql.json":               "2019-04",
		"/admin/api/2049-10/graphql.json":               "2049-10",
		"/admin/api/unstable/graphql.json":              "unstable",
		"/admin/products.json":                          "none",
		"/admin/oauth/access_scopes.json":               "none",
		"/admin/api/2026-11/shop.json":                  "other",
		"/admin/api/2026-00/shop.json":                  "other",
		"/admin/api/2026-13/shop.json":                  "other",
		"/admin/api/2018-10/shop.json":                  "other",
		"/admin/api/2050-01/shop.json":                  "other",
		"/admin/api/2026-1/shop.json":                   "other",
		"/admin/api/2026_10/shop.json":                  "other",
		"/admin/api/+026-10/shop.json":                  "other",
		"/admin/api/２026-10/shop.json":                  "other",
		"/admin/api/Unstable/shop.json":                 "other",
		"/admin/api/%32026-10/shop.json":                "other",
		"/admin/api//shop.json":                         "other",
		"/admin/api/":                                   "other",
		"/admin/api/graphql.json":                       "none",
		"/":                                             "other",
		"":                                              "other",
		"*":                                             "other",
		"/admin/api/" + strings.Repeat("2026-10", 1000): "other",
	} {
		if v, _ := versionOf(path); v.String() != want {
			t.Errorf("%.60s: %s, want %s", path, v, want)
		}
	}
}

func TestEveryVersionIsReadAsItself(t *testing.T) {
	t.Parallel()
	if len(versionNames()) != VersionCount || VersionCount > 256 {
		t.Fatalf("%d names for %d versions", len(versionNames()), VersionCount)
	}
	for i, name := range versionNames() {
		if got := ParseVersion(name); int(got) != i && name != "none" {
			t.Errorf("%s is read as %s", name, got)
		}
	}
	if ParseVersion("") != VersionNone || ParseVersion("none") != VersionOther {
		t.Error("only the absence of a version is none")
	}
}

// Shopify: "each version is supported for at least twelve months", released at 17:00 UTC on
// the first day of its quarter.
func TestVersionRetiresTwelveMonthsAfterItsRelease(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"2026-10": "2027-10-01T17:00:00Z", "2026-01": "2027-01-01T17:00:00Z", "2025-07": "2026-07-01T17:00:00Z", "2019-04": "2020-04-01T17:00:00Z",
		"unstable": "", "": "", "shop.json": "",
	} {
		at, ok := ParseVersion(name).Retires()
		if ok != (want != "") || ok && at.Format(time.RFC3339) != want {
			t.Errorf("%s retires at %s, want %s", name, at, want)
		}
	}
}

func FuzzVersion(f *testing.F) {
	for _, seed := range []string{"/admin/api/2026-10/shop.json", "/admin/api/unstable/x", "/admin/products.json", "2026-10", "unstable", "", "/admin/api/\x002026-10"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, v := range []Version{first(versionOf(s)), ParseVersion(s)} {
			if int(v) >= VersionCount {
				t.Fatalf("%q: %d is on no list", s, v)
			}
			if v > VersionNone && !strings.Contains(s, v.String()) {
				t.Fatalf("%q does not hold %s", s, v)
			}
		}
		if i := slices.Index(versionNames()[firstDated:], s); i >= 0 && ParseVersion(s) != firstDated+Version(i) {
			t.Fatalf("%q is read as %s", s, ParseVersion(s))
		}
		if n := testing.AllocsPerRun(1, func() { _, _ = first(versionOf(s)), ParseVersion(s).String() }); n != 0 {
			t.Fatalf("%q: %v allocations", s, n)
		}
	})
}

func first(v Version, _ string) Version { return v }
