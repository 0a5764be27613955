package shopsim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// gqlRun is the execution of one operation.
type gqlRun struct {
	sim    *Sim
	q      *request
	token  *token
	schema *gqlSchema
	bulk   bool // a bulk operation: lists are not cut into pages
	actual int  // cost so far, by what was really found
	errors []gqlError
}

// gqlObject is a JSON object that keeps its members in the order of selection.
type gqlObject []gqlMember

type gqlMember struct {
	key   string
	value any
}

// MarshalJSON implements json.Marshaler.
func (o gqlObject) MarshalJSON() ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	buf.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			buf.WriteByte(',')
		}
		fmt.Fprintf(&buf, "%q:", m.key) // a GraphQL name needs no escaping
		if err := enc.Encode(m.value); err != nil {
			return nil, err
		}
	}
	buf.WriteByte('}')
	return buf.Bytes(), nil
}

// object resolves the fields of one object.
func (r *gqlRun) object(fields []*gqlPlanned, parent any, path []string) gqlObject {
	out := make(gqlObject, 0, len(fields))
	for _, f := range fields {
		out = append(out, gqlMember{f.key, r.field(f, parent, append(slices.Clone(path), f.key))})
	}
	return out
}

func (r *gqlRun) field(f *gqlPlanned, parent any, path []string) any {
	if !r.token.allows(f.def.scope) {
		r.deny(f, path)
		return nil
	}
	r.actual += f.def.price
	value := r.resolve(f, parent)
	if f.def.of == nil || value == nil {
		return value
	}
	if !f.def.list {
		return r.child(f, value, path)
	}
	list := []any{}
	for _, item := range value.([]any) {
		if item == nil {
			list = append(list, nil)
			continue
		}
		list = append(list, r.child(f, item, path))
	}
	return list
}

// child resolves an object below a field. What a mutation returns is in its price.
func (r *gqlRun) child(f *gqlPlanned, value any, path []string) gqlObject {
	of := f.def.of.Name
	if f.def.of.IsAbstractType() {
		of = gqlTypeOf(value)
	}
	before := r.actual
	out := r.object(f.fields[of], value, path)
	if f.def.price > 0 {
		r.actual = before
		return out
	}
	r.actual += gqlWeight(of)
	return out
}

func (r *gqlRun) deny(f *gqlPlanned, path []string) {
	access := fmt.Sprintf("`%s` access scope.", f.def.scope)
	r.errors = append(r.errors, gqlError{
		Message:   fmt.Sprintf("Access denied for %s field. Required access: %s", f.name, access),
		Locations: []gqlPos{f.pos},
		Extensions: map[string]any{"code": "ACCESS_DENIED", "documentation": gqlScopeDoc,
			"requiredAccess": access},
		Path: path,
	})
}
