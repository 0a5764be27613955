package shopsim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
)

// bulkOperation is work that goes on after the answer. It is carried out when its time has come and somebody
// looks: until then it can be canceled, and nothing of it is done.
type bulkOperation struct {
	id       int64
	mutation bool
	text     string // the document
	rows     [][]byte
	token    *token
	request  *request // that began it
	created  time.Time
	done     time.Time
	canceled time.Time

	ran            bool
	objects, roots int
	failure        string
	result         *stagedFile
}

const (
	firstBulkID     = 720_918
	maxBulk         = 5 // at a time, of one kind and of one app
	bulkResultLife  = 7 * day
	maxConnections  = 5 // in a bulk query
	maxConnectDepth = 2
)

func (b *bulkOperation) key() int64 { return b.id }

func (b *bulkOperation) kind() string {
	if b.mutation {
		return "MUTATION"
	}
	return "QUERY"
}

func (b *bulkOperation) status(now time.Time) string {
	switch {
	case !b.canceled.IsZero() && now.Equal(b.canceled):
		return "CANCELING"
	case !b.canceled.IsZero():
		return "CANCELED"
	case b.ran && b.failure != "":
		return "FAILED"
	case b.ran && now.Sub(b.done) > bulkResultLife:
		return "EXPIRED"
	case b.ran:
		return "COMPLETED"
	case now.Sub(b.created) < b.done.Sub(b.created)/4:
		return "CREATED"
	}
	return "RUNNING"
}

// runBulk carries out what is due.
func (s *Sim) runBulk(sh *shop, now time.Time) {
	for _, b := range sh.bulk {
		if !b.ran && b.canceled.IsZero() && !now.Before(b.done) {
			b.ran = true
			s.runOperation(b)
		}
	}
}

func (s *Sim) runOperation(b *bulkOperation) {
	out := &bulkWriter{}
	if b.mutation {
		s.runRows(b, out)
	} else {
		s.runBulkQuery(b, out)
	}
	b.objects, b.roots, b.failure = out.objects, out.roots, out.failure
	if out.objects > 0 {
		b.result = s.stage(b.request, fmt.Sprintf("%s/%s/bulk-%d.jsonl", resultPath, s.state.randomHex(), b.id))
		b.result.body, b.result.at = out.text.Bytes(), b.done
	}
}

// asOf is the request of an operation at the time when it is carried out.
func (b *bulkOperation) asOf() *request {
	q := *b.request
	q.now = b.done
	return &q
}

func (s *Sim) runBulkQuery(b *bulkOperation, out *bulkWriter) {
	run := &gqlRun{sim: s, q: b.asOf(), token: b.token, schema: adminSchema(), bulk: true}
	plan, problems := s.planGQL(gqlRequest{Query: b.text}, run)
	if problems != nil {
		out.failure = "INTERNAL_SERVER_ERROR" // it was planned before, when it was given
		return
	}
	root := run.object(plan.fields, nil, nil)
	if len(run.errors) > 0 {
		out.failure = "ACCESS_DENIED"
		return
	}
	_, children := split(plan.fields, root, "")
	for _, c := range children {
		out.node(c)
	}
}

// runRows carries out a mutation for each line of the file.
func (s *Sim) runRows(b *bulkOperation, out *bulkWriter) {
	for i, row := range b.rows {
		run := &gqlRun{sim: s, q: b.asOf(), token: b.token, schema: adminSchema()}
		line := gqlObject{}
		plan, problems := s.planGQL(gqlRequest{Query: b.text, Variables: variablesOf(row)}, run)
		if problems == nil {
			line = append(line, gqlMember{"data", run.object(plan.fields, nil, nil)})
			problems = run.errors
		}
		if len(problems) > 0 {
			line = append(line, gqlMember{"errors", problems})
		}
		out.line(append(line, gqlMember{"__lineNumber", i}))
		out.roots++
	}
}

func variablesOf(row []byte) map[string]any {
	var variables map[string]any
	dec := json.NewDecoder(bytes.NewReader(row))
	dec.UseNumber()
	if dec.Decode(&variables) != nil {
		return nil
	}
	return variables
}

// bulkWriter writes JSON lines.
type bulkWriter struct {
	text           bytes.Buffer
	objects, roots int
	failure        string
}

