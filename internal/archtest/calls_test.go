package archtest

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// inHouse reports whether a file is part of the binary. Suites such as storetest are not.
func inHouse(f file) bool {
	return !f.isTest() && !strings.HasSuffix(f.dir(), "test") && (strings.HasPrefix(f.name, "cmd/") || strings.HasPrefix(f.name, "internal/"))
}

// Everything else returns an error that carries its exit code, so that deferred calls run
// and a test can ask for the code.
func TestTheProcessIsEndedInOnePlace(t *testing.T) {
	t.Parallel()
	for _, f := range files(t) {
		if !inHouse(f) {
			continue
		}
		f.uses(func(pkg, name string, at *ast.SelectorExpr) {
			ends := pkg == "os" && name == "Exit" || pkg == "syscall" && name == "Exit" || pkg == "log" && (strings.HasPrefix(name, "Fatal") || strings.HasPrefix(name, "Panic"))
			if ends && (f.name != "cmd/proxy/main.go" || name != "Exit") {
				t.Errorf("%s: %s.%s ends the process", f.at(at.Pos()), pkg, name)
			}
		})
	}
}

// The globals of net/http have no time-outs and are shared with everybody.
func TestGlobalsOfNetHTTPAreNotUsed(t *testing.T) {
	t.Parallel()
	global := []string{"DefaultClient", "DefaultServeMux", "DefaultTransport"}
	hidden := []string{"Get", "Head", "Post", "PostForm", "Handle", "HandleFunc"} // these use them
	for _, f := range files(t) {
		f.uses(func(pkg, name string, at *ast.SelectorExpr) {
			if pkg == "net/http" && (slices.Contains(global, name) || inHouse(f) && slices.Contains(hidden, name)) {
				t.Errorf("%s: http.%s", f.at(at.Pos()), name)
			}
		})
	}
}

// answerers are the files that may write a status by themselves, and how they keep what every answer of Evergate's own
// has that is no success: X-Evergate-Error.
var answerers = map[string]string{
	"internal/denial/denial.go":   "writes it",
	"internal/front/response.go":  "writes what a handler says",
	"internal/inject/response.go": "passes Shopify's answers on, which have none",
	"internal/admin/admin.go":     "successes as JSON, and probes, which get it from sayUnavailable",
	"internal/admin/deny.go":      "what comes from elsewhere, to which it adds the header",
	"internal/login/page.go":      "pages, which get it from writeErrorPage",
}

func TestErrorsAreAnsweredInOnePlace(t *testing.T) {
	t.Parallel()
	for _, f := range files(t) {
		if !inHouse(f) || f.dir() == "internal/shopsim" {
			continue // the simulator's answers are Shopify's
		}
		f.uses(func(pkg, name string, at *ast.SelectorExpr) {
			if pkg == "net/http" && (name == "Error" || name == "NotFound" || name == "NotFoundHandler") {
				t.Errorf("%s: http.%s has neither X-Evergate-Error nor Evergate's shape: answer with a denial.Error", f.at(at.Pos()), name)
			}
		})
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "WriteHeader" && answerers[f.name] == "" {
				t.Errorf("%s: a status is written: answer with a denial.Error, or say in the list here why not", f.at(sel.Pos()))
			}
			return true
		})
	}
}

