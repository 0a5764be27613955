//go:build linux

package libraries

import (
	"path/filepath"
	"strings"
	"testing"

	"evergate/test/process"
)

// The programs of examples that are for other languages than a system comes with do as they say, in every way.
func TestExamplesRun(t *testing.T) {
	if testing.Short() {
		t.Skip("runs programs: not with -short")
	}
	k := newKit(t)
	examples, err := filepath.Abs("../../../examples")
	if err != nil {
		t.Fatal(err)
	}
	k.build(t, filepath.Join(examples, "go", "products"), "install Go", "go", "build", "-o", filepath.Join(k.dir, "example-go"), ".")
	for name, command := range map[string][]string{
		"node": {k.interpreter(node22)[0], filepath.Join(examples, "node", "products.mjs")},
		"go":   {filepath.Join(k.dir, "example-go")},
		"java": {"java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", filepath.Join(examples, "java", "Products.java")},
	} {
		for _, way := range modes {
			t.Run(name+"/"+strings.ReplaceAll(string(way), " ", "_"), func(t *testing.T) {
				t.Parallel()
				k.starts <- struct{}{}
				defer func() { <-k.starts }()
				_, p := k.startCommand(t, way, name == "java", func(string) []string { return command })
				if code := p.ExitWithin(t, 4*process.Patience); code != 0 {
					t.Fatalf("exit code %d", code)
				}
				lines := strings.Split(strings.TrimSpace(p.Out.String()), "\n")
				if len(lines) != products+2 || lines[products] != "Lamp" || lines[products+1] != "Acme" {
					t.Errorf("%d lines, of which the last are %q; want %d products, Lamp and the shop's name", len(lines), lines[max(0, len(lines)-2):], products)
				}
			})
		}
	}
}
