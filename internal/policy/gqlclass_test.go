package policy

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"evergate/internal/denial"
	"evergate/internal/denial/denialtest"
	"evergate/internal/request"
)

// judgeOuter is judgeGraphQL for the operation that carries the others.
func judgeOuter(h request.Fields, body []byte) (operation, error) {
	op, _, err := judgeGraphQL(h, body)
	return op, err
}

// codeOf is the denial's code, or the kind of what will run.
func codeOf(op operation, err error) string {
	if d := denial.Of(err); d != nil {
		return d.Code
	}
	return string(op.kind)
}

func TestTheOperationThatWillRunDecides(t *testing.T) {
	const two = "query Q { shop { name } } mutation M { productCreate { x } }"
	for _, c := range []struct{ document, name, want string }{
		{"{ shop { name } }", "", "query"},
		{"query { shop { name } }", "", "query"},
		{"query Q($id: ID! = \"x\") @a(b: 1) { product(id: $id) { title } }", "Q", "query"},
		{"mutation { productCreate { x } }", "", "mutation"},
		{"mutation M { productCreate { x } }", "M", "mutation"},
		{two, "Q", "query"},
		{two, "M", "mutation"},
		{"fragment F on QueryRoot { shop { name } } query { ...F }", "", "query"},
		{"query mutation { mutation }", "mutation", "query"},
		{"mutation query { query }", "query", "mutation"},
		{"{ a(s: \"mutation { x }\") # mutation M { x }\n }", "", "query"},
		{"{ a(s: \"\"\"\nmutation 'M' { x } \\n \\ #\r\n\"\"\") }", "", "query"},
		{"{ a(s: \"\", t: \"\\\\\", u: \"\\u00e9\\\"\", é: 1) }", "", denial.CodeAmbiguousGraphQL},
		{"{ a(s: \"é \\u00e9 \\\" } mutation { x }\") }", "", "query"},
		{"\r\n{ a # é\r\n}", "", "query"},
		{"{ a(n: [0, -1, 1.5, 2e10, -0.1E-3, true, null, ENUM, {k: $v}]) }", "", "query"},

		{two, "", denial.CodeAmbiguousGraphQL},
		{two, "X", denial.CodeAmbiguousGraphQL},
		{"query Q { a }", "M", denial.CodeAmbiguousGraphQL},
		{"{ a }", "Q", denial.CodeAmbiguousGraphQL},
		{"query Q { a } mutation Q { b }", "Q", denial.CodeAmbiguousGraphQL},
		{"query Q { a } query Q { b }", "Q", denial.CodeAmbiguousGraphQL},
		{"{ a } mutation M { b }", "M", denial.CodeAmbiguousGraphQL},
		{"{ a } { b }", "", denial.CodeAmbiguousGraphQL},
		{"subscription { a }", "", denial.CodeAmbiguousGraphQL},
		{"query { ...F } fragment F on Q { a } fragment F on Q { b }", "", denial.CodeAmbiguousGraphQL},
		{"query { ...F } fragment F($a: Int) on Q { a }", "", denial.CodeAmbiguousGraphQL},

		{"", "", denial.CodeMalformedGraphQL},
		{"# nothing", "", denial.CodeMalformedGraphQL},
		{"fragment F on Q { a }", "", denial.CodeMalformedGraphQL},
		{"query { ...Missing }", "", denial.CodeMalformedGraphQL},
		{"query", "", denial.CodeMalformedGraphQL},
		{"{ }", "", denial.CodeMalformedGraphQL},
		{"{ a() }", "", denial.CodeMalformedGraphQL},
		{"Query { a }", "", denial.CodeMalformedGraphQL},
		{"{ a } type T { x: Int }", "", denial.CodeMalformedGraphQL},
		{"{ a } extend type Mutation { x: Int }", "", denial.CodeMalformedGraphQL},
		{"schema { query: Q } { a }", "", denial.CodeMalformedGraphQL},
		{"{ a: \"x\" }", "", denial.CodeMalformedGraphQL},

		{strings.Repeat("{a", 101) + strings.Repeat("}", 101), "", denial.CodeGraphQLTooLarge},
		{strings.Repeat("{a", 100) + strings.Repeat("}", 100), "", "query"},
		{"{ a(x: " + strings.Repeat("[", 200_000) + strings.Repeat("]", 200_000) + ") }", "", denial.CodeGraphQLTooLarge},
		{"{" + strings.Repeat(" a", 10_001) + "}", "", denial.CodeGraphQLTooLarge},
		{"{" + strings.Repeat(" a", 9_000) + "}", "", "query"},
		{strings.Repeat("#\n", 20_000) + "{ a }", "", denial.CodeGraphQLTooLarge},
	} {
		if got := codeOf(classify(c.document, c.name)); got != c.want {
			_, f := classify(c.document, c.name)
			t.Errorf("%.80q with %q: %s (%+v), want %s", c.document, c.name, got, f, c.want)
		}
	}
}

