//go:build linux

package main

import (
	"math"
	"slices"
)

// row is a line of the table: one figure for each peer, in each round.
type row struct {
	name, unit string
	digits     int
	// figures are those of a peer, one for each round; what was not measured in a round is NaN.
	figures map[string][]float64
}

// table is the rows in the order in which they were first measured.
type table struct{ rows []*row }

func (t *table) row(name string) *row {
	i := slices.IndexFunc(t.rows, func(r *row) bool { return r.name == name })
	if i < 0 {
		return &row{name: name}
	}
	return t.rows[i]
}

// add notes a figure of a round.
func (t *table) add(name, unit string, digits int, peer string, round int, figure float64) {
	r := t.row(name)
	if r.figures == nil {
		r.unit, r.digits, r.figures = unit, digits, map[string][]float64{}
		t.rows = append(t.rows, r)
	}
	for len(r.figures[peer]) <= round {
		r.figures[peer] = append(r.figures[peer], math.NaN())
	}
	r.figures[peer][round] = figure
}

// spread is a median with its quartiles.
type spread struct{ low, median, high float64 }

// figure is what was measured of a peer.
func (r *row) figure(peer string) (spread, bool) { return spreadOf(r.figures[peer]) }

// ratio is a peer's figure divided by another's of the same round: what makes the machine slower for a while makes both
// slower.
func (r *row) ratio(peer, to string) (spread, bool) {
	var ratios []float64
	theirs := r.figures[to]
	for i, figure := range r.figures[peer] {
		if i < len(theirs) && theirs[i] > 0 {
			ratios = append(ratios, figure/theirs[i])
		}
	}
	return spreadOf(ratios)
}

func spreadOf(figures []float64) (s spread, ok bool) {
	sorted := slices.DeleteFunc(slices.Clone(figures), math.IsNaN)
	slices.Sort(sorted)
	if len(sorted) == 0 {
		return s, false
	}
	return spread{quantile(sorted, 0.25), quantile(sorted, 0.5), quantile(sorted, 0.75)}, true
}

// quantile is one of what is sorted, between two neighbours where it falls between them.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 == len(sorted) {
		return sorted[i]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}
