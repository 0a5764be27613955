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
