package shopsim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

const (
	gqlRateLimitDoc = "https://shopify.dev/api/usage/rate-limits"
	gqlScopeDoc     = "https://shopify.dev/api/usage/access-scopes"
)

// gqlRequest is what a client asks for.
type gqlRequest struct {
	Query         string         `json:"query"`
	OperationName string         `json:"operationName"`
	Variables     map[string]any `json:"variables"`
}

// gqlAnswer is the body of every answer with status 200.
type gqlAnswer struct {
	Errors     []gqlError     `json:"errors,omitempty"`
	Data       any            `json:"data,omitempty"`
	Extensions *gqlExtensions `json:"extensions,omitempty"`
}

type gqlError struct {
	Message    string         `json:"message"`
	Locations  []gqlPos       `json:"locations,omitempty"`
	Extensions map[string]any `json:"extensions,omitempty"`
	Path       []string       `json:"path,omitempty"`
}

type gqlExtensions struct {
	Cost gqlCost `json:"cost"`
}

type gqlCost struct {
	Requested int               `json:"requestedQueryCost"`
	Actual    *int              `json:"actualQueryCost"` // null when throttled
	Status    gqlThrottleStatus `json:"throttleStatus"`
}

type gqlThrottleStatus struct {
	Maximum   decimal `json:"maximumAvailable"`
	Available int     `json:"currentlyAvailable"`
	Restore   decimal `json:"restoreRate"`
}

// decimal is written with one digit after the point, as Shopify writes sizes
// and rates: 2000.0 beside a currentlyAvailable of 1998.
type decimal float64

// MarshalJSON implements json.Marshaler.
func (d decimal) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(d), 'f', 1, 64), nil
}

// graphQL answers POST /admin/api/{version}/graphql.json. Once the body can be
// read at all, whatever goes wrong is an error inside a 200.
func (s *Sim) graphQL(q *request, t *token) *response {
	if q.Method != http.MethodPost {
		return methodNotAllowed(http.MethodPost)
	}
	req, refused := readGQLRequest(q)
	if refused != nil {
		return refused
	}
	if s.opts.Fixtures != nil {
		if doc, err := parseGQL(req.Query); err == nil {
			if op, problem := chooseGQL(doc, req.OperationName); problem == "" {
				q.operation = operationName(op)
			}
		}
		if resp := s.canned(q, q.operation, req.Variables); resp != nil {
			return resp
		}
		q.operation = ""
	}
	run := &gqlRun{sim: s, q: q, token: t, schema: adminSchema()}
	s.runBulk(q.shop, q.now)
	plan, problems := s.planGQL(req, run)
	if problems != nil {
		return gqlFailure(problems...)
	}
	c := s.state.settings
	requested := plan.cost()
	q.cost = requested
	if requested > c.MaxQueryCost {
		return gqlFailure(tooExpensive(requested, c.MaxQueryCost))
	}
	buckets := q.shop.bucketsOf(t.app.id)
	if buckets.graphQLAvailable(c, q.now) < float64(requested) {
		q.throttled = true
		q.restored = (float64(requested) - buckets.graphQLAvailable(c, q.now)) / c.GraphQLRestore
		return throttled(c, buckets, requested, q)
	}
	data := run.object(plan.fields, nil, nil)
	actual := min(run.actual+plan.base, requested)
	buckets.spendGraphQL(c, actual)
	q.cost = actual
	return jsonResponse(http.StatusOK, gqlAnswer{Errors: run.errors, Data: data,
		Extensions: &gqlExtensions{costReport(c, buckets, requested, &actual, q)}})
}

func readGQLRequest(q *request) (gqlRequest, *response) {
	var req gqlRequest
	switch media, _, _ := mime.ParseMediaType(q.Header.Get("Content-Type")); media {
	case "application/graphql":
		req.Query = string(q.body)
	case "application/json":
		dec := json.NewDecoder(bytes.NewReader(q.body))
		dec.UseNumber()
		if err := dec.Decode(&req); err != nil {
			return req, jsonErrors(http.StatusBadRequest, map[string]string{"query": "Required parameter missing or invalid"})
		}
	default:
		return req, jsonErrors(http.StatusUnsupportedMediaType, "Unsupported Media Type: send application/json or application/graphql")
	}
	if req.Query == "" {
		return req, jsonErrors(http.StatusBadRequest, map[string]string{"query": "Required parameter missing or invalid"})
	}
	return req, nil
}

// planGQL turns the request into fields to resolve, or into what is wrong with it.
func (s *Sim) planGQL(req gqlRequest, run *gqlRun) (*gqlPlan, []gqlError) {
	doc, err := parseGQL(req.Query)
	if err != nil {
		var syntax *gqlSyntaxError
		if errors.As(err, &syntax) {
			return nil, []gqlError{{Message: syntax.Error(), Locations: []gqlPos{syntax.pos}}}
		}
		return nil, []gqlError{{Message: err.Error()}}
	}
	op, problem := chooseGQL(doc, req.OperationName)
	if problem != "" {
		return nil, []gqlError{{Message: problem}}
	}
	if run.q.operation == "" { // a bulk operation plans what it is given inside of another
		run.q.operation = operationName(op)
		run.q.isWrite = op.Operation == ast.Mutation && !strings.Contains(req.Query, "@"+onceDirective)
	}
	return newGQLPlanner(run.schema, doc, op, req.Variables, run).plan()
}

// chooseGQL finds the operation to run.
func chooseGQL(doc *ast.QueryDocument, name string) (op *ast.OperationDefinition, problem string) {
	if name == "" {
		if len(doc.Operations) != 1 {
			return nil, "An operation name is required"
		}
		return doc.Operations[0], ""
	}
	if op = doc.Operations.ForName(name); op == nil {
		return nil, fmt.Sprintf("No operation named %q", name)
	}
	return op, ""
}

// operationName is how an operation is called in logs: by its name, or by its first field.
func operationName(op *ast.OperationDefinition) string {
	if op.Name == "" && len(op.SelectionSet) > 0 {
		if f, isField := op.SelectionSet[0].(*ast.Field); isField {
			return "{" + f.Name + "}"
		}
	}
	return op.Name
}

func gqlFailure(problems ...gqlError) *response {
	return jsonResponse(http.StatusOK, gqlAnswer{Errors: problems})
}

func tooExpensive(cost, limit int) gqlError {
	return gqlError{
		Message: fmt.Sprintf("Query cost is %d, which exceeds the single query max cost limit (%d).\n\n"+
			"See https://shopify.dev/docs/api/usage/rate-limits for more information on how the cost of a query is calculated.",
			cost, limit),
		Extensions: map[string]any{"code": "MAX_COST_EXCEEDED", "cost": cost, "maxCost": limit, "documentation": gqlRateLimitDoc},
	}
}

func throttled(c Settings, b *buckets, requested int, q *request) *response {
	return jsonResponse(http.StatusOK, gqlAnswer{
		Errors: []gqlError{{Message: "Throttled",
			Extensions: map[string]any{"code": "THROTTLED", "documentation": gqlRateLimitDoc}}},
		Extensions: &gqlExtensions{costReport(c, b, requested, nil, q)},
	})
}

func costReport(c Settings, b *buckets, requested int, actual *int, q *request) gqlCost {
	return gqlCost{Requested: requested, Actual: actual, Status: gqlThrottleStatus{
		Maximum:   decimal(c.GraphQLSize),
		Available: int(b.graphQLAvailable(c, q.now)),
		Restore:   decimal(c.GraphQLRestore),
	}}
}
