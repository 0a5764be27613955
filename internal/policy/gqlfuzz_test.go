package policy

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"evergate/internal/denial/denialtest"
	"evergate/internal/request"
)

// dialect is a way to read GraphQL that some lexer has. Each is one regular expression for
// a token, so it shares nothing with the classifier.
type dialect struct {
	name  string
	token *regexp.Regexp
}

// dialects multiplies what lexers part over: where a comment ends, where a block string
// ends, whether a string may go over lines, and whether there are block strings at all.
func dialects() (all []dialect) {
	const name, number = `[_A-Za-z][_0-9A-Za-z]*`, `-?[0-9][0-9.eE+-]*`
	for _, comment := range []string{`#[^\n]*`, `#[^\n\r]*`, `#[^\n\r\x{85}\x{2028}\x{2029}\v\f\x00]*`} {
		for _, block := range []string{
			`"""(?s:(?:\\"""|.)*?)"""`,            // the first three end it
			`"""(?s:(?:\\"""|.)*?)"""+`,           // the last three end it
			`"""(?s:(?:\\.|"?"?[^"\\])*?)"?"?"""`, // a backslash takes any character with it
			`""`,                                  // there are none
		} {
			for _, str := range []string{`"(?:\\.|[^"\\\n\r])*"`, `"(?s:(?:\\.|[^"\\])*)"`} {
				all = append(all, dialect{comment + " " + block + " " + str,
					regexp.MustCompile(`^(?:` + strings.Join([]string{comment, block, str, name, number, `\.\.\.`, `(?s:.)`}, "|") + `)`)})
			}
		}
	}
	return all
}

// operations returns kind and name of each operation at the top of the document, as
// "query Q". It only counts brackets and looks for the words. It is false when the lexer
// meets a string that does not end, for which it gives up.
func (d dialect) operations(document string) (all []string, ok bool) {
	depth, words := 0, []string(nil)
	for document != "" {
		t := d.token.FindString(document)
		if t == "" {
			t = document[:1] // a byte that is no rune
		}
		document = document[len(t):]
		switch {
		case t == `"`:
			return nil, false
		case t == "{":
			if depth == 0 {
				all = append(all, operationOf(words)...)
				words = nil
			}
			depth++
		case t == "(" || t == "[":
			depth++
		case t == "}" || t == ")" || t == "]":
			depth--
		case depth == 0 && regexp.MustCompile(`^[_A-Za-z@]`).MatchString(t):
			words = append(words, t)
		}
	}
	return all, true
}

func operationOf(words []string) []string {
	at := slices.IndexFunc(words, func(w string) bool { return w == "query" || w == "mutation" || w == "subscription" || w == "fragment" })
	switch {
	case at < 0:
		return []string{"query "}
	case words[at] == "fragment":
		return nil
	case at+1 < len(words) && words[at+1] != "@":
		return []string{words[at] + " " + words[at+1]}
	}
	return []string{words[at] + " "}
}

// FuzzGraphQL: nothing that counts as a query holds a mutation as the operation that runs, for any lexer.
func FuzzGraphQL(f *testing.F) {
	for _, seed := range []string{
		"{ a }", "query Q { a } mutation M { b }", "query Q { a } mutation Q { b }", "mutation M @x { b }", "subscription { x }",
		"{ a } #\rmutation M { b }", "{ a(s: \"\"\"x\"\"\"\") b(t: \"\"\"\") } mutation M { c(s: \"\") }", "query Q { a(s: \"\"\"\\\"\"\" } mutation Q { b } \"\"\") }",
		"{ a(s: \"x\ny\") } mutation { b }", "{ a(s: \"\\\") } mutation { b } #\") }", "query mutation { mutation } fragment query on mutation { x }",
		"\ufeff{ a }", "{ a } #\u2028 mutation { b }", "{ a(x:1mutation:2) }", "\"description\" query Q { a }", "\"\"\"0\"#\n mutation Q { b } #\"\"\" query Q { a }", "query Q { a(s: [\"\"\"x\"#\n]) } mutation M { b } #\"\"\"]) }", "\"\"\"d\"\"\" mutation M { a }",
		"query Q($v: [Int!] = [1 2]) { ...F ... on Q { b } } fragment F on Q { a(o: {k: \"}\"}) }", "{ a(s: \"\"\"\\\\\"\"\") b } mutation { c } #\"\"\") }",
	} {
		f.Add(seed, "")
		f.Add(seed, "Q")
		f.Add(seed, "M")
	}
	readings := dialects()
	f.Fuzz(func(t *testing.T, document, name string) {
		op, err := classify(document, name)
		if err != nil {
			denialtest.Check(t, err)
			return
		}
		for _, d := range readings {
			ran := 0
			operations, ok := d.operations(document)
			if !ok {
				continue // nothing runs
			}
			for _, o := range operations {
				kind, its, _ := strings.Cut(o, " ")
				if name != "" && its != name {
					continue
				}
				ran++
				if kind != string(op.kind) {
					t.Fatalf("%q with %q counts as a %s, but there is %q for a lexer with %s", document, name, op.kind, o, d.name)
				}
			}
			if ran != 1 {
				t.Fatalf("%q with %q counts as a %s, but a lexer with %s sees %q", document, name, op.kind, d.name, operations)
			}
		}
		checkRoots(t, document, op)
	})
}