// revealers are the files that may see the value of a secret, and what for.
var revealers = map[string]string{
	"internal/admin/client.go":        "the header of an order to a sidecar",
	"internal/sidecar/storage.go":     "the text of a store's key, for its parser",
	"cmd/proxy/childenv.go":           "the key of a command that run starts, in the proxy's address that it gets",
	"cmd/proxy/key.go":                "evergate key, whose work is to show a new key",
	"internal/grantadmin/import.go":   "checks that what a person gave can be a token",
	"cmd/proxy/tokenshow.go":          "token show --reveal",
	"internal/shopify/client.go":      "the header of a call of our own to Shopify",
	"internal/token/secret.go":        "defines it, and compares",
	"internal/config/load.go":         "hands a file's content to the parser",
	"internal/config/secret.go":       "the client id, which is kept like a secret but is none",
	"internal/config/proxy.go":        "a proxy's address, which has its password in it, for the dialler",
	"internal/config/check.go":        "recognises values that stand in the wrong place",
	"cmd/proxy/tokenprint.go":         "what the command is for",
	"internal/config/credentials.go":  "recognises values that stand in the wrong place",
	"internal/shopsfile/settings.go":  "recognises values that stand in the wrong place",
	"internal/shopsfile/shopsfile.go": "the client id, which is kept like a secret but is none",
	"internal/grant/endpoint.go":      "the body of the POST to the token endpoint",
	"internal/grant/secrets.go":       "the body of the POST to the token endpoint",
	"internal/grant/offline.go":       "the body of the POST to the token endpoint",
	"internal/grant/authorize.go":     "the key of a callback's HMAC",
	"internal/grant/sessiontoken.go":  "a session token, to verify its signature",
	"internal/grant/static.go":        "checks that it can travel in a header",
	"internal/redisstore/failure.go":  "takes passwords out of what the server says",
	"internal/pgstore/beside.go":      "the pair that is written into the row of an app, which reads it there",
	"internal/refresh/rotate.go":      "a fingerprint, which tells refresh tokens apart",
	"internal/envelope/key.go":        "the key of the store's cipher",
	"internal/envelope/wire.go":       "what a store writes",
	"internal/inject/request.go":      "the header of the request to Shopify",
	"internal/kubestore/client.go":    "the header of a call to the API server of Kubernetes",
	"internal/sidecar/tokenfile.go":   "EVERGATE_TOKEN_FILE, which is for just that",
}

func TestSecretsAreRevealedInAFewPlacesOnly(t *testing.T) {
	t.Parallel()
	for _, f := range files(t) {
		if !inHouse(f) || revealers[f.name] != "" {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Reveal" {
				t.Errorf("%s: a secret is revealed; if it must be, say in the list here what for", f.at(sel.Pos()))
			}
			return true
		})
	}
}

// openers are the files that open files by themselves, and why that is not left to readfile, which waits for nobody and
// reads nothing that has no end.
var openers = map[string]string{
	"cmd/proxy/key.go":                    "adds a line to a file of keys",
	"cmd/proxy/simulate.go":               "writes a report",
	"cmd/proxy/storecarry.go":             "writes an archive, and reads one record after the other until a signal",
	"cmd/proxy/winservice_windows.go":     "writes a log",
	"internal/durable/dir.go":             "our own files, in directories of which nobody else may have anything",
	"internal/durable/os_unix.go":         "a directory, which is flushed",
	"internal/footprint/release_linux.go": "what the kernel says of this process",
	"internal/readfile/readfile.go":       "reads those of others",
}

func TestFilesOfOthersAreReadInOneWay(t *testing.T) {
	t.Parallel()
	open := []string{"Open", "OpenFile", "ReadFile", "OpenInRoot"}
	used := map[string]bool{}
	for _, f := range files(t) {
		if !inHouse(f) || strings.HasPrefix(f.name, "internal/certtest/") || f.dir() == "internal/shopsim" {
			continue
		}
		f.uses(func(pkg, name string, at *ast.SelectorExpr) {
			if (pkg != "os" || !slices.Contains(open, name)) && (pkg != "crypto/tls" || name != "LoadX509KeyPair") {
				return
			}
			if used[f.name] = true; openers[f.name] == "" {
				t.Errorf("%s: %s.%s: readfile.Read reads a file, and readfile.Owned one that decides who may do what", f.at(at.Pos()), pkg, name)
			}
		})
	}
	for name := range openers {
		if !used[name] {
			t.Errorf("%s opens nothing any more", name)
		}
	}
}

