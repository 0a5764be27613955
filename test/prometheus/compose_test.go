package prometheus

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const composeDir = "../../deploy/compose/monitoring"

type composeFile struct {
	Services map[string]struct {
		Image   string
		Volumes []string
	}
}

// The compose file mounts what lies in the repository, where the programs look for it.
func TestTheComposeFileMountsWhatThereIs(t *testing.T) {
	t.Parallel()
	var c composeFile
	if err := yaml.Unmarshal([]byte(read(t, composeDir+"/compose.yaml")), &c); err != nil {
		t.Fatal(err)
	}
	mounted := map[string]string{}
	for name, service := range c.Services {
		for _, volume := range service.Volumes {
			parts := strings.Split(volume, ":")
			if len(parts) != 3 || parts[2] != "ro" {
				t.Errorf("%s: %s is not mounted for reading only", name, volume)
				continue
			}
			from := filepath.Join(composeDir, parts[0])
			mounted[parts[1]] = from
			if _, err := os.Stat(from); err != nil && parts[0] != "./client-secret" {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	for _, want := range []string{"/etc/prometheus/prometheus.yml", "/etc/prometheus/rules.yaml", "/var/lib/grafana/dashboards"} {
		if mounted[want] == "" {
			t.Errorf("nothing is mounted at %s", want)
		}
	}
	// The configuration names the rules relative to itself.
	dir := t.TempDir()
	for at, from := range mounted {
		if strings.HasPrefix(at, "/etc/prometheus/") {
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(at)), []byte(read(t, from)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	promtool(t, "check", "config", filepath.Join(dir, "prometheus.yml"))

	var dashboards struct {
		Providers []struct{ Options struct{ Path string } }
	}
	if err := yaml.Unmarshal([]byte(read(t, composeDir+"/grafana-dashboards.yaml")), &dashboards); err != nil || len(dashboards.Providers) != 1 || mounted[dashboards.Providers[0].Options.Path] == "" {
		t.Errorf("Grafana looks for its dashboards where none are: %+v %v", dashboards, err)
	}
}
