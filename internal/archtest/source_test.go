package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const (
	root   = "../.."
	module = "evergate"
)

// file is a Go file of this module.
type file struct {
	name string // relative to the module's root, with slashes
	fset *token.FileSet
	ast  *ast.File
}

// dir is the file's package, relative to the module: "internal/token".
func (f file) dir() string { return path.Dir(f.name) }

func (f file) isTest() bool { return strings.HasSuffix(f.name, "_test.go") }

// at names a place for a person, and for an editor to jump to.
func (f file) at(pos token.Pos) string {
	return f.name + ":" + strconv.Itoa(f.fset.Position(pos).Line)
}

// imports maps the name that each import has in this file to its path.
func (f file) imports() map[string]string {
	names := map[string]string{}
	for _, spec := range f.ast.Imports {
		target, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser has accepted it, so this cannot happen
		}
		name := path.Base(target)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = target
	}
	return names
}

// uses calls found for each use of a name of an imported package, such as os.Exit.
func (f file) uses(found func(pkg, name string, at *ast.SelectorExpr)) {
	imports := f.imports()
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && imports[x.Name] != "" && x.Obj == nil {
				found(imports[x.Name], sel.Sel.Name, sel)
			}
		}
		return true
	})
}

// files are all Go files of the module, parsed once.
func files(t *testing.T) []file {
	t.Helper()
	all, err := parseAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 50 {
		t.Fatalf("%d files: this is not the module", len(all))
	}
	return all
}

var parseAll = sync.OnceValues(func() ([]file, error) {
	var all []file
	fset := token.NewFileSet()
	err := walk(".go", func(name string) error {
		tree, err := parser.ParseFile(fset, filepath.Join(root, name), nil, parser.ParseComments)
		all = append(all, file{name, fset, tree})
		return err
	})
	return all, err
})

// walk calls found for the module's files with an extension, without those of other
// modules inside it and those that are no part of the source.
func walk(ext string, found func(name string) error) error {
	return filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name == root {
				return nil
			}
			base := d.Name()
			_, err := os.Stat(filepath.Join(name, "go.mod"))
			if err == nil || strings.HasPrefix(base, ".") || base == "testdata" || base == "bin" || base == "dist" || base == "node_modules" {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ext {
			return nil
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		return found(filepath.ToSlash(rel))
	})
}
