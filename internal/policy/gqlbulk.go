package policy

import (
	"slices"

	"github.com/vektah/gqlparser/v2/ast"

	"evergate/internal/denial"
	"evergate/internal/shopify"
)

// carried are the documents that an operation hands to Shopify to be run as bulk operations.
type carried struct {
	documents []string // in its own text, among them what variables hold by default
	variables []string // the names of the variables that hold one
}

// carriedBy finds them in the arguments of fields. What a variable has by default counts beside what it is
// given, and an argument that stands there twice counts twice: what could run is judged.
func carriedBy(op *ast.OperationDefinition, fields []*ast.Field) (c carried, _ error) {
	if op.Operation != ast.Mutation {
		return carried{}, nil
	}
	for _, field := range fields {
		for _, argument := range field.Arguments {
			if !shopify.HoldsDocument(argument.Name) {
				continue
			}
			if argument.Value.Kind == ast.Variable {
				c.variables = append(c.variables, argument.Value.Raw)
				for _, v := range op.VariableDefinitions {
					if v.Variable == argument.Value.Raw && v.DefaultValue != nil {
						if err := c.add(v.DefaultValue); err != nil {
							return carried{}, err
						}
					}
				}
				continue
			}
			if err := c.add(argument.Value); err != nil {
				return carried{}, err
			}
		}
	}
	return c, nil
}

func (c *carried) add(value *ast.Value) error {
	switch value.Kind {
	case ast.StringValue, ast.BlockValue:
		c.documents = append(c.documents, value.Raw)
	case ast.NullValue:
	default:
		return malformedDocument("a bulk operation whose document is no string")
	}
	return nil
}

// carried returns the operations that its documents run.
func (o operation) carried(variables []byte) (all []operation, _ error) {
	documents := slices.Clip(o.bulk.documents)
	for _, name := range o.bulk.variables {
		document, ok, err := documentIn(variables, name)
		if err != nil {
			return nil, err
		}
		if ok {
			documents = append(documents, document)
		}
	}
	for _, document := range documents {
		inner, err := classify(document, "")
		if err == nil && (inner.bulk.documents != nil || inner.bulk.variables != nil) {
			err = malformedDocument("a bulk operation in a bulk operation")
		}
		if err != nil {
			return nil, inBulk(err)
		}
		all = append(all, inner)
	}
	return all, nil
}

// inBulk says of a denial that it is about the document inside.
func inBulk(err error) error {
	d := denial.Of(err)
	return denial.New(d.Status, d.Code, "In the document of a bulk operation: "+d.Message)
}

// documentIn is what a variable holds; false: nothing, so that nothing will run.
func documentIn(variables []byte, name string) (document string, ok bool, _ error) {
	if len(variables) == 0 || isNull(variables) {
		return "", false, nil
	}
	members, err := membersOf(nil, variables) // refuses variables that are no object, as a string in which another parser finds one
	if err != nil {
		return "", false, err
	}
	value := valueOf(members, name)
	if value == nil || isNull(value) {
		return "", false, nil
	}
	if document, ok = stringIn(value); !ok {
		return "", false, malformedDocument("a bulk operation whose document is no string")
	}
	return document, true, nil
}
