package metrics

import "github.com/prometheus/client_golang/prometheus"

// ConnectionState is what is published about the connections of one kind of listener.
type ConnectionState struct {
	Listener    string // tools, operators or merchants
	Open, Limit int
	Closed      int64 // for newcomers
}

// MemoryState is what is published about the bytes that are held for clients.
type MemoryState struct{ Held, Budget, Refused int64 }

var (
	connections = prometheus.NewDesc("evergate_connections", "Open connections of clients, by listener: tools, operators or merchants.",
		[]string{"listener"}, nil)
	connectionLimit = prometheus.NewDesc("evergate_connections_limit", "How many connections of clients there may be.", []string{"listener"}, nil)
	connectionsOut  = prometheus.NewDesc("evergate_connections_closed_total", "Waiting connections that were closed because the limit was reached and another came.",
		[]string{"listener"}, nil)
	memoryHeld    = prometheus.NewDesc("evergate_memory_held_bytes", "Bytes held for clients: bodies that can be sent again or are judged, buffers, large heads.", nil, nil)
	memoryBudget  = prometheus.NewDesc("evergate_memory_budget_bytes", "How many bytes may be held for clients.", nil, nil)
	memoryRefused = prometheus.NewDesc("evergate_memory_refused_total",
		"How often something was not held because the budget was used up: it was streamed, or refused where it has to be held.", nil, nil)
)

// RegisterLimits publishes how near the process is to its limits, asked for at each scrape.
func (m *Metrics) RegisterLimits(reg prometheus.Registerer, conns func() []ConnectionState, memory func() MemoryState) {
	reg.MustRegister(limitCollector{conns, memory})
}

type limitCollector struct {
	connections func() []ConnectionState
	memory      func() MemoryState
}

// Describe implements prometheus.Collector.
func (limitCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{connections, connectionLimit, connectionsOut, memoryHeld, memoryBudget, memoryRefused} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c limitCollector) Collect(ch chan<- prometheus.Metric) {
	for _, s := range c.connections() {
		ch <- prometheus.MustNewConstMetric(connections, prometheus.GaugeValue, float64(s.Open), s.Listener)
		ch <- prometheus.MustNewConstMetric(connectionLimit, prometheus.GaugeValue, float64(s.Limit), s.Listener)
		ch <- prometheus.MustNewConstMetric(connectionsOut, prometheus.CounterValue, float64(s.Closed), s.Listener)
	}
	m := c.memory()
	ch <- prometheus.MustNewConstMetric(memoryHeld, prometheus.GaugeValue, float64(m.Held))
	ch <- prometheus.MustNewConstMetric(memoryBudget, prometheus.GaugeValue, float64(m.Budget))
	ch <- prometheus.MustNewConstMetric(memoryRefused, prometheus.CounterValue, float64(m.Refused))
}
