package shopsim

import (
	"fmt"
	"slices"
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
	doc       *gqlDocument
	op        *gqlOperation
	variables map[string]any // with a value: the others are absent
	declared  map[string]bool
	run       *gqlRun
	errors    []gqlError
	visits    int
}

func newGQLPlanner(schema *gqlSchema, doc *gqlDocument, op *gqlOperation, variables map[string]any, run *gqlRun) *gqlPlanner {
	p := &gqlPlanner{schema: schema, doc: doc, op: op, run: run, variables: map[string]any{}, declared: map[string]bool{}}
	for _, v := range op.variables {
		p.declare(v, variables)
	}
	return p
}

func (p *gqlPlanner) declare(v gqlVariable, given map[string]any) {
	p.declared[v.name] = true
	value, present := given[v.name]
	if !present && v.fallback != nil {
		value, present = p.plain(*v.fallback)
	}
	if present {
		p.variables[v.name] = value
	}
	if v.required && value == nil {
		p.fail(v.pos, nil, "INVALID_VARIABLE", "Variable $%s was provided invalid value: Expected value to not be null", v.name)
	}
}

func (p *gqlPlanner) fail(pos gqlPos, path []string, code, format string, args ...any) {
	p.errors = append(p.errors, gqlError{Message: fmt.Sprintf(format, args...), Locations: []gqlPos{pos}, Path: path,
		Extensions: map[string]any{"code": code}})
}

func (p *gqlPlanner) plan() (*gqlPlan, []gqlError) {
	out := &gqlPlan{root: p.schema.query, base: 1}
	if p.op.kind == "mutation" {
		out.root, out.base = p.schema.mutation, 0
	}
	path := []string{p.op.kind}
	if p.op.name != "" {
		path[0] += " " + p.op.name
	}
	if len(p.errors) == 0 {
		out.fields = p.fields(out.root, p.op.selection, path)
	}
	if p.visits > maxGQLVisits {
		return nil, []gqlError{{Message: "The query selects too many fields"}}
	}
	return out, p.errors
}

// gqlGroup is the fields of one key, whose selections are merged.
type gqlGroup struct {
	first     gqlSelection
	selection []gqlSelection
}

// fields plans a selection set of a type.
func (p *gqlPlanner) fields(of *gqlType, selection []gqlSelection, path []string) []*gqlPlanned {
	var order []string
	groups := map[string]*gqlGroup{}
	p.collect(of, selection, path, nil, func(s gqlSelection) {
		g := groups[s.key()]
		if g == nil {
			g = &gqlGroup{first: s}
			groups[s.key()] = g
			order = append(order, s.key())
		} else if g.first.name != s.name {
			p.fail(s.pos, path, "fieldConflict", "Field '%s' has a field conflict: %s or %s?", s.key(), g.first.name, s.name)
		}
		g.selection = append(g.selection, s.selection...)
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
func (p *gqlPlanner) collect(of *gqlType, selection []gqlSelection, path, open []string, found func(gqlSelection)) {
	for _, s := range selection {
		if p.visits++; p.visits > maxGQLVisits {
			return
		}
		switch {
		case p.skipped(s, path):
		case s.spread != "":
			p.spread(of, s, path, open, found)
		case s.inline:
			if s.on == "" || p.fits(of, s.on, s.pos, path) {
				p.collect(of, s.selection, path, open, found)
			}
		default:
			found(s)
		}
	}
}

func (p *gqlPlanner) spread(of *gqlType, s gqlSelection, path, open []string, found func(gqlSelection)) {
	f := p.doc.fragments[s.spread]
	switch {
	case f == nil:
		p.fail(s.pos, path, "useAndDefineFragment", "Fragment %s was used, but not defined", s.spread)
	case slices.Contains(open, s.spread):
		p.fail(s.pos, path, "infiniteLoop", "Fragment %s contains an infinite loop", s.spread)
	case p.fits(of, f.on, f.pos, path):
		p.collect(of, f.selection, path, append(slices.Clone(open), s.spread), found)
	}
}

// fits tells whether a fragment on a type can apply here. All types are object
// types, so it applies always or never.
func (p *gqlPlanner) fits(of *gqlType, on string, pos gqlPos, path []string) bool {
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
func (p *gqlPlanner) skipped(s gqlSelection, path []string) bool {
	skip := false
	for _, d := range s.directives {
		if d.name != "skip" && d.name != "include" {
			p.fail(d.pos, path, "undefinedDirective", "Directive @%s is not defined", d.name)
			continue
		}
		var condition any
		if len(d.args) == 1 && d.args[0].name == "if" {
			condition, _ = p.plain(d.args[0].value)
		}
		yes, ok := condition.(bool)
		if !ok {
			p.fail(d.pos, path, "missingRequiredArguments", "Directive '%s' wants the argument if: Boolean!", d.name)
		}
		skip = skip || ok && yes == (d.name == "skip")
	}
	return skip
}

// field plans one field, or reports why it cannot be.
func (p *gqlPlanner) field(of *gqlType, g *gqlGroup, path []string) *gqlPlanned {
	s := g.first
	def := of.field(s.name)
	switch {
	case def == nil:
		p.errors = append(p.errors, gqlError{Message: fmt.Sprintf("Field '%s' doesn't exist on type '%s'", s.name, of.name),
			Locations: []gqlPos{s.pos}, Path: path,
			Extensions: map[string]any{"code": "undefinedField", "typeName": of.name, "fieldName": s.name}})
		return nil
	case def.of == nil && len(g.selection) > 0:
		p.fail(s.pos, path, "selectionMismatch", "Selections can't be made on scalars (field '%s')", s.name)
		return nil
	case def.of != nil && len(g.selection) == 0:
		p.fail(s.pos, path, "selectionMismatch",
			"Field must have selections (field '%s' returns %s but has no selections. Did you mean '%s { ... }'?)",
			s.name, def.of.name, s.name)
		return nil
	}
	f := &gqlPlanned{key: s.key(), name: s.name, def: def, pos: s.pos, args: p.arguments(def.args, s, path)}
	if def.check != nil {
		if problem := def.check(f.args); problem != "" {
			p.fail(s.pos, path, "BAD_REQUEST", "%s", problem)
		}
	}
	if def.of != nil {
		f.fields = p.fields(def.of, g.selection, path)
	}
	return f
}
