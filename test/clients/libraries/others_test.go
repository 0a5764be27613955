//go:build linux

package libraries

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"evergate/test/process"
)

// other is a library of testdata/node/others.mjs, which the environment leads to Evergate or not. With a base URL and with a hosts file any of
// them works.
type other struct {
	name  string
	fails []runtime
	mind  string
}

// runtimes read a proxy from their environment.
var runtimes = []struct {
	runtime runtime
	title   string
}{{node22, "Node 22"}, {node26, "Node 26"}, {bun, "Bun 1.4"}, {deno, "Deno 2.9"}}

var others = []other{
	{name: "fetch", mind: "so also graphql-request, ky and whatever else has no client of its own; on Node 22 not in a program that imports undici"},
	{name: "node:https"},
	{name: "node:https with an agent of its own", fails: []runtime{node22, node26, bun}, mind: "`new https.Agent({ proxyEnv: process.env })` reads it on Node and Bun"},
	{name: "node-fetch"},
	{name: "got"},
	{name: "axios 0.27", mind: "sends even https as a plain request to the proxy, as Ruby does"},
	{name: "superagent", fails: []runtime{node22, node26, bun}, mind: "has an agent of its own"},
	{name: "undici", fails: []runtime{node22, deno}, mind: "version 8, with its own `request` and `fetch`"},
}

func TestOtherLibrariesAreLed(t *testing.T) {
	t.Parallel()
	k := &kit{modules: process.NodeModules(t, modulesName)}
	t.Run("runtime", func(t *testing.T) {
		for _, r := range runtimes {
			t.Run(r.title, func(t *testing.T) {
				t.Parallel()
				l := library{program: "node/others.mjs", runtime: r.runtime}
				s, p := k.startCommand(t, byRun, false, func(url string) []string { return k.command(t, l, url) })
				if code := p.ExitWithin(t, 2*process.Patience); code != 0 {
					t.Fatalf("exit code %d", code)
				}
				led := 0
				for _, o := range others {
					works := strings.Contains("\n"+p.Out.String(), "\n"+o.name+": Acme\n")
					if want := !slices.Contains(o.fails, r.runtime); works != want {
						t.Errorf("%s works: %v, want %v: %s", o.name, works, want, p.Out.String())
					}
					if works {
						led++
					}
				}
				if n := s.Stats().Routes["rest:shop"][200]; n != led || strings.Count(p.Out.String(), "\n") != len(others) {
					t.Errorf("%d calls reached Shopify, of %d libraries that work: %s", n, led, p.Out.String())
				}
			})
		}
	})
	if t.Failed() {
		return
	}
	var b strings.Builder
	b.WriteString("\n| library, by `evergate run --` |")
	for _, r := range runtimes {
		fmt.Fprintf(&b, " %s |", r.title)
	}
	b.WriteString(" mind |\n|" + strings.Repeat("---|", len(runtimes)+2) + "\n")
	for _, o := range others {
		fmt.Fprintf(&b, "| %s |", o.name)
		for _, r := range runtimes {
			fmt.Fprintf(&b, " %s |", map[bool]string{true: "yes", false: "**no**"}[!slices.Contains(o.fails, r.runtime)])
		}
		fmt.Fprintf(&b, " %s |\n", o.mind)
	}
	inManual(t, "node", b.String()+"\n")
}
