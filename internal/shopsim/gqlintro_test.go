package shopsim

import (
	"encoding/json"
	"testing"
)

// introspectionQuery is what clients send: it asks for all that there is to know of a schema.
const introspectionQuery = `query IntrospectionQuery {
	__schema {
		description queryType { name } mutationType { name } subscriptionType { name }
		types { ...FullType }
		directives { name description isRepeatable locations args(includeDeprecated: true) { ...InputValue } }
	}
}
fragment FullType on __Type {
	kind name description specifiedByURL isOneOf
	fields(includeDeprecated: true) { name description args(includeDeprecated: true) { ...InputValue } type { ...TypeRef } isDeprecated deprecationReason }
	inputFields(includeDeprecated: true) { ...InputValue }
	interfaces { ...TypeRef }
	enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
	possibleTypes { ...TypeRef }
}
fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue isDeprecated deprecationReason }
fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } }`

// introspected is a type as a client reads it.
type introspected struct {
	Kind, Name    string
	Fields        []struct{ Name string }
	InputFields   []struct{ Name, DefaultValue string }
	PossibleTypes []struct{ Name string }
	EnumValues    []struct{ Name string }
}

func introspect(t *testing.T, version string) map[string]introspected {
	t.Helper()
	c := mintingClient(t, simWith(1))
	body, err := json.Marshal(map[string]string{"query": introspectionQuery})
	if err != nil {
		t.Fatal(err)
	}
	a := c.do("POST", "/admin/api/"+version+"/graphql.json", string(body))
	var answer struct {
		Errors any
		Data   struct {
			Schema struct {
				QueryType, MutationType struct{ Name string }
				Types                   []introspected
			} `json:"__schema"`
		}
	}
	if err := json.Unmarshal([]byte(a.body), &answer); err != nil || answer.Errors != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	if s := answer.Data.Schema; s.QueryType.Name != "QueryRoot" || s.MutationType.Name != "Mutation" {
		t.Errorf("the roots are %+v and %+v", s.QueryType, s.MutationType)
	}
	types := map[string]introspected{}
	for _, of := range answer.Data.Schema.Types {
		types[of.Name] = of
	}
	return types
}

func TestIntrospectionShowsTheWholeSchema(t *testing.T) {
	types := introspect(t, "2026-10")
	schema := adminSchema()
	if len(types) != len(schema.types) {
		t.Errorf("%d types, want %d", len(types), len(schema.types))
	}
	for name, def := range schema.types {
		shown := types[name]
		if shown.Kind != string(def.Kind) || len(shown.EnumValues) != len(def.EnumValues) || len(shown.PossibleTypes) != len(schema.possible[name]) {
			t.Errorf("%s is shown as %+v", name, shown)
		}
	}
	if n := len(types["QueryRoot"].Fields); n != len(schema.types["QueryRoot"].Fields)-2 {
		t.Errorf("the query root has %d fields; those of introspection are none of them", n)
	}
}

func TestIntrospectionKnowsTheVersion(t *testing.T) {
	members := func(version string) (names []string) {
		for _, f := range introspect(t, version)["InventoryQuantityInput"].InputFields {
			names = append(names, f.Name)
		}
		return names
	}
	if now, before := members("2026-04"), members("2026-01"); len(now) != 4 || len(before) != 5 {
		t.Errorf("2026-04 has %v, 2026-01 %v", now, before)
	}
}

func TestIntrospectionOfOneType(t *testing.T) {
	c := mintingClient(t, simWith(0))
	want(t, c.query(`{ __type(name: "ProductVariant") { kind name interfaces { name } fields { name type { kind ofType { name } } } } }`, nil, ""), 200,
		`"kind":"OBJECT","name":"ProductVariant","interfaces":[{"name":"Node"}]`, `{"name":"price","type":{"kind":"NON_NULL","ofType":{"name":"Money"}}}`)
	want(t, c.query(`{ __type(name: "Spoon") { name } }`, nil, ""), 200, `{"__type":null}`)
	// What is deprecated is shown to those who ask for it.
	want(t, c.query(`{ a: __type(name: "ShopPlan") { fields { name } } b: __type(name: "ShopPlan") { fields(includeDeprecated: true) { name deprecationReason } } }`, nil, ""), 200,
		`{"a":{"fields":[{"name":"partnerDevelopment"}`, `"b":{"fields":[{"name":"displayName","deprecationReason":"Use `+"`publicDisplayName`"+` instead."}`)
	want(t, c.query(`{ __type(name: "LocationSortKeys") { enumValues { name } inputFields { name } } }`, nil, ""), 200, `{"enumValues":[{"name":"ID"},{"name":"NAME"}],"inputFields":null}`)
}
