package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// scenario is one way of calling, under one load.
type scenario struct {
	api     string
	way     string
	callers int
}

// The ways, in the order of the table.
const (
	paced   = "Evergate"
	plain   = "no waiting"
	backoff = "client back-off"
)

var (
	ways = []string{paced, plain, backoff}
	apis = []string{"REST", "GraphQL"}
	crew = []int{1, 20, 200}
)

func main() {
	length := flag.Duration("for", time.Minute, "how long each scenario runs")
	out := flag.String("out", "docs/using", "where the plot goes; empty: nowhere")
	flag.Parse()
	if err := run(*length, *out); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(length time.Duration, out string) (err error) {
	dir, err := os.MkdirTemp("", "evergate-pacing-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx := context.Background()
	binary, err := build(ctx, dir)
	if err != nil {
		return err
	}
	results := map[scenario]result{}
	for _, way := range ways {
		// The scenarios of one way run side by side: each has a shop and a sidecar of its own,
		// and nearly all of the time they wait.
		type one struct {
			scenario
			result
			err error
		}
		done := make(chan one)
		n := 0
		for _, api := range apis {
			for _, callers := range crew {
				s := scenario{api, way, callers}
				n++
				go func() {
					r, err := measure(ctx, dir, binary, s, length)
					done <- one{s, r, err}
				}()
			}
		}
		for range n {
			d := <-done
			if d.err != nil {
				return fmt.Errorf("%v: %w", d.scenario, d.err)
			}
			results[d.scenario] = d.result
		}
	}
	table(results, length)
	if out == "" {
		return nil
	}
	return os.WriteFile(filepath.Join(out, "rate-limits.svg"), []byte(plot(results, length)), 0o644)
}

// table prints the results as Markdown.
func table(results map[scenario]result, length time.Duration) {
	fmt.Println("| API | callers | way | served | of what the bucket gives | refused | median wait | 95 % wait at most |")
	fmt.Println("|---|---|---|---|---|---|---|---|")
	for _, api := range apis {
		for _, callers := range crew {
			for _, way := range ways {
				r := results[scenario{api, way, callers}]
				most := possible(api, r.need, r.cost, length)
				fmt.Printf("| %s | %d | %s | %d | %.0f %% | %d | %s | %s |\n", api, callers, way, len(r.served), 100*float64(len(r.served))/float64(most),
					len(r.refused), quantile(r.served, 0.5).Round(10*time.Millisecond), quantile(r.served, 0.95).Round(10*time.Millisecond))
			}
		}
	}
}

// possible is what a bucket gives to somebody who knows it perfectly.
func possible(api string, need, cost float64, length time.Duration) int {
	size, rate := 40.0, 2.0
	if api == "GraphQL" {
		size, rate = 2000, 100
	}
	level, now, n := size, 0.0, 0
	for now <= length.Seconds() {
		if level < need {
			now += (need - level) / rate
			level = need
			continue
		}
		level -= cost
		n++
	}
	return n
}

func quantile(calls []call, q float64) time.Duration {
	if len(calls) == 0 {
		return 0
	}
	took := make([]time.Duration, len(calls))
	for i, c := range calls {
		took[i] = c.took
	}
	slices.Sort(took)
	return took[int(q*float64(len(took)-1))]
}
