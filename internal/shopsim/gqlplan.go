package shopsim

import (
	"fmt"
	"slices"

	"github.com/vektah/gqlparser/v2/ast"
)

// gqlPlan is an operation made ready to run: fragments are merged in, arguments
// are values, and every field is known to exist.
type gqlPlan struct {
	root   *gqlType
	fields []*gqlPlanned
	base   int // cost of the operation before any field
}

// gqlPlanned is one field of the answer.
type gqlPlanned struct {
	key    string
	name   string
	def    *gqlField
	args   map[string]any
	fields []*gqlPlanned
	pos    gqlPos
}

// cost is the requested cost: what the query may need at most.
func (p *gqlPlan) cost() int { return p.base + fieldCost(p.fields, 1) }

// fieldCost adds up objects. A list counts as often as its connection was asked
// to be long; scalars are free; a mutation has one price for all.
func fieldCost(fields []*gqlPlanned, size int) int {
	total := 0
	for _, f := range fields {
		switch {
		case f.def.price > 0:
			total += f.def.price
		case f.def.of != nil:
			n, inner := 1, size
			if f.def.list {
				n = size
			}
			if asked := pageSize(f.args); asked > 0 {
				inner = asked
			}
			total += n * (f.def.of.weight + fieldCost(f.fields, inner))
		}
	}
	return total
}

// maxGQLVisits bounds the work on a document: fragments that spread fragments
// can make a small text mean a very large query.
const maxGQLVisits = 4_000

type gqlPlanner struct {
	schema    *gqlSchema
	doc       *ast.QueryDocument
	op        *ast.OperationDefinition
	variables map[string]any // with a value: the others are absent
	run       *gqlRun
	errors    []gqlError
	visits    int
}

func newGQLPlanner(schema *gqlSchema, doc *ast.QueryDocument, op *ast.OperationDefinition, variables map[string]any, run *gqlRun) *gqlPlanner {
	p := &gqlPlanner{schema: schema, doc: doc, op: op, run: run, variables: map[string]any{}}
	for _, v := range op.VariableDefinitions {
		p.declare(v, variables)
	}
	return p
}

func (p *gqlPlanner) declare(v *ast.VariableDefinition, given map[string]any) {
	value, present := given[v.Variable]
	if !present && v.DefaultValue != nil {
		value, present = p.value(v.DefaultValue)
	}
	if present {
		p.variables[v.Variable] = value
	}
	if v.Type.NonNull && value == nil {
		p.fail(v.Position, nil, "INVALID_VARIABLE", "Variable $%s was provided invalid value: Expected value to not be null", v.Variable)
	}
}

func (p *gqlPlanner) fail(pos *ast.Position, path []string, code, format string, args ...any) {
	p.errors = append(p.errors, gqlError{Message: fmt.Sprintf(format, args...), Locations: []gqlPos{gqlPosOf(pos)}, Path: path,
		Extensions: map[string]any{"code": code}})
}

func (p *gqlPlanner) plan() (*gqlPlan, []gqlError) {
	out := &gqlPlan{root: p.schema.query, base: 1}
	if p.op.Operation == ast.Mutation {
		out.root, out.base = p.schema.mutation, 0
	}
	path := []string{string(p.op.Operation)}
	if p.op.Name != "" {
		path[0] += " " + p.op.Name
	}
	if len(p.errors) == 0 {
		out.fields = p.fields(out.root, p.op.SelectionSet, path)
	}
	if p.visits > maxGQLVisits {
		return nil, []gqlError{{Message: "The query selects too many fields"}}
	}
	return out, p.errors
}

// gqlGroup is the fields of one key, whose selections are merged.
type gqlGroup struct {
	first     *ast.Field
	selection ast.SelectionSet
}

// fields plans a selection set of a type.
func (p *gqlPlanner) fields(of *gqlType, selection ast.SelectionSet, path []string) []*gqlPlanned {
	var order []string
	groups := map[string]*gqlGroup{}
	p.collect(of, selection, path, nil, func(s *ast.Field) {
		g := groups[s.Alias] // the name, if there is no alias
		if g == nil {
			g = &gqlGroup{first: s}
			groups[s.Alias] = g
			order = append(order, s.Alias)
		} else if g.first.Name != s.Name {
			p.fail(s.Position, path, "fieldConflict", "Field '%s' has a field conflict: %s or %s?", s.Alias, g.first.Name, s.Name)
		}
		g.selection = append(g.selection, s.SelectionSet...)
	})
	var out []*gqlPlanned
	for _, key := range order {
		if f := p.field(of, groups[key], append(slices.Clone(path), key)); f != nil {
			out = append(out, f)
		}
	}
	return out
}

