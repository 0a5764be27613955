package process

import (
	"strconv"
	"strings"
)

// Metric reads the sum of the series of a scrape that carry all labels, each written as
// label="value". It reports false when there is no such series.
func Metric(scrape, name string, labels ...string) (sum float64, found bool) {
lines:
	for line := range strings.Lines(scrape) {
		series, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if base, _, _ := strings.Cut(series, "{"); base != name {
			continue
		}
		for _, l := range labels {
			if !strings.Contains(series, l) {
				continue lines
			}
		}
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			sum, found = sum+v, true
		}
	}
	return sum, found
}
