package guard

import (
	"encoding/json"
	"testing"

	"evergate/internal/access"
	"evergate/internal/denial"
	"evergate/internal/denial/denialtest"
	"evergate/internal/reload/reloadtest"
)

// A bulk operation carries a document in a string. What is judged is what will run, so that one is judged
// as if it were sent by itself, however it got there.
func TestTheDocumentOfABulkOperationIsJudged(t *testing.T) {
	t.Parallel()
	const file = `{"default": "PICK", "policies": {
		"rules": {"base": "none", "queries": ["*"], "mutations": ["*"]},
		"narrow": {"base": "none", "queries": ["products"], "mutations": ["bulkOperationRunQuery", "bulkOperationRunMutation", "productUpdate"]},
		"exporter": {"base": "read-only", "mutations": ["bulkOperationRunQuery"]}}}`
	with := func(name string) *Admission {
		return admissionWith(t, access.Options{PolicyFile: reloadtest.WriteFile(t, `{"default": "`+name+file[len(`{"default": "PICK`):])})
	}
	rules, narrow, exporter := with("rules"), with("narrow"), with("exporter")
	const secret = "{ shop { storefrontAccessTokens(first: 9) { edges { node { accessToken } } } } }"
	literal := func(document string) string {
		quoted, _ := json.Marshal(document)
		return "mutation { bulkOperationRunQuery(query: " + string(quoted) + ") { bulkOperation { id } } }"
	}
	type vars = map[string]any
	byVariable := "mutation($q: String!) { bulkOperationRunQuery(query: $q) { bulkOperation { id } } }"
	runMutation := "mutation($m: String!) { bulkOperationRunMutation(mutation: $m, stagedUploadPath: \"x\") { bulkOperation { id } } }"
	const denied, malformed, ambiguous = denial.CodeDeniedOperation, denial.CodeMalformedGraphQL, denial.CodeAmbiguousGraphQL
	for _, c := range []struct {
		what      string
		policy    *Admission
		document  string
		variables any
		want      string
	}{
		{"a harmless export", rules, literal("{ products { edges { node { id } } } }"), nil, ""},
		{"a harmless export by variable", exporter, byVariable, vars{"q": "{ products { edges { node { id } } } }"}, ""},
		{"a search is no document", exporter, "{ bulkOperations(query: \"status:completed\", first: 1) { nodes { id } } }", nil, ""},
		{"nothing to run", rules, byVariable, nil, ""},
		{"null", rules, byVariable, vars{"q": nil}, ""},
		{"a mutation that is let through", narrow, runMutation, vars{"m": "mutation U($input: ProductInput!) { productUpdate(input: $input) { product { id } } }"}, ""},

		{"a string", rules, literal(secret), nil, denied},
		{"a string for a reader", exporter, literal(secret), nil, denied},
		{"an alias inside", rules, literal("{ shop { t: storefrontAccessTokens { edges { node { a: accessToken } } } } }"), nil, denied},
		{"a fragment inside", rules, literal("query { shop { ...F } } fragment F on Shop { storefrontAccessTokens { edges { node { id } } } }"), nil, denied},
		{"an alias outside", rules, "mutation { x: bulkOperationRunQuery(query: \"" + secret + "\") { userErrors { field } } }", nil, denied},
		{"the second of two", rules, "mutation { a: bulkOperationRunQuery(query: \"{ products { id } }\") { x } b: bulkOperationRunQuery(query: \"" + secret + "\") { x } }", nil, denied},
		{"an argument twice", rules, "mutation { bulkOperationRunQuery(query: \"{ products { id } }\", query: \"" + secret + "\") { x } }", nil, denied},
		{"a fragment outside", rules, "mutation { ...F } fragment F on Mutation { ... { bulkOperationRunQuery(query: \"" + secret + "\") { x } } }", nil, denied},
		{"a block string", rules, "mutation { bulkOperationRunQuery(query: \"\"\"\n  " + secret + "\n\"\"\") { x } }", nil, denied},
		{"escapes", rules, "mutation { bulkOperationRunQuery(query: \"{ shop { storefrontAccess\\u0054okens { edges { node { id } } } } }\") { x } }", nil, denied},
		{"a variable", rules, byVariable, vars{"q": secret}, denied},
		{"a default", rules, "mutation($q: String = \"" + secret + "\") { bulkOperationRunQuery(query: $q) { x } }", nil, denied},
		{"a default behind a harmless value", rules, "mutation($q: String = \"" + secret + "\") { bulkOperationRunQuery(query: $q) { x } }", vars{"q": "{ products { id } }"}, denied},
		{"the other of two operations", rules, "query Harmless { shop { name } } mutation Run($q: String!) { bulkOperationRunQuery(query: $q) { x } }", vars{"q": secret}, denied},
		{"skipped by a directive", rules, "mutation($q: String!) { bulkOperationRunQuery(query: $q) @skip(if: false) { x } }", vars{"q": secret}, denied},
		{"a mutation that mints", rules, runMutation, vars{"m": "mutation { storefrontAccessTokenCreate(input: {title: \"x\"}) { userErrors { field } } }"}, denied},
		{"a mutation that shows", rules, runMutation, vars{"m": "mutation { productUpdate { shop { storefrontAccessTokens { edges { node { id } } } } } }"}, denied},
		{"a mutation that is not listed", narrow, runMutation, vars{"m": "mutation { customerDelete { userErrors { field } } }"}, denied},
		{"a query that is not listed", narrow, byVariable, vars{"q": "{ customers { edges { node { id } } } }"}, denied},
		{"a name to come", rules, "mutation { bulkOperationRunAnything(query: \"" + secret + "\") { x } }", nil, denied},

		{"a document that nobody can parse", rules, literal("{ products {"), nil, ambiguous},
		{"two operations", rules, literal("query A { products { id } } query B { shop { storefrontAccessTokens { id } } }"), nil, ambiguous},
		{"variables in a string", rules, byVariable, `{"q": "{ shop { name } }"}`, ambiguous},
		{"a list", rules, byVariable, vars{"q": []string{secret}}, malformed},
		{"a list in the document", rules, "mutation { bulkOperationRunQuery(query: [\"" + secret + "\"]) { x } }", nil, malformed},
		{"a bulk operation in a bulk operation", rules, runMutation, vars{"m": literal(secret)}, malformed},
	} {
		body := map[string]any{"query": c.document, "variables": c.variables}
		if c.what == "the other of two operations" {
			body["operationName"] = "Run"
		}
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		_, err = judge(t, c.policy, call(t, "POST", graphQL, typeJSON), string(text))
		denialtest.Want(t, c.what, err, c.want)
	}

	// What other parsers read in a variable that stands there twice is not known.
	for _, variables := range []string{`{"q": "{ a }", "q": "{ b }"}`, `{"\u0071": "{ a }"}`} {
		text, _ := json.Marshal(byVariable)
		_, err := judge(t, rules, call(t, "POST", graphQL, typeJSON), `{"query": `+string(text)+`, "variables": `+variables+`}`)
		denialtest.Want(t, variables, err, ambiguous)
	}
}