// What an error asks the program to do is not what an operator is to read, so it is not put
// into the text: token.Decide.
func TestDecisionsAreNotPartOfAnErrorsText(t *testing.T) {
	t.Parallel()
	decisions := []string{"ErrTransient", "ErrConfig", "ErrReauthorize"}
	for _, f := range files(t) {
		if !inHouse(f) {
			continue
		}
		imports := f.imports()
		ast.Inspect(f.ast, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || !isUse(call.Fun, imports, "fmt", "Errorf") {
				return true
			}
			for _, arg := range call.Args {
				for _, d := range decisions {
					if isUse(arg, imports, module+"/internal/token", d) {
						t.Errorf("%s: token.%s is wrapped by fmt.Errorf, which puts its text into the error: use token.Decide", f.at(arg.Pos()), d)
					}
				}
			}
			return true
		})
	}
}

// isUse reports whether an expression is a name of an imported package.
func isUse(e ast.Expr, imports map[string]string, pkg, name string) bool {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != name {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && imports[x.Name] == pkg
}

// sleepers sleep outside synctest.Test(…) and are called in bubbles only, in a way that
// cannot be seen here: through an interface or a variable.
var sleepers = []string{
	"internal/grant/offline_test.go slow.RoundTrip",
	"internal/inject/pacing_test.go distant.RoundTrip",
	"internal/inject/pacing_test.go paced.rival",
	"internal/pace/share_test.go memoryLedger.Account",
	"internal/pace/share_test.go shop.weigh",
	"internal/refresh/source_test.go endpoint.Grant",
	"internal/shopsim/review_test.go TestTheReport",
	"internal/shopsim/token_test.go TestRepeatedClientCredentials",
	"internal/upstream/stall_test.go network.serve",
}

// A test that sleeps in real time is slow, or fails on a slow machine, or both. In a
// testing/synctest bubble time.Sleep costs nothing and is exact.
func TestTestsDoNotSleep(t *testing.T) {
	t.Parallel()
	all := files(t)
	for _, f := range all {
		for _, fn := range functionsOf(f) {
			at := sleepIn(f, fn)
			if at == token.NoPos || !f.isTest() || slices.Contains(sleepers, f.name+" "+nameOf(fn)) || onlyInBubbles(all, f, fn, 3) {
				continue
			}
			t.Errorf("%s: %s sleeps outside a synctest bubble", f.at(at), nameOf(fn))
		}
	}
}

func functionsOf(f file) (all []*ast.FuncDecl) {
	for _, decl := range f.ast.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok {
			all = append(all, fn)
		}
	}
	return all
}

// sleepIn returns where fn sleeps outside a bubble of its own.
func sleepIn(f file, fn *ast.FuncDecl) (at token.Pos) {
	bubbles := bubblesIn(f, fn)
	f.uses(func(pkg, name string, sel *ast.SelectorExpr) {
		if pkg == "time" && name == "Sleep" && fn.Pos() <= sel.Pos() && sel.Pos() < fn.End() && !within(bubbles, sel.Pos()) {
			at = sel.Pos()
		}
	})
	return at
}

// onlyInBubbles reports whether a helper is used, and only inside bubbles or by helpers of
// which the same is true. depth ends the search among helpers that call each other.
func onlyInBubbles(all []file, in file, helper *ast.FuncDecl, depth int) bool {
	if helper.Recv != nil || depth == 0 {
		return false
	}
	used, outside := false, false
	for _, f := range all {
		if f.dir() != in.dir() || !f.isTest() {
			continue
		}
		for _, fn := range functionsOf(f) {
			bubbles := bubblesIn(f, fn)
			ast.Inspect(fn.Body, func(n ast.Node) bool {
				if id, ok := n.(*ast.Ident); ok && id.Name == helper.Name.Name && fn != helper {
					used = true
					outside = outside || !within(bubbles, id.Pos()) && !onlyInBubbles(all, f, fn, depth-1)
				}
				return true
			})
		}
	}
	return used && !outside
}

func within(bubbles [][2]token.Pos, at token.Pos) bool {
	return slices.ContainsFunc(bubbles, func(b [2]token.Pos) bool { return b[0] < at && at < b[1] })
}

