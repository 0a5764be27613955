package shopsim

import (
	"maps"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// described is what introspection shows of a field, an argument, a member of an input or a value of an enum.
type described struct {
	name, description string
	of                *ast.Type
	args              ast.ArgumentDefinitionList
	byDefault         *ast.Value
	directives        ast.DirectiveList
}

// gqlTypeRef is a type as introspection shows it: a definition, or a list or non-null of another type.
type gqlTypeRef struct {
	def *ast.Definition
	of  *ast.Type // a list, or not null
}

func introspectionResolvers() map[string]gqlFields {
	ofRun := func(get func(r *gqlRun, parent any, args map[string]any) any) *gqlField {
		return &gqlField{resolve: get}
	}
	return map[string]gqlFields{
		gqlQuery: {
			"__schema": ofRun(func(r *gqlRun, _ any, _ map[string]any) any { return r.schema }),
			"__type": ofRun(func(r *gqlRun, _ any, args map[string]any) any {
				if def := r.schema.types[args["name"].(string)]; def != nil {
					return gqlTypeRef{def: def}
				}
				return nil
			}),
		},
		"__Schema": {
			"description": leaf(func(*gqlSchema) any { return nil }),
			"types": leaf(func(s *gqlSchema) any {
				return s.typeRefs(slices.Sorted(maps.Keys(s.types)))
			}),
			"queryType":        leaf(func(s *gqlSchema) any { return gqlTypeRef{def: s.types[gqlQuery]} }),
			"mutationType":     leaf(func(s *gqlSchema) any { return gqlTypeRef{def: s.types[gqlMutation]} }),
			"subscriptionType": leaf(func(*gqlSchema) any { return nil }),
			"directives": leaf(func(s *gqlSchema) any {
				var out []any
				for _, name := range slices.Sorted(maps.Keys(s.directives)) {
					out = append(out, s.directives[name])
				}
				return out
			}),
		},
		"__Type": typeResolvers(),
		"__Field": describedResolvers(gqlFields{
			"type": typeOfDescribed(),
			"args": ofRun(func(r *gqlRun, parent any, args map[string]any) any {
				return r.arguments(parent.(described).args, args)
			}),
		}),
		"__InputValue": describedResolvers(gqlFields{
			"type": typeOfDescribed(),
			"defaultValue": leaf(func(d described) any {
				if d.byDefault == nil {
					return nil
				}
				return d.byDefault.String()
			}),
		}),
		"__EnumValue": describedResolvers(gqlFields{}),
		"__Directive": {
			"name":         leaf(func(d *ast.DirectiveDefinition) any { return d.Name }),
			"description":  leaf(func(d *ast.DirectiveDefinition) any { return emptyIsNull(d.Description) }),
			"isRepeatable": leaf(func(d *ast.DirectiveDefinition) any { return d.IsRepeatable }),
			"locations":    leaf(func(d *ast.DirectiveDefinition) any { return d.Locations }),
			"args": ofRun(func(r *gqlRun, parent any, args map[string]any) any {
				return r.arguments(parent.(*ast.DirectiveDefinition).Arguments, args)
			}),
		},
	}
}

func describedResolvers(more gqlFields) gqlFields {
	maps.Copy(more, gqlFields{
		"name":        leaf(func(d described) any { return d.name }),
		"description": leaf(func(d described) any { return emptyIsNull(d.description) }),
		"isDeprecated": leaf(func(d described) any {
			return d.directives.ForName("deprecated") != nil
		}),
		"deprecationReason": leaf(func(d described) any {
			if deprecated := d.directives.ForName("deprecated"); deprecated != nil {
				return deprecated.Arguments.ForName("reason").Value.Raw
			}
			return nil
		}),
	})
	return more
}

func typeOfDescribed() *gqlField {
	return &gqlField{resolve: func(r *gqlRun, parent any, _ map[string]any) any { return r.schema.typeRef(parent.(described).of) }}
}

func (s *gqlSchema) typeRefs(names []string) []any {
	out := []any{}
	for _, name := range names {
		out = append(out, gqlTypeRef{def: s.types[name]})
	}
	return out
}

func (s *gqlSchema) typeRef(t *ast.Type) any {
	if t.NonNull || t.Elem != nil {
		return gqlTypeRef{of: t}
	}
	return gqlTypeRef{def: s.types[t.NamedType]}
}

// visible keeps what exists in the version that is asked, and what is deprecated only for those who ask for it.
func (r *gqlRun) visible(all []described, args map[string]any) []any {
	deprecated, _ := args["includeDeprecated"].(bool)
	out := []any{}
	for _, d := range all {
		if inVersion(d.directives, r.q.version) && (deprecated || d.directives.ForName("deprecated") == nil) {
			out = append(out, d)
		}
	}
	return out
}

func (r *gqlRun) arguments(of ast.ArgumentDefinitionList, args map[string]any) []any {
	var all []described
	for _, a := range of {
		all = append(all, described{a.Name, a.Description, a.Type, nil, a.DefaultValue, a.Directives})
	}
	return r.visible(all, args)
}

func typeResolvers() gqlFields {
	// members is a list that only some kinds of types have; the others have null.
	members := func(get func(r *gqlRun, def *ast.Definition, args map[string]any) []any, kinds ...ast.DefinitionKind) *gqlField {
		return &gqlField{resolve: func(r *gqlRun, parent any, args map[string]any) any {
			def := parent.(gqlTypeRef).def
			if def == nil || !slices.Contains(kinds, def.Kind) {
				return nil
			}
			return get(r, def, args)
		}}
	}
	fields := func(r *gqlRun, def *ast.Definition, args map[string]any) []any {
		var all []described
		for _, f := range def.Fields {
			if !strings.HasPrefix(f.Name, "__") {
				all = append(all, described{f.Name, f.Description, f.Type, f.Arguments, f.DefaultValue, f.Directives})
			}
		}
		return r.visible(all, args)
	}
	named := func(get func(*ast.Definition) any) *gqlField {
		return leaf(func(t gqlTypeRef) any {
			if t.def == nil {
				return nil
			}
			return get(t.def)
		})
	}
	return gqlFields{
		"kind":           leaf(func(t gqlTypeRef) any { return t.kind() }),
		"name":           named(func(def *ast.Definition) any { return def.Name }),
		"description":    named(func(def *ast.Definition) any { return emptyIsNull(def.Description) }),
		"specifiedByURL": leaf(func(gqlTypeRef) any { return nil }),
		"isOneOf": named(func(def *ast.Definition) any {
			if def.Kind != ast.InputObject {
				return nil
			}
			return false
		}),
		"fields":      members(fields, ast.Object, ast.Interface),
		"inputFields": members(fields, ast.InputObject),
		"interfaces": members(func(r *gqlRun, def *ast.Definition, _ map[string]any) []any {
			return r.schema.typeRefs(def.Interfaces)
		}, ast.Object, ast.Interface),
		"possibleTypes": members(func(r *gqlRun, def *ast.Definition, _ map[string]any) []any {
			return r.schema.typeRefs(r.schema.possible[def.Name])
		}, ast.Interface, ast.Union),
		"enumValues": members(func(r *gqlRun, def *ast.Definition, args map[string]any) []any {
			var all []described
			for _, v := range def.EnumValues {
				all = append(all, described{name: v.Name, description: v.Description, directives: v.Directives})
			}
			return r.visible(all, args)
		}, ast.Enum),
		"ofType": {resolve: ofType},
	}
}

func (t gqlTypeRef) kind() string {
	switch {
	case t.def != nil:
		return string(t.def.Kind)
	case t.of.NonNull:
		return "NON_NULL"
	}
	return "LIST"
}

// ofType is what a list or a non-null is made of.
func ofType(r *gqlRun, parent any, _ map[string]any) any {
	switch t := parent.(gqlTypeRef).of; {
	case t == nil:
		return nil
	case t.NonNull:
		inner := *t
		inner.NonNull = false
		return r.schema.typeRef(&inner)
	default:
		return r.schema.typeRef(t.Elem)
	}
}
