package shopsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
)

const graphQL = "/admin/api/2026-10/graphql.json"

func (c *client) query(document string, variables map[string]any, operation string) answer {
	c.t.Helper()
	body, err := json.Marshal(map[string]any{"query": document, "variables": variables, "operationName": operation})
	if err != nil {
		c.t.Fatal(err)
	}
	return c.do(http.MethodPost, graphQL, string(body))
}

func TestGraphQLAnswers(t *testing.T) {
	first, second := fmt.Sprintf("gid://shopify/Product/%d", firstProductID), fmt.Sprintf("gid://shopify/Product/%d", firstProductID+1)
	cursorOne := cursorOf(&product{id: firstProductID})
	for _, tc := range []struct {
		name, document string
		variables      map[string]any
		operation      string
		data           string
	}{
		{"shop", `{ shop { name myshopifyDomain plan { shopifyPlus } } }`, nil, "",
			`{"shop":{"name":"Blue Finch","myshopifyDomain":"blue-finch.myshopify.com","plan":{"shopifyPlus":false}}}`},
		{"typename_and_order", `query { z: shop { __typename } __typename a: shop { name } }`, nil, "",
			`{"z":{"__typename":"Shop"},"__typename":"QueryRoot","a":{"name":"Blue Finch"}}`},
		{"operation_name", `query A { a: shop { name } } query B { b: shop { name } }`, nil, "B", `{"b":{"name":"Blue Finch"}}`},
		{"variables", `query Q($n: Int!, $after: String) { products(first: $n, after: $after) { nodes { id } pageInfo { hasNextPage } } }`,
			map[string]any{"n": 1, "after": cursorOne}, "", `{"products":{"nodes":[{"id":"` + second + `"}],"pageInfo":{"hasNextPage":true}}}`},
		{"variable_default", `query($n: Int = 1) { products(first: $n) { nodes { id } } }`, nil, "", `{"products":{"nodes":[{"id":"` + first + `"}]}}`},
		{"edges", `{ products(first: 1) { edges { cursor node { title } } } }`, nil, "",
			`{"products":{"edges":[{"cursor":"` + cursorOne + `","node":{"title":"Product 1"}}]}}`},
		{"last_before", `query($b: String) { products(last: 1, before: $b) { nodes { id } pageInfo { hasNextPage hasPreviousPage } } }`,
			map[string]any{"b": cursorOf(&product{id: firstProductID + 2})}, "",
			`{"products":{"nodes":[{"id":"` + second + `"}],"pageInfo":{"hasNextPage":true,"hasPreviousPage":true}}}`},
		{"fragments", `query { shop { ...F ... on Shop { email } ... { name } } } fragment F on Shop { name plan { displayName } }`, nil, "",
			`{"shop":{"name":"Blue Finch","plan":{"displayName":"Basic"},"email":"owner@example.com"}}`},
		{"merged_selections", `{ shop { plan { displayName } } shop { plan { shopifyPlus } } }`, nil, "",
			`{"shop":{"plan":{"displayName":"Basic","shopifyPlus":false}}}`},
		{"directives", `query($yes: Boolean!) { shop { name @skip(if: $yes) email @include(if: $yes) url @include(if: false) } }`,
			map[string]any{"yes": true}, "", `{"shop":{"email":"owner@example.com"}}`},
		{"null_object", `{ product(id: 1) { id } }`, nil, "", `{"product":null}`},
		{"by_id", `query($id: ID!) { product(id: $id) { title tags legacyResourceId } }`, map[string]any{"id": first}, "",
			fmt.Sprintf(`{"product":{"title":"Product 1","tags":[],"legacyResourceId":"%d"}}`, firstProductID)},
		{"what_a_page_shows", `query($id: ID!) { product(id: $id) { priceRangeV2 { minVariantPrice { amount } maxVariantPrice { currencyCode } }
			images(first: 1) { nodes { url } } variants(first: 1) { nodes { selectedOptions { name value } } } } }`, map[string]any{"id": second}, "",
			`{"product":{"priceRangeV2":{"minVariantPrice":{"amount":"10.99"},"maxVariantPrice":{"currencyCode":"USD"}},` +
				`"images":{"nodes":[]},"variants":{"nodes":[{"selectedOptions":[{"name":"Title","value":"Default Title"}]}]}}}`},
		{"count", `{ productsCount { count precision } }`, nil, "", `{"productsCount":{"count":3,"precision":"EXACT"}}`},
		{"installation", `{ currentAppInstallation { accessScopes { handle } app { handle } } }`, nil, "",
			`{"currentAppInstallation":{"accessScopes":[{"handle":"read_products"},{"handle":"write_products"}],"app":{"handle":"simulated-app"}}}`},
		{"comments_and_commas", "\ufeff# hello\n{,shop,{,name,# x\n},}", nil, "", `{"shop":{"name":"Blue Finch"}}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := mintingClient(t, simWith(3)).query(tc.document, tc.variables, tc.operation)
			want(t, a, 200, `{"data":`+tc.data+`,"extensions":{"cost":{`)
		})
	}
}

func TestDescriptionHasNoTags(t *testing.T) {
	const create = `mutation($html: String!, $at: Int) { productCreate(product: {title: "Lamp", descriptionHtml: $html}) { product { description(truncateAt: $at) } } }`
	for _, tc := range []struct {
		html string
		at   any
		want string
	}{
		{"", nil, ""},
		{"<p>A <b>lamp</b></p>\n<p class='x'>of oak &amp; brass</p>", nil, "A lamp of oak & brass"},
		{"<p>A lamp</p>", 5, "A ..."},
		{"<p>A lamp</p>", 6, "A lamp"},
		{"A lamp <unfinished", nil, "A lamp"},
	} {
		want(t, mintingClient(t, simWith(0)).query(create, map[string]any{"html": tc.html, "at": tc.at}, ""), 200, fmt.Sprintf(`{"description":%q}`, tc.want))
	}
}

func TestGraphQLProblems(t *testing.T) {
	for _, tc := range []struct{ name, document, part string }{
		{"undefined_field", "{ shop {\n  nme } }",
			`{"errors":[{"message":"Field 'nme' doesn't exist on type 'Shop'","locations":[{"line":2,"column":3}],` +
				`"extensions":{"code":"undefinedField","fieldName":"nme","typeName":"Shop"},"path":["query","shop","nme"]}]}`},
		{"undefined_mutation", `mutation M { nothing { id } }`, `on type 'Mutation'`},
		{"syntax", `{ shop { name }`, `syntax error, unexpected end of file`},
		{"subscription", `subscription { shop { name } }`, `syntax error, unexpected \"subscription\"`},
		{"no_selection", `{ shop }`, `Field must have selections`},
		{"selection_on_scalar", `{ shop { name { x } } }`, `Selections can't be made on scalars`},
		{"argument", `{ shop(x: 1) { name } }`, `doesn't accept argument 'x'`},
		{"argument_type", `{ products(first: "1") { nodes { id } } }`, `Expected type 'Int'`},
		{"argument_missing", `{ product { id } }`, `missing required arguments: id`},
		{"page_size_missing", `{ products { nodes { id } } }`, `you must provide one of first or last`},
		{"page_size_over", `{ products(first: 251) { nodes { id } } }`, `first cannot exceed 250.`},
		{"page_size_negative", `{ products(last: -1) { nodes { id } } }`, `must not be negative`},
		{"bad_cursor", `{ products(first: 1, after: "x") { nodes { id } } }`, `Invalid cursor`},
		{"undeclared_variable", `{ products(first: $n) { nodes { id } } }`, `Variable $n is used but not declared`},
		{"missing_variable", `query($n: Int!) { products(first: $n) { nodes { id } } }`, `Variable $n of type Int! was provided invalid value`},
		{"unknown_fragment", `{ shop { ...F } }`, `Fragment F was used, but not defined`},
		{"endless_fragment", `{ shop { ...F } } fragment F on Shop { ...F }`, `infinite loop`},
		{"fragment_type", `{ shop { ... on Product { id } } }`, `can't be spread inside Shop`},
		{"fragment_no_type", `{ shop { ... on Spoon { id } } }`, `No such type Spoon`},
		{"directive", `{ shop { name @odd } }`, `Directive @odd is not defined`},
		{"directive_argument", `{ shop { name @skip(if: 1) } }`, `wants the argument if`},
		{"conflict", `{ shop { a: name a: email } }`, `field conflict`},
		{"two_operations", `query A { shop { name } } query B { shop { name } }`, `An operation name is required`},
		{"only_fragments", `fragment F on Shop { name }`, `An operation name is required`},
		{"input_field", `mutation { productCreate(product: {titel: "x"}) { product { id } } }`, `doesn't accept argument 'titel'`},
		{"unterminated", `{ shop(x: "`, `unterminated string`},
		{"bad_character", `{ shop ? }`, `unexpected character`},
		{"deep", strings.Repeat("{a", 100), `nested too deeply`},
		{"exploding_fragments", explodingFragments(20), `selects too many fields`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := simWith(1)
			a := mintingClient(t, s).query(tc.document, nil, "")
			want(t, a, 200, tc.part)
			if m := a.json(t); m["data"] != nil || m["extensions"] != nil {
				t.Errorf("a request that did not run has data or a cost: %s", a.body)
			}
		})
	}
	want(t, mintingClient(t, simWith(0)).query(`query A { shop { name } }`, nil, "B"), 200, `No operation named \"B\"`)
}

// explodingFragments is a short text for a query of 2^n fields.
func explodingFragments(n int) string {
	var b strings.Builder
	b.WriteString("{ shop { ...F0 } }")
	for i := range n {
		fmt.Fprintf(&b, " fragment F%d on Shop { ...F%d ...F%d }", i, i+1, i+1)
	}
	fmt.Fprintf(&b, " fragment F%d on Shop { name }", n)
	return b.String()
}

func TestEveryFieldHasAResolver(t *testing.T) {
	s := adminSchema()
	for name, def := range s.types {
		for _, f := range def.Fields {
			if s.types[f.Type.Name()] == nil {
				t.Errorf("%s.%s has the type %s, which is not defined", name, f.Name, f.Type)
			}
			for _, a := range f.Arguments {
				if of := s.types[a.Type.Name()]; of == nil || !of.IsInputType() {
					t.Errorf("%s.%s(%s:) has the type %s, which is no input type", name, f.Name, a.Name, a.Type)
				}
			}
			if def.Kind == ast.Object && (s.fields[name][f.Name] == nil || s.fields[name][f.Name].resolve == nil) {
				t.Errorf("nothing answers %s.%s", name, f.Name)
			}
		}
		for _, abstract := range def.Interfaces {
			for _, f := range s.types[abstract].Fields {
				if mine := def.Fields.ForName(f.Name); mine == nil || mine.Type.String() != f.Type.String() {
					t.Errorf("%s lacks %s of %s", name, f.Name, abstract)
				}
			}
		}
	}
}

func TestEveryFieldResolves(t *testing.T) {
	s := New(Options{Shops: []Shop{{Domain: "blue-finch", Products: 2, Variants: 2, Locations: []string{"North", "South"}, Orders: 3, Customers: 2}},
		Apps: []App{{ClientID: DefaultClientID, ClientSecret: DefaultClientSecret, Scopes: AllScopes}}})
	s.Change(func(c *Settings) { c.MaxQueryCost, c.GraphQLSize = 1e6, 1e6 })
	c := mintingClient(t, s)
	arguments := map[string]string{
		"product": "(id: 7000000000001)", "productVariant": "(id: 40000000000000)", "inventoryItem": "(id: 50000000000000)",
		"inventoryLevel": `(locationId: "gid://shopify/Location/80000000001")`, "location": `(id: "gid://shopify/Location/80000000001")`,
		"node": `(id: "gid://shopify/Location/80000000001")`, "nodes": `(ids: ["gid://shopify/Product/7000000000002"])`,
		"bulkOperation": "(id: 720918)", "order": `(id: "gid://shopify/Order/5500000000002")`, "customer": "(id: 6600000000001)",
		"quantities": `(names: ["available", "on_hand", "committed"])`, "__type": `(name: "Product")`,
	}
	want(t, c.query(`mutation { bulkOperationRunQuery(query: "{ products { nodes { id } } }") { bulkOperation { id } userErrors { message } } }`, nil, ""), 200, `"userErrors":[]`)
	schema := adminSchema()
	var write func(of *ast.Definition, open string) string
	write = func(of *ast.Definition, open string) string {
		var b strings.Builder
		for _, f := range of.Fields {
			inner := schema.types[f.Type.Name()]
			if strings.Contains(open, " "+inner.Name+" ") || strings.HasPrefix(f.Name, "__") {
				continue // introspection has a test of its own
			}
			b.WriteString(" " + f.Name)
			switch text, fixed := arguments[f.Name]; {
			case of.Name == gqlQuery && f.Name == "inventoryLevel":
				b.WriteString(`(id: "gid://shopify/InventoryLevel/80000000001?inventory_item_id=50000000000000")`)
			case fixed && len(f.Arguments) > 0 && (of.Name == gqlQuery || f.Name != "order"):
				b.WriteString(text)
			case strings.HasSuffix(inner.Name, "Connection"):
				b.WriteString("(first: 2)")
			}
			if inner.IsCompositeType() {
				b.WriteString(" {" + write(inner, open+inner.Name+" ") + " }")
			}
		}
		if b.Len() == 0 {
			return " __typename"
		}
		return b.String()
	}
	var all strings.Builder
	for _, f := range schema.types[gqlQuery].Fields {
		one := &ast.Definition{Kind: ast.Object, Name: gqlQuery, Fields: ast.FieldList{f}}
		a := c.query("{"+write(one, " ")+" }", nil, "")
		if a.json(t)["errors"] != nil {
			t.Errorf("%s: %s", f.Name, a.body)
		}
		all.WriteString(a.body)
	}
	for _, part := range []string{`"handle":"2027-01","supported":false`, `"createdAt":"2026-01-15T09:30:00Z"`, `"tags":[]`, `"sku":"SKU-00001-2"`,
		`"name":"on_hand","quantity":`, `"displayFulfillmentStatus":"UNFULFILLED"`, `"amountSpent":{"amount":"`, `"role":"MAIN"`} {
		if !strings.Contains(all.String(), part) {
			t.Errorf("nothing answers %s", part)
		}
	}
}

func TestArgumentsOfAllKinds(t *testing.T) {
	c := mintingClient(t, simWith(1))
	id := firstProductID
	want(t, c.query(`query($id: ID!) { product(id: $id) { title } }`, map[string]any{"id": id}, ""), 200, "Product 1")
	want(t, c.query(fmt.Sprintf(`{ product(id: %d) { title } }`, id), nil, ""), 200, "Product 1")
	want(t, c.query(`mutation { productCreate(product: {title: "x", tags: "a"}) { product { tags } } }`, nil, ""), 200, `"tags":["a"]`)
	for _, bad := range []string{`{ product(id: null) { id } }`, `{ product(id: {}) { id } }`, `{ products(first: 3000000000) { nodes { id } } }`,
		`{ products(first: 1.5) { nodes { id } } }`, `mutation { productCreate(product: {tags: [1]}) { product { id } } }`,
		`mutation { productCreate(product: {tags: 1}) { product { id } } }`, `mutation { productCreate(product: 1) { product { id } } }`} {
		want(t, c.query(bad, nil, ""), 200, `"errors":[{"message":"Argument`, "has an invalid value")
	}
	want(t, c.query(`query($n: Int) { products(first: $n) { nodes { id } } }`, map[string]any{"n": 1.5}, ""), 200, "Expected type 'Int'")
	want(t, c.query(`query($n: Int) { products(first: $n) { nodes { id } } }`, nil, ""), 200, "one of first or last")
}

func TestProductCreate(t *testing.T) {
	s := simWith(0)
	c := mintingClient(t, s)
	const document = `mutation Create($p: ProductCreateInput!) { productCreate(product: $p) { product { title status tags } userErrors { field message } } }`
	a := c.query(document, map[string]any{"p": map[string]any{"title": "A <b> & \"c\"", "status": "DRAFT", "tags": []string{"x", "y"}}}, "")
	want(t, a, 200, `{"data":{"productCreate":{"product":{"title":"A <b> & \"c\"","status":"DRAFT","tags":["x","y"]},"userErrors":[]}}`,
		`"requestedQueryCost":10,"actualQueryCost":10`)
	a = c.query(`mutation { productCreate(input: {title: """  """, vendor: "v"}) { product { id } userErrors { field message } } }`, nil, "")
	want(t, a, 200, `{"product":null,"userErrors":[{"field":["title"],"message":"Title can't be blank"}]}`)
	want(t, c.get("/admin/api/2026-10/products/count.json"), 200, `{"count":1}`)
}

func TestGraphQLScopes(t *testing.T) {
	s := simWith(1)
	s.SetScopes("", "read_orders")
	c := mintingClient(t, s)
	want(t, c.query(`{ p: products(first: 1) { nodes { id } } }`, nil, ""), 200,
		`{"errors":[{"message":"Access denied for products field. Required access: `+"`read_products` access scope.",
		`"locations":[{"line":1,"column":3}]`, `"code":"ACCESS_DENIED"`, `"path":["p"]`, `"data":{"p":null}`)
	want(t, c.query(`mutation { productCreate(product: {title: "x"}) { product { id } } }`, nil, ""), 200, "write_products", `"productCreate":null`)
	if n := len(s.mustShop("").products.list); n != 1 {
		t.Errorf("%d products after a denied mutation", n)
	}
}

func TestGraphQLCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := simWith(3)
		c := mintingClient(t, s)
		want(t, c.query(`{ shop { name } }`, nil, ""), 200, `"extensions":{"cost":{"requestedQueryCost":2,"actualQueryCost":2,`+
			`"throttleStatus":{"maximumAvailable":2000.0,"currentlyAvailable":1998,"restoreRate":100.0}}}`)
		time.Sleep(time.Second)
		// Admission is by what was asked for, the charge by what was found.
		want(t, c.query(`{ products(first: 200) { nodes { id } } }`, nil, ""), 200,
			`"requestedQueryCost":202,"actualQueryCost":5`, `"currentlyAvailable":1995`)
		s.Change(func(c *Settings) { c.GraphQLSize, c.GraphQLRestore = 400, 50 })
		s.DrainBuckets("", "")
		want(t, c.query(`{ products(first: 100) { nodes { id } } }`, nil, ""), 200,
			`{"errors":[{"message":"Throttled","extensions":{"code":"THROTTLED","documentation":"https://shopify.dev/api/usage/rate-limits"}}],`+
				`"extensions":{"cost":{"requestedQueryCost":102,"actualQueryCost":null,`+
				`"throttleStatus":{"maximumAvailable":400.0,"currentlyAvailable":0,"restoreRate":50.0}}}}`)
		time.Sleep(2040 * time.Millisecond) // (102 - 0) / 50 seconds
		a := c.query(`{ products(first: 100) { nodes { id } } }`, nil, "")
		want(t, a, 200, `"data"`)
		if a.Header.Get("X-Shopify-Shop-Api-Call-Limit") != "" {
			t.Error("GraphQL has a REST call limit")
		}
	})
}

func TestSingleQueryLimit(t *testing.T) {
	c := mintingClient(t, simWith(0))
	var b strings.Builder
	for i := range 5 {
		fmt.Fprintf(&b, " p%d: products(first: 250) { nodes { id } }", i)
	}
	want(t, c.query("{"+b.String()+"}", nil, ""), 200, `"message":"Query cost is 1256, which exceeds the single query max cost limit (1000).`,
		`"code":"MAX_COST_EXCEEDED","cost":1256`, `"maxCost":1000`)
}

func TestGraphQLTransport(t *testing.T) {
	c := mintingClient(t, simWith(0))
	for _, tc := range []struct {
		method, contentType, body string
		status                    int
	}{
		{"POST", "application/graphql", `{ shop { name } }`, 200},
		{"POST", "application/json; charset=utf-8", `{"query":"{ shop { name } }"}`, 200},
		{"POST", "application/json", `{"query":""}`, 400},
		{"POST", "application/json", `[{"query":"{ shop { name } }"}]`, 400},
		{"POST", "application/json", `{`, 400},
		{"POST", "text/plain", `{ shop { name } }`, 415},
		{"GET", "", "", 405},
	} {
		a, err := c.try(tc.method, graphQL, tc.contentType, tc.body)
		if err != nil {
			t.Fatal(err)
		}
		want(t, a, tc.status)
	}
	c.token = ""
	want(t, c.query(`{ shop { name } }`, nil, ""), 401, badTokenText)
}

func TestParserReadsAllValues(t *testing.T) {
	doc, err := parseGQL(`query Q($a: [ID!]! = ["x"], $b: T = {k: 1}) @d(x: 1) {
		f(i: -12, f: 1.5e3, s: "a\n\u0041\"", t: true, n: null, e: NAME, l: [], o: {}, b: """x\"""y""") { id }
	}`)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]any{}
	for _, a := range doc.Operations[0].SelectionSet[0].(*ast.Field).Arguments {
		if values[a.Name], err = a.Value.Value(nil); err != nil {
			t.Error(err)
		}
	}
	got := fmt.Sprintf("%v", values)
	for _, part := range []string{"-12", "1500", "a\nA\"", "true", "<nil>", "NAME", "[]", `x"""y`} {
		if !strings.Contains(got, part) {
			t.Errorf("no %q in %s", part, got)
		}
	}
	for _, bad := range []string{"", "{", "{}", "{a(}", "{a(b:)}", "{a(b:01)}", "{a(b:1.)}", "{a(b:1e)}", "{a(b:1x)}", "query Q", "fragment on on X{a}",
		"fragment F X{a}", "fragment F on X{a} fragment F on X{b}", `{a(b:"\q")}`, "{a(b:\"\n\")}", "{a(b:99999999999999999999)}", "{a(b:\"\"\")}", "query($a){b}", "query($a: T = {k: $b}){c}", `{a(b:"\`} {
		_, err := parseGQL(bad)
		var syntax *gqlSyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%q: %v, want a syntax error", bad, err)
		}
	}
}

func FuzzGraphQL(f *testing.F) {
	for _, seed := range []string{
		`{ shop { name } }`, `query Q($n: Int = 2) { products(first: $n) { edges { node { id } } } }`, explodingFragments(3),
		`mutation { productCreate(product: {title: "x", tags: ["a"]}) { userErrors { field } } }`,
		`{ shop { ...F @skip(if: true) ... on Shop { a: name } } } fragment F on Shop { name }`,
		`{ product(id: 1) { id } products(last: 1, before: "x") { nodes { id } } }`, "{a(b:\"\"\" \\\"\"\" \"\"\",c:$d)}",
	} {
		f.Add(seed, `{"n": 1}`)
	}
	s := simWith(3)
	s.Change(func(c *Settings) { c.GraphQLSize, c.GraphQLRestore, c.MaxQueryCost = 1e12, 1e12, 1e9 })
	token := s.IssueToken("", "", 0)
	f.Fuzz(func(t *testing.T, document, variables string) {
		var v map[string]any
		_ = json.Unmarshal([]byte(variables), &v)
		c := newClient(t, s)
		c.token = token
		a := c.query(document, v, "")
		if document == "" {
			return
		}
		m := a.json(t)
		if _, failed := m["errors"].([]any); a.StatusCode != 200 || !failed && m["data"] == nil {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
	})
}
