package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"evergate/internal/shopify"
)

func TestGrantIsInferred(t *testing.T) {
	t.Parallel()
	file := writeFile(t, "some-value-from-a-file")
	const id, secret, static = "SHOPIFY_CLIENT_ID=" + aClientID, "SHOPIFY_CLIENT_SECRET=" + aSecret, "SHOPIFY_ACCESS_TOKEN=" + aToken
	for _, tc := range []struct {
		name  string
		given []string
		want  string // the grant; else part of the one mistake
	}{
		{"id_and_secret", []string{id, secret}, GrantClientCredentials},
		{"id_and_secret_file", []string{id, "SHOPIFY_CLIENT_SECRET_FILE=" + file}, GrantClientCredentials},
		{"id_file_and_secret_file", []string{"SHOPIFY_CLIENT_ID_FILE=" + file, "SHOPIFY_CLIENT_SECRET_FILE=" + writeFile(t, aSecret)}, GrantClientCredentials},
		{"token", []string{static}, GrantStatic},
		{"token_file", []string{"SHOPIFY_ACCESS_TOKEN_FILE=" + file}, GrantStatic},
		{"auto_is_the_default", []string{"EVERGATE_GRANT=auto", static}, GrantStatic},
		{"both_and_static", []string{id, secret, static, "EVERGATE_GRANT=static"}, GrantStatic},
		{"both_and_client_credentials", []string{id, secret, static, "EVERGATE_GRANT=client_credentials"}, GrantClientCredentials},

		{"both", []string{id, secret, static}, "say which to use with EVERGATE_GRANT=static"},
		{"token_and_id", []string{id, static}, "say which to use with EVERGATE_GRANT=static"},
		{"token_file_and_secret", []string{secret, "SHOPIFY_ACCESS_TOKEN_FILE=" + file}, "say which to use with EVERGATE_GRANT=static"},
		{"nothing", nil, "no credentials: set SHOPIFY_CLIENT_ID and SHOPIFY_CLIENT_SECRET"},
		{"empty_values", []string{"SHOPIFY_CLIENT_ID=", "SHOPIFY_CLIENT_SECRET=", "SHOPIFY_ACCESS_TOKEN="}, "no credentials"},
		{"id_only", []string{id}, "SHOPIFY_CLIENT_SECRET is not set"},
		{"secret_only", []string{secret}, "SHOPIFY_CLIENT_ID is not set"},
		{"static_without_token", []string{id, secret, "EVERGATE_GRANT=static"}, "EVERGATE_GRANT=static needs SHOPIFY_ACCESS_TOKEN"},
		{"client_credentials_with_token_only", []string{static, "EVERGATE_GRANT=client_credentials"}, "no credentials"},
		{"unknown", []string{id, secret, "EVERGATE_GRANT=Static"}, `EVERGATE_GRANT="Static": write client_credentials, `},
		{"placeholder", []string{"SHOPIFY_ACCESS_TOKEN= " + shopify.PlaceholderToken}, "the placeholder of `evergate run` or `evergate env`: another Evergate has the credentials, and EVERGATE_URL says where"},
		{"static_placeholder", []string{"EVERGATE_GRANT=static", "SHOPIFY_ACCESS_TOKEN=" + shopify.PlaceholderToken}, "another Evergate has the credentials"},
		{"placeholder_and_id", []string{id, "SHOPIFY_ACCESS_TOKEN=" + shopify.PlaceholderToken}, "another Evergate has the credentials"},
		{"names_of_the_app_templates", []string{"SHOPIFY_API_KEY=x", "SHOPIFY_API_SECRET=y"}, "SHOPIFY_API_KEY is called SHOPIFY_CLIENT_ID here"},
		{"name_of_the_ruby_template", []string{id, "SHOPIFY_API_SECRET_KEY=y"}, "SHOPIFY_API_SECRET_KEY is called SHOPIFY_CLIENT_SECRET here"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, err := Load(append([]string{"SHOPIFY_SHOP=acme"}, tc.given...))
			if err == nil {
				if c.Grant != tc.want {
					t.Errorf("grant %s, want %s", c.Grant, tc.want)
				}
				return
			}
			if lines := strings.Split(err.Error(), "\n"); len(lines) != 1 || !strings.Contains(lines[0], tc.want) {
				t.Errorf("%v\nwant one line with %q", err, tc.want)
			}
		})
	}
}

