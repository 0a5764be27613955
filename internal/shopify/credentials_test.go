package shopify

import (
	"fmt"
	"strings"
	"testing"
)

// What REST has to do with credentials is refused in every spelling that some router could read
// as it: on each of its names, with and without version, in other letters, escaped, with
// suffixes, parameters and further segments.
func TestEverySpellingOfACredentialPathIsFound(t *testing.T) {
	t.Parallel()
	respell := map[string]func(string) string{
		"plain":         func(s string) string { return s },
		"capitals":      strings.ToUpper,
		"title":         func(s string) string { return strings.ToUpper(s[:1]) + s[1:] },
		"escaped first": func(s string) string { return fmt.Sprintf("%%%02x%s", s[0], s[1:]) },
		"escaped last":  func(s string) string { return fmt.Sprintf("%s%%%02X", s[:len(s)-1], s[len(s)-1]) },
		"escaped twice": func(s string) string { return fmt.Sprintf("%%25%02x%s", s[0], s[1:]) },
		"underscore":    func(s string) string { return strings.ReplaceAll(s, "_", "%5f") },
		"all escaped": func(s string) string {
			var b strings.Builder
			for i := range len(s) {
				fmt.Fprintf(&b, "%%%02x", s[i])
			}
			return b.String()
		},
	}
	tried := 0
	for _, name := range []string{"access_tokens", "access_token", "api_permissions", "oauth", "storefront_access_tokens", "delegate_access_tokens", "private_access_token"} {
		for how, spell := range respell {
			for _, before := range []string{"/admin/", "/admin/api/", "/admin/api/2026-10/", "/admin/api/unstable/", "/admin/API/2026-10/", "/admin/%61pi/2026-10/", "/admin/api;x/2026-10/", "/%61dmin/api/2026-10/"} {
				for _, after := range []string{"", ".json", "/", ".json/", "/1.json", "/current.json", "/1/x.json", ";x.json", ".JSON", "%2ejson", ".xml", "%20", "/delegate.json"} {
					raw := before + spell(name) + after
					if raw == ScopesPath {
						continue
					}
					target, err := ParseTarget(raw)
					if err != nil || target.Kind != Credentials {
						t.Errorf("%s, %s: %+v, %v", raw, how, target, err)
					}
					tried++
				}
			}
		}
	}
	if tried < 3000 {
		t.Errorf("only %d spellings were tried", tried)
	}
}

func TestNamesOfGraphQLThatHaveToDoWithCredentials(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][2]bool{ // changes as a mutation, shows as a field
		"storefrontAccessTokenCreate": {true, true}, "storefrontAccessTokenDelete": {true, true}, "delegateAccessTokenCreate": {true, true},
		"delegateAccessTokenDestroy": {true, true}, "shopUserAccessTokenCreate": {true, true}, "appUninstall": {true, false}, "appRevokeAccessScopes": {true, false},
		"accessToken": {true, true}, "storefrontAccessTokens": {true, true}, "storefrontAccessToken": {true, true}, "delegateAccessToken": {true, true},
		"privateAccessTokens": {true, true}, "AccessToken": {true, true}, "apiSecretKeys": {true, true}, "clientSecret": {true, true}, "sharedSecret": {true, true},
		"accessScopes": {}, "productCreate": {}, "currentAppInstallation": {}, "apiKey": {}, "accesstoken": {}, "": {},
	} {
		if got := [2]bool{ChangesCredentials(name), ShowsCredentials(name)}; got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}
