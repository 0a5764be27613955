package prometheus

import (
	"os"
	"testing"
	"time"

	"evergate/test/process"
)

// What is tested, relative to this package.
const (
	rulesFile     = "../../deploy/prometheus/rules.yaml"
	rulesTestFile = "../../deploy/prometheus/rules_test.yaml"
	dashboardFile = "../../deploy/grafana/evergate.json"
	docs          = "../../docs"
)

// binary is the program under test.
var binary string

func TestMain(m *testing.M) { os.Exit(process.Main(m, &binary)) }

// requireProgram ends the test where one of Prometheus's own programs is not installed.
func requireProgram(t *testing.T, name string) {
	t.Helper()
	process.RequireProgram(t, name, "scripts/install-prometheus")
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// eventually is for what takes scrapes and evaluations to come about.
func eventually(t *testing.T, longest time.Duration, ask func() error) {
	t.Helper()
	process.EventuallyWithin(t, longest, 250*time.Millisecond, ask)
}
