package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"evergate/internal/admin"
	"evergate/internal/config"
	"evergate/internal/grantadmin"
	"evergate/internal/printable"
	"evergate/internal/sidecar"
)

// statusCommand shows in a terminal what the status page shows.
func statusCommand() action {
	watch, asJSON, every, shop := false, false, 2*time.Second, ""
	return action{
		flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&watch, "watch", false, "go on showing it until Ctrl-C")
			fs.BoolVar(&asJSON, "json", false, "print the JSON of /status; with --watch a line each time")
			shopFlag(fs, &shop)
			fs.DurationVar(&every, "every", every, "how often --watch looks")
		},
		run: func(w env) error {
			c, err := newAdminClient(w.environ)
			if err != nil {
				return err
			}
			if every < probeEvery {
				return configError(fmt.Errorf("--every %s: give %s or more", every, probeEvery))
			}
			ctx, stop := w.untilSignal()
			defer stop()
			if !watch {
				return unlessInterrupted(ctx, showStatus(ctx, w, c, forShop("/status", shop), asJSON))
			}
			return watchStatus(ctx, w, c, forShop("/status", shop), asJSON, every)
		},
	}
}

// showStatus prints how the sidecar fares; the error carries only an exit code if that has been said.
func showStatus(ctx context.Context, w env, c *admin.Client, path string, asJSON bool) error {
	text, report, err := askStatus(ctx, c, path)
	if err != nil {
		return err
	}
	if asJSON {
		_, err = w.out.Write(text)
	} else {
		err = printStatus(w.out, w.colours(), report, time.Now())
	}
	if err == nil && !isWell(report) {
		return &exitError{exitFailure, nil}
	}
	return err
}

// isWell reports whether tools are served, as far as the sidecar knows. A warning says that they are.
func isWell(r admin.FleetReport) bool { return r.Ready && r.Verdict.Level != admin.LevelError }

func askStatus(ctx context.Context, c *admin.Client, path string) (text []byte, r admin.FleetReport, _ error) {
	text, err := c.Get(ctx, path)
	if err != nil {
		return nil, r, err
	}
	shown, err := forTerminal(text)
	if err == nil {
		err = json.Unmarshal(shown, &r)
	}
	if err != nil {
		return nil, r, fmt.Errorf("what answers there is no sidecar: %w", err)
	}
	return text, r, nil
}

// forTerminal is a JSON text with strings that a terminal shows and does not obey: Shopify, callers and whatever else listens
// there have a hand in them.
func forTerminal(text []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more follows its JSON")
	}
	return json.Marshal(visible(v))
}

func visible(v any) any {
	switch v := v.(type) {
	case string:
		return printable.Line(v)
	case []any:
		for i := range v {
			v[i] = visible(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = visible(v[name])
		}
	}
	return v
}

// clearScreen has a terminal show what follows from its first line on.
func clearScreen(escape string) string { return escape + "[H" + escape + "[2J" + escape + "[3J" }

// watchStatus shows it again and again, on a terminal always at the same place, until ctx is done or nobody takes what is
// written. A sidecar that is away may come back.
func watchStatus(ctx context.Context, w env, c *admin.Client, path string, asJSON bool, every time.Duration) error {
	terminal := sidecar.IsTerminal(w.out)
	resized, stop := resizes()
	defer stop()
	for before := ""; ; {
		var screen bytes.Buffer
		text, report, err := askStatus(ctx, c, path)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && asJSON:
			fmt.Fprintln(w.err, "evergate:", err)
		case err != nil:
			fmt.Fprintln(&screen, w.colours().red(err.Error()))
		case asJSON:
			_ = json.Compact(&screen, text) // askStatus has read it
			screen.WriteByte('\n')
		default:
			_ = printStatus(&screen, w.colours(), report, time.Now()) // a buffer takes everything
		}
		var unwritten error
		switch {
		case terminal && !asJSON:
			_, unwritten = io.WriteString(w.out, clearScreen(escapeOn(w.out))+fit(screen.String(), sizeOf(w.out), escapeOn(w.out)))
		case asJSON || screen.String() != before || readerLeft(w.out): // a file or a pipe gets what is new, and fails if nobody reads it
			_, unwritten = w.out.Write(screen.Bytes())
		}
		if unwritten != nil {
			return unwritten
		}
		before = screen.String()
		if !sleepOrResize(ctx, every, resized) {
			return nil
		}
	}
}

func printStatus(to io.Writer, c colours, r admin.FleetReport, now time.Time) error {
	fmt.Fprintln(to, c.bold(colourOf(c, r.Verdict.Level)(r.Verdict.Text)))
	if r.Verdict.WhatToDo != "" {
		fmt.Fprintln(to, "What to do:", r.Verdict.WhatToDo)
	}
	for _, v := range r.Also {
		fmt.Fprintln(to, colourOf(c, v.Level)("- "+strings.TrimSpace(v.Text+" "+v.WhatToDo)))
	}
	what := r.Shop + ", with " + config.GrantInWords(r.Grant)
	if r.Shops != nil {
		what = "many shops"
	}
	fmt.Fprintf(to, "\n%s; Evergate %s, up for %s\n\n", what, r.Version, grantadmin.Span(now.Sub(r.Started)))
	table := tabwriter.NewWriter(to, 0, 0, 3, ' ', 0)
	for _, row := range statusRows(r, now) {
		for i, text := range row.lines {
			name := ""
			if i == 0 {
				name = row.name
			}
			fmt.Fprintf(table, "%s\t%s\n", name, text)
		}
	}
	if err := table.Flush(); err != nil || len(r.Shops) == 0 {
		return err
	}
	return printShops(to, r)
}