// Each of these is one operation to one lexer and another to the next.
func TestWhatLexersReadDifferentlyIsRefused(t *testing.T) {
	for what, document := range map[string]string{
		"a comment that a carriage return ends":  "query A { a } #\rmutation B { b }",
		"a carriage return in a block string":    "{ a(s: \"\"\"x\ry\"\"\") }",
		"a comment that NEL ends":                "{ a } #\u0085 mutation { b }",
		"a comment that a line separator ends":   "{ a } #\u2028 mutation { b }",
		"a comment with a vertical tab":          "{ a } #\v mutation { b }",
		"a comment with a NUL":                   "{ a } #\x00 mutation { b }",
		"a byte order mark in the middle":        "{ a } \ufeff mutation B { b }",
		"a byte order mark in a comment":         "{ a } # \ufeff",
		"a no-break space":                       "{\u00a0a }",
		"a form feed":                            "{\fa }",
		"a block string that ends in four":       "{ a(s: \"\"\"x\"\"\"\") b(s: \"\") }",
		"a block string that begins with four":   "{ a(s: \"\"\"\"x\"\"\") }",
		"an empty block string":                  "{ a(s: \"\"\"\"\"\") }",
		"an escaped end of a block string":       "{ a(s: \"\"\"x\\\"\"\" y\"\"\") }",
		"a doubled backslash before the end":     "{ a(s: \"\"\"x\\\\\"\"\") }",
		"a quotation mark in a block string":     "{ a(s: \"\"\"x \"y\" z\"\"\") }",
		"a description of a query":               "\"x\" query { a }",
		"a description over two lines":           "\"\"\"x\nmutation { b }\"\"\" query { a }",
		"a string after the end":                 "{ a } \"x\"",
		"a string over two lines":                "{ a(s: \"x\ny\") }",
		"a string that is never closed":          "{ a(s: \"x) }",
		"an escape with braces":                  "{ a(s: \"\\u{22}\") }",
		"an escape that nobody knows":            "{ a(s: \"\\x22\") }",
		"a short escape":                         "{ a(s: \"\\u00\") }",
		"a number that runs into a name":         "{ a(x:1b:2) }",
		"a number in hexadecimal":                "{ a(x: 0x1) }",
		"a number with a zero in front":          "{ a(x: 01) }",
		"a number that ends in a dot":            "{ a(x: 1.) }",
		"two signs":                              "{ a(x: --1) }",
		"four dots":                              "{ ....F } fragment F on Q { a }",
		"a single quote":                         "{ a(s: 'x') }",
		"a bracket of another kind":              "{ a(x: 1} }",
		"a bracket too many":                     "{ a } }",
		"a bracket too few":                      "{ a ",
		"a letter beyond ASCII that looks alike": "{ \u0430 }",
		"a semicolon":                            "{ a; b }",
	} {
		if op, err := classify(document, ""); denialtest.Of(t, err).Code != denial.CodeAmbiguousGraphQL {
			t.Errorf("%s: %+v, %v", what, op, err)
		}
	}
}

