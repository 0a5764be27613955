package shopsim

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/vektah/gqlparser/v2/ast"
)

// gqlInput is the type of an argument or of a field of an input object.
type gqlInput struct {
	kind     string // "Int", "String", "ID", "[String]", or the name of an input object
	required bool
	fields   map[string]gqlInput // of an input object
}

// value turns a literal or a variable into the values that JSON would give.
// present is false for a variable that has no value.
func (p *gqlPlanner) value(v *ast.Value) (value any, present bool) {
	p.checkDeclared(v)
	if v.Kind == ast.Variable {
		value, present = p.variables[v.Raw]
		return value, present
	}
	value, err := v.Value(p.variables)
	return value, err == nil // parseGQL has seen that every number fits
}

// checkDeclared looks at all variables in a value.
func (p *gqlPlanner) checkDeclared(v *ast.Value) {
	if v.Kind == ast.Variable && p.op.VariableDefinitions.ForName(v.Raw) == nil {
		p.fail(p.op.Position, nil, "variableNotDefined", "Variable $%s is used but not declared", v.Raw)
	}
	for _, child := range v.Children {
		p.checkDeclared(child.Value)
	}
}

// arguments checks the arguments of a field and returns those that were given.
func (p *gqlPlanner) arguments(want map[string]gqlInput, s *ast.Field, path []string) map[string]any {
	out := map[string]any{}
	for _, a := range s.Arguments {
		in, known := want[a.Name]
		if !known {
			p.fail(a.Position, path, "argumentNotAccepted", "Field '%s' doesn't accept argument '%s'", s.Name, a.Name)
			continue
		}
		raw, present := p.value(a.Value)
		if !present {
			continue
		}
		value, problem := in.coerce(raw)
		if problem != "" {
			p.fail(a.Position, path, "argumentLiteralsIncompatible", "Argument '%s' on Field '%s' has an invalid value: %s",
				a.Name, s.Name, problem)
			continue
		}
		out[a.Name] = value
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if want[name].required && out[name] == nil && len(p.errors) == 0 {
			p.fail(s.Position, path, "missingRequiredArguments", "Field '%s' is missing required arguments: %s", s.Name, name)
		}
	}
	return out
}

// coerce brings a value into the Go type of its kind: int, string, []any or
// map[string]any. A problem says what is wrong with it.
func (in gqlInput) coerce(v any) (value any, problem string) {
	if v == nil {
		if in.required {
			return nil, fmt.Sprintf("Expected type '%s!', got null", in.kind)
		}
		return nil, ""
	}
	switch in.kind {
	case "Int":
		value = asInt(v)
	case "ID":
		value = asID(v)
	case "String":
		if text, ok := v.(string); ok {
			value = text
		}
	case "[String]":
		value = asStrings(v)
	default:
		if object, ok := v.(map[string]any); ok {
			return in.coerceObject(object)
		}
	}
	if value == nil {
		return nil, fmt.Sprintf("Expected type '%s'", in.kind)
	}
	return value, ""
}

func (in gqlInput) coerceObject(object map[string]any) (any, string) {
	out := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		field, known := in.fields[name]
		if !known {
			return nil, fmt.Sprintf("InputObject '%s' doesn't accept argument '%s'", in.kind, name)
		}
		value, problem := field.coerce(object[name])
		if problem != "" {
			return nil, name + ": " + problem
		}
		out[name] = value
	}
	return out, ""
}

// The as functions return nil for what does not fit.

func asInt(v any) any {
	var n int64
	switch v := v.(type) {
	case int64:
		n = v
	case json.Number:
		var err error
		if n, err = v.Int64(); err != nil {
			return nil
		}
	default:
		return nil
	}
	if n < math.MinInt32 || n > math.MaxInt32 {
		return nil
	}
	return int(n)
}

func asID(v any) any {
	switch v := v.(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case json.Number:
		return v.String()
	}
	return nil
}

// asStrings also takes a single string, as GraphQL does for lists.
func asStrings(v any) any {
	if text, ok := v.(string); ok {
		return []any{text}
	}
	list, ok := v.([]any)
	if !ok {
		return nil
	}
	for _, item := range list {
		if _, ok := item.(string); !ok {
			return nil
		}
	}
	return list
}
