package guard

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Summary says for people who may do what.
func (a *Access) Summary() string {
	book := a.policies.Load()
	if book.byDefault == nil {
		return "nobody may do anything" // the policy file has a mistake, which is said elsewhere
	}
	parts := []string{"by default " + book.byDefault.describe()}
	for _, name := range slices.Sorted(maps.Keys(book.byCaller)) {
		parts = append(parts, name+" "+book.byCaller[name].describe())
	}
	if len(parts) > 6 {
		parts = append(parts[:6], fmt.Sprintf("%d more callers", len(parts)-6))
	}
	if ring := a.keys.Load(); ring != nil {
		parts = append(parts, fmt.Sprintf("keys: %d", len(ring.keys)))
	}
	if len(a.peers) > 0 {
		parts = append(parts, fmt.Sprintf("peers at Unix sockets: %d rules", len(a.peers)))
	}
	return strings.Join(parts, ", ")
}

func (p *Policy) describe() string {
	if p.report {
		return p.name + " (reported only)"
	}
	return p.name
}

// CertificateEnds is when the certificate of tls: listeners ends; false: there is none.
func (a *Access) CertificateEnds() (time.Time, bool) {
	config := a.tls.Load()
	if config == nil {
		return time.Time{}, false
	}
	return config.Certificates[0].Leaf.NotAfter, true
}
