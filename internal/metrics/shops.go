package metrics

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// MaxShops is how many shops get a value of their own in the label shop: the first ones that
// the process has to say something about. All others share otherShop.
const MaxShops = 1000

const otherShop = "other"

// shopLabels hands out the values of the label shop. It never takes one back, because a
// counter must not fall.
type shopLabels struct {
	mu    sync.RWMutex
	known map[string]*labels
	other *labels
}

// labels are those of one shop, ready to be published. They are made once: a scrape of a
// thousand shops would make them anew for each of its ten thousand lines.
type labels struct {
	shop    string
	plain   []*dto.LabelPair
	failing map[string][]*dto.LabelPair // beside the label result
	bucket  map[string][]*dto.LabelPair // beside the label api
}

func newLabels(shop string) *labels {
	its := pair("shop", shop)
	l := &labels{shop: shop, plain: []*dto.LabelPair{its}, failing: map[string][]*dto.LabelPair{}, bucket: map[string][]*dto.LabelPair{}}
	for _, result := range passing {
		l.failing[result] = []*dto.LabelPair{pair("result", result), its}
	}
	for _, api := range rateLimits {
		l.bucket[api] = []*dto.LabelPair{pair("api", api), its}
	}
	return l
}

// pair returns a label; a metric's labels must be in the order of their names.
func pair(name, value string) *dto.LabelPair { return &dto.LabelPair{Name: &name, Value: &value} }

// of returns the labels for a shop.
func (s *shopLabels) of(shop string) *labels {
	s.mu.RLock()
	l, full := s.known[shop], len(s.known) >= MaxShops
	s.mu.RUnlock()
	if l != nil {
		return l
	}
	if full {
		return s.rest()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.known[shop]; l != nil {
		return l
	}
	if len(s.known) >= MaxShops {
		return s.other
	}
	if s.known == nil {
		s.known, s.other = map[string]*labels{}, newLabels(otherShop)
	}
	l = newLabels(shop)
	s.known[shop] = l
	return l
}

// rest returns the labels of all shops that have none of their own; of must have been called.
func (s *shopLabels) rest() *labels {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.other
}

// gauge is a state at the moment of a scrape.
type gauge struct {
	desc   *prometheus.Desc
	labels []*dto.LabelPair
	value  float64
}

// Desc implements prometheus.Metric.
func (g *gauge) Desc() *prometheus.Desc { return g.desc }

// Write implements prometheus.Metric.
func (g *gauge) Write(out *dto.Metric) error {
	out.Label, out.Gauge = g.labels, &dto.Gauge{Value: &g.value}
	return nil
}
