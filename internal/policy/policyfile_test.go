package policy

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"evergate/internal/request"
	"evergate/internal/shopify"
)

func TestAPolicyFileIsRead(t *testing.T) {
	book, err := parsePolicies([]byte(`{"callers":{"agent":"p","spiffe://example.com/x":"full","a@b":"none"},"default":"read-only",
		"policies":{"p":{"base":"none","mode":"report","queries":["*"],"mutations":["a","b"],"rest":[{"path":"/admin/*.json","methods":["GET"]}]}}}`))
	if err == nil {
		t.Fatalf("a * inside a segment is accepted: %+v", book)
	}
	book, err = parsePolicies([]byte(`{"callers":{"agent":"p","spiffe://example.com/x":"full","a@b":"none"},"default":"read-only",
		"policies":{"p":{"base":"none","mode":"report","queries":["*"],"mutations":["a","b"],"rest":[{"path":"/admin/shop.json","methods":["GET"]},{"path":"/admin/*","methods":["GET"]}]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	p := book.byName["p"]
	if book.byDefault.name != ReadOnly || book.byCaller["agent"] != p || book.byCaller["a@b"].name != None || book.byCaller["spiffe://example.com/x"].name != Full {
		t.Errorf("%+v", book)
	}
	if p.base != nothing || !p.report || !p.queries.has("anything") || p.mutations.has("c") || !p.mutations.has("b") || len(p.rest) != 2 {
		t.Errorf("%+v", p)
	}
}

func TestEveryMistakeInAPolicyFileIsReportedWithItsPlace(t *testing.T) {
	for text, want := range map[string][]string{
		``:                                    {"line 1: the file ends too early"},
		`{`:                                   {"ends too early"},
		`{"default":"x"`:                      {"ends too early"},
		"{\n\n\"default\" \"none\"}":          {"line 3: this is not JSON"},
		`{"default":"none"} {}`:               {"text after the end"},
		`[]`:                                  {"the file is not an object"},
		`null`:                                {"the file is not an object"},
		`{}`:                                  {"line 1: default is missing"},
		`{"default":"none","Default":"full"}`: {"Default is not known: there are callers, default, policies"},
		"{\"default\":\"none\",\n\"default\":\"full\"}": {"line 2: default is there twice: keep one"},
		"{\"default\":\"none\",\n\"callers\":{\"a\":\"full\",\n\"a\":\"none\"},\"policies\":{\"p\":{\"base\":\"none\",\"base\":\"full\"}}}": {"line 3: callers.a is there twice", "line 3: policies.p.base is there twice"},
		`{"default":"nobody"}`: {`default names the policy "nobody", which is not there: there are full, none, read-only`},
		`{"default":1}`:        {`default names the policy "", which is not there`},
		`{"default":"none","callers":{"a b":"full","c":"x","":"full","d":null}}`:   {`callers."a b" is no name for a caller`, `callers.c names the policy "x"`, `callers."" is no name`, `callers.d names the policy ""`},
		`{"default":"none","callers":[]}`:                                          {"callers is not an object"},
		`{"default":"none","policies":{"full":{"base":"none"}}}`:                   {"policies.full is built in: choose another name"},
		`{"default":"none","policies":{"a.b":{"base":"none"}}}`:                    {"policies.a.b is no name for a policy"},
		`{"default":"none","policies":{"p":{}}}`:                                   {"policies.p.base is missing"},
		`{"default":"none","policies":{"p":[]}}`:                                   {"policies.p is not an object"},
		`{"default":"none","policies":[]}`:                                         {"policies is not an object"},
		`{"default":"none","policies":{"p":{"base":"readonly"}}}`:                  {"policies.p.base must be one of none, read-only, full"},
		`{"default":"none","policies":{"p":{"base":"none","mode":"log"}}}`:         {"policies.p.mode must be one of enforce, report"},
		`{"default":"none","policies":{"p":{"base":"none","deny":["x"]}}}`:         {"policies.p.deny is not known: there are base, mode, mutations, queries, rest"},
		`{"default":"none","policies":{"p":{"base":"full","mutations":["x"]}}}`:    {"policies.p has rules, but base full lets everything pass"},
		`{"default":"none","policies":{"p":{"base":"read-only","queries":["x"]}}}`: {"policies.p.queries limits nothing"},
		`{"default":"none","policies":{"p":{"base":"read-only","rest":[{"methods":["PUT"],"path":"/admin/a.json"},{"methods":["GET"],"path":"/admin/a.json"}]}}}`: {"policies.p.rest[1].methods limits nothing"},
		`{"default":"none","policies":{"p":{"base":"none","rest":[{"methods":["PUT"],"path":"/admin/api/0/"}]}}}`:                                                 {"policies.p.rest[0].path ends in a slash"},
		`{"default":"none","policies":{"p":{"base":"none","queries":"shop","mutations":[]}}}`:                                                                     {"policies.p.queries must be a list", "policies.p.mutations must be a list"},
		`{"default":"none","policies":{"p":{"base":"none","queries":["shop.name","","*x",1]}}}`:                                                                   {"queries[0] is none of", "queries[1] is none of", "queries[2] is none of", "queries[3] is none of"},
		`{"default":"none","policies":{"p":{"base":"none","rest":{}}}}`:                                                                                           {"policies.p.rest must be a list"},
		`{"default":"none","policies":{"p":{"base":"none","rest":["/admin/a.json"]}}}`:                                                                            {"policies.p.rest[0] is not an object"},
		`{"default":"none","policies":{"p":{"base":"none","rest":[{}]}}}`:                                                                                         {"rest[0].methods is missing", "rest[0].path is missing"},
		`{"default":"none","policies":{"p":{"base":"none","rest":[{"methods":["get","BREW"],"path":""}]}}}`:                                                       {"methods[0] is none of GET, HEAD", "methods[1] is none of", "path must be a path"},
		`{"default":"none","policies":{"p":{"base":"none","rest":[{"methods":["GET"],"path":"/admin/api/*/x*"}]}}}`:                                               {"has a * that is not a whole segment"},
		`{"default":"none","policies":{"p":{"base":"none","rest":[{"methods":["GET"],"path":"/admin/api/**/x"}]}}}`:                                               {"has a * that is not a whole segment"},
		`{"default":"none","policies":{"p":{"base":"none","rest":[{"methods":["GET"],"path":"/api/x"}]}}}`:                                                        {"is no path that can ever pass"},
		`{"default":"none","policies":{"p":{"base":"none","rest":[{"methods":["GET"],"path":"admin/api/x"}]}}}`:                                                   {"is no path that can ever pass"},
		`{"default":"none","policies":{"p":{"base":"none","rest":[{"methods":["POST"],"path":"/admin/oauth/access_token"}]}}}`:                                    {"is no path that can ever pass"},
		`{"default":"none","policies":{"p":{"base":"none","rest":[{"methods":["GET"],"path":"/admin/api/../x"}]}}}`:                                               {"is no path that can ever pass"},
		`{"default":"none","policies":{"p":{"base":"none","rest":[{"methods":["GET"],"path":"/admin/api/x//y"}]}}}`:                                               {"is no path that can ever pass"},
		`{"default":"none","policies":{"p":{"base":"none","rest":[{"methods":["GET"],"path":"/admin/api/x?y=1"}]}}}`:                                              {"is no path that can ever pass"},
		`{"default":"none","policies":{"p":{"base":"none","rest":[{"methods":["GET"],"path":"/admin/api/é"}]}}}`:                                                  {"is no path that can ever pass"},
		`{"default":"none","policies":{"p":{"base":"none","rest":[{"methods":["POST"],"path":"/admin/api/*/graphql.json"}]}}}`:                                    {"is GraphQL's"},
		strings.Repeat(`{"a":`, 50) + "1" + strings.Repeat("}", 50):                                                                                               {"nested too deep"},
		strings.Repeat(`[`, 100_000): {"nested too deep"},
	} {
		_, err := parsePolicies([]byte(text))
		if err == nil {
			t.Errorf("%.200s: accepted", text)
			continue
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%.200s: nothing of %q in: %v", text, w, err)
			}
		}
		if n := strings.Count(err.Error(), "\n") + 1; n < len(want) {
			t.Errorf("%.200s: %d mistakes, want %d: %v", text, n, len(want), err)
		}
	}
}

// The examples of the manual are what people copy.
// What is named by mistake may be a file of secrets.
func TestAFileThatIsNoJSONIsNotQuoted(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"Xq", "{Xq", `{"default":Xq`, `["a" Xq`, `{"default":"\Xq"}`} {
		if _, err := parsePolicies([]byte(text)); err == nil || strings.Contains(err.Error(), "X") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestTheExamplesOfTheManualAreRight(t *testing.T) {
	page, err := os.ReadFile("../../docs/operating/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllSubmatch(page, -1)
	if len(examples) < 3 {
		t.Fatalf("%d examples", len(examples))
	}
	for _, e := range examples {
		book, err := parsePolicies(e[1])
		if err != nil {
			t.Errorf("%s: %v", e[1], err)
			continue
		}
		for _, p := range book.byName {
			if p.base == everything {
				continue
			}
			if _, err := p.JudgeHead(headOf(t, "DELETE", "/admin/api/2026-10/orders/1.json")); err == nil {
				t.Errorf("%s: %s lets an order be deleted", e[1], p.name)
			}
		}
	}
}

// FuzzPolicyFile: a file that is accepted holds nothing that encoding/json reads otherwise,
// and its policies without rules and base let nothing through.
func FuzzPolicyFile(f *testing.F) {
	f.Add([]byte(`{"default":"none","callers":{"a":"p"},"policies":{"p":{"base":"read-only","mode":"report","rest":[{"methods":["PUT"],"path":"/admin/api/*/products/**"}],"mutations":["x"]}}}`))
	f.Add([]byte(`{"default":"p","default":"full","policies":{"p":{"base":"none","queries":["*"]}}}`))
	f.Add([]byte(`{"default":"none","Policies":{}}`))
	f.Add([]byte(`{"default":"full"} x`))
	f.Add([]byte("\ufeff{}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		book, err := parsePolicies(text)
		if err != nil {
			return
		}
		var plain struct {
			Default  string
			Callers  map[string]string
			Policies map[string]struct {
				Base, Mode         string
				Queries, Mutations []string
				Rest               []struct {
					Methods []string
					Path    string
				}
			}
		}
		if err := json.Unmarshal(text, &plain); err != nil {
			t.Fatalf("%q is accepted, yet it is %v", text, err)
		}
		if book.byDefault.name != plain.Default || len(book.byCaller) != len(plain.Callers) || len(book.byName) != len(plain.Policies)+3 {
			t.Fatalf("%q: %+v, read as %+v", text, book, plain)
		}
		for caller, policy := range plain.Callers {
			if book.byCaller[caller].name != policy {
				t.Fatalf("%q: %s has %s", text, caller, book.byCaller[caller].name)
			}
		}
		for name, want := range plain.Policies {
			p := book.byName[name]
			if p.report != (want.Mode == "report") || len(p.rest) != len(want.Rest) || (p.base == everything) != (want.Base == Full) || (p.base == reads) != (want.Base == ReadOnly) {
				t.Fatalf("%q: %+v, read as %+v", text, p, want)
			}
			for _, rule := range want.Rest {
				checkPattern(t, p, rule.Methods, rule.Path)
			}
			if len(p.rest) == 0 && p.base == nothing {
				if _, err := p.JudgeHead(headOf(t, "GET", "/admin/shop.json")); err == nil {
					t.Fatalf("%q: %+v lets something through", text, p)
				}
			}
		}
	})
}

// checkPattern holds the matching against regular expressions.
func checkPattern(t *testing.T, p *Policy, methods []string, path string) {
	t.Helper()
	whole := regexp.QuoteMeta(path)
	whole = strings.ReplaceAll(whole, `\*\*`, `[^/]+(/.*)?`)
	whole = regexp.MustCompile("^" + strings.ReplaceAll(whole, `\*`, `[^/]+`) + "$").String()
	for _, candidate := range []string{strings.ReplaceAll(path, "*", "x"), strings.ReplaceAll(path, "*", "x/y"), path + "/z", "/admin/api/2026-10/products/1.json", "/admin/shop.json"} {
		want := regexp.MustCompile(whole).MatchString(candidate)
		rule := restRule{methods: methods, pattern: strings.Split(strings.TrimPrefix(path, "/"), "/")}
		if got := rule.matches(methods[0], candidate); got != want {
			t.Fatalf("%q matches %q: %v, want %v (%+v)", path, candidate, got, want, p)
		}
	}
}

// headOf is what a policy judges of a request without a body.
func headOf(t *testing.T, method, path string) (*request.Request, shopify.Target) {
	t.Helper()
	target, err := shopify.ParseTarget(path)
	if err != nil {
		t.Fatal(err)
	}
	return &request.Request{Method: method, Target: path, Fields: request.Header{}}, target
}

// TestANameThatHidesACharacterIsRefused: it would be another caller's than it looks.
func TestANameThatHidesACharacterIsRefused(t *testing.T) {
	t.Parallel()
	for _, hidden := range []string{"\u200b", "\u2060", "\u202e", "\u00ad", "\U000E0041", "\ufeff", "\xff"} {
		if b, err := parsePolicies([]byte("{\"default\": \"full\",\n \"callers\": {\"agent" + hidden + "\": \"none\"}}")); b != nil || err == nil || !strings.HasPrefix(err.Error(), "line 2 holds ") {
			t.Errorf("%q: %v", hidden, err)
		}
	}
}