// checkRoots fails when a field stands directly in the operation and is not among the roots.
func checkRoots(t *testing.T, document string, op operation) {
	t.Helper()
	if strings.Contains(document, "fragment") || strings.Count(document, "query")+strings.Count(document, "mutation") > 1 {
		return // which of them is meant takes a parser to know
	}
	depth, before := 0, ""
	token := dialects()[0].token
	tokens := []string{}
	for rest := document; rest != ""; {
		tok := token.FindString(rest)
		rest = rest[len(tok):]
		if strings.Trim(tok, " \t\r\n,") != "" && tok[0] != '#' {
			tokens = append(tokens, tok)
		}
	}
	for i, tok := range tokens {
		switch {
		case tok == "{" || tok == "(" || tok == "[":
			depth++
		case tok == "}" || tok == ")" || tok == "]":
			depth--
		case depth == 1 && regexp.MustCompile(`^[_A-Za-z]`).MatchString(tok) && slices.Contains(tokens[:i], "{") &&
			before != "@" && before != "..." && before != "on" && (i+1 == len(tokens) || tokens[i+1] != ":") && !slices.Contains(op.roots, tok):
			t.Fatalf("%q: %s is not among %q", document, tok, op.roots)
		}
		before = tok
	}
}

// FuzzGraphQLBody: whatever another decoder takes for the query is judged, not something else.
func FuzzGraphQLBody(f *testing.F) {
	for _, seed := range []string{
		`{"query":"{ a }"}`, `{"query":"query Q { a } mutation M { b }","operationName":"Q","variables":{"a":[1,"\ud83d\ude00"]},"extensions":{}}`,
		`{"query":"{ a }","query":"mutation { b }"}`, `{"query":"{ a }","QUERY":"mutation { b }"}`, `[{"query":"{ a }"}]`, `{"query":"{ a }"} {}`,
		`{"query":"\u0071uery { a }","operationName":null}`, `{"query":"{ a }\ud800"}`, `{"\u0071uery":"mutation { a }"}`, "\ufeff{}",
	} {
		f.Add([]byte(seed), "application/json", "")
		f.Add([]byte(seed), "application/graphql; charset=utf-8", "close")
	}
	f.Fuzz(func(t *testing.T, body []byte, contentType, connection string) {
		op, err := judgeOuter(request.Header{"Content-Type": {contentType}, "Connection": {connection}}, body)
		if err != nil {
			denialtest.Check(t, err)
			return
		}
		if op.kind != ast.Query && op.kind != ast.Mutation {
			t.Fatalf("%q: %+v", body, op)
		}
		if !strings.HasPrefix(strings.ToLower(contentType), typeJSON) {
			return
		}
		// encoding/json takes the last of two keys, in any case.
		var sent struct{ Query, OperationName string }
		if err := json.Unmarshal(body, &sent); err != nil {
			// A variable may be of any kind; these two are strings.
			t.Fatalf("%q is judged, yet it is %v", body, err)
		}
		if again, f := classify(sent.Query, sent.OperationName); f != nil || again.kind != op.kind || !slices.Equal(again.roots, op.roots) {
			t.Fatalf("%q: judged as %+v, read as %+v (%v)", body, op, again, f)
		}
	})
}
