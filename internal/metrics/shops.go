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
// thousand shops would make their pairs anew for each of its ten thousand lines.
type labels struct {
	shop  string
	plain []*dto.LabelPair
}

func newLabels(shop string) *labels {
	return &labels{shop: shop, plain: []*dto.LabelPair{pair("shop", shop)}}
}

// after are the labels of a metric that has another one, whose name comes before "shop": they must be in the order of their names.
func (l *labels) after(other *dto.LabelPair) []*dto.LabelPair {
	return []*dto.LabelPair{other, l.plain[0]}
}

func pair(name, value string) *dto.LabelPair { return &dto.LabelPair{Name: &name, Value: &value} }

// pairs are the labels of one name, by their values. All shops share them.
func pairs(name string, values []string) map[string]*dto.LabelPair {
	all := map[string]*dto.LabelPair{}
	for _, v := range values {
		all[v] = pair(name, v)
	}
	return all
}

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
