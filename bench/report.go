//go:build linux

package main

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// report is a table with what has to be known of it.
type report struct {
	*table
	plan  plan
	peers []*peer
	began time.Time
	loads [2]string // load averages at its beginning and its end
	took  time.Duration
}

// columns are whom figures are of.
func (r *report) columns() (names []string) {
	for _, p := range r.peers {
		names = append(names, p.name)
	}
	return append(names, directName)
}

// figures is the table as Markdown, in columns for a terminal as well: medians, behind them the median of the ratios to
// nginx, and for Evergate the quartiles of these.
func (r *report) figures() string {
	names := r.columns()
	lines := [][]string{append([]string{"median of all rounds"}, append(names, "Evergate, ratios' quartiles")...)}
	for _, row := range r.rows {
		name := row.name
		if row.unit != "" {
			name += ", " + row.unit
		}
		line := []string{name}
		for _, peer := range names {
			line = append(line, row.cell(peer))
		}
		quartiles := ""
		if s, ok := row.ratio(evergateName, nginxName); ok && !row.small(nginxName) {
			quartiles = fmt.Sprintf("%.2f–%.2f ×", s.low, s.high)
		} else if s, ok := row.figure(evergateName); ok {
			quartiles = fmt.Sprintf("%.*f–%.*f", row.digits, s.low, row.digits, s.high)
		}
		lines = append(lines, append(line, quartiles))
	}
	return markdown(lines)
}

func (r *row) cell(peer string) string {
	s, ok := r.figure(peer)
	if !ok {
		return ""
	}
	text := fmt.Sprintf("%.*f", r.digits, s.median)
	if ratio, ok := r.ratio(peer, nginxName); ok && peer != nginxName && peer != directName && !r.small(nginxName) {
		text += fmt.Sprintf(" = %.2f ×", ratio.median)
	}
	return text
}

// small reports whether a figure is so little that nothing can be divided by it.
func (r *row) small(peer string) bool {
	s, _ := r.figure(peer)
	return s.median < 0.5*math.Pow10(-r.digits)*10
}

// goals is each goal with what was reached.
func (r *report) goals() string {
	lines := [][]string{{"goal for Evergate", "", "measured", ""}}
	for _, g := range goalsOf(r.plan) {
		s, ok := g.reached(r.table)
		if !ok {
			continue
		}
		name := g.row
		if unit := r.row(g.row).unit; unit != "" && g.to == "" {
			name += ", " + unit
		}
		verdict := g.verdict(s)
		if r.busy() && r.row(g.row).clocked() {
			verdict = "not judged: the machine was busy"
		}
		lines = append(lines, []string{name, g.String(), fmt.Sprintf("%.2f", s.median), verdict})
	}
	return markdown(lines)
}

// busy reports whether others wanted the machine as well.
func (r *report) busy() bool {
	for _, load := range r.loads {
		var last float64
		if _, err := fmt.Sscan(load, &last); err == nil && last > float64(cores())*1.5 {
			return true
		}
	}
	return false
}

// clocked reports whether a row's figures are of a clock on a wall, which goes on while somebody else has the core.
func (r *row) clocked() bool {
	if strings.HasPrefix(r.name, "CPU") {
		return false
	}
	return slices.Contains([]string{"µs", "ms", "MiB/s", "×"}, r.unit) && !strings.Contains(r.name, "CPU per MiB")
}

// markdown writes a table whose first line is its head, with cells of one width in a column.
func markdown(lines [][]string) string {
	width := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, cell := range line {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for n, line := range lines {
		for i, cell := range line {
			fmt.Fprintf(&b, "| %s%s ", cell, strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell)))
		}
		b.WriteString("|\n")
		if n == 0 {
			for i := range line {
				b.WriteString("|" + strings.Repeat("-", width[i]+2))
			}
			b.WriteString("|\n")
		}
	}
	return b.String()
}

// circumstances is a sentence about where and when.
func (r *report) circumstances() string {
	var versions []string
	for _, p := range r.peers {
		versions = append(versions, p.name+" "+p.version)
	}
	return fmt.Sprintf("%s; %s, %d cores, Linux %s; %s. Load average %s before and %s after; it took %s.\n",
		r.began.UTC().Format("2006-01-02 15:04 UTC"), processor(), cores(), firstLine("/proc/sys/kernel/osrelease"), strings.Join(versions, ", "),
		r.loads[0], r.loads[1], r.took.Round(time.Second))
}

func processor() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	_, rest, _ := strings.Cut(string(b), "model name\t: ")
	name, _, _ := strings.Cut(rest, "\n")
	return name
}

func firstLine(file string) string {
	b, _ := os.ReadFile(file)
	line, _, _ := strings.Cut(string(b), "\n")
	return line
}

func loadAverage() string {
	fields := strings.Fields(firstLine("/proc/loadavg"))
	if len(fields) < 3 {
		return "unknown"
	}
	return strings.Join(fields[:3], " ")
}
