package pace

import "testing"

func TestADocumentIsKnownByWhatDecidesItsCost(t *testing.T) {
	t.Parallel()
	const base = `{"query":"query P($n: Int!, $after: String) { products(first: $n, after: $after) { nodes { id } } }","operationName":"P","variables":{"n":50,"after":"abc","ids":["a","b"]}}`
	read := func(s string) document { return readDocument([]byte(s)) }
	first := read(base)
	for _, c := range []struct {
		name, body        string
		sameText, sameAll bool
	}{
		{"the_same", base, true, true},
		{"another_cursor", `{"query":"query P($n: Int!, $after: String) { products(first: $n, after: $after) { nodes { id } } }","operationName":"P","variables":{"n":50,"after":"d\"e\\","ids":["c","d"]}}`, true, true},
		{"other_white_space", `{ "query" : "query P($n: Int!, $after: String) { products(first: $n, after: $after) { nodes { id } } }" , "operationName":"P", "variables": {"n":50, "after":"abc","ids":["a","b"] } }`, true, true},
		{"another_number", `{"query":"query P($n: Int!, $after: String) { products(first: $n, after: $after) { nodes { id } } }","operationName":"P","variables":{"n":250,"after":"abc","ids":["a","b"]}}`, true, false},
		{"more_ids", `{"query":"query P($n: Int!, $after: String) { products(first: $n, after: $after) { nodes { id } } }","operationName":"P","variables":{"n":50,"after":"abc","ids":["a","b","c"]}}`, true, false},
		{"another_operation", `{"query":"query P($n: Int!, $after: String) { products(first: $n, after: $after) { nodes { id } } }","operationName":"Q","variables":{"n":50,"after":"abc","ids":["a","b"]}}`, false, false},
		{"another_query", `{"query":"{ shop { name } }","operationName":"P","variables":{"n":50,"after":"abc","ids":["a","b"]}}`, false, false},
		{"application_graphql", `{ shop { name } }`, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := read(c.body)
			if (d.text == first.text) != c.sameText || (d.whole == first.whole) != c.sameAll {
				t.Errorf("same text %v, same altogether %v", d.text == first.text, d.whole == first.whole)
			}
		})
	}
	if read("").known || !read("{ shop { name } }").known {
		t.Error("an empty body is no document, and one of GraphQL alone is one")
	}
}

func TestReadingADocumentAllocatesNothing(t *testing.T) {
	body := []byte(`{"query":"{ shop { name } }","variables":{"n":50}}`)
	if n := testing.AllocsPerRun(100, func() { readDocument(body) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzReadDocument(f *testing.F) {
	for _, s := range []string{`{"query":"{ shop { name } }"}`, `{"a":[1,{"b":"\\\""}],"c`, `[{}]`, `"`, `{"query":"\`, `{{{{`, `}:,"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		a, b := readDocument(body), readDocument(append([]byte{}, body...))
		if a != b {
			t.Fatal("the same bytes are two documents")
		}
		if a.known != (len(body) > 0) {
			t.Fatalf("known %v for %d bytes", a.known, len(body))
		}
	})
}

func TestCostsAreRememberedAndBounded(t *testing.T) {
	t.Parallel()
	c := newCosts()
	d := document{text: 1, whole: 2, known: true}
	if got := c.estimate(d); got != defaultCost {
		t.Errorf("a guess of %d", got)
	}
	c.remember(d, 862)
	if got := c.estimate(d); got != 862 {
		t.Errorf("remembered %d", got)
	}
	if got := c.estimate(document{text: 1, whole: 3, known: true}); got != 862 {
		t.Errorf("with other numbers the best guess is %d, want what the text cost", got)
	}
	if got := c.estimate(document{}); got != 862 {
		t.Errorf("of a document nobody knows: %d, want the usual", got)
	}
	for i := range uint64(10 * rememberedCosts) {
		c.remember(document{text: 2*i + 10, whole: 2*i + 11, known: true}, 5)
	}
	total := 0
	for _, s := range c.shards {
		total += s.Len()
	}
	if total > rememberedCosts {
		t.Errorf("%d costs are remembered, more than %d", total, rememberedCosts)
	}
}
