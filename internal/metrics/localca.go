package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var localCAExpiry = prometheus.NewDesc("evergate_local_ca_expiry_timestamp_seconds",
	"When the certificate of the local CA ends that clients have to trust now. Absent where this process has not used one.", nil, nil)

// RegisterLocalCA publishes when the local CA ends, asked for at each scrape. ends reports false while there is none.
func (m *Metrics) RegisterLocalCA(reg prometheus.Registerer, ends func() (time.Time, bool)) {
	reg.MustRegister(localCACollector(ends))
}

type localCACollector func() (time.Time, bool)

// Describe implements prometheus.Collector.
func (localCACollector) Describe(ch chan<- *prometheus.Desc) { ch <- localCAExpiry }

// Collect implements prometheus.Collector.
func (c localCACollector) Collect(ch chan<- prometheus.Metric) {
	if at, ok := c(); ok {
		ch <- prometheus.MustNewConstMetric(localCAExpiry, prometheus.GaugeValue, float64(at.Unix()))
	}
}