// collect calls found for each field of a selection set, those in fragments included.
func (p *gqlPlanner) collect(of *gqlType, selection ast.SelectionSet, path, open []string, found func(*ast.Field)) {
	for _, s := range selection {
		if p.visits++; p.visits > maxGQLVisits {
			return
		}
		switch s := s.(type) {
		case *ast.Field:
			if !p.skipped(s.Directives, path) {
				found(s)
			}
		case *ast.FragmentSpread:
			if !p.skipped(s.Directives, path) {
				p.spread(of, s, path, open, found)
			}
		case *ast.InlineFragment:
			if !p.skipped(s.Directives, path) && (s.TypeCondition == "" || p.fits(of, s.TypeCondition, s.Position, path)) {
				p.collect(of, s.SelectionSet, path, open, found)
			}
		}
	}
}

func (p *gqlPlanner) spread(of *gqlType, s *ast.FragmentSpread, path, open []string, found func(*ast.Field)) {
	f := p.doc.Fragments.ForName(s.Name)
	switch {
	case f == nil:
		p.fail(s.Position, path, "useAndDefineFragment", "Fragment %s was used, but not defined", s.Name)
	case slices.Contains(open, s.Name):
		p.fail(s.Position, path, "infiniteLoop", "Fragment %s contains an infinite loop", s.Name)
	case p.fits(of, f.TypeCondition, f.Position, path):
		p.collect(of, f.SelectionSet, path, append(slices.Clone(open), s.Name), found)
	}
}

// fits tells whether a fragment on a type can apply here. All types are object
// types, so it applies always or never.
func (p *gqlPlanner) fits(of *gqlType, on string, pos *ast.Position, path []string) bool {
	switch {
	case on == of.name:
		return true
	case p.schema.types[on] == nil:
		p.fail(pos, path, "undefinedType", "No such type %s, so it can't be a fragment condition", on)
	default:
		p.fail(pos, path, "cannotSpreadFragment", "Fragment on %s can't be spread inside %s", on, of.name)
	}
	return false
}

// skipped evaluates @skip and @include.
func (p *gqlPlanner) skipped(directives ast.DirectiveList, path []string) bool {
	skip := false
	for _, d := range directives {
		if d.Name != "skip" && d.Name != "include" {
			p.fail(d.Position, path, "undefinedDirective", "Directive @%s is not defined", d.Name)
			continue
		}
		var condition any
		if len(d.Arguments) == 1 && d.Arguments[0].Name == "if" {
			condition, _ = p.value(d.Arguments[0].Value)
		}
		yes, ok := condition.(bool)
		if !ok {
			p.fail(d.Position, path, "missingRequiredArguments", "Directive '%s' wants the argument if: Boolean!", d.Name)
		}
		skip = skip || ok && yes == (d.Name == "skip")
	}
	return skip
}

// field plans one field, or reports why it cannot be.
func (p *gqlPlanner) field(of *gqlType, g *gqlGroup, path []string) *gqlPlanned {
	s := g.first
	def := of.field(s.Name)
	switch {
	case def == nil:
		p.errors = append(p.errors, gqlError{Message: fmt.Sprintf("Field '%s' doesn't exist on type '%s'", s.Name, of.name),
			Locations: []gqlPos{gqlPosOf(s.Position)}, Path: path,
			Extensions: map[string]any{"code": "undefinedField", "typeName": of.name, "fieldName": s.Name}})
		return nil
	case def.of == nil && len(g.selection) > 0:
		p.fail(s.Position, path, "selectionMismatch", "Selections can't be made on scalars (field '%s')", s.Name)
		return nil
	case def.of != nil && len(g.selection) == 0:
		p.fail(s.Position, path, "selectionMismatch",
			"Field must have selections (field '%s' returns %s but has no selections. Did you mean '%s { ... }'?)",
			s.Name, def.of.name, s.Name)
		return nil
	}
	f := &gqlPlanned{key: s.Alias, name: s.Name, def: def, pos: gqlPosOf(s.Position), args: p.arguments(def.args, s, path)}
	if def.check != nil {
		if problem := def.check(f.args); problem != "" {
			p.fail(s.Position, path, "BAD_REQUEST", "%s", problem)
		}
	}
	if def.of != nil {
		f.fields = p.fields(def.of, g.selection, path)
	}
	return f
}
