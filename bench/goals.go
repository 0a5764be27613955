//go:build linux

package main

import "fmt"

// goal is what Evergate is to reach in a row: a ratio to another peer's figure, or a figure.
type goal struct {
	row  string
	to   string // the peer; empty: the figure itself
	most float64
	// least turns the goal round: so much at least.
	least bool
}

// The names of the peers that others have made.
const nginxName, haproxyName, caddyName = "nginx", "HAProxy", "Caddy"

// goalsOf are the goals for the rows of a plan.
func goalsOf(p plan) (goals []goal) {
	ratio := func(most float64, row string) { goals = append(goals, goal{row: row, to: nginxName, most: most}) }
	for _, name := range []string{cpuPost, cpuGet} {
		ratio(1.15, fmt.Sprintf(name, 1))
		for _, connections := range counts[1:] {
			ratio(1, fmt.Sprintf(name, connections))
		}
	}
	for _, name := range []string{cpuPost, cpuGet} {
		for _, connections := range counts {
			goals = append(goals, goal{row: fmt.Sprintf(name, connections), to: caddyName, most: 0.35})
		}
	}
	for _, rate := range rates {
		ratio(1, fmt.Sprintf("added p50 at %d requests a second", rate))
		ratio(1, fmt.Sprintf("added p99 at %d requests a second", rate))
	}
	goals = append(goals, goal{row: renewalRow, most: 1.05})
	ratio(1, restRow(0))
	ratio(1, restRow(64))
	ratio(1.5, restRow(1000))
	ratio(1.2, startRow)
	for _, way := range []string{"down", "up"} {
		goals = append(goals, goal{row: "256 MiB " + way + ", throughput", to: nginxName, most: 1, least: true},
			goal{row: "256 MiB " + way + ", growth of memory (RSS)", most: 2})
	}
	for _, call := range calls() {
		goals = append(goals, goal{row: allocationsRow(call.name), most: 0.5}) // the scrape and whatever goes on beside it
	}
	const roundTrips = 1.15
	return append(goals, goal{row: pauseRow(p), most: roundTrips * millis(distance)}, goal{row: firstRow, most: roundTrips * millis(distance)}, goal{row: sizeRow, most: 15})
}

// reached is what was measured; ok is false where it was not.
func (g goal) reached(t *table) (s spread, ok bool) {
	if g.to != "" {
		return t.row(g.row).ratio(evergateName, g.to)
	}
	return t.row(g.row).figure(evergateName)
}

// verdict says whether a goal is met, as far as the figures tell.
func (g goal) verdict(s spread) string {
	met, by := s.median <= g.most, s.median/g.most-1
	if g.least {
		met, by = s.median >= g.most, 1-s.median/g.most
	}
	text := "met"
	switch {
	case !met && by > 10:
		text = "missed"
	case !met:
		text = fmt.Sprintf("missed by %.0f %%", 100*by)
	}
	if s.low < g.most && g.most < s.high {
		text += ", and within the quartiles"
	}
	return text
}

func (g goal) String() string {
	sign, unit := "≤", ""
	if g.least {
		sign = "≥"
	}
	if g.to != "" {
		unit = " × " + g.to
	}
	return fmt.Sprintf("%s %.3g%s", sign, g.most, unit)
}
