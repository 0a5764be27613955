package metrics

import "github.com/prometheus/client_golang/prometheus"

// BucketState is what is published about one rate limit at the moment of a scrape.
type BucketState struct {
	Shop, API           string
	Capacity, Available float64 // calls of REST, points of GraphQL
}

var (
	bucketAvailable = prometheus.NewDesc("evergate_bucket_available",
		"What the rate limit has room for now, as far as is known: calls for rest, points for graphql.", []string{"shop", "api"}, nil)
	bucketCapacity = prometheus.NewDesc("evergate_bucket_capacity",
		"The size of the rate limit's bucket as Shopify reports it: calls for rest, points for graphql.", []string{"shop", "api"}, nil)
)

// RegisterBuckets publishes the state of every rate limit, asked for at each scrape.
func RegisterBuckets(reg prometheus.Registerer, states func() []BucketState) {
	reg.MustRegister(bucketCollector(states))
}

type bucketCollector func() []BucketState

// Describe implements prometheus.Collector.
func (bucketCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- bucketAvailable
	ch <- bucketCapacity
}

// Collect implements prometheus.Collector.
func (c bucketCollector) Collect(ch chan<- prometheus.Metric) {
	for _, s := range c() {
		ch <- prometheus.MustNewConstMetric(bucketAvailable, prometheus.GaugeValue, s.Available, s.Shop, s.API)
		ch <- prometheus.MustNewConstMetric(bucketCapacity, prometheus.GaugeValue, s.Capacity, s.Shop, s.API)
	}
}
