package metrics

import "github.com/prometheus/client_golang/prometheus"

// FleetState is what is published about a process with many shops at the moment of a scrape.
type FleetState struct {
	// Active is of how many shops something is kept in memory.
	Active int
	// Stored is how many grants the store had when it was last gone through; less than zero: it has not been yet.
	Stored int64
	// Reachable says that the store could be read when it was last asked.
	Reachable bool
}

var (
	activeShops = prometheus.NewDesc("evergate_active_shops",
		"Shops of which something is kept in memory, in a process with many.", nil, nil)
	storedGrants = prometheus.NewDesc("evergate_stored_grants",
		"Grants in the store, as they were counted within the last hours, in a process with many shops.", nil, nil)
	storeReachable = prometheus.NewDesc("evergate_store_reachable",
		"1 while the store of a process with many shops could be read when it was last asked, else 0.", nil, nil)
	storeUnfit = prometheus.NewDesc("evergate_store_unfit",
		"What is wrong with the store and can lose grants, where many shops or many processes use it: the number of findings, which the log names.", nil, nil)
)

// RegisterFleet publishes what state returns, asked for anew at each scrape. state must be safe for concurrent use and must not block.
func (m *Metrics) RegisterFleet(reg prometheus.Registerer, state func() FleetState) {
	reg.MustRegister(fleetCollector(state))
}

type fleetCollector func() FleetState

// Describe implements prometheus.Collector.
func (fleetCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{activeShops, storedGrants, storeReachable} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c fleetCollector) Collect(ch chan<- prometheus.Metric) {
	s := c()
	ch <- prometheus.MustNewConstMetric(activeShops, prometheus.GaugeValue, float64(s.Active))
	if s.Stored >= 0 {
		ch <- prometheus.MustNewConstMetric(storedGrants, prometheus.GaugeValue, float64(s.Stored))
	}
	ch <- prometheus.MustNewConstMetric(storeReachable, prometheus.GaugeValue, oneIf(s.Reachable))
}

// RegisterStore publishes how many findings there are of the store that can lose grants; unfit is asked at each scrape. It must be safe for concurrent use
// and must not block.
func (m *Metrics) RegisterStore(reg prometheus.Registerer, unfit func() int) {
	reg.MustRegister(storeCollector(unfit))
}

type storeCollector func() int

// Describe implements prometheus.Collector.
func (storeCollector) Describe(ch chan<- *prometheus.Desc) { ch <- storeUnfit }

// Collect implements prometheus.Collector.
func (c storeCollector) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.MustNewConstMetric(storeUnfit, prometheus.GaugeValue, float64(c()))
}
