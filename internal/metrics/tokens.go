package metrics

import (
	"slices"
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
	// Failing is how the last attempt to obtain a token failed, as in the label result; empty
	// after one that did not.
	Failing string
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
	failing = prometheus.NewDesc("evergate_refresh_failing",
		"1 while the last attempt to obtain a token is one that failed in this way, else 0.", []string{"shop", "result"}, nil)
	tokenUsable = prometheus.NewDesc("evergate_token_usable",
		"1 while there is a token that can be sent, else 0.", []string{"shop"}, nil)
)

// passing are the failures that end by themselves or with the configuration, the graver one
// last. A grant that is dead has a metric of its own.
var passing = []string{"transient", "config"}

var resultLabels = pairs("result", passing)

// RegisterTokens publishes what states returns, asked for anew at each scrape. states
// must be safe for concurrent use and must not block.
func (m *Metrics) RegisterTokens(reg prometheus.Registerer, states func() []TokenState) {
	reg.MustRegister(tokenCollector{states, &m.shops})
}

type tokenCollector struct {
	states func() []TokenState
	shops  *shopLabels
}

// Describe implements prometheus.Collector.
func (tokenCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{tokenAge, tokenExpiry, tokenIssued, tokenUsable, refreshExpiry, reauthorize, failing} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c tokenCollector) Collect(ch chan<- prometheus.Metric) {
	var rest TokenState
	for _, s := range c.states() {
		if l := c.shops.of(s.Shop); l.shop == s.Shop {
			s.publish(ch, l)
		} else {
			rest = worst(rest, s)
		}
	}
	if rest.Shop != "" {
		rest.publish(ch, c.shops.rest())
	}
}

func (s TokenState) publish(ch chan<- prometheus.Metric, l *labels) {
	ch <- &gauge{tokenUsable, l.plain, oneIf(s.Usable)}
	ch <- &gauge{reauthorize, l.plain, oneIf(s.Reauthorize)}
	for _, result := range passing {
		ch <- &gauge{failing, l.after(resultLabels[result]), oneIf(s.Failing == result)}
	}
	if !s.RefreshExpires.IsZero() {
		ch <- &gauge{refreshExpiry, l.plain, unix(s.RefreshExpires)}
	}
	if !s.Present {
		return
	}
	ch <- &gauge{tokenAge, l.plain, s.Age.Seconds()}
	ch <- &gauge{tokenIssued, l.plain, unix(s.Issued)}
	if !s.Expires.IsZero() {
		ch <- &gauge{tokenExpiry, l.plain, unix(s.Expires)}
	}
}

// worst sums up shops that share a label so that an alert on any of them still fires: each
// statement is the worst of all, and the token is the one with most of its life behind it.
func worst(sum, s TokenState) TokenState {
	if sum.Shop == "" {
		s.Shop = otherShop
		return s
	}
	worse := sum
	if s.spent() > sum.spent() {
		worse = s
	}
	worse.Shop = otherShop
	worse.Usable = sum.Usable && s.Usable
	worse.Reauthorize = sum.Reauthorize || s.Reauthorize
	worse.RefreshExpires = earlier(sum.RefreshExpires, s.RefreshExpires)
	worse.Failing = sum.Failing
	if slices.Index(passing, s.Failing) > slices.Index(passing, sum.Failing) {
		worse.Failing = s.Failing
	}
	return worse
}

// spent is the part of the token's life that is over; less than any for one that has no end.
func (s TokenState) spent() float64 {
	switch {
	case !s.Present:
		return -2
	case s.Expires.IsZero():
		return -1
	}
	return s.Age.Seconds() / max(s.Expires.Sub(s.Issued).Seconds(), 1e-3)
}

// earlier ignores what is not known.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

func unix(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
