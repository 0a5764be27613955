//go:build unix

package tracing

import (
	"log/slog"
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
	for _, settings := range [][]string{
		{"OTEL_EXPORTER_OTLP_CERTIFICATE", path}, {"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", path, "OTEL_EXPORTER_OTLP_CLIENT_KEY", path},
	} {
		env := append([]string{"OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.example"}, settings...)
		if _, err := Open(environ(env...), "1.2.3", slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "chmod go-w "+path) {
			t.Errorf("%q: %v", settings, err)
		}
	}
}
