package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func credentialsDir(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o400); err != nil {
			t.Fatal(err)
		}
	}
	return "CREDENTIALS_DIRECTORY=" + dir
}

func TestASecretIsTheCredentialOfItsName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"SHOPIFY_CLIENT_SECRET", "evergate_SHOPIFY_CLIENT_SECRET"} {
		dir := credentialsDir(t, map[string]string{name: "shpss_1\n", "SHOPIFY_CLIENT_ID": "abc", "other": "x", "EVERGATE_LISTEN": "x"})
		c, err := Load([]string{"SHOPIFY_SHOP=acme", dir})
		if err != nil || c.ClientSecret.Reveal() != "shpss_1" || c.ClientID != "abc" || c.Grant != GrantClientCredentials || c.Listen != "127.0.0.1:8080" {
			t.Fatalf("%s: %+v, %v", name, c, err)
		}
		// It is a file like any other: read again whenever it is used.
		path := filepath.Join(strings.TrimPrefix(dir, "CREDENTIALS_DIRECTORY="), name)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("shpss_2"), 0o400); err != nil {
			t.Fatal(err)
		}
		if _, secret, err := c.Client(); err != nil || secret.Reveal() != "shpss_2" {
			t.Errorf("%v", err)
		}
	}
}

// A unit may name the file itself: SHOPIFY_CLIENT_SECRET_FILE=%d/SHOPIFY_CLIENT_SECRET.
func TestANamedFileGoesBeforeACredential(t *testing.T) {
	t.Parallel()
	dir := credentialsDir(t, map[string]string{"SHOPIFY_CLIENT_SECRET": "shpss_1", "other": "shpss_2"})
	file := filepath.Join(strings.TrimPrefix(dir, "CREDENTIALS_DIRECTORY="), "other")
	c, err := Load([]string{"SHOPIFY_SHOP=acme", "SHOPIFY_CLIENT_ID=abc", "SHOPIFY_CLIENT_SECRET_FILE=" + file, dir})
	if err != nil || c.ClientSecret.Reveal() != "shpss_2" {
		t.Errorf("%v", err)
	}
}

func TestTwoSourcesOfOneSecretAreAMistake(t *testing.T) {
	t.Parallel()
	both := credentialsDir(t, map[string]string{"SHOPIFY_CLIENT_SECRET": "shpss_1", "evergate_SHOPIFY_CLIENT_SECRET": "shpss_1"})
	one := credentialsDir(t, map[string]string{"SHOPIFY_CLIENT_SECRET": "shpss_1"})
	empty := credentialsDir(t, map[string]string{"SHOPIFY_CLIENT_SECRET": "\n"})
	for want, environ := range map[string][]string{
		"are both there":          {both},
		"there is a credential":   {one, "SHOPIFY_CLIENT_SECRET=shpss_3"},
		"is empty":                {empty},
		"SHOPIFY_CLIENT_SECRET i": {"CREDENTIALS_DIRECTORY=/nonexistent"}, // is missing, as without any
	} {
		_, err := Load(append([]string{"SHOPIFY_SHOP=acme", "SHOPIFY_CLIENT_ID=abc"}, environ...))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "shpss") {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// A file that nothing reads is a secret that is missing, and nothing else would say why.
func TestAMisnamedCredentialIsNamed(t *testing.T) {
	t.Parallel()
	const mistake, warning, nothing = "a mistake", "a warning", "nothing"
	for _, tc := range []struct{ name, given, outcome, says string }{
		{"SHOPIFY_CLIENT_SECERT", "", mistake, "did you mean SHOPIFY_CLIENT_SECRET?"},
		{"SHOPIFY_CLIENT_SECRET_FILE", "", mistake, "did you mean SHOPIFY_CLIENT_SECRET?"},
		{"shopify_client_secret", "", mistake, "did you mean SHOPIFY_CLIENT_SECRET?"},
		{"client_secret", "", mistake, "did you mean SHOPIFY_CLIENT_SECRET?"},
		{"client-secret.txt", "", mistake, "did you mean SHOPIFY_CLIENT_SECRET?"},
		{"CLIENT_SECERT", "", mistake, "did you mean SHOPIFY_CLIENT_SECRET?"},
		{"SHOPIFY_ACCES_TOKEN", "", mistake, "did you mean SHOPIFY_ACCESS_TOKEN?"},
		{"EVERGATE_STORE_KEYS", "", mistake, "did you mean EVERGATE_STORE_KEY?"},
		{"admin-key", "", mistake, "did you mean EVERGATE_ADMIN_KEY?"},
		{"SHOPIFY_CLIENT_SECRET.bak", "SHOPIFY_CLIENT_SECRET", warning, "remove it, since there is SHOPIFY_CLIENT_SECRET"},
		{"SHOPIFY_CLIENT_SECRET~", "SHOPIFY_CLIENT_SECRET", warning, "remove it, since there is SHOPIFY_CLIENT_SECRET"},
		{".SHOPIFY_CLIENT_SECRET.swp", "evergate_SHOPIFY_CLIENT_SECRET", warning, "remove it, since there is SHOPIFY_CLIENT_SECRET"},
		{"EVERGATE_LISTEN", "SHOPIFY_CLIENT_SECRET", warning, "set it in the environment"},
		{"EVERGATE_TLS_KEY_FILE", "SHOPIFY_CLIENT_SECRET", warning, "set it in the environment"},
		{"evergate_password", "SHOPIFY_CLIENT_SECRET", warning, "name it after its setting"},
		// The unit's own, beside the directory.
		{"database", "SHOPIFY_CLIENT_SECRET", nothing, ""},
		{"key", "SHOPIFY_CLIENT_SECRET", nothing, ""},
	} {
		for _, prefix := range []string{"", "evergate_"} {
			if tc.outcome == nothing && prefix != "" || strings.HasPrefix(tc.name, prefix) && prefix != "" {
				continue
			}
			files := map[string]string{prefix + tc.name: "shpss_1"}
			if tc.given != "" {
				files[tc.given] = "shpss_2"
			}
			c, err := Load([]string{"SHOPIFY_SHOP=acme", "SHOPIFY_CLIENT_ID=abc", credentialsDir(t, files)})
			var said []string
			for _, w := range c.Warnings {
				said = append(said, w.Error())
			}
			warned := strings.Join(said, "\n")
			switch got := warned; {
			case tc.outcome == mistake && (err == nil || !strings.Contains(err.Error(), tc.says) || warned != ""),
				tc.outcome != mistake && err != nil, tc.outcome == warning && !strings.Contains(got, tc.says), tc.outcome == nothing && got != "":
				t.Errorf("%s: want %s that says %q; error %v, warnings %q", prefix+tc.name, tc.outcome, tc.says, err, warned)
			}
		}
	}
}

// A file that a setting names is read, whatever its name.
func TestACredentialThatIsNamedElsewhereIsNoStranger(t *testing.T) {
	t.Parallel()
	dir := credentialsDir(t, map[string]string{"SHOPIFY_CLIENT_SECRET": "shpss_1", "evergate_tls.key": "x", "evergate_client-secret": "y"})
	path := strings.TrimPrefix(dir, "CREDENTIALS_DIRECTORY=")
	c, err := Parse([]string{dir, "SHOPIFY_CLIENT_SECRET_PREVIOUS_FILE=" + filepath.Join(path, "evergate_client-secret"), "EVERGATE_TLS_KEY_FILE=" + filepath.Join(path, "evergate_tls.key")})
	if err != nil || len(c.Warnings) > 0 {
		t.Errorf("%v, %v", err, c.Warnings)
	}
}
