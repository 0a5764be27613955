package shopsim

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
)

// gqlInput is the type of an argument or of a field of an input object.
type gqlInput struct {
	kind     string // "Int", "String", "ID", "[String]", or the name of an input object
	required bool
	fields   map[string]gqlInput // of an input object
}

// plain turns a literal or a variable into the values that JSON would give.
// present is false for a variable that has no value.
func (p *gqlPlanner) plain(v gqlValue) (value any, present bool) {
	if v.variable != "" {
		if !p.declared[v.variable] {
			p.fail(p.op.pos, nil, "variableNotDefined", "Variable $%s is used but not declared", v.variable)
		}
		value, present = p.variables[v.variable]
		return value, present
	}
	switch literal := v.literal.(type) {
	case []gqlValue:
		list := []any{}
		for _, item := range literal {
			plain, _ := p.plain(item)
			list = append(list, plain)
		}
		return list, true
	case []gqlArgument:
		object := map[string]any{}
		for _, a := range literal {
			if plain, ok := p.plain(a.value); ok {
				object[a.name] = plain
			}
		}
		return object, true
	}
	return v.literal, true
}

// arguments checks the arguments of a field and returns those that were given.
func (p *gqlPlanner) arguments(want map[string]gqlInput, s gqlSelection, path []string) map[string]any {
	out := map[string]any{}
	for _, a := range s.args {
		in, known := want[a.name]
		if !known {
			p.fail(a.pos, path, "argumentNotAccepted", "Field '%s' doesn't accept argument '%s'", s.name, a.name)
			continue
		}
		raw, present := p.plain(a.value)
		if !present {
			continue
		}
		value, problem := in.coerce(raw)
		if problem != "" {
			p.fail(a.pos, path, "argumentLiteralsIncompatible", "Argument '%s' on Field '%s' has an invalid value: %s",
				a.name, s.name, problem)
			continue
		}
		out[a.name] = value
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if want[name].required && out[name] == nil && len(p.errors) == 0 {
			p.fail(s.pos, path, "missingRequiredArguments", "Field '%s' is missing required arguments: %s", s.name, name)
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