func (w *bulkWriter) line(o gqlObject) {
	enc := json.NewEncoder(&w.text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(o); err != nil {
		panic(fmt.Sprintf("shopsim: encode a line: %v", err)) // it is made of our own types
	}
	w.objects++
}

// bulkNode is an object of a connection, with the id of the object that the connection belongs to.
type bulkNode struct {
	fields []*gqlPlanned
	object gqlObject
	parent string
}

// node writes an object, and then what its connections list.
func (w *bulkWriter) node(n bulkNode) {
	object, children := split(n.fields, n.object, "")
	if n.parent != "" {
		object = append(object, gqlMember{"__parentId", n.parent})
	} else {
		w.roots++
	}
	w.line(object)
	for _, c := range children {
		w.node(c)
	}
}

// split takes the connections out of an object, and returns what they list. parent is the id of the object
// around it, for objects that have none.
func split(fields []*gqlPlanned, object gqlObject, parent string) (rest gqlObject, children []bulkNode) {
	for i, f := range fields {
		if f.name == "id" && f.key == "id" {
			parent, _ = object[i].value.(string)
		}
	}
	for i, f := range fields {
		value, isObject := object[i].value.(gqlObject)
		switch {
		case isObject && f.isConnection():
			children = append(children, listed(f.fields[f.def.of.Name], value, parent)...)
		case isObject && !f.def.of.IsAbstractType():
			inner, below := split(f.fields[f.def.of.Name], value, parent)
			rest = append(rest, gqlMember{f.key, inner})
			children = append(children, below...)
		default:
			rest = append(rest, object[i])
		}
	}
	return rest, children
}

func (f *gqlPlanned) isConnection() bool {
	return f.def.of != nil && strings.HasSuffix(f.def.of.Name, "Connection")
}

// listed are the objects of a connection, asked for as nodes or as edges.
func listed(fields []*gqlPlanned, connection gqlObject, parent string) (out []bulkNode) {
	for i, f := range fields {
		items, _ := connection[i].value.([]any)
		for _, item := range items {
			object, _ := item.(gqlObject)
			of := f.fields[f.def.of.Name]
			if f.name == "edges" {
				for k, inner := range of {
					if inner.name == "node" {
						node, _ := object[k].value.(gqlObject)
						out = append(out, bulkNode{inner.fields[inner.def.of.Name], node, parent})
					}
				}
				continue
			}
			out = append(out, bulkNode{of, object, parent})
		}
	}
	return out
}

// checkBulkQuery says what keeps a document from being a bulk query.
func (s *Sim) checkBulkQuery(r *gqlRun, text string) string {
	plan, problems := s.planGQL(gqlRequest{Query: text}, &gqlRun{sim: s, q: r.q, token: r.token, schema: r.schema, bulk: true})
	switch {
	case problems != nil:
		return "Invalid bulk query: " + problems[0].Message
	case plan.root.Name != gqlQuery:
		return "Invalid bulk query: only a query can be run"
	}
	count, depth, orphan := 0, 0, false
	var walk func(fields []*gqlPlanned, level int)
	walk = func(fields []*gqlPlanned, level int) {
		for _, f := range fields {
			below := level
			if f.isConnection() {
				count, below = count+1, level+1
				depth = max(depth, below)
			}
			for of, inner := range f.fields {
				hasID := slices.ContainsFunc(inner, func(i *gqlPlanned) bool { return i.name == "id" && i.key == "id" })
				nests := slices.ContainsFunc(inner, (*gqlPlanned).isConnection)
				orphan = orphan || nests && level > 0 && !hasID && !strings.HasSuffix(of, "Edge")
				walk(inner, below)
			}
		}
	}
	walk(plan.fields, 0)
	switch {
	case count == 0:
		return "Bulk queries must contain at least one connection."
	case count > maxConnections:
		return fmt.Sprintf("Bulk queries cannot contain more than %d connections.", maxConnections)
	case depth > maxConnectDepth:
		return "Bulk queries cannot contain connections with a nesting depth greater than 2."
	case orphan:
		return "The parent 'node' field for a nested connection must select the 'id' field without an alias and must be of 'ID' return type."
	}
	return ""
}

// bulkOutcome is what the mutations of bulk operations return.
type bulkOutcome struct {
	operation *bulkOperation
	errors    []userError
}

func bulkRefusal(field, code, message string) bulkOutcome {
	return bulkOutcome{errors: []userError{{[]string{field}, message, code}}}
}

// begin starts an operation, if there are not too many.
func (r *gqlRun) begin(b *bulkOperation) bulkOutcome {
	running := 0
	for _, other := range r.q.shop.bulk {
		if !other.ran && other.canceled.IsZero() && other.mutation == b.mutation && other.token.app == r.token.app {
			running++
		}
	}
	if running >= maxBulk {
		return bulkOutcome{errors: []userError{{nil, fmt.Sprintf("A maximum of %d bulk operations of a kind can run at a time.", maxBulk), "LIMIT_REACHED"}}}
	}
	b.id, b.token, b.request, b.created = firstBulkID+int64(len(r.q.shop.bulk)), r.token, r.q, r.q.now
	b.done = b.created.Add(r.sim.state.settings.BulkTime)
	r.q.shop.bulk = append(r.q.shop.bulk, b)
	return bulkOutcome{operation: b}
}

func bulkRunQuery(r *gqlRun, _ any, args map[string]any) any {
	text := args["query"].(string)
	if problem := r.sim.checkBulkQuery(r, text); problem != "" {
		return bulkRefusal("query", "INVALID", problem)
	}
	return r.begin(&bulkOperation{text: text})
}

func bulkRunMutation(r *gqlRun, _ any, args map[string]any) any {
	text := args["mutation"].(string)
	doc, err := parseGQL(text)
	if err != nil {
		return bulkRefusal("mutation", "INVALID_MUTATION", "Failed to parse the mutation - "+err.Error())
	}
	op, problem := chooseGQL(doc, "")
	switch {
	case problem != "" || op.Operation != ast.Mutation || len(op.SelectionSet) != 1:
		return bulkRefusal("mutation", "INVALID_MUTATION", "You must specify a single top level mutation.")
	case !bulkAllows(op.SelectionSet[0]):
		return bulkRefusal("mutation", "INVALID_MUTATION", "You must use an allowed mutation name.")
	}
	file := r.sim.state.files[stagedPath+"/"+args["stagedUploadPath"].(string)]
	if file == nil || file.body == nil {
		return bulkRefusal("stagedUploadPath", "NO_SUCH_FILE", "The JSONL file could not be found. Try uploading the file again, and check that you've "+
			"entered the URL correctly for the stagedUploadPath mutation argument.")
	}
	b := &bulkOperation{mutation: true, text: text}
	for i, row := range bytes.Split(file.body, []byte("\n")) {
		if row = bytes.TrimSpace(row); len(row) == 0 {
			continue
		}
		if variablesOf(row) == nil {
			return bulkRefusal("stagedUploadPath", "INVALID_STAGED_UPLOAD_FILE", fmt.Sprintf("Line %d is not a JSON object.", i+1))
		}
		b.rows = append(b.rows, row)
	}
	return r.begin(b)
}

// bulkAllows tells whether a field can be run for each line of a file.
func bulkAllows(s ast.Selection) bool {
	f, ok := s.(*ast.Field)
	return ok && slices.Contains([]string{"inventorySetQuantities", "productCreate", "productVariantsBulkUpdate"}, f.Name)
}

func bulkCancel(r *gqlRun, _ any, args map[string]any) any {
	b, _ := r.bulkByID(args["id"]).(*bulkOperation)
	switch {
	case b == nil:
		return bulkRefusal("id", "", "Bulk operation does not exist")
	case b.ran || !b.canceled.IsZero():
		return bulkOutcome{operation: b, errors: []userError{{nil, "A bulk operation cannot be canceled when it is " + strings.ToLower(b.status(r.q.now)), ""}}}
	}
	b.canceled = r.q.now
	return bulkOutcome{operation: b}
}

func (r *gqlRun) bulkByID(id any) any {
	n, _ := gidOf("BulkOperation", id)
	b := byKey(r.q.shop.bulk, firstBulkID, n)
	if b == nil || b.token.app != r.token.app {
		return nil
	}
	return b
}

// address is where the simulator itself can be reached, as the client that asks reaches it or a proxy between.
func (q *request) address() string {
	scheme := "http"
	if q.TLS != nil {
		scheme = "https"
	}
	if at, ok := q.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		return scheme + "://" + at.String()
	}
	return "https://" + q.Host
}

