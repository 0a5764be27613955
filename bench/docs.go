//go:build linux

package main

import (
	"debug/buildinfo"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// why says what stands between Evergate and the goals that it misses. The shares are those of `-profile`.
//
//go:embed why.md
var why string

const (
	pageName = "performance.md"
	plotName = "performance.svg"
)

// writeDocs writes the page and its plot.
func (r *report) writeDocs(dir string) error {
	var b strings.Builder
	b.WriteString(`# Evergate beside other proxies

What it costs to have a proxy add the token, of Evergate and of those that somebody would use in its place, measured in one run on
one machine. ` + "`make bench-peers`" + ` has written this page; [bench/README.md](../../bench/README.md) says how it measures, and
what not to conclude. Only the ratios mean anything elsewhere.

Evergate runs as a release does, with everything on that is on by default: the guard, pacing, metrics, replay, the token renewed from
a file store. The others add a token that they were given, and do nothing else. The bare relay is a hundred lines of Go that
check nothing: about the least that a proxy in Go can need.

![Ratios to nginx](` + plotName + `)

`)
	if r.plan.rounds == quick.rounds {
		b.WriteString("This was a quick run, with so few rounds that only large differences mean anything.\n\n")
	}
	if r.busy() {
		b.WriteString("The machine was busy with other things while this was measured. Ratios of CPU time bear that to some degree, memory, sizes and\ncounts bear it well; latencies, starts and throughputs do not, and are here to be measured again.\n\n")
	}
	b.WriteString(r.circumstances() + "\n## Goals\n\n" + r.goals() + "\n" + strings.ReplaceAll(why, "](../docs/", "](../") + "\n## Figures\n\n" + r.figures())
	b.WriteString("\nDirect is the same upstream without a proxy: over TCP alone for latencies, over TLS for curl. Behind a figure is the median\nof its ratios to nginx's figure of the same round.\n\n## Configurations\n")
	for _, p := range r.peers {
		if p.config != "" {
			fmt.Fprintf(&b, "\n%s %s:\n\n```\n%s```\n", p.name, p.version, readable(p.config))
		}
	}
	b.WriteString("\nEvergate, as `evergate serve` with these settings and no others:\n\n```\n" + strings.Join(environ(place{
		dir: "DIR", upstream: "UPSTREAM", ca: "CA_FILE", listen: "LISTEN", admin: "ADMIN"}), "\n") + "\n```\n")
	return errors.Join(os.WriteFile(filepath.Join(dir, pageName), []byte(b.String()), 0o644), os.WriteFile(filepath.Join(dir, plotName), []byte(r.plot()), 0o644))
}

// readable has words where a configuration has something that differs in each run.
func readable(config string) string {
	user := ""
	if strings.Contains(config, "%[6]sdaemon") {
		user = "user root;\n"
	}
	return strings.NewReplacer("%[6]sdaemon", user+"daemon", "%[1]s", "LISTEN", "%[2]s", "UPSTREAM", "%[3]s", shop, "%[4]s", "TOKEN", "%[5]s", "CA_FILE", "%[6]s", "PORT").Replace(config)
}

// moduleVersion is that of a program in Go, with what it was built with.
func moduleVersion(program string) string {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return "of unknown version"
	}
	return info.Main.Version + " with " + info.GoVersion
}

// goVersion is what a program was built with.
func goVersion(program string) string {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return "an unknown Go"
	}
	return info.GoVersion
}