func TestRootsAreFoundThroughFragmentsAndAliases(t *testing.T) {
	for document, want := range map[string]string{
		"{ shop { name } }": "shop",
		"{ a: shop { x } b: shop { y } c: products { z } }":                         "products shop",
		"{ ... { shop { x } } ... on QueryRoot { orders } }":                        "orders shop",
		"{ ...A } fragment A on Q { ...B x } fragment B on Q { y ...A }":            "x y",
		"{ shop { ...B } } fragment B on Shop { hidden }":                           "shop",
		"{ ...on @include(if: false) { orders } }":                                  denial.CodeMalformedGraphQL,
		"{ ... @include(if: false) { orders } shop @skip(if: true) { x } }":         "orders shop",
		"mutation { ...A } fragment A on M { x: productDelete(id: \"1\") { y } }":   "productDelete",
		"{ __typename __schema { types { name } } __type(name: \"Shop\") { x } }":   "__schema __type __typename",
		"query Q { shop } mutation M { productDelete }":                             "shop",
		"{ " + strings.Repeat("...F ", 2000) + "} fragment F on Q { deep: orders }": "orders",
	} {
		name := ""
		if strings.HasPrefix(document, "query Q") {
			name = "Q"
		}
		op, err := classify(document, name)
		got := strings.Join(op.roots, " ")
		if err != nil {
			got = denialtest.Of(t, err).Code
		}
		if got != want {
			t.Errorf("%.80q: %s (%v), want %s", document, got, err, want)
		}
	}
}

// Fragments that contain each other a thousandfold must not take a thousandfold time.
func TestAChainOfFragmentsEnds(t *testing.T) {
	var b strings.Builder
	b.WriteString("{ ...F0 ...F0 }")
	for i := range 800 {
		fmt.Fprintf(&b, " fragment F%d on Q { ...F%d ...F%d }", i, i+1, i+1)
	}
	b.WriteString(" fragment F800 on Q { shop }")
	op, f := classify(b.String(), "")
	if f != nil || len(op.roots) != 1 || op.roots[0] != "shop" {
		t.Errorf("%+v, %+v", op, f)
	}
}

func jsonHeader(more ...string) http.Header {
	h := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i+1 < len(more); i += 2 {
		h[more[i]] = append(h[more[i]], more[i+1])
	}
	return h
}