// bulkOperations are those of the app that asks.
func (r *gqlRun) bulkOperations() (out []*bulkOperation) {
	for _, b := range r.q.shop.bulk {
		if b.token.app == r.token.app {
			out = append(out, b)
		}
	}
	return out
}

func bulkResolvers() map[string]gqlFields {
	outcome := func() gqlFields {
		return gqlFields{
			"bulkOperation": leaf(func(o bulkOutcome) any { return orNull(o.operation) }),
			"userErrors":    leaf(func(o bulkOutcome) any { return anyList(o.errors) }),
		}
	}
	return map[string]gqlFields{
		gqlQuery: {
			"bulkOperation": {resolve: func(r *gqlRun, _ any, args map[string]any) any { return r.bulkByID(args["id"]) }},
			"bulkOperations": connection("", func(r *gqlRun, _ any, args map[string]any) gqlListing[*bulkOperation] {
				now := r.q.now
				return gqlListing[*bulkOperation]{items: r.bulkOperations(), match: matching(args, func(b *bulkOperation) searchDoc { return searchBulk(b, now) })}
			}),
			"currentBulkOperation": {resolve: func(r *gqlRun, _ any, args map[string]any) any {
				for _, b := range slices.Backward(r.bulkOperations()) {
					if b.kind() == args["type"] {
						return b
					}
				}
				return nil
			}},
		},
		"BulkOperation":                   bulkFields(),
		"BulkOperationCancelPayload":      outcome(),
		"BulkOperationRunQueryPayload":    outcome(),
		"BulkOperationRunMutationPayload": outcome(),
		"BulkOperationUserError":          userErrors(true),
		"BulkMutationUserError":           userErrors(true),
		"StagedUploadsCreatePayload": {
			"stagedTargets": leaf(func(targets []stagedTarget) any { return anyList(targets) }),
			"userErrors":    leaf(func([]stagedTarget) any { return []any{} }),
		},
		"StagedMediaUploadTarget": {
			"url":         leaf(func(t stagedTarget) any { return t.url }),
			"resourceUrl": leaf(func(stagedTarget) any { return nil }),
			"parameters":  leaf(func(t stagedTarget) any { return anyList(t.parameters) }),
		},
		"StagedUploadParameter": {
			"name":  leaf(func(p [2]string) any { return p[0] }),
			"value": leaf(func(p [2]string) any { return p[1] }),
		},
	}
}

