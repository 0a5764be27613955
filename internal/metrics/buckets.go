package metrics

import "github.com/prometheus/client_golang/prometheus"

// BucketState is what is published about one rate limit at the moment of a scrape.
type BucketState struct {
	Shop                string
	API                 string  // one of rateLimits
	Capacity, Available float64 // calls of REST, points of GraphQL
}

// rateLimits are the values of the label api.
var rateLimits = []string{"rest", "graphql"}

var apiLabels = pairs("api", rateLimits)

var (
	bucketAvailable = prometheus.NewDesc("evergate_bucket_available",
		"What the rate limit has room for now, as far as is known: calls for rest, points for graphql.", []string{"shop", "api"}, nil)
	bucketCapacity = prometheus.NewDesc("evergate_bucket_capacity",
		"The size of the rate limit's bucket as Shopify reports it: calls for rest, points for graphql.", []string{"shop", "api"}, nil)
)

// RegisterBuckets publishes the state of every rate limit, asked for at each scrape.
func (m *Metrics) RegisterBuckets(reg prometheus.Registerer, states func() []BucketState) {
	reg.MustRegister(bucketCollector{states, &m.shops})
}

type bucketCollector struct {
	states func() []BucketState
	shops  *shopLabels
}

// Describe implements prometheus.Collector.
func (bucketCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- bucketAvailable
	ch <- bucketCapacity
}

// Collect implements prometheus.Collector.
func (c bucketCollector) Collect(ch chan<- prometheus.Metric) {
	fullest := map[string]BucketState{} // by api, of the shops that share a label
	for _, s := range c.states() {
		if l := c.shops.of(s.Shop); l.shop == s.Shop {
			s.publish(ch, l)
			continue
		}
		if known, ok := fullest[s.API]; !ok || s.Available*known.Capacity < known.Available*s.Capacity {
			fullest[s.API] = s
		}
	}
	for _, s := range fullest {
		s.publish(ch, c.shops.rest())
	}
}

func (s BucketState) publish(ch chan<- prometheus.Metric, l *labels) {
	both := l.after(apiLabels[s.API])
	ch <- &gauge{bucketAvailable, both, s.Available}
	ch <- &gauge{bucketCapacity, both, s.Capacity}
}
