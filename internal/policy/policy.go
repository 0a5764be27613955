// Package policy says what a caller may do at Shopify: everything, reading alone, or what rules
// let through.
//
// Invariants:
//
//   - A policy judges what will run, not what it looks like: GraphQL is parsed, and what two
//     parsers could read in two ways is refused.
//   - A policy only ever takes away: what no caller may do is decided elsewhere.
//   - A request that passes a policy without rules allocates nothing here.
package policy

import (
	"net/http"
	"slices"
	"strings"

	"evergate/internal/denial"
	"evergate/internal/request"
	"evergate/internal/shopify"
)

// The policies that need no file.
const (
	// Full lets everything through.
	Full = "full"
	// ReadOnly lets through what changes nothing.
	ReadOnly = "read-only"
	// None lets nothing through.
	None = "none"
)

// base is what a policy lets through before its rules let through more.
type base uint8

const (
	nothing base = iota // so that the zero Policy lets nothing through
	reads
	everything
)

// Policy says what a caller may do at Shopify. What base does not let through may still
// pass by a rule; there are no rules that forbid. A Policy is immutable.
type Policy struct {
	name string
	base base
	// report lets everything through and says what would have been refused.
	report bool
	rest   []restRule
	// queries and mutations are the root fields that may be asked for.
	queries, mutations fieldSet
}

func builtIn() map[string]*Policy {
	return map[string]*Policy{
		Full:     {name: Full, base: everything},
		ReadOnly: {name: ReadOnly, base: reads},
		None:     {name: None},
	}
}

// BuiltIn returns the policy of that name, as EVERGATE_POLICY has it; nil: it is full, or there is none.
func BuiltIn(name string) *Policy {
	if name == Full {
		return nil
	}
	return builtIn()[name]
}

// Name is what the policy is called in the settings.
func (p *Policy) Name() string { return p.name }

// Nothing reports whether no request at all can pass.
func (p *Policy) Nothing() bool {
	return p.base == nothing && !p.report && len(p.rest) == 0 && len(p.queries) == 0 && len(p.mutations) == 0
}

// JudgeHead judges what comes before the body. The error is a denial; it is returned by a policy
// that only Reports, too. needsBody says that the call may pass only after JudgeBody.
func (p *Policy) JudgeHead(r *request.Request, target shopify.Target) (needsBody bool, _ error) {
	if p.base == everything {
		return false, nil
	}
	if why := otherMethod(r.Fields); why != "" {
		return false, ambiguousMethod(why)
	}
	switch {
	case target.IsGraphQL && r.Method != http.MethodPost:
		return false, ambiguousDocument("the method " + denial.Quote(r.Method) + ", where the Admin API knows POST alone")
	case target.IsGraphQL && r.Query:
		return false, ambiguousDocument("parameters in its address, which may count instead of those in the body")
	case target.IsGraphQL:
		return true, nil
	case target.MaybeGraphQL:
		return false, ambiguousDocument("the path " + denial.Quote(target.Path) + ", which is not quite that of GraphQL")
	}
	return false, p.judgeREST(r, target.Path)
}

func (p *Policy) judgeREST(r *request.Request, rawPath string) error {
	if p.base == reads && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		return nil
	}
	for _, rule := range p.rest {
		if !rule.matches(r.Method, rawPath) {
			continue
		}
		// Only of a POST, and only in a form, do servers look for the method that is meant.
		if media, why := mediaType(r.Fields); r.Method == http.MethodPost && r.Length != 0 && (why != "" || media != typeJSON) {
			return ambiguousMethod("The body of this POST is not certain to be JSON, and a form may name another method. Send Content-Type: application/json.")
		}
		return nil
	}
	if p.base == reads && len(p.rest) == 0 {
		return denial.New(http.StatusForbidden, denial.CodeReadOnly,
			"You may only read here, and "+denial.Quote(r.Method)+" "+denial.Quote(rawPath)+" may change something. Use GET, "+
				"or have the policy "+denial.Quote(p.name)+" changed that Evergate holds you to.")
	}
	return denial.New(http.StatusForbidden, denial.CodeDeniedOperation,
		"The policy "+denial.Quote(p.name)+" that Evergate holds you to does not list "+denial.Quote(r.Method)+" "+denial.Quote(rawPath)+". Have it added there.")
}

