package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// TokenState is what is published about one shop's token at the moment of a scrape.
type TokenState struct {
	Shop    string
	Present bool          // a token was obtained or loaded
	Usable  bool          // it can be sent now
	Age     time.Duration // since it was issued
	Issued  time.Time
	Expires time.Time // zero: it does not expire
	// RefreshExpires is zero when there is no refresh token or its end is not known.
	RefreshExpires time.Time
	// Reauthorize says that a person must authorise anew.
	Reauthorize bool
}

var (
	tokenAge = prometheus.NewDesc("evergate_token_age_seconds",
		"Seconds since the current token was issued; falls at each renewal.", []string{"shop"}, nil)
	tokenExpiry = prometheus.NewDesc("evergate_token_expiry_timestamp_seconds",
		"When the current token expires, in Unix seconds; absent for a token that does not.", []string{"shop"}, nil)
	tokenIssued = prometheus.NewDesc("evergate_token_issued_timestamp_seconds",
		"When the current token was issued, in Unix seconds.", []string{"shop"}, nil)
	refreshExpiry = prometheus.NewDesc("evergate_refresh_token_expiry_timestamp_seconds",
		"When the stored refresh token expires if it is not used, in Unix seconds; absent for grants without one.", []string{"shop"}, nil)
	reauthorize = prometheus.NewDesc("evergate_reauthorization_required",
		"1 while the grant is dead and a person must authorise anew, else 0.", []string{"shop"}, nil)
	tokenUsable = prometheus.NewDesc("evergate_token_usable",
		"1 while there is a token that can be sent, else 0.", []string{"shop"}, nil)
)

// RegisterTokens publishes what states returns, asked for anew at each scrape. states
// must be safe for concurrent use and must not block.
func RegisterTokens(reg prometheus.Registerer, states func() []TokenState) {
	reg.MustRegister(tokenCollector(states))
}

type tokenCollector func() []TokenState

// Describe implements prometheus.Collector.
func (tokenCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{tokenAge, tokenExpiry, tokenIssued, tokenUsable, refreshExpiry, reauthorize} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c tokenCollector) Collect(ch chan<- prometheus.Metric) {
	for _, s := range c() {
		gauge := func(d *prometheus.Desc, v float64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, s.Shop)
		}
		gauge(tokenUsable, oneIf(s.Usable))
		gauge(reauthorize, oneIf(s.Reauthorize))
		if !s.RefreshExpires.IsZero() {
			gauge(refreshExpiry, unix(s.RefreshExpires))
		}
		if !s.Present {
			continue
		}
		gauge(tokenAge, s.Age.Seconds())
		gauge(tokenIssued, unix(s.Issued))
		if !s.Expires.IsZero() {
			gauge(tokenExpiry, unix(s.Expires))
		}
	}
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

func unix(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