func TestUsualMistakesAreExplained(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		given []string
		parts []string
	}{
		{"secret_as_token", []string{"SHOPIFY_ACCESS_TOKEN=" + aSecret}, []string{"SHOPIFY_ACCESS_TOKEN holds a client secret", "put it into SHOPIFY_CLIENT_SECRET"}},
		{"old_secret_as_token", []string{"SHOPIFY_ACCESS_TOKEN=oldsecret", "SHOPIFY_CLIENT_ID=x", "SHOPIFY_CLIENT_SECRET=oldsecret", "EVERGATE_GRANT=static"}, []string{"SHOPIFY_ACCESS_TOKEN holds a client secret"}},
		{"id_as_token", []string{"SHOPIFY_ACCESS_TOKEN=" + aClientID, "SHOPIFY_CLIENT_ID=" + aClientID, "EVERGATE_GRANT=static"}, []string{"SHOPIFY_ACCESS_TOKEN holds the client id", "remove it"}},
		{"refresh_token_as_token", []string{"SHOPIFY_ACCESS_TOKEN=shprt_0"}, []string{"SHOPIFY_ACCESS_TOKEN holds a refresh token", "does not accept", "put it into SHOPIFY_REFRESH_TOKEN", "`evergate token import`"}},
		{"theme_password_as_token", []string{"SHOPIFY_ACCESS_TOKEN=shptka_0"}, []string{"SHOPIFY_ACCESS_TOKEN holds a Theme Access password"}},
		{"automation_token_as_token", []string{"SHOPIFY_ACCESS_TOKEN=atkn_0"}, []string{"SHOPIFY_ACCESS_TOKEN holds an app automation token"}},
		{"quoted_token", []string{`SHOPIFY_ACCESS_TOKEN="` + aToken + `"`}, []string{"SHOPIFY_ACCESS_TOKEN has quotation marks", "remove them"}},

		{"id_as_secret", []string{"SHOPIFY_CLIENT_ID=" + aClientID, "SHOPIFY_CLIENT_SECRET=" + aClientID}, []string{"SHOPIFY_CLIENT_SECRET holds the client id", "shpss_"}},
		{"token_as_secret", []string{"SHOPIFY_CLIENT_ID=x", "SHOPIFY_CLIENT_SECRET=" + aToken}, []string{"SHOPIFY_CLIENT_SECRET holds an access token", "starts with shpss_"}},
		{"refresh_token_as_secret", []string{"SHOPIFY_CLIENT_ID=x", "SHOPIFY_CLIENT_SECRET=shprt_0"}, []string{"SHOPIFY_CLIENT_SECRET holds a refresh token"}},
		{"quoted_secret", []string{"SHOPIFY_CLIENT_ID=x", "SHOPIFY_CLIENT_SECRET='" + aSecret + "'"}, []string{"SHOPIFY_CLIENT_SECRET has quotation marks"}},

		{"secret_as_id", []string{"SHOPIFY_CLIENT_ID=" + aSecret, "SHOPIFY_CLIENT_SECRET=x"}, []string{"SHOPIFY_CLIENT_ID holds a client secret", "32 characters"}},
		{"swapped", []string{"SHOPIFY_CLIENT_ID=" + aSecret, "SHOPIFY_CLIENT_SECRET=" + aClientID}, []string{"SHOPIFY_CLIENT_ID holds a client secret"}},
		{"token_as_id", []string{"SHOPIFY_CLIENT_ID=shpca_0", "SHOPIFY_CLIENT_SECRET=x"}, []string{"SHOPIFY_CLIENT_ID holds an access token"}},
		{"quoted_id", []string{`SHOPIFY_CLIENT_ID="` + aClientID + `"`, "SHOPIFY_CLIENT_SECRET=x"}, []string{"SHOPIFY_CLIENT_ID has quotation marks"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := mistakes(t, append([]string{"SHOPIFY_SHOP=acme"}, tc.given...)...)
			mustSay(t, got, tc.parts...)
			for _, set := range tc.given {
				_, value, _ := strings.Cut(set, "=")
				if len(value) > 8 && strings.Contains(strings.Join(got, "\n"), strings.Trim(value, `"'`)) {
					t.Errorf("a value is repeated: %s", got)
				}
			}
		})
	}
}