// bubblesIn returns where the calls of synctest.Test in fn begin and end.
func bubblesIn(f file, fn *ast.FuncDecl) (all [][2]token.Pos) {
	imports := f.imports()
	ast.Inspect(fn, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if sel, ok := call.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Test" {
				if x, ok := sel.X.(*ast.Ident); ok && imports[x.Name] == "testing/synctest" {
					all = append(all, [2]token.Pos{call.Pos(), call.End()})
				}
			}
		}
		return true
	})
	return all
}

// nameOf is Function or Type.Method.
func nameOf(fn *ast.FuncDecl) string {
	if fn.Recv == nil || len(fn.Recv.List) == 0 {
		return fn.Name.Name
	}
	t := fn.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if id, ok := t.(*ast.Ident); ok {
		return id.Name + "." + fn.Name.Name
	}
	return fn.Name.Name
}

// dated are the places that have the wall clock's time as a number, and why.
var dated = map[string]string{
	"internal/durable/os_unix.go: VersionOf":                 "tells versions of a file apart by them",
	"internal/localca/leaves.go: leaf.fresh":                 "certificates begin and end by that clock",
	"internal/localca/leaves.go: Leaves.get":                 "likewise",
	"internal/localca/localca.go: Authority.generations":     "likewise",
	"internal/login/state.go: states.issue":                  "another process may read it",
	"internal/metrics/localca.go: localCACollector.Collect":  "Prometheus has times so",
	"internal/metrics/tokens.go: unix":                       "likewise",
	"internal/metrics/unsuccessful.go: Metrics.Unsuccessful": "it is shown to people",
	"internal/pgstore/query.go":                              "PostgreSQL has times so",
	"internal/pgstore/query.go: micros":                      "likewise",
	"internal/tracing/message.go: unixNano":                  "the protocol has it so",
}

// Whoever corrects the machine's clock would have what has just happened be of next year, or of last: what is only compared is a number of clock.Mono.
func TestTheWallClockMeasuresNothing(t *testing.T) {
	t.Parallel()
	numbers := []string{"Unix", "UnixMilli", "UnixMicro", "UnixNano"}
	seen := map[string]bool{}
	for _, f := range files(t) {
		if !inHouse(f) || strings.HasPrefix(f.name, "internal/shopsim/") {
			continue
		}
		for _, decl := range f.ast.Decls {
			where := f.name
			if fn, ok := decl.(*ast.FuncDecl); ok {
				where += ": " + nameOf(fn)
			}
			ast.Inspect(decl, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || len(call.Args) > 0 { // time.Unix and the like make a Time of a number
					return true
				}
				if sel, ok := call.Fun.(*ast.SelectorExpr); ok && slices.Contains(numbers, sel.Sel.Name) {
					if seen[where] = true; dated[where] == "" {
						t.Errorf("%s: %s reads the wall clock, which can be moved: take clock.Mono, or say in dated why not", f.at(sel.Pos()), where)
					}
				}
				return true
			})
		}
	}
	for where := range dated {
		if !seen[where] {
			t.Errorf("dated: %s does not read the wall clock", where)
		}
	}
}

// What a package-level variable is made of is made at every start of every command, also of
// those that never look at it. Inside a function, sync.OnceValue's for example, it waits
// until it is needed.
func TestNoExpressionIsCompiledAtStart(t *testing.T) {
	t.Parallel()
	for _, f := range files(t) {
		if !inHouse(f) {
			continue
		}
		imports := f.imports()
		for _, decl := range f.ast.Decls {
			variables, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			ast.Inspect(variables, func(n ast.Node) bool {
				if _, waits := n.(*ast.FuncLit); waits {
					return false
				}
				if sel, ok := n.(*ast.SelectorExpr); ok {
					if x, ok := sel.X.(*ast.Ident); ok && imports[x.Name] == "regexp" && strings.HasPrefix(sel.Sel.Name, "MustCompile") {
						t.Errorf("%s: a regular expression is compiled at every start: wrap it in sync.OnceValue", f.at(sel.Pos()))
					}
				}
				return true
			})
		}
	}
}
