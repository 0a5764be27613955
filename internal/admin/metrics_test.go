package admin

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// traced is a registry with one histogram of both kinds, and an exemplar in it.
func traced(t *testing.T) *prometheus.Registry {
	t.Helper()
	reg := prometheus.NewRegistry()
	h := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "evergate_example_seconds", Help: "An example.", Buckets: []float64{1}, NativeHistogramBucketFactor: 1.1,
	})
	reg.MustRegister(h)
	h.(prometheus.ExemplarObserver).ObserveWithExemplar(0.5, prometheus.Labels{"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"})
	return reg
}

func scrape(t *testing.T, accept string) (contentType, body string) {
	t.Helper()
	s := &sidecar{}
	h := New(Options{Tokens: s, Admission: newAdmission(t), Gatherer: traced(t), Quit: func() {}, Stopping: func() bool { return false }})
	w := call(h, "GET", "/metrics", func(r *http.Request) { r.Header.Set("Accept", accept) })
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Header().Get("Content-Type"), w.Body.String()
}

func TestMetricsComeInTheFormatThatIsAskedFor(t *testing.T) {
	t.Parallel()
	const (
		openMetrics = "application/openmetrics-text"
		protobuf    = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
	)
	for _, tc := range []struct {
		name, accept, contentType string
		exemplar                  bool
	}{
		{"browser", "text/html,*/*;q=0.8", "text/plain", false},
		{"curl", "*/*", "text/plain", false},
		{"old_prometheus", "text/plain;version=0.0.4;q=1,*/*;q=0.1", "text/plain", false},
		{"prometheus", openMetrics + ";version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", openMetrics, true},
		{"prometheus_with_native_histograms", protobuf + "," + openMetrics + ";version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "application/vnd.google.protobuf", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			contentType, body := scrape(t, tc.accept)
			if !strings.HasPrefix(contentType, tc.contentType) || !strings.Contains(body, "evergate_example_seconds") {
				t.Errorf("%s\n%s", contentType, body)
			}
			if strings.Contains(body, "4bf92f3577b34da6a3ce929d0e0e4736") != tc.exemplar {
				t.Errorf("an exemplar: want %t\n%s", tc.exemplar, body)
			}
		})
	}
}

func TestProtobufCarriesNativeHistograms(t *testing.T) {
	t.Parallel()
	_, body := scrape(t, "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
	d := expfmt.NewDecoder(strings.NewReader(body), expfmt.NewFormat(expfmt.TypeProtoDelim))
	for {
		var f dto.MetricFamily
		if err := d.Decode(&f); errors.Is(err, io.EOF) {
			t.Fatal("no histogram")
		} else if err != nil {
			t.Fatal(err)
		}
		if h := f.GetMetric()[0].GetHistogram(); h != nil {
			if len(h.GetPositiveSpan()) == 0 || len(h.GetBucket()) == 0 {
				t.Errorf("%v", h)
			}
			return
		}
	}
}

func TestMoreIsScrapedThanPagesAreMadeFrom(t *testing.T) {
	t.Parallel()
	registry := func(name string) *prometheus.Registry {
		reg := prometheus.NewRegistry()
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: "Something."}, func() float64 { return 1 }))
		return reg
	}
	pages, all := registry("evergate_something"), registry("process_something")
	all.MustRegister(pages)
	h := New(Options{Tokens: &sidecar{}, Admission: newAdmission(t), Gatherer: pages, Scraped: all, Quit: func() {}, Stopping: func() bool { return false }})
	for _, name := range []string{"process_something 1", "evergate_something 1"} {
		if text := call(h, "GET", "/metrics").Body.String(); !strings.Contains(text, name) {
			t.Errorf("no %s in %s", name, text)
		}
	}
}
