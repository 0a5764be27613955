//go:build unix

package redisstore

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCertificatesThatOthersCanWriteAreRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o622); err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{"ca_file=" + path, "cert_file=" + path + "&key_file=" + path} {
		a, err := parse("rediss://h?" + query)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.client(); err == nil || !strings.Contains(err.Error(), "chmod go-w "+path) {
			t.Errorf("%s: %v", query, err)
		}
	}
}
