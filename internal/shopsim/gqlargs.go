package shopsim

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/vektah/gqlparser/v2/ast"
)

// value turns a literal or a variable into the values that JSON would give.
// present is false for a variable that has no value.
func (p *gqlPlanner) value(v *ast.Value) (value any, present bool) {
	p.checkDeclared(v)
	if v.Kind == ast.Variable {
		value, present = p.variables[v.Raw]
		return value, present
	}
	if v.Kind == ast.ObjectValue {
		return p.objectValue(v), true
	}
	value, err := v.Value(p.variables)
	return value, err == nil // parseGQL has seen that every number fits
}

// objectValue leaves out the members that are variables without a value: they are absent, not null.
func (p *gqlPlanner) objectValue(v *ast.Value) map[string]any {
	out := map[string]any{}
	for _, child := range v.Children {
		if value, present := p.value(child.Value); present {
			out[child.Name] = value
		}
	}
	return out
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

// arguments checks the arguments of a field and returns those that were given or have a default.
func (p *gqlPlanner) arguments(want ast.ArgumentDefinitionList, s *ast.Field, path []string) map[string]any {
	out := map[string]any{}
	for _, a := range s.Arguments {
		def := want.ForName(a.Name)
		if def == nil {
			p.fail(a.Position, path, "argumentNotAccepted", "Field '%s' doesn't accept argument '%s'", s.Name, a.Name)
			continue
		}
		raw, present := p.value(a.Value)
		if !present {
			continue
		}
		value, problem := p.coerce(def.Type, raw)
		if problem != "" {
			p.fail(a.Position, path, "argumentLiteralsIncompatible", "Argument '%s' on Field '%s' has an invalid value: %s",
				a.Name, s.Name, problem)
			continue
		}
		out[a.Name] = value
	}
	for _, def := range want {
		if _, given := out[def.Name]; !given && def.DefaultValue != nil {
			raw, _ := def.DefaultValue.Value(nil)
			out[def.Name], _ = p.coerce(def.Type, raw)
		}
		if def.Type.NonNull && out[def.Name] == nil && len(p.errors) == 0 {
			p.fail(s.Position, path, "missingRequiredArguments", "Field '%s' is missing required arguments: %s", s.Name, def.Name)
		}
	}
	return out
}

// maxInputSize is how long a list in an argument may be.
const maxInputSize = 250

// coerce brings a value into the Go type of its GraphQL type: int, float64, string, bool, []any or
// map[string]any. A problem says what is wrong with it.
func (p *gqlPlanner) coerce(t *ast.Type, v any) (value any, problem string) {
	if v == nil {
		if t.NonNull {
			return nil, fmt.Sprintf("Expected type '%s', got null", t)
		}
		return nil, ""
	}
	if t.Elem != nil {
		return p.coerceList(t, v)
	}
	def := p.schema.types[t.NamedType]
	switch def.Kind {
	case ast.InputObject:
		if object, ok := v.(map[string]any); ok {
			return p.coerceObject(def, object)
		}
	case ast.Enum:
		if text, ok := v.(string); ok && def.EnumValues.ForName(text) != nil {
			return text, ""
		}
	default:
		value = coerceScalar(def.Name, v)
	}
	if value == nil {
		return nil, fmt.Sprintf("Expected type '%s'", t.NamedType)
	}
	return value, ""
}

// coerceList also takes a single value, as GraphQL does for lists.
func (p *gqlPlanner) coerceList(t *ast.Type, v any) (any, string) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	if len(list) > maxInputSize {
		return nil, fmt.Sprintf("The input array size of %d is greater than the maximum allowed of %d.", len(list), maxInputSize)
	}
	out := make([]any, len(list))
	for i, item := range list {
		value, problem := p.coerce(t.Elem, item)
		if problem != "" {
			return nil, fmt.Sprintf("%d: %s", i, problem)
		}
		out[i] = value
	}
	return out, ""
}

func (p *gqlPlanner) coerceObject(def *ast.Definition, object map[string]any) (any, string) {
	out := map[string]any{}
	for name := range object {
		if field := def.Fields.ForName(name); field == nil || !inVersion(field.Directives, p.run.q.version) {
			return nil, fmt.Sprintf("InputObject '%s' doesn't accept argument '%s'", def.Name, name)
		}
	}
	for _, field := range def.Fields {
		raw, given := object[field.Name]
		if !given && field.DefaultValue != nil && inVersion(field.Directives, p.run.q.version) {
			raw, _ = field.DefaultValue.Value(nil)
			given = true
		}
		if !given && !field.Type.NonNull {
			continue
		}
		value, problem := p.coerce(field.Type, raw)
		if problem != "" {
			return nil, field.Name + ": " + problem
		}
		out[field.Name] = value
	}
	return out, ""
}

// coerceScalar returns nil for what does not fit.
func coerceScalar(name string, v any) any {
	switch name {
	case "Int":
		return asInt(v)
	case "Float":
		return asFloat(v)
	case "Boolean":
		if yes, ok := v.(bool); ok {
			return yes
		}
		return nil
	case "ID", "UnsignedInt64":
		return asID(v)
	case "Decimal", "Money":
		return asDecimal(v)
	}
	if text, ok := v.(string); ok {
		return text
	}
	return nil
}

func asInt(v any) any {
	var n int64
	switch v := v.(type) {
	case int:
		n = int64(v)
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

func asFloat(v any) any {
	switch v := v.(type) {
	case float64:
		return v
	case int64:
		return float64(v)
	case json.Number:
		if f, err := v.Float64(); err == nil {
			return f
		}
	}
	return nil
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

// asDecimal takes numbers as well as text, and keeps what was written.
func asDecimal(v any) any {
	text := ""
	switch v := v.(type) {
	case string:
		text = v
	case int64:
		text = strconv.FormatInt(v, 10)
	case float64:
		text = strconv.FormatFloat(v, 'f', -1, 64)
	case json.Number:
		text = v.String()
	}
	if _, err := parseMoney(text); err != nil {
		return nil
	}
	return text
}