func bulkFields() gqlFields {
	return gqlFields{
		"id":        leaf(func(b *bulkOperation) any { return gid("BulkOperation", b.id) }),
		"type":      leaf(func(b *bulkOperation) any { return b.kind() }),
		"query":     leaf(func(b *bulkOperation) any { return b.text }),
		"status":    {resolve: func(r *gqlRun, parent any, _ map[string]any) any { return parent.(*bulkOperation).status(r.q.now) }},
		"createdAt": leaf(func(b *bulkOperation) any { return gqlTime(b.created) }),
		"completedAt": leaf(func(b *bulkOperation) any {
			if !b.ran || b.failure != "" {
				return nil
			}
			return gqlTime(b.done)
		}),
		"errorCode":       leaf(func(b *bulkOperation) any { return emptyIsNull(b.failure) }),
		"objectCount":     leaf(func(b *bulkOperation) any { return strconv.Itoa(b.objects) }),
		"rootObjectCount": leaf(func(b *bulkOperation) any { return strconv.Itoa(b.roots) }),
		"partialDataUrl":  leaf(func(*bulkOperation) any { return nil }),
		"fileSize": leaf(func(b *bulkOperation) any {
			if b.result == nil {
				return nil
			}
			return strconv.Itoa(len(b.result.body))
		}),
		"url": {resolve: func(r *gqlRun, parent any, _ map[string]any) any {
			b := parent.(*bulkOperation)
			if b.result == nil || b.status(r.q.now) != "COMPLETED" {
				return nil
			}
			return r.q.address() + "/" + b.result.path
		}},
	}
}

func searchBulk(b *bulkOperation, now time.Time) searchDoc {
	return searchFields(map[string]func() string{
		"":               func() string { return b.text },
		"id":             func() string { return strconv.FormatInt(b.id, 10) },
		"status":         func() string { return b.status(now) },
		"operation_type": b.kind,
		"created_at":     func() string { return gqlTime(b.created) },
	})
}
