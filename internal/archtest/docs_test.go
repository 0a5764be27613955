package archtest

import (
	"go/ast"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// page is a page of the manual, as it stands.
func page(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// quoted are names between backquotes.
var quoted = regexp.MustCompile("`([^`]+)`")

func quotedIn(s string) (names []string) {
	for _, m := range quoted.FindAllStringSubmatch(s, -1) {
		names = append(names, m[1])
	}
	slices.Sort(names)
	return names
}

// The table of packages is what a newcomer reads first, so it has them all, and what it says of
// imports is what the matrix says.
func TestTheTableOfPackagesIsTheMatrix(t *testing.T) {
	t.Parallel()
	rows := map[string]string{} // what a package must not know
	for line := range strings.Lines(page(t, "docs/architecture.md")) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		name, ok := strings.CutPrefix(cells[0], "| `")
		if name = strings.TrimSuffix(name, "`"); ok && len(cells) == 3 && (strings.HasPrefix(name, "internal/") && !strings.Contains(name, ".") || name == "cmd/proxy") {
			rows[name] = strings.TrimSuffix(cells[2], " |")
		}
	}
	for dir, imports := range mayImport {
		mustNot, ok := rows[dir]
		if !ok {
			if dir != "internal/archtest" && strings.Count(dir, "/") < 2 { // a suite such as storetest is on its package's row
				t.Errorf("docs/architecture.md: the table of packages lacks %s", dir)
			}
			continue
		}
		if rest, ok := strings.CutPrefix(mustNot, "any other package"); ok {
			if said, allowed := quotedIn(rest), slices.Sorted(slices.Values(imports.ours)); !slices.Equal(said, allowed) {
				t.Errorf("docs/architecture.md: %s must not know any other package but %q, and may import %q", dir, said, allowed)
			}
		}
	}
	for name := range rows {
		if _, ok := mayImport[name]; !ok {
			t.Errorf("docs/architecture.md: the table has %s, which is no package", name)
		}
	}
}

// A code that a client meets is looked for in the manual.
func TestEveryCodeOfADenialIsInTheManual(t *testing.T) {
	t.Parallel()
	codes := map[string]bool{}
	for _, f := range files(t) {
		if f.name != "internal/denial/denial.go" {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 || !strings.HasPrefix(spec.Names[0].Name, "Code") {
				return true
			}
			if lit, ok := spec.Values[0].(*ast.BasicLit); ok {
				code, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				codes[code] = true
			}
			return true
		})
	}
	status := regexp.MustCompile(`^\d{3}(, \d{3})?$`)
	inManual := map[string]bool{}
	for line := range strings.Lines(page(t, "docs/reference/errors.md")) {
		cells := strings.Split(strings.TrimPrefix(line, "| "), " | ")
		if len(cells) == 4 && status.MatchString(cells[0]) {
			for _, code := range quotedIn(cells[1]) {
				inManual[code] = true
			}
		}
	}
	if len(codes) < 20 || !maps.Equal(codes, inManual) {
		t.Errorf("internal/denial has the codes\n%q\nand docs/reference/errors.md\n%q", slices.Sorted(maps.Keys(codes)), slices.Sorted(maps.Keys(inManual)))
	}
}

// What is linked for what, and what it costs, is said of each module that go.mod names for a reason of ours.
func TestTheArchitecturePageHasEveryDependency(t *testing.T) {
	t.Parallel()
	_, dependencies, found := strings.Cut(page(t, "docs/architecture.md"), "## Dependencies")
	modules := 0
	for line := range strings.Lines(page(t, "go.mod")) {
		module, _, direct := strings.Cut(strings.TrimSpace(line), " v")
		if !direct || strings.Contains(line, "// indirect") || strings.HasPrefix(line, "replace ") {
			continue
		}
		modules++
		name := strings.TrimPrefix(module, "github.com/")
		for strings.Contains(name, "/") && !strings.Contains(dependencies, "`"+name+"`") && !strings.Contains(dependencies, "`"+name+"/") {
			name = path.Dir(name) // a module may be named by the one that it belongs to
		}
		if !strings.Contains(name, "/") {
			t.Errorf("docs/architecture.md says nothing of %s, below Dependencies", module)
		}
	}
	if !found || modules < 10 {
		t.Errorf("%d modules, and the section is there: %t", modules, found)
	}
}
