package shopsim

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// gqlPlan is an operation made ready to run: fragments are merged in, arguments
// are values, and every field is known to exist.
type gqlPlan struct {
	root   *ast.Definition
	fields []*gqlPlanned
	base   int // cost of the operation before any field
}

// gqlPlanned is one field of the answer.
type gqlPlanned struct {
	key  string
	name string
	def  *gqlField
	args map[string]any
	// fields are what to take of an object, by the object types that it can have.
	fields map[string][]*gqlPlanned
	once   string // the key of @idempotent
	pos    gqlPos
}

// cost is the requested cost: what the query may need at most.
func (p *gqlPlan) cost() int { return p.base + fieldCost(p.fields, 1) }

// fieldCost adds up objects. The items of a connection count as often as it was asked to be long; leaves are
// free; a mutation has one price for all; of an interface the dearest type counts.
func fieldCost(fields []*gqlPlanned, size int) int {
	total := 0
	for _, f := range fields {
		switch {
		case f.def.price > 0:
			total += f.def.price
		case f.def.of != nil:
			n := 1
			if ids, ok := f.args["ids"].([]any); ok {
				n = len(ids)
			} else if f.def.list && (f.name == "nodes" || f.name == "edges") {
				n = size
			}
			dearest := 0
			for of, inner := range f.fields {
				dearest = max(dearest, gqlWeight(of)+fieldCost(inner, max(1, pageSize(f.args))))
			}
			total += n * dearest
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
	if of := p.schema.types[v.Type.Name()]; of == nil || !of.IsInputType() {
		p.fail(v.Position, nil, "variableRequiresValidType", "%s isn't a defined input type (on $%s)", v.Type.Name(), v.Variable)
		return
	}
	value, present := given[v.Variable]
	if !present && v.DefaultValue != nil {
		value, present = p.value(v.DefaultValue)
	}
	if !present && !v.Type.NonNull {
		return
	}
	value, problem := p.coerce(v.Type, value)
	if problem != "" {
		p.fail(v.Position, nil, "INVALID_VARIABLE", "Variable $%s of type %s was provided invalid value: %s", v.Variable, v.Type, problem)
		return
	}
	p.variables[v.Variable] = value
}

func (p *gqlPlanner) fail(pos *ast.Position, path []string, code, format string, args ...any) {
	p.problem(gqlError{Message: fmt.Sprintf(format, args...), Locations: []gqlPos{gqlPosOf(pos)}, Path: path,
		Extensions: map[string]any{"code": code}})
}

// problem notes an error once: a selection on an interface is planned for each of its types.
func (p *gqlPlanner) problem(e gqlError) {
	same := func(have gqlError) bool {
		return have.Message == e.Message && slices.Equal(have.Locations, e.Locations)
	}
	if !slices.ContainsFunc(p.errors, same) {
		p.errors = append(p.errors, e)
	}
}

func (p *gqlPlanner) plan() (*gqlPlan, []gqlError) {
	out := &gqlPlan{root: p.schema.types[gqlQuery], base: 1}
	if p.op.Operation == ast.Mutation {
		out.root, out.base = p.schema.types[gqlMutation], 0
	}
	path := []string{string(p.op.Operation)}
	if p.op.Name != "" {
		path[0] += " " + p.op.Name
	}
	if len(p.errors) == 0 {
		out.fields = p.fields(out.root, out.root, p.op.SelectionSet, path)
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

// fields plans a selection set that stands on a type, for an object of the object type of.
func (p *gqlPlanner) fields(on, of *ast.Definition, selection ast.SelectionSet, path []string) []*gqlPlanned {
	var order []string
	groups := map[string]*gqlGroup{}
	p.collect(on, of, selection, path, nil, func(on *ast.Definition, s *ast.Field) {
		if on.IsAbstractType() && s.Name != "__typename" && on.Fields.ForName(s.Name) == nil {
			p.undefined(on, s, append(slices.Clone(path), s.Alias))
			return
		}
		g := groups[s.Alias] // the name, if there is no alias
		switch {
		case g == nil:
			g = &gqlGroup{first: s}
			groups[s.Alias] = g
			order = append(order, s.Alias)
		case g.first.Name != s.Name:
			p.fail(s.Position, path, "fieldConflict", "Field '%s' has a field conflict: %s or %s?", s.Alias, g.first.Name, s.Name)
		case argumentText(g.first) != argumentText(s):
			p.fail(s.Position, path, "fieldConflict", "Field '%s' has an argument conflict: %s or %s?",
				s.Alias, argumentText(g.first), argumentText(s))
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

// argumentText is how a field's arguments read, in the order of their names.
func argumentText(s *ast.Field) string {
	var parts []string
	for _, a := range s.Arguments {
		parts = append(parts, a.Name+":"+a.Value.String())
	}
	slices.Sort(parts)
	return "{" + strings.Join(parts, ",") + "}"
}

// collect calls found for each field of a selection set, those in fragments included, with the type that it
// is selected on.
func (p *gqlPlanner) collect(on, of *ast.Definition, selection ast.SelectionSet, path, open []string, found func(*ast.Definition, *ast.Field)) {
	for _, s := range selection {
		if p.visits++; p.visits > maxGQLVisits {
			return
		}
		switch s := s.(type) {
		case *ast.Field:
			if !p.skipped(s.Directives, path) {
				found(on, s)
			}
		case *ast.FragmentSpread:
			if !p.skipped(s.Directives, path) {
				p.spread(on, of, s, path, open, found)
			}
		case *ast.InlineFragment:
			if !p.skipped(s.Directives, path) {
				if inner := p.fits(on, of, s.TypeCondition, s.Position, path); inner != nil {
					p.collect(inner, of, s.SelectionSet, path, open, found)
				}
			}
		}
	}
}

func (p *gqlPlanner) spread(on, of *ast.Definition, s *ast.FragmentSpread, path, open []string, found func(*ast.Definition, *ast.Field)) {
	f := p.doc.Fragments.ForName(s.Name)
	switch {
	case f == nil:
		p.fail(s.Position, path, "useAndDefineFragment", "Fragment %s was used, but not defined", s.Name)
	case slices.Contains(open, s.Name):
		p.fail(s.Position, path, "infiniteLoop", "Fragment %s contains an infinite loop", s.Name)
	default:
		if inner := p.fits(on, of, f.TypeCondition, f.Position, path); inner != nil {
			p.collect(inner, of, f.SelectionSet, path, append(slices.Clone(open), s.Name), found)
		}
	}
}

// fits returns the type that a fragment in a selection on a type stands on, nil if it does not apply to an
// object of the type of.
func (p *gqlPlanner) fits(on, of *ast.Definition, condition string, pos *ast.Position, path []string) *ast.Definition {
	if condition == "" {
		return on
	}
	to := p.schema.types[condition]
	switch {
	case to == nil:
		p.fail(pos, path, "undefinedType", "No such type %s, so it can't be a fragment condition", condition)
	case !to.IsCompositeType() || !p.schema.overlap(on, to):
		p.fail(pos, path, "cannotSpreadFragment", "Fragment on %s can't be spread inside %s", condition, on.Name)
	case p.schema.overlap(of, to):
		return to
	}
	return nil
}

// skipped evaluates @skip and @include.
func (p *gqlPlanner) skipped(directives ast.DirectiveList, path []string) bool {
	skip := false
	for _, d := range directives {
		if d.Name == onceDirective {
			continue
		}
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

func (p *gqlPlanner) undefined(on *ast.Definition, s *ast.Field, path []string) {
	p.problem(gqlError{Message: fmt.Sprintf("Field '%s' doesn't exist on type '%s'", s.Name, on.Name),
		Locations: []gqlPos{gqlPosOf(s.Position)}, Path: path,
		Extensions: map[string]any{"code": "undefinedField", "typeName": on.Name, "fieldName": s.Name}})
}

// field plans one field of an object type, or reports why it cannot be.
func (p *gqlPlanner) field(of *ast.Definition, g *gqlGroup, path []string) *gqlPlanned {
	s := g.first
	def := p.schema.field(of, s.Name)
	switch {
	case def == nil:
		p.undefined(of, s, path)
		return nil
	case def.of == nil && len(g.selection) > 0:
		p.fail(s.Position, path, "selectionMismatch", "Selections can't be made on scalars (field '%s')", s.Name)
		return nil
	case def.of != nil && len(g.selection) == 0:
		p.fail(s.Position, path, "selectionMismatch",
			"Field must have selections (field '%s' returns %s but has no selections. Did you mean '%s { ... }'?)",
			s.Name, def.of.Name, s.Name)
		return nil
	}
	f := &gqlPlanned{key: s.Alias, name: s.Name, def: def, pos: gqlPosOf(s.Position), once: p.onceKey(def, s, path)}
	if def.def != nil {
		f.args = p.arguments(def.def.Arguments, s, path)
	}
	if def.check != nil && !p.run.bulk {
		if problem := def.check(f.args); problem != "" {
			p.fail(s.Position, path, "BAD_REQUEST", "%s", problem)
		}
	}
	if def.of != nil {
		f.fields = map[string][]*gqlPlanned{}
		for _, name := range p.schema.objects(def.of) {
			f.fields[name] = p.fields(def.of, p.schema.types[name], g.selection, path)
		}
	}
	return f
}