// Reports says that the policy lets everything through and only says what it would refuse.
func (p *Policy) Reports() bool { return p.report }

// JudgeBody judges the body of a GraphQL call whose head has passed; it is not whole if it is
// longer than LargestJudgedBody. What a GraphQL client would show its user goes out as GraphQL.
func (p *Policy) JudgeBody(fields request.Fields, body []byte, whole bool) error {
	if !whole {
		return tooLargeDocument("more than 256 KiB")
	}
	op, carried, err := judgeGraphQL(fields, body)
	if err != nil {
		return err
	}
	err = p.judgeOperation(op)
	for _, inner := range carried {
		if err != nil {
			break
		}
		if err = p.judgeOperation(inner); err != nil {
			err = inBulk(err)
		}
	}
	return err
}

func (p *Policy) judgeOperation(op operation) error {
	listed := p.mutations
	if op.isQuery() {
		listed = p.queries
	}
	denied := slices.IndexFunc(op.roots, func(field string) bool {
		if op.isQuery() {
			return p.base != reads && !listed.has(field)
		}
		return !listed.has(field) || shopify.ChangesCredentials(field) && !listed[field]
	})
	switch {
	case denied < 0 && op.shows != "" && !p.handsOut(op):
		return denial.New(http.StatusOK, denial.CodeDeniedOperation,
			"The field "+denial.Quote(op.shows)+" shows credentials, and the policy "+denial.Quote(p.name)+" that Evergate holds you to does not. "+
				"Evergate did not send it to Shopify. Leave the field out.")
	case denied < 0:
		return nil
	case p.base == reads && len(p.mutations) == 0:
		return denial.New(http.StatusOK, denial.CodeReadOnly,
			"You may only read here, and "+denial.Quote(op.roots[denied])+" is a mutation. Evergate did not send it to Shopify. "+
				"Send a query, or have the policy "+denial.Quote(p.name)+" changed that Evergate holds you to.")
	}
	return denial.New(http.StatusOK, denial.CodeDeniedOperation,
		"The policy "+denial.Quote(p.name)+" that Evergate holds you to does not list the "+string(op.kind)+" "+denial.Quote(op.roots[denied])+". "+
			"Evergate did not send it to Shopify. Have it added there.")
}

// handsOut reports whether an operation is one that the policy lists by name, so that what it
// shows is what it was listed for.
func (p *Policy) handsOut(op operation) bool {
	return !op.isQuery() && !slices.ContainsFunc(op.roots, func(field string) bool {
		return field != "__typename" && !(shopify.ChangesCredentials(field) && p.mutations[field])
	})
}

// otherMethod says which header asks for another method than the request line. Many
// frameworks obey it, Rails among them.
func otherMethod(fields request.Fields) (why string) {
	for name := range fields.Names {
		switch hyphened(name) {
		case "X-Http-Method-Override", "X-Http-Method", "X-Method-Override":
			return "The header " + denial.Quote(name) + " asks for another method than the request line. Leave it out, and send the method that you mean."
		}
	}
	return ""
}

func ambiguousMethod(message string) error {
	return denial.New(http.StatusBadRequest, denial.CodeAmbiguousMethod, message)
}

// fieldSet is a set of root fields.
type fieldSet map[string]bool

// has also knows the one field that says nothing but the root's type.
func (s fieldSet) has(field string) bool { return s[field] || field == "__typename" || s[anyField] }

// anyField stands for every field.
const anyField = "*"

// restRule lets methods on a path through.
type restRule struct {
	methods []string
	pattern []string // segments
}

// matches compares the raw path segment by segment. A letter that is percent-encoded
// matches no letter: the rule only ever lets through less than was meant.
func (r restRule) matches(method, rawPath string) bool {
	if !slices.Contains(r.methods, method) {
		return false
	}
	segments := strings.Split(strings.TrimPrefix(rawPath, "/"), "/")
	for i, want := range r.pattern {
		switch {
		case i == len(segments) || segments[i] == "":
			return false
		case want == "**": // the last one
			return true
		case want != "*" && want != segments[i]:
			return false
		}
	}
	return len(segments) == len(r.pattern)
}
