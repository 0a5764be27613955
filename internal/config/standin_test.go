package config

import (
	"crypto/rand"
	"encoding/base64"
	"evergate/internal/envelope"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// standIns are what people put where a credential belongs.
var standIns = map[string][]string{
	"holds a variable or a template": {
		"$SECRET", "${SECRET}", "${SHOPIFY_CLIENT_SECRET:-}", "$(cat /run/secrets/shopify)", "%SHOPIFY_SECRET%", "{{ .Values.secret }}", "{{secret}}", "${{ secrets.SHOPIFY }}", "<%= ENV['X'] %>", "shpss_${SUFFIX}", "$Env_Secret", "$env:SECRET",
	},
	"holds a name and a value": {
		"secret=" + aSecret, "client_secret: " + aSecret, "clientSecret:" + aSecret, "Client-Secret = " + aSecret, "CLIENT_SECRET='" + aSecret + "'", "export secret=" + aSecret, "set SECRET=" + aSecret, "api.secret=" + aSecret,
		"- secret: " + aSecret, "secret => " + aSecret, "secret := \"" + aSecret + "\"", "X-Shopify-Access-Token: " + aToken, "Authorization:" + aToken, "client_secret=", "client_secret:", "a_client:" + aSecret, "\"secret\": \"" + aSecret + "\",", "KEY=x",
	},
	"holds NAME=value":                                {"SHOPIFY_API_SECRET=" + aSecret, "EVERGATE_X=1"},
	"holds a reference to a store of secrets":         {"vault:secret/data/shopify#secret", "op://vault/shopify/secret", "arn:aws:secretsmanager:eu-west-1:1:secret:x", "ssm:/shopify/secret", "secretref:shopify", "ref+vault://x/y", "!vault |", "ENC[AES256_GCM,data:x]", "@Microsoft.KeyVault(SecretUri=https://x)", "projects/1/secrets/shopify/versions/latest", "keyvault:x", "Vault:x"},
	"holds a URL":                                     {"https://example.com/secret", "s3://bucket/secret", "http://localhost:8200/v1/secret"},
	"holds the path of a file":                        {"/run/secrets/shopify", "./secret.txt", "../secret", "~/secret", `C:\secrets\shopify`, "file:/run/secrets/x", "file:///run/secrets/x", `\\host\share`},
	"holds a value that was masked or cut short":      {"****", "shpss_****", "••••••••", "shpss_••••1234", "xxx", "XXXXXXXX", "shpss_xxxxxxxxxxxxxxxx", "...", "shpss_...", "shpss_0123...cdef", "xxxx-xxxx", "---", "…", "********abcd"},
	"holds words that stand for a value":              {"<redacted>", "[REDACTED]", "changeme", "change-me", "CHANGE_ME", "your-client-secret", "your_secret_here", "YOUR_CLIENT_SECRET", "yourClientSecretHere", "replace-me", "REPLACE_WITH_SECRET", "todo", "TBD", "redacted", "<secret>", "<your secret>", "your client secret", "placeholder", "null", "None", "undefined", "example", "my-client-secret", "shpss_your_secret", "insert-secret-here", "client_secret", "API_KEY", "(hidden)", "not-set", "put your secret here", "dummy-token"},
	"holds the base64 of a credential":                {base64.StdEncoding.EncodeToString([]byte(aSecret)), base64.StdEncoding.EncodeToString([]byte(aSecret + "\n")), base64.StdEncoding.EncodeToString([]byte(aClientID)), base64.StdEncoding.EncodeToString([]byte(aToken)), base64.RawStdEncoding.EncodeToString([]byte(aSecret + "\n"))},
	"holds something beside the credential":           {aSecret + "#production", aSecret + ";", aSecret + ",", "\"" + aSecret, aSecret + "'", "(" + aSecret, aClientID + "," + aSecret},
	"holds the beginning of a credential":             {"shpss_", "shpat_"},
	"holds a space":                                   {"Bearer " + aToken, aSecret + " # production", "secret " + aSecret},
	"has quotation marks around it":                   {`"$SECRETS "`[:1] + aSecret + `"`},
	"holds JSON":                                      {"{secret}", `{"a":1}`},
	"holds a character that no credential has (U+00A": {aSecret + "£"},
}

func TestWhatStandsInThePlaceOfACredentialIsRefused(t *testing.T) {
	t.Parallel()
	names := []string{"SHOPIFY_CLIENT_SECRET", "SHOPIFY_CLIENT_SECRET_PREVIOUS", "SHOPIFY_CLIENT_ID", "SHOPIFY_ACCESS_TOKEN", "SHOPIFY_REFRESH_TOKEN", "EVERGATE_STORE_KEY", "EVERGATE_ADMIN_KEY"}
	for say, values := range standIns {
		for i, value := range values {
			for _, setting := range names {
				if _, err := envelope.ParseKey(value); err == nil && setting == "EVERGATE_STORE_KEY" {
					continue
				}
				if _, err := cleanSecret(setting, value+"\n"); err == nil || !strings.Contains(err.Error(), say) || strings.Contains(err.Error(), "0123456789abcdef") {
					t.Errorf("%s, %q: %v, want %q", setting, value, err, say)
				}
				if i > 0 {
					continue
				}
				for _, set := range []string{setting + "=" + value, setting + "_FILE=" + writeFile(t, value+"\n")} {
					mustRefuse(t, mistakes(t, minimal(setting+"=", set, "EVERGATE_GRANT=client_credentials")...), setting, say)
				}
			}
		}
	}
}

// Whatever could be a credential is one.
func TestWhatCouldBeACredentialPasses(t *testing.T) {
	t.Parallel()
	for _, value := range []string{
		aSecret, aClientID, aToken, "0123456789ABCDEF0123456789ABCDEF", "shpss_ffffffffffffffffffffffffffffffff", "secret", "token", "test", "test-secret", "the-id", "x", "xy", "abcxxxdef", "s3cr3t", "oldsecret", "again",
		"eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.c2lnbmF0dXJl", "dGhpcyBpcyBhIHRva2Vu", "dGhpcyBpcyBhIHRva2VuIQ==", "a+b/c==", "a-b_c.d~e", "p@ss", "100%", "a%b", "a$1", "cash$", "50$%", "shpss_Zz9-_", "/leading", "do-not", "deadbeefdeadbeefdeadbeefdeadbeef",
	} {
		for _, setting := range []string{"SHOPIFY_CLIENT_SECRET", "SHOPIFY_CLIENT_ID", "SHOPIFY_ACCESS_TOKEN"} {
			if got, err := cleanSecret(setting, value); got != value || err != nil {
				t.Errorf("%s: %q, %v", value, got, err)
			}
		}
	}
	for range 200 { // 32 random bytes look like many things
		b := make([]byte, 32)
		_, _ = rand.Read(b)
		key := base64.StdEncoding.EncodeToString(b)
		if _, err := cleanSecret("EVERGATE_STORE_KEY", key); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	for _, proxy := range []string{"http://user:p$ss@proxy:3128", "http://user:****@proxy:3128", "http://u:%41b%43@proxy:3128", "socks5://your:secret@proxy:1080"} {
		if _, err := cleanSecret(proxySetting, proxy); err != nil {
			t.Errorf("%s: %v", proxy, err)
		}
	}
}

func TestNothingIsExpandedAndNoneOfItBecomesAName(t *testing.T) {
	t.Parallel()
	paths := []string{"EVERGATE_CA_DIR=%", "EVERGATE_CA_FILE=%", "EVERGATE_TOKEN_FILE=%", "EVERGATE_STORE=file:%", "EVERGATE_POLICY_FILE=%", "EVERGATE_CLIENT_KEYS_FILE=%", "EVERGATE_UPSTREAM_CA_FILE=%", "EVERGATE_TLS_CLIENT_CA_FILE=%",
		"EVERGATE_LISTEN=127.0.0.1:1,unix:%", "EVERGATE_ADMIN_LISTEN=unix:%", "EVERGATE_LOGIN_LISTEN=unix:%", "SHOPIFY_CLIENT_ID_FILE=%", "SHOPIFY_CLIENT_SECRET_FILE=%", "EVERGATE_STORE_KEY_FILE=%", "EVERGATE_UPSTREAM_PROXY_FILE=%"}
	values := map[string]string{
		"$HOME/ca": "holds a variable", "${HOME}/ca": "holds a variable", "/srv/$USER/ca": "holds a variable", `%APPDATA%\ca`: "holds a variable", "/srv/{{ name }}": "holds a variable", "$(pwd)/ca": "holds a variable",
		"~/ca": "a ~ is not expanded", "~": "a ~ is not expanded", "~root/ca": "a ~ is not expanded", "%h/ca": "a specifier of systemd", "%d/secret": "a specifier of systemd", `"/srv/ca"`: "quotation marks", "'/srv/ca'": "quotation marks",
		"https://example.com/ca": "holds a URL", "/srv/a\rb": "more than one line", "/srv/a\nb": "more than one line", "/srv/a\tb": "a tab", "/srv/\u200Bca": "of no width",
	}
	if runtime.GOOS != "windows" {
		values[`C:\ca`], values["D:/ca"] = "a path of Windows", "a path of Windows"
	}
	for _, set := range paths {
		name, _, _ := strings.Cut(set, "=")
		for value, say := range values {
			if name == "EVERGATE_STORE" && (value == "~" || value == "~/ca") {
				continue // said by the store, when it is opened
			}
			got := mistakes(t, minimal("SHOPIFY_CLIENT_ID=", "SHOPIFY_CLIENT_SECRET=", "SHOPIFY_ACCESS_TOKEN="+aToken, "EVERGATE_GRANT=static", strings.Replace(set, "%", value, 1))...)
			if !strings.HasPrefix(strings.Join(got, "\n"), name) && !strings.Contains(strings.Join(got, "\n"), "\n"+name) || !strings.Contains(strings.Join(got, "\n"), say) {
				t.Errorf("%s of %q: %q, want %q", set, value, got, say)
			}
		}
	}
	for _, set := range []string{"EVERGATE_STORE=file: /srv/evergate", "EVERGATE_ADMIN_LISTEN=unix: /run/x.sock", "EVERGATE_LISTEN=unix:\u3000/run/x.sock"} {
		if got := mistakes(t, minimal(set)...); len(got) == 0 {
			t.Errorf("%s passes", set)
		}
	}
	for _, set := range []string{"SHOPIFY_SHOP=$SHOP", "SHOPIFY_SCOPES=${SCOPES}", "EVERGATE_LISTEN=127.0.0.1:$PORT", "EVERGATE_PUBLIC_URL=https://${HOST}", "EVERGATE_ALLOWED_HOSTS={{ host }}", "EVERGATE_UPSTREAM_URL=https://$HOST", "EVERGATE_UPSTREAM_PROXY=http://${PROXY}"} {
		name, _, _ := strings.Cut(set, "=")
		if got := strings.Join(mistakes(t, minimal(set)...), "\n"); !strings.Contains(got, name+" holds a variable") {
			t.Errorf("%s: %s", set, got)
		}
	}
	// What a file system can hold and somebody may have meant passes.
	dir := t.TempDir()
	for _, value := range []string{"a b", "läden", "a%b", "100%", "$", "a$", "c$1", "a~", "x,y", "(1)", "a'b", "#1"} {
		c := mustLoad(t, minimal("EVERGATE_CA_DIR="+filepath.Join(dir, value), "EVERGATE_STORE=file://"+filepath.Join(dir, value)))
		if !strings.HasSuffix(c.CADir, string(os.PathSeparator)+value) {
			t.Errorf("%q: %q", value, c.CADir)
		}
	}
}