// printShops is the table of shops.
func printShops(to io.Writer, r admin.FleetReport) error {
	table := tabwriter.NewWriter(to, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "\nSHOP\tSTATE\tLEFT\tLAST ERROR")
	for _, s := range r.Shops {
		left := "-"
		if s.TokenLeft != nil {
			left = grantadmin.Span(time.Duration(*s.TokenLeft) * time.Second)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", s.Shop, s.State, left, s.LastError)
	}
	if r.Next != "" {
		fmt.Fprintf(table, "…\tand more after %s: --shop NAME shows one\n", r.Next)
	}
	return table.Flush()
}

// forShop is the path of an admin listener that is about a shop; empty: about the process.
func forShop(path, shop string) string {
	if shop == "" {
		return path
	}
	return path + "?shop=" + url.QueryEscape(shop)
}

func colourOf(c colours, level admin.Level) func(string) string {
	switch level {
	case admin.LevelOK:
		return c.green
	case admin.LevelWarning:
		return c.yellow
	}
	return c.red
}

// statusRow is something of the status, on one line or several.
type statusRow struct {
	name  string
	lines []string
}

// statusRows leaves out what is not known.
func statusRows(r admin.FleetReport, now time.Time) (rows []statusRow) {
	add := func(name string, lines ...string) {
		if len(lines) > 0 {
			rows = append(rows, statusRow{name, lines})
		}
	}
	if r.Shops == nil {
		add("token", tokenInWords(r, now))
	} else {
		words := fmt.Sprintf("%d active, %d listed", r.Fleet.Active, r.Fleet.Listed)
		if r.Fleet.Stored != nil {
			words += fmt.Sprintf(", %d stored", *r.Fleet.Stored)
		}
		add("shops", words+fmt.Sprintf("; %d failing, %d need a person", r.Fleet.Failing, r.Fleet.NeedPerson))
	}
	var tools []string
	for _, t := range r.Tools {
		tools = append(tools, t.URL)
	}
	add("tools call", tools...)
	if r.Policy != "" {
		add("may do", r.Policy)
	}
	if c := r.Calls; c != nil {
		add("calls", fmt.Sprintf("%.0f in the last hour, %.0f failed, %.0f waited for the rate limit", c.HourCalls, c.HourFailed, c.HourWaited),
			fmt.Sprintf("%.0f in the last %d minutes, %.0f failed", c.RecentCalls, c.RecentMinutes, c.RecentFailed))
	}
	var failing, callers, limits, versions []string
	for _, f := range r.Unsuccessful {
		by := "by Shopify"
		if f.Code != "" {
			by = f.Code
		}
		failing = append(failing, fmt.Sprintf("%s: %d %s, %s, %s ago", f.Route, f.Status, by, counted(float64(f.Count), "time"), grantadmin.Span(now.Sub(f.Last))))
	}
	add("no success", failing...)
	for _, c := range r.Callers {
		callers = append(callers, fmt.Sprintf("%s: %s, %.0f denied, %d waited", c.Name, counted(c.Calls, "call"), c.Denied, c.Waits))
	}
	add("callers", callers...)
	for _, l := range r.RateLimits {
		limits = append(limits, fmt.Sprintf("%s: room for %.0f of %.0f", l.API, l.Available, l.Capacity))
	}
	add("rate limits", limits...)
	add("pacing", pacingInWords(r.Pacing, now))
	for _, v := range r.APIVersions {
		text := fmt.Sprintf("%s: %s", v.Version, counted(v.Calls, "call"))
		switch date := v.Retires.UTC().Format(time.DateOnly); {
		case v.Retires.IsZero():
		case v.Retires.After(now):
			text += ", served until " + date
		default:
			text += ", retired on " + date
		}
		versions = append(versions, text)
	}
	add("API versions", versions...)
	return rows
}

// counted is a number of things.
func counted(n float64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%.0f %ss", n, what)
}

func tokenInWords(r admin.FleetReport, now time.Time) string {
	words := r.State
	if !r.TokenExpires.IsZero() {
		words += ", ends in " + grantadmin.Span(r.TokenExpires.Sub(now))
		if r.TokenExpires.Before(now) {
			words = r.State + ", ended " + grantadmin.Span(now.Sub(r.TokenExpires)) + " ago"
		}
	}
	if r.NextRenewal.After(now) {
		words += ", is renewed in " + grantadmin.Span(r.NextRenewal.Sub(now))
	}
	if r.NextAttempt.After(now) && r.LastError != "" {
		words += "; the next attempt is in " + grantadmin.Span(r.NextAttempt.Sub(now))
	}
	return words
}

func pacingInWords(p admin.PacingReport, now time.Time) string {
	if !p.On {
		return "off"
	}
	words := fmt.Sprintf("%.0f waited, %.0f refused, Shopify throttled %.0f", p.Waited, p.Refused, p.Throttled)
	if p.LongestSeconds > 0 {
		words += fmt.Sprintf("; the longest wait was %.1f s: %s, %s ago", p.LongestSeconds, p.LongestCaller, grantadmin.Span(now.Sub(p.LongestAt)))
	}
	return words
}
