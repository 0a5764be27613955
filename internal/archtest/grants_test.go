package archtest

import (
	"go/ast"
	gotoken "go/token"
	"slices"
	"strings"
	"testing"
)

// askers are the files that compare the grant with one of its kinds, and what they do for every other: a grant that is
// new is treated like that unless the file is changed.
var askers = map[string]string{
	"cmd/proxy/login.go":              "says that it is not the grant which a login obtains",
	"cmd/proxy/tokenimport.go":        "static and client_credentials do not use what is imported",
	"cmd/proxy/tokenrevoke.go":        "names the app by its client id",
	"cmd/proxy/tokenshow.go":          "looks at the store only for auto with a permanent token beside an app's credentials",
	"internal/config/credentials.go":  "wants an app's credentials for it",
	"internal/grantadmin/import.go":   "does not ask before a stored grant is replaced that can be obtained again",
	"internal/grantadmin/revoke.go":   "leaves the record of a grant that is not the offline one without a note",
	"internal/shopsfile/settings.go":  "wants an app's credentials for it",
	"internal/shopsfile/shopsfile.go": "lets its merchant log in",
	"cmd/proxy/tokenmigrateall.go":    "has no permanent token of the file's own",
	"internal/sidecar/directory.go":   "needs no place to rest in, unless EVERGATE_STORE names one",
	"internal/sidecar/many.go":        "keeps nothing unless EVERGATE_STORE says so; a permanent token of the settings rests there",
	"internal/sidecar/oneshop.go":     "keeps nothing unless EVERGATE_STORE says so",
	"internal/sidecar/shop.go":        "has no login",
	"internal/sidecar/storage.go":     "keeps nothing unless EVERGATE_STORE says so, and does not look for a refresh token to begin with",
}

// A grant that somewhere falls into another one's case works nearly, which is worse than not at all.
func TestEverySwitchOverGrantsHasThemAll(t *testing.T) {
	t.Parallel()
	all := files(t)
	grants := grantNames(t, all)
	switches := 0
	for _, f := range all {
		if !inHouse(f) {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SwitchStmt:
				has := grantsIn(f, n, grants)
				if len(has) == 0 || n.Tag == nil {
					return true
				}
				switches++
				for _, name := range grants {
					if !slices.Contains(has, name) {
						t.Errorf("%s: the switch has %q and not %s", f.at(n.Pos()), has, name)
					}
				}
			case *ast.BinaryExpr:
				if (n.Op == gotoken.EQL || n.Op == gotoken.NEQ) && (slices.Contains(grants, grantOf(f, n.X)) || slices.Contains(grants, grantOf(f, n.Y))) && askers[f.name] == "" {
					t.Errorf("%s: grants are compared: say in the list here what holds for every other grant, or write a switch", f.at(n.Pos()))
				}
			}
			return true
		})
	}
	if switches < 4 {
		t.Errorf("only %d switches over grants were found", switches)
	}
}

// grantNames are the constants of internal/config that are grants: all values of Grant but auto, which stands for one of the others.
func grantNames(t *testing.T, all []file) (names []string) {
	for _, f := range all {
		if f.dir() != "internal/config" || f.isTest() {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, "Grant") && len(spec.Values) == 1 && spec.Names[0].Name != "GrantAuto" {
				names = append(names, spec.Names[0].Name)
			}
			return true
		})
	}
	if len(names) < 3 {
		t.Fatalf("the grants are %q?", names)
	}
	return names
}

// grantsIn are the grants that a switch has cases for.
func grantsIn(f file, s *ast.SwitchStmt, grants []string) (names []string) {
	for _, clause := range s.Body.List {
		for _, e := range clause.(*ast.CaseClause).List {
			if name := grantOf(f, e); slices.Contains(grants, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// grantOf is the constant of internal/config that an expression is, if it may be one.
func grantOf(f file, e ast.Expr) string {
	if sel, ok := e.(*ast.SelectorExpr); ok {
		if pkg, ok := sel.X.(*ast.Ident); ok && f.imports()[pkg.Name] == module+"/internal/config" {
			return sel.Sel.Name
		}
	}
	if id, ok := e.(*ast.Ident); ok && f.dir() == "internal/config" {
		return id.Name
	}
	return ""
}
