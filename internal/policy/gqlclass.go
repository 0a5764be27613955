package policy

import (
	"errors"
	"maps"
	"net/http"
	"slices"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"

	"evergate/internal/denial"
	"evergate/internal/shopify"
)

// mostGraphQLTokens bounds what a parsed document can take of memory. The longest query
// that Shopify's own tools send has about a thousand.
const mostGraphQLTokens = 10_000

// operation is what a GraphQL request will run.
type operation struct {
	// kind is query or mutation, nothing else.
	kind ast.Operation
	// roots are the fields it asks of the root, through fragments, under their own names
	// and not their aliases, each once.
	roots []string
	// shows is a field, at any depth, that shows a credential of the shop's; empty: none does.
	shows string
	// bulk is what those of the roots run that carry a document of their own.
	bulk carried
}

func (o operation) isQuery() bool { return o.kind == ast.Query }

// ambiguousDocument is the answer to a request of which nobody can say what it will run, for
// what its body or its document has. Like the two below it is no GraphQL answer: what was sent is
// not certain to be GraphQL.
func ambiguousDocument(why string) error {
	return denial.New(http.StatusBadRequest, denial.CodeAmbiguousGraphQL, "This GraphQL request has "+why+", so it cannot be told what it will do. "+
		"Send one operation as JSON, {\"query\": \"...\", \"variables\": {}}, or choose one with operationName.")
}

func malformedDocument(why string) error {
	return denial.New(http.StatusBadRequest, denial.CodeMalformedGraphQL, "This GraphQL request has "+why+". Mend it: Shopify would not run it either.")
}

func tooLargeDocument(why string) error {
	return denial.New(http.StatusRequestEntityTooLarge, denial.CodeGraphQLTooLarge, "This GraphQL request has "+why+", which is more than Evergate judges. Send less at a time.")
}

// classify says what the document runs when it is sent with this operation name; empty
// when it is sent with none.
func classify(document, operationName string) (operation, error) {
	switch why := scanGraphQL(document); why {
	case "":
	case tooDeep:
		return operation{}, tooLargeDocument(why)
	default:
		return operation{}, ambiguousDocument(why)
	}
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: document}, mostGraphQLTokens)
	if err != nil {
		return operation{}, unparsable(err)
	}
	fragments, err := fragmentsOf(doc)
	if err != nil {
		return operation{}, err
	}
	op, err := choose(doc.Operations, operationName)
	if err != nil {
		return operation{}, err
	}
	shows, err := showsCredentials(op.SelectionSet, fragments, make(map[*ast.FragmentDefinition]bool, len(fragments)))
	if err != nil {
		return operation{}, err
	}
	roots := make(map[string]bool)
	bulk, err := collectRoots(op.SelectionSet, fragments, roots)
	if err != nil {
		return operation{}, err
	}
	carried, err := carriedBy(op, bulk)
	return operation{kind: op.Operation, roots: slices.Sorted(maps.Keys(roots)), shows: shows, bulk: carried}, err
}

func unparsable(err error) error {
	var where *gqlerror.Error
	if !errors.As(err, &where) || len(where.Locations) == 0 { // the parser says nothing else without a place
		return tooLargeDocument("more than 10000 words and signs")
	}
	return malformedDocument("a mistake in its GraphQL: " + denial.Quote(where.Message))
}

// choose finds the operation that runs. A second one of the same name would leave open
// which; one without a name beside others is not allowed anywhere.
func choose(operations ast.OperationList, name string) (*ast.OperationDefinition, error) {
	var chosen *ast.OperationDefinition
	named := make(map[string]bool, len(operations))
	for _, op := range operations {
		switch {
		case op.Name == "" && len(operations) > 1:
			return nil, ambiguousDocument("several operations, and one of them without a name")
		case named[op.Name]:
			return nil, ambiguousDocument("two operations of the name " + denial.Quote(op.Name))
		}
		named[op.Name] = true
		if name == "" || op.Name == name {
			chosen = op
		}
	}
	switch {
	case len(operations) == 0:
		return nil, malformedDocument("no operation")
	case chosen == nil:
		return nil, ambiguousDocument("no operation of the name that operationName gives")
	case name == "" && len(operations) > 1:
		return nil, ambiguousDocument("several operations, and operationName chooses none")
	case chosen.Operation != ast.Query && chosen.Operation != ast.Mutation:
		return nil, ambiguousDocument("a subscription, which the Admin API does not have")
	}
	return chosen, nil
}

func fragmentsOf(doc *ast.QueryDocument) (map[string]*ast.FragmentDefinition, error) {
	byName := make(map[string]*ast.FragmentDefinition, len(doc.Fragments))
	for _, f := range doc.Fragments {
		switch {
		case byName[f.Name] != nil:
			return nil, ambiguousDocument("two fragments of the name " + denial.Quote(f.Name))
		case len(f.VariableDefinition) > 0:
			return nil, ambiguousDocument("a fragment with variables of its own, which few parsers know")
		}
		byName[f.Name] = f
	}
	return byName, nil
}

// collectRoots adds the names of the root's fields to found, and returns those among them that carry
// documents. Conditions, on a type or by @include, are not looked at: what could run counts. Each fragment is opened
// once, so that those that contain each other end.
func collectRoots(set ast.SelectionSet, fragments map[string]*ast.FragmentDefinition, found map[string]bool) (bulk []*ast.Field, _ error) {
	for _, selection := range set {
		var inner ast.SelectionSet
		switch s := selection.(type) {
		case *ast.Field:
			found[s.Name] = true
			if shopify.RunsDocument(s.Name) {
				bulk = append(bulk, s)
			}
		case *ast.InlineFragment:
			inner = s.SelectionSet
		case *ast.FragmentSpread:
			fragment := fragments[s.Name]
			if fragment == nil {
				return nil, malformedDocument("no fragment of the name " + denial.Quote(s.Name))
			}
			inner, fragment.SelectionSet = fragment.SelectionSet, nil
		}
		more, err := collectRoots(inner, fragments, found)
		if err != nil {
			return nil, err
		}
		bulk = append(bulk, more...)
	}
	return bulk, nil
}

// showsCredentials returns a field that shows a credential, under its own name, wherever it
// stands and whatever type it is asked of. Each fragment is opened once.
func showsCredentials(set ast.SelectionSet, fragments map[string]*ast.FragmentDefinition, opened map[*ast.FragmentDefinition]bool) (field string, _ error) {
	for _, selection := range set {
		var inner ast.SelectionSet
		switch s := selection.(type) {
		case *ast.Field:
			if shopify.ShowsCredentials(s.Name) {
				return s.Name, nil
			}
			inner = s.SelectionSet
		case *ast.InlineFragment:
			inner = s.SelectionSet
		case *ast.FragmentSpread:
			fragment := fragments[s.Name]
			if fragment == nil {
				return "", malformedDocument("no fragment of the name " + denial.Quote(s.Name))
			}
			if opened[fragment] {
				continue
			}
			opened[fragment], inner = true, fragment.SelectionSet
		}
		if field, err := showsCredentials(inner, fragments, opened); field != "" || err != nil {
			return field, err
		}
	}
	return "", nil
}