// A token is opaque: whatever is not certainly something else must pass.
func TestUnusualCredentialsPass(t *testing.T) {
	t.Parallel()
	for _, value := range []string{aToken, "shpca_x", "shppa_x", "shpua_x", "anything-at-all", "x", `"`, `a"b`, strings.Repeat("t", 4000), "SHPSS_x", `"half`} {
		c := mustLoad(t, []string{"SHOPIFY_SHOP=acme", "SHOPIFY_ACCESS_TOKEN=" + value})
		if s, err := c.StaticToken(); err != nil || s.Reveal() != value || len(c.Warnings) != 0 || c.StaticTokenFile() != "" {
			t.Errorf("%q: %v, warnings %q, file %q", value, err, c.Warnings, c.StaticTokenFile())
		}
	}
	for _, value := range []string{"0123456789abcdef0123456789abcdef", "no-prefix", "SHPAT_x"} {
		mustLoad(t, []string{"SHOPIFY_SHOP=acme", "SHOPIFY_CLIENT_ID=" + aClientID, "SHOPIFY_CLIENT_SECRET=" + value})
	}
}

func TestTokenInTheShapeOfAnIDIsWarnedOf(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, []string{"SHOPIFY_SHOP=acme", "SHOPIFY_ACCESS_TOKEN=" + aClientID})
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0].Error(), "SHOPIFY_ACCESS_TOKEN has the shape of a client id") || strings.Contains(c.Warnings[0].Error(), aClientID) {
		t.Errorf("warnings %q", c.Warnings)
	}
}

func TestWhiteSpaceIsNoCredential(t *testing.T) {
	t.Parallel()
	for _, set := range []string{"SHOPIFY_CLIENT_SECRET= ", "SHOPIFY_CLIENT_ID=\t", "SHOPIFY_ACCESS_TOKEN=\n"} {
		environ := minimal(set)
		if strings.HasPrefix(set, "SHOPIFY_ACCESS_TOKEN") {
			environ = []string{"SHOPIFY_SHOP=acme", set}
		}
		if c, err := Load(environ); err == nil {
			t.Errorf("%q is taken as given: the grant is %s, and its credential is empty", set, c.Grant)
		}
	}
}

// A secret made with echo instead of printf ends in a line feed.
func TestWhiteSpaceAroundACredentialIsDropped(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, minimal("SHOPIFY_CLIENT_ID=the-id\n", "SHOPIFY_CLIENT_SECRET= the-secret\r\n"))
	id, secret, err := c.Client()
	if err != nil || secret.Reveal() != "the-secret" {
		t.Errorf("secret %q, %v", secret.Reveal(), err)
	}
	if id != "the-id" {
		t.Errorf("id %q: it goes to Shopify like this", id)
	}
}

func writeFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "value")
	overwrite(t, path, content)
	return path
}

