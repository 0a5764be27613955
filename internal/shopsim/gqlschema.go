package shopsim

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
)

var (
	//go:embed schema.graphql
	adminSDL string
	//go:embed introspection.graphql
	introspectionSDL string
)

// gqlSchema is the part of the Admin API's schema that exists here, with what answers each of its fields.
type gqlSchema struct {
	types      map[string]*ast.Definition
	directives map[string]*ast.DirectiveDefinition
	fields     map[string]map[string]*gqlField // of object types: by the names of type and field
	possible   map[string][]string             // the object types of an interface or a union, sorted
}

// gqlField is a field of an object type.
type gqlField struct {
	scope string // that the token must have
	price int    // of a mutation, with everything in it
	once  bool   // a mutation that takes @idempotent, and demands it from 2026-04 on
	// check says what is wrong with the arguments taken together, "" if nothing.
	check func(args map[string]any) string
	// resolve returns nil, a leaf's value, an object for of, or a []any of such.
	resolve func(r *gqlRun, parent any, args map[string]any) any

	// From the schema:
	def  *ast.FieldDefinition
	of   *ast.Definition // nil: a leaf
	list bool
}

// gqlFields are the fields of a type by name.
type gqlFields map[string]*gqlField

const (
	gqlQuery    = "QueryRoot"
	gqlMutation = "Mutation"

	mutationPrice = 10
)

// adminSchema is read when the first GraphQL request comes: who simulates only tokens pays nothing for it.
var adminSchema = sync.OnceValue(func() *gqlSchema {
	s := &gqlSchema{
		types: map[string]*ast.Definition{}, directives: map[string]*ast.DirectiveDefinition{},
		fields: map[string]map[string]*gqlField{}, possible: map[string][]string{},
	}
	for name, text := range map[string]string{"introspection.graphql": introspectionSDL, "schema.graphql": adminSDL} {
		doc, err := parser.ParseSchema(&ast.Source{Name: name, Input: text})
		if err != nil {
			panic(fmt.Sprintf("shopsim: %v", err)) // the text is part of the program
		}
		s.read(doc)
	}
	for _, add := range []func() map[string]gqlFields{
		introspectionResolvers, shopResolvers, productResolvers, variantResolvers, inventoryResolvers, orderResolvers, bulkResolvers, mutationResolvers,
	} {
		for of, fields := range add() {
			s.resolve(of, fields)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.types)) {
		s.resolvePages(name)
	}
	return s
})

func (s *gqlSchema) read(doc *ast.SchemaDocument) {
	for _, def := range doc.Definitions {
		s.types[def.Name] = def
		for _, abstract := range def.Interfaces {
			s.possible[abstract] = append(s.possible[abstract], def.Name)
		}
		if def.Kind == ast.Union {
			s.possible[def.Name] = def.Types
		}
	}
	for _, d := range doc.Directives {
		if d.Name != untilDirective {
			s.directives[d.Name] = d
		}
	}
	for _, names := range s.possible {
		slices.Sort(names)
	}
}

// resolve says what answers the fields of a type.
func (s *gqlSchema) resolve(of string, fields gqlFields) {
	if s.fields[of] == nil {
		s.fields[of] = map[string]*gqlField{}
	}
	for name, f := range fields {
		def := s.types[of].Fields.ForName(name)
		f.def = def
		f.list = def.Type.Elem != nil
		if t := s.types[def.Type.Name()]; t.IsCompositeType() {
			f.of = t
		}
		if of == gqlMutation {
			f.price = mutationPrice
		}
		s.fields[of][name] = f
	}
}

// resolvePages says what answers connections and their edges, which are all alike.
func (s *gqlSchema) resolvePages(name string) {
	if strings.HasSuffix(name, "Connection") {
		s.resolve(name, gqlFields{
			"edges":    leaf(func(p gqlPage) any { return anyList(p.items) }),
			"nodes":    leaf(func(p gqlPage) any { return anyList(p.items) }),
			"pageInfo": leaf(func(p gqlPage) any { return p }),
		})
	}
	if strings.HasSuffix(name, "Edge") {
		s.resolve(name, gqlFields{
			"cursor": leaf(func(n gqlNode) any { return cursorOf(n) }),
			"node":   leaf(func(n gqlNode) any { return n }),
		})
	}
}

// field is a field of an object type, nil if there is none.
func (s *gqlSchema) field(of *ast.Definition, name string) *gqlField {
	if name == "__typename" {
		return &gqlField{resolve: func(*gqlRun, any, map[string]any) any { return of.Name }}
	}
	return s.fields[of.Name][name]
}

// has tells whether an object of a type can be one of another: both are the same, or share object types.
func (s *gqlSchema) overlap(a, b *ast.Definition) bool {
	mine := s.objects(a)
	return slices.ContainsFunc(s.objects(b), func(name string) bool { return slices.Contains(mine, name) })
}

// objects are the object types that a value of a type can have.
func (s *gqlSchema) objects(of *ast.Definition) []string {
	if of.IsAbstractType() {
		return s.possible[of.Name]
	}
	return []string{of.Name}
}

// untilDirective marks in the schema what later versions of the API do not have.
const untilDirective = "until"

// inVersion tells whether what has these directives exists in a version of the API.
func inVersion(directives ast.DirectiveList, version string) bool {
	d := directives.ForName(untilDirective)
	return d == nil || version <= d.Arguments[0].Value.Raw
}

// gqlWeight is the cost of one object of a type. What holds objects together costs nothing, except for the two
// that a list is always asked with.
func gqlWeight(of string) int {
	for _, suffix := range []string{"Edge", "Payload", "UserError", "Count"} {
		if strings.HasSuffix(of, suffix) {
			return 0
		}
	}
	if of == gqlQuery || of == gqlMutation || strings.HasPrefix(of, "__") {
		return 0
	}
	return 1
}

// leaf is a field that only depends on its object. Inlined, each of its many calls would be a function more in the binary.
//
//go:noinline
func leaf[T any](get func(T) any) *gqlField {
	return &gqlField{resolve: func(_ *gqlRun, parent any, _ map[string]any) any { return get(parent.(T)) }}
}

// orNull keeps a nil pointer from being an object that is not null.
func orNull[T any](p *T) any {
	if p == nil {
		return nil
	}
	return p
}

func anyList[T any](items []T) []any {
	out := make([]any, 0, len(items))
	for _, item := range items {
		out = append(out, item)
	}
	return out
}

// userError is a mistake in the input of a mutation.
type userError struct {
	field   []string
	message string
	code    string
}

// userErrors answers the fields of a type of user errors.
func userErrors(coded bool) gqlFields {
	fields := gqlFields{
		"field":   leaf(func(e userError) any { return e.field }),
		"message": leaf(func(e userError) any { return e.message }),
	}
	if coded {
		fields["code"] = leaf(func(e userError) any { return e.code })
	}
	return fields
}
