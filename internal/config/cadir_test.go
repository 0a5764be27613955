package config

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestPlaceOfTheLocalCA(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ environ, want string }{
		{"HOME=/home/me", "/home/me/.local/state/evergate/ca"},
		{"HOME=/home/me STATE_DIRECTORY=/var/lib/evergate:/other", "/var/lib/evergate/ca"},
		{"HOME=/home/me EVERGATE_CA_DIR=memory:", "memory:"},
		{"HOME=/home/me EVERGATE_STORE=memory: EVERGATE_CA_DIR=/srv/ca", "/srv/ca"},
		{"EVERGATE_CA_DIR=ca", "ca"},
	} {
		environ := strings.Fields(c.environ)
		cfg, err := Parse(environ)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := cfg.CAPlace(Getenv(environ)); err != nil || filepath.ToSlash(got) != c.want {
			t.Errorf("%s: %q, %v", c.environ, got, err)
		}
	}
	cfg, err := Parse(nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := cfg.CAPlace(Getenv(nil)); err == nil || !strings.Contains(err.Error(), "EVERGATE_CA_DIR") || strings.Contains(err.Error(), "EVERGATE_STORE") {
		t.Errorf("%q, %v", got, err)
	}
}

func TestWhatIsNoDirectoryForTheLocalCAIsRefused(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"memory", "memory:x", "~", "~/ca", "file:/srv/ca"} {
		_, err := Load([]string{"SHOPIFY_SHOP=acme", "SHOPIFY_CLIENT_ID=0123456789abcdef0123456789abcdef", "SHOPIFY_CLIENT_SECRET=s", "EVERGATE_CA_DIR=" + value})
		if err == nil || !strings.Contains(err.Error(), "EVERGATE_CA_DIR") || !strings.Contains(err.Error(), ": write") {
			t.Errorf("%s: %v", value, err)
		}
	}
}