func overwrite(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFilesAreReadAnewAtEachUse(t *testing.T) {
	t.Parallel()
	idFile, secretFile, tokenFile := writeFile(t, "id-1\n"), writeFile(t, "secret-1\n"), writeFile(t, "token-1\n")
	c := mustLoad(t, []string{"SHOPIFY_SHOP=acme", "SHOPIFY_CLIENT_ID_FILE=" + idFile, "SHOPIFY_CLIENT_SECRET_FILE=" + secretFile,
		"SHOPIFY_ACCESS_TOKEN_FILE=" + tokenFile, "EVERGATE_GRANT=client_credentials"})
	for _, n := range []string{"1", "2", "3"} {
		overwrite(t, idFile, "id-"+n)
		overwrite(t, secretFile, " secret-"+n+" \n\n")
		overwrite(t, tokenFile, "token-"+n)
		id, secret, err := c.Client()
		if err != nil || id != "id-"+n || secret.Reveal() != "secret-"+n {
			t.Errorf("round %s: %q, %q, %v", n, id, secret.Reveal(), err)
		}
		if s, err := c.StaticToken(); err != nil || s.Reveal() != "token-"+n || c.StaticTokenFile() != tokenFile {
			t.Errorf("round %s: %q of %q, %v", n, s.Reveal(), c.StaticTokenFile(), err)
		}
	}
}

func TestFileThatGoesBadIsAnErrorAtItsUse(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*testing.T, string){
		"is empty":             func(t *testing.T, p string) { overwrite(t, p, " \n") },
		"larger than 65536":    func(t *testing.T, p string) { overwrite(t, p, strings.Repeat("x", 64<<10+1)) },
		"the file cannot be r": func(t *testing.T, p string) { _ = os.Remove(p) },
	} {
		id, secret, static := writeFile(t, "id"), writeFile(t, "secret"), writeFile(t, "token")
		c := mustLoad(t, []string{"SHOPIFY_SHOP=acme", "SHOPIFY_CLIENT_ID_FILE=" + id, "SHOPIFY_CLIENT_SECRET_FILE=" + secret,
			"SHOPIFY_ACCESS_TOKEN_FILE=" + static, "EVERGATE_GRANT=static"})
		spoil(t, secret)
		if _, s, err := c.Client(); err == nil || !s.Empty() || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "SHOPIFY_CLIENT_SECRET_FILE") {
			t.Errorf("%s: %v", name, err)
		}
		spoil(t, id)
		if _, _, err := c.Client(); err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "SHOPIFY_CLIENT_ID_FILE") {
			t.Errorf("%s: %v", name, err)
		}
		spoil(t, static)
		if s, err := c.StaticToken(); err == nil || !s.Empty() || !strings.Contains(err.Error(), "SHOPIFY_ACCESS_TOKEN_FILE") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFileMistakesAtTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"SHOPIFY_CLIENT_ID", "SHOPIFY_CLIENT_SECRET", "SHOPIFY_ACCESS_TOKEN"} {
		for path, say := range map[string]string{
			filepath.Join(dir, "missing"): "the file cannot be read",
			dir:                           "the file cannot be read",
			writeFile(t, "\n"):            "is empty",
			writeFile(t, strings.Repeat("x", 64<<10+1)): "is larger than 65536 bytes",
		} {
			environ := minimal(name+"=", name+"_FILE="+path)
			if name == "SHOPIFY_ACCESS_TOKEN" {
				environ = []string{"SHOPIFY_SHOP=acme", name + "_FILE=" + path}
			}
			if got := mistakes(t, environ...); len(got) != 1 || !strings.HasPrefix(got[0], name+"_FILE: ") || !strings.Contains(got[0], say) {
				t.Errorf("%s, %s: %q", name, say, got)
			}
		}
	}
}

func TestValueAndFileTogetherAreRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"SHOPIFY_CLIENT_ID", "SHOPIFY_CLIENT_SECRET", "SHOPIFY_ACCESS_TOKEN"} {
		environ := minimal(name+"=given-directly", name+"_FILE="+writeFile(t, "given-in-a-file"), "EVERGATE_GRANT=client_credentials")
		got := mistakes(t, environ...)
		if len(got) != 1 || got[0] != name+" and "+name+"_FILE are both set: keep one" {
			t.Errorf("%q", got)
		}
	}
}

func TestMistakesAreFoundInFilesToo(t *testing.T) {
	t.Parallel()
	mustSay(t, mistakes(t, "SHOPIFY_SHOP=acme", "SHOPIFY_ACCESS_TOKEN_FILE="+writeFile(t, aSecret+"\n")), "SHOPIFY_ACCESS_TOKEN holds a client secret")
	mustSay(t, mistakes(t, "SHOPIFY_SHOP=acme", "SHOPIFY_CLIENT_ID="+aClientID, "SHOPIFY_CLIENT_SECRET_FILE="+writeFile(t, `"`+aSecret+`"`)), "SHOPIFY_CLIENT_SECRET has quotation marks")
	mustSay(t, mistakes(t, "SHOPIFY_SHOP=acme", "SHOPIFY_CLIENT_ID_FILE="+writeFile(t, aSecret), "SHOPIFY_CLIENT_SECRET="+aSecret), "SHOPIFY_CLIENT_ID holds a client secret")
}

func TestSecretNamesAreTheSecretsAndTheirFiles(t *testing.T) {
	t.Parallel()
	names := SecretNames()
	for _, s := range settings() {
		for _, name := range []string{s.name, s.name + "_FILE"} {
			if slices.Contains(names, name) != s.secret {
				t.Errorf("%s: on the list: %t, a secret: %t", name, !s.secret, s.secret)
			}
		}
	}
	for _, name := range []string{"SHOPIFY_CLIENT_SECRET", "SHOPIFY_CLIENT_SECRET_FILE", "SHOPIFY_ACCESS_TOKEN", "SHOPIFY_ACCESS_TOKEN_FILE"} {
		if !slices.Contains(names, name) {
			t.Errorf("%s is not on the list", name)
		}
	}
}