func TestABodyHasOneReading(t *testing.T) {
	for body, want := range map[string]string{
		`{"query":"{ a }"}`: "query",
		` {"variables" : {"a":[1,{"b":"\ud83d\ude00"}]}, "query" : "{ a }", "operationName":null, "extensions":null} ` + "\n": "query",
		`{"query":"{ a }","variables":[]}`:                                            "query", // what PHP makes of no variables
		`{"query":"{ a }","variables":"{}","operationName":""}`:                       "query",
		`{"query":"{ a }","extensions":{"clientLibrary":{"name":"x","version":"1"}}}`: "query",
		`{"query":"\u0071uery Q {\u0020a\r\n}\n","operationName":"\u0051"}`:           "query",
		`{"query":"mutation { a }"}`:                                                  "mutation",
		`{"query":"query Q { a } mutation M { b }","operationName":"M"}`:              "mutation",
		`{"query":"query Q { a } mutation M { b }","operationName":"Q"}`:              "query",
		`{"variables":{"query":"mutation { b }","query":"x"},"query":"{ a }"}`:        "query",
		`{"query":"{ a(s: \"\ud83d\ude00\") }"}`:                                      "query",
		`{"query":"{ a }","query":"mutation { b }"}`:                                  denial.CodeAmbiguousGraphQL,
		`{"query":"{ a }","Query":"mutation { b }"}`:                                  denial.CodeAmbiguousGraphQL,
		`{"Query":"{ a }"}`: denial.CodeMalformedGraphQL,
		`{"query":"{ a }","\u0071uery":"mutation { b }"}`: denial.CodeAmbiguousGraphQL,
		`{"\u0071uery":"{ a }"}`:                          denial.CodeAmbiguousGraphQL,

		`{"query":"query Q { a } mutation M { b }","operationName":"Q","operationName":"M"}`: denial.CodeAmbiguousGraphQL,
		`{"query":"query Q { a } mutation M { b }","operationName":"Q","operationname":"M"}`: denial.CodeAmbiguousGraphQL,
		`{"query":"query Q { a } mutation M { b }"}`:                                         denial.CodeAmbiguousGraphQL,
		`[{"query":"{ a }"},{"query":"mutation { b }"}]`:                                     denial.CodeAmbiguousGraphQL,
		`[]`:      denial.CodeAmbiguousGraphQL,
		`"{ a }"`: denial.CodeAmbiguousGraphQL,
		`null`:    denial.CodeAmbiguousGraphQL,
		`{"query":"{ a }"}{"query":"mutation { b }"}`:  denial.CodeMalformedGraphQL,
		`{"query":"{ a }"} x`:                          denial.CodeMalformedGraphQL,
		`{"query":"{ a }"}` + "\x00":                   denial.CodeMalformedGraphQL,
		`{"query":"{ a }",}`:                           denial.CodeMalformedGraphQL,
		`{"query":"{ a }" /* , "query":"mutation" */}`: denial.CodeMalformedGraphQL,
		`{'query':'{ a }'}`:                            denial.CodeMalformedGraphQL,
		`{"query":["{ a }"]}`:                          denial.CodeMalformedGraphQL,
		`{"query":null}`:                               denial.CodeMalformedGraphQL,
		`{"query":"{ a }","operationName":["M"]}`:      denial.CodeMalformedGraphQL,
		`{}`: denial.CodeMalformedGraphQL,
		``:   denial.CodeMalformedGraphQL,
		`{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"x"}}}`:                                  denial.CodeMalformedGraphQL,
		`{"query":"{ a }","extensions":{"persistedQuery":{"version":1,"sha256Hash":"x"}}}`:                  denial.CodeAmbiguousGraphQL,
		`{"query":"{ a }","extensions":{"PersistedQuery":1}}`:                                               denial.CodeAmbiguousGraphQL,
		`{"query":"{ a }","extensions":{"a":1,"a":2}}`:                                                      denial.CodeAmbiguousGraphQL,
		`{"query":"{ a }","extensions":[]}`:                                                                 denial.CodeAmbiguousGraphQL,
		`{"query":"{ a }","id":"x"}`:                                                                        denial.CodeAmbiguousGraphQL,
		`{"query":"{ a }","_method":"delete"}`:                                                              denial.CodeAmbiguousGraphQL,
		`{"query":"{ a }","documentId":"x"}`:                                                                denial.CodeAmbiguousGraphQL,
		`{"query":"{ a(s: \"\ud800\") }"}`:                                                                  denial.CodeAmbiguousGraphQL,
		`{"query":"{ a }","variables":{"x":"\udc00"}}`:                                                      denial.CodeAmbiguousGraphQL,
		`{"query":"{ a }","variables":{"x":"\ud800\ud800"}}`:                                                denial.CodeAmbiguousGraphQL,
		`{"query":"{ a }","variables":{"x":"\ud800x"}}`:                                                     denial.CodeAmbiguousGraphQL,
		`{"query":"{ a }\u0000 mutation { b }"}`:                                                            denial.CodeAmbiguousGraphQL,
		`{"query":"{ a }","variables":{"x":"\\ud800 \\u0000"}}`:                                             "query", // escaped backslashes
		"\ufeff" + `{"query":"{ a }"}`:                                                                      denial.CodeAmbiguousGraphQL,
		`{"query":"{ a(s: \"` + "\xff" + `\") }"}`:                                                          denial.CodeAmbiguousGraphQL,
		"\xff\xfe{\x00}\x00":                                                                                denial.CodeAmbiguousGraphQL,
		`{"query":"{ a }","variables":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`:         denial.CodeGraphQLTooLarge,
		`{"query":"{ a }","variables":` + strings.Repeat("[", 99) + strings.Repeat("]", 99) + `}`:           "query",
		`{"query":"{ a }","variables":` + strings.Repeat("[", 120_000) + strings.Repeat("]", 120_000) + `}`: denial.CodeMalformedGraphQL, // encoding/json ends at 10 000
		`{"query":"{ a }","variables":"` + strings.Repeat("x", LargestJudgedBody) + `"}`:                    denial.CodeGraphQLTooLarge,
	} {
		if got := codeOf(judgeOuter(request.Header(jsonHeader()), []byte(body))); got != want {
			_, f := judgeOuter(request.Header(jsonHeader()), []byte(body))
			t.Errorf("%.100q: %s (%+v), want %s", body, got, f, want)
		}
	}
}

