package prometheus

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"evergate/test/process"
)

// server is a Prometheus that scrapes what is in its targets file.
type server struct {
	*process.Process
	url     string
	targets string
	began   time.Time
}

const prometheusConfig = `
global: {scrape_interval: %[1]s, scrape_timeout: %[1]s, evaluation_interval: 1s}
rule_files: [rules.yaml]
scrape_configs:
  - job_name: shops # the rules assume no name
    file_sd_configs: [{files: [targets.json], refresh_interval: 1s}]
`

var listeningOn = regexp.MustCompile(`msg="Listening on" address=(127\.0\.0\.1:[1-9]\d*)`)

func startPrometheus(t *testing.T, every string, more ...string) *server {
	t.Helper()
	requireProgram(t, "prometheus")
	dir := t.TempDir()
	scaled, err := hurried(read(t, rulesFile))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"rules.yaml": scaled, "prometheus.yml": fmt.Sprintf(prometheusConfig, every), "targets.json": "[]"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := append([]string{
		"--config.file=" + filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path=" + filepath.Join(dir, "data"), "--web.listen-address=127.0.0.1:0",
	}, more...)
	s := &server{Process: process.Start(t, process.Command(t, "prometheus", nil, args...)), targets: filepath.Join(dir, "targets.json"), began: time.Now()}
	s.url = "http://" + s.AwaitMatch(t, &s.Err, listeningOn)
	return s
}

// scrape names the instances to scrape, and where each is.
func (s *server) scrape(t *testing.T, addresses map[string]string) {
	t.Helper()
	type target struct {
		Targets []string          `json:"targets"`
		Labels  map[string]string `json:"labels"`
	}
	var all []target
	for name, address := range addresses {
		all = append(all, target{[]string{address}, map[string]string{"instance": name}})
	}
	b, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.targets+".new", b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(s.targets+".new", s.targets); err != nil {
		t.Fatal(err)
	}
}

// sample is a series and its value now; for a native histogram that is how much it has counted.
type sample struct {
	labels map[string]string
	value  float64
}

var client = &http.Client{Transport: &http.Transport{}, Timeout: process.Patience}

// ask evaluates a query now.
func (s *server) ask(ctx context.Context, query string) (all []sample, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/api/v1/query?query="+url.QueryEscape(query), nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var answer struct {
		Error string
		Data  struct {
			ResultType string
			Result     json.RawMessage
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("%s: %w", query, err)
	}
	if answer.Error != "" || answer.Data.ResultType != "vector" {
		return nil, fmt.Errorf("%s: %s %s", query, answer.Error, answer.Data.ResultType)
	}
	var vector []struct {
		Metric    map[string]string
		Value     [2]any
		Histogram []json.RawMessage
	}
	if err := json.Unmarshal(answer.Data.Result, &vector); err != nil {
		return nil, fmt.Errorf("%s: %w", query, err)
	}
	for _, v := range vector {
		text, _ := v.Value[1].(string)
		if v.Histogram != nil {
			var h struct{ Count string }
			if err := json.Unmarshal(v.Histogram[1], &h); err != nil {
				return nil, fmt.Errorf("%s: %w", query, err)
			}
			text = h.Count
		}
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", query, err)
		}
		all = append(all, sample{v.Metric, value})
	}
	return all, nil
}

// alerts maps each instance to the alerts that a query over ALERTS finds, in order.
func (s *server) alerts(t *testing.T, query string) map[string]string {
	t.Helper()
	samples, err := s.ask(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string][]string{}
	for _, one := range samples {
		instance := one.labels["instance"]
		names[instance] = append(names[instance], one.labels["alertname"])
	}
	all := map[string]string{}
	for instance, list := range names {
		sort.Strings(list)
		all[instance] = strings.Join(list, " ")
	}
	return all
}

// firing is what fires now.
func (s *server) firing(t *testing.T) map[string]string {
	t.Helper()
	return s.alerts(t, `count by (instance, alertname) (ALERTS{alertstate="firing"})`)
}

// everFired is what has fired at any time in the last so many seconds.
func (s *server) everFired(t *testing.T, window time.Duration) map[string]string {
	t.Helper()
	return s.alerts(t, fmt.Sprintf(`count by (instance, alertname) (count_over_time(ALERTS{alertstate="firing"}[%ds]))`, int(window.Seconds())+1))
}