func TestAHeaderMustNotLendTheBodyAnotherMeaning(t *testing.T) {
	body := []byte(`{"query":"{ a }"}`)
	for _, c := range []struct {
		h    http.Header
		want string
	}{
		{jsonHeader(), "query"},
		{http.Header{"Content-Type": {"Application/JSON; charset=UTF-8"}}, "query"},
		{http.Header{"Content-Type": {`application/json;charset="utf-8"`}}, "query"},
		{jsonHeader("Connection", "keep-alive, close"), "query"},
		{jsonHeader("X_Custom", "1"), "query"},
		{http.Header{}, denial.CodeAmbiguousGraphQL},
		{http.Header{"Content-Type": {"application/json", "application/graphql"}}, denial.CodeAmbiguousGraphQL},
		{http.Header{"Content-Type": {"application/json; charset=utf-16"}}, denial.CodeAmbiguousGraphQL},
		{http.Header{"Content-Type": {"application/json; charset=iso-8859-1"}}, denial.CodeAmbiguousGraphQL},
		{http.Header{"Content-Type": {"application/json; charset=utf-8; charset=utf-7"}}, denial.CodeAmbiguousGraphQL},
		{http.Header{"Content-Type": {"application/json; boundary=x"}}, denial.CodeAmbiguousGraphQL},
		{http.Header{"Content-Type": {"application/json, application/x-www-form-urlencoded"}}, denial.CodeAmbiguousGraphQL},
		{http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, denial.CodeAmbiguousGraphQL},
		{http.Header{"Content-Type": {"multipart/form-data; boundary=x"}}, denial.CodeAmbiguousGraphQL},
		{http.Header{"Content-Type": {"text/plain"}}, denial.CodeAmbiguousGraphQL},
		{http.Header{"Content-Type": {"application/graphql-response+json"}}, denial.CodeAmbiguousGraphQL},
		{jsonHeader("Content-Encoding", "gzip"), denial.CodeAmbiguousGraphQL},
		{jsonHeader("Content-Encoding", "identity"), denial.CodeAmbiguousGraphQL},
		{jsonHeader("Content_encoding", "gzip"), denial.CodeAmbiguousGraphQL},
		{jsonHeader("Content_type", "application/x-www-form-urlencoded"), denial.CodeAmbiguousGraphQL},
		// What Connection names is not forwarded, and without a type the body would be a form.
		{jsonHeader("Connection", "close, content-type"), denial.CodeAmbiguousGraphQL},
		{jsonHeader("Connection", "close", "Connection", "Content-Type"), denial.CodeAmbiguousGraphQL},
	} {
		if got := codeOf(judgeOuter(request.Header(c.h), body)); got != c.want {
			t.Errorf("%v: %s, want %s", c.h, got, c.want)
		}
	}
}

func TestABareDocumentNamesNoOperation(t *testing.T) {
	h := http.Header{"Content-Type": {"application/graphql"}}
	for document, want := range map[string]string{
		"{ a }":                          "query",
		"query Q { a }":                  "query",
		"mutation { a }":                 "mutation",
		"query Q { a } mutation M { b }": denial.CodeAmbiguousGraphQL,
		`{"query":"{ a }"}`:              denial.CodeMalformedGraphQL,
		"\ufeff{ a }":                    denial.CodeAmbiguousGraphQL,
	} {
		if got := codeOf(judgeOuter(request.Header(h), []byte(document))); got != want {
			t.Errorf("%q: %s, want %s", document, got, want)
		}
	}
}

func TestNoKindButQueryAndMutationIsKnown(t *testing.T) {
	if (operation{kind: ast.Subscription}).isQuery() || (operation{}).isQuery() {
		t.Error("what is no query counts as one")
	}
}
