package policy

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"evergate/internal/caller"
	"evergate/internal/denial"
	"evergate/internal/plain"
	"evergate/internal/shopify"
)

// Compiled when the first name is read: their sizes make them dear.
var (
	policyName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`) })
	fieldName  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[_A-Za-z][_0-9A-Za-z]*$`) })
)

// restMethods are what a rule can name, in the order of messages.
var restMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}

// parsePolicies reads a policy file. The error joins every mistake, each with its line, its
// place and its remedy. What it does not know is a mistake: a rule that nobody reads would
// be taken for one that holds.
func parsePolicies(text []byte) (*book, error) {
	if _, hidden := plain.Text(string(text)); hidden != nil {
		return nil, hidden // a name with it is another name
	}
	root, err := parseJSON(text)
	if err != nil {
		return nil, err
	}
	r := &policyReader{book: &book{byName: builtIn(), byCaller: map[string]*Policy{}}}
	r.object(root, "", map[string]func(*jsonNode, string){"policies": r.policies, "callers": skip, "default": skip})
	// Policies have to be known before callers, in whatever order they stand.
	if c := root.member("callers"); c != nil {
		r.callers(c, "callers")
	}
	if d := root.member("default"); d != nil {
		r.book.byDefault = r.policyNamed(d, "default")
	} else if root.kind == '{' {
		r.mistake(root, "default", "is missing: name the policy of everyone who is not among the callers, for example \"none\"")
	}
	if err := errors.Join(r.errs...); err != nil {
		return nil, err
	}
	return r.book, nil
}

func (n *jsonNode) member(name string) *jsonNode {
	for _, m := range n.members {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

type policyReader struct {
	book *book
	errs []error
}

func skip(*jsonNode, string) {}

func (r *policyReader) mistake(n *jsonNode, place, format string, args ...any) {
	if place == "" {
		place = "the file"
	}
	r.errs = append(r.errs, fmt.Errorf("line %d: %s %s", n.line, place, fmt.Sprintf(format, args...)))
}

// object hands each member to its reader.
func (r *policyReader) object(n *jsonNode, place string, members map[string]func(*jsonNode, string)) {
	if n.kind != '{' {
		r.mistake(n, place, "is not an object: write {...}")
		return
	}
	for _, m := range n.members {
		if read := members[m.name]; read != nil {
			read(m.value, join(place, m.name))
		} else {
			r.mistake(m.value, join(place, m.name), "is not known: there are %s", strings.Join(slices.Sorted(maps.Keys(members)), ", "))
		}
	}
}

// oneOf reads a string from a list.
func (r *policyReader) oneOf(n *jsonNode, place string, allowed ...string) string {
	if s, ok := n.value.(string); ok && slices.Contains(allowed, s) {
		return s
	}
	r.mistake(n, place, "must be one of %s", strings.Join(allowed, ", "))
	return ""
}

// strings reads a list of strings that check accepts.
func (r *policyReader) strings(n *jsonNode, place, what string, check func(string) bool) (all []string) {
	if n.kind != '[' || len(n.items) == 0 {
		r.mistake(n, place, "must be a list of %s, and not empty", what)
	}
	for i, item := range n.items {
		if s, ok := item.value.(string); ok && check(s) {
			all = append(all, s)
		} else {
			r.mistake(item, fmt.Sprintf("%s[%d]", place, i), "is none of %s", what)
		}
	}
	return all
}

func (r *policyReader) policies(n *jsonNode, place string) {
	if n.kind != '{' {
		r.mistake(n, place, "is not an object: write {\"name\": {...}}")
	}
	for _, m := range n.members {
		at := join(place, m.name)
		switch {
		case builtIn()[m.name] != nil:
			r.mistake(m.value, at, "is built in: choose another name")
		case !policyName().MatchString(m.name):
			r.mistake(m.value, at, "is no name for a policy: use letters, digits, - and _")
		default:
			r.book.byName[m.name] = r.policy(m.name, m.value, at)
		}
	}
}

func (r *policyReader) policy(name string, n *jsonNode, place string) *Policy {
	p, settled := &Policy{name: name}, false
	fields := func(into *fieldSet) func(*jsonNode, string) {
		return func(n *jsonNode, place string) { *into = r.fields(n, place) }
	}
	r.object(n, place, map[string]func(*jsonNode, string){
		"base": func(n *jsonNode, place string) {
			switch settled = true; r.oneOf(n, place, None, ReadOnly, Full) {
			case ReadOnly:
				p.base = reads
			case Full:
				p.base = everything
			}
		},
		"mode":    func(n *jsonNode, place string) { p.report = r.oneOf(n, place, "enforce", "report") == "report" },
		"rest":    func(n *jsonNode, place string) { p.rest = r.rules(n, place) },
		"queries": fields(&p.queries), "mutations": fields(&p.mutations),
	})
	if !settled && n.kind == '{' {
		r.mistake(n, join(place, "base"), "is missing: write none, and list what is allowed, or read-only")
	}
	r.redundant(p, n, place)
	return p
}

// redundant refuses rules that allow what base allows: whoever wrote them took them for limits.
func (r *policyReader) redundant(p *Policy, n *jsonNode, place string) {
	if p.base == everything && (len(p.rest) > 0 || len(p.queries) > 0 || len(p.mutations) > 0) {
		r.mistake(n, place, "has rules, but base full lets everything pass: write base none, or read-only")
	}
	if p.base != reads {
		return
	}
	if len(p.queries) > 0 {
		r.mistake(n, join(place, "queries"), "limits nothing, because base read-only lets every query pass: leave it out, or write base none")
	}
	for i, rule := range p.rest {
		if slices.Contains(rule.methods, "GET") || slices.Contains(rule.methods, "HEAD") {
			r.mistake(n, fmt.Sprintf("%s.rest[%d].methods", place, i), "limits nothing, because base read-only lets every GET pass: leave GET and HEAD out, or write base none")
		}
	}
}

func (r *policyReader) fields(n *jsonNode, place string) fieldSet {
	set := fieldSet{}
	for _, f := range r.strings(n, place, `names of root fields, such as products, or "*" for all`, func(s string) bool { return s == anyField || fieldName().MatchString(s) }) {
		set[f] = true
	}
	return set
}

func (r *policyReader) rules(n *jsonNode, place string) (rules []restRule) {
	if n.kind != '[' {
		r.mistake(n, place, `must be a list of {"methods": [...], "path": "..."}`)
	}
	for i, item := range n.items {
		var rule restRule
		at := fmt.Sprintf("%s[%d]", place, i)
		r.object(item, at, map[string]func(*jsonNode, string){
			"methods": func(n *jsonNode, place string) {
				rule.methods = r.strings(n, place, strings.Join(restMethods, ", "), func(s string) bool { return slices.Contains(restMethods, s) })
			},
			"path": func(n *jsonNode, place string) { rule.pattern = r.pattern(n, place) },
		})
		for _, name := range []string{"methods", "path"} {
			if item.kind == '{' && item.member(name) == nil {
				r.mistake(item, join(at, name), "is missing")
			}
		}
		rules = append(rules, rule)
	}
	return rules
}

// pattern reads a path with * for a segment. One that could never match is a mistake.
func (r *policyReader) pattern(n *jsonNode, place string) []string {
	path, _ := n.value.(string)
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i, s := range segments {
		if strings.Contains(s, "*") && s != "*" && (s != "**" || i != len(segments)-1) {
			r.mistake(n, place, "has a * that is not a whole segment: write * for one segment, and ** at the end for all that follow")
			return nil
		}
	}
	example := strings.ReplaceAll(strings.ReplaceAll(path, "**", "*"), "*", "x")
	target, err := shopify.ParseTarget(example)
	if target.Kind == shopify.Elsewhere && strings.HasSuffix(path, "*") {
		target, err = shopify.ParseTarget(example + ".json") // which a path without a version needs
	}
	switch {
	case path == "":
		r.mistake(n, place, "must be a path, such as /admin/api/*/products.json")
	case err != nil || target.Kind != shopify.AdminAPI && target.Kind != shopify.Scopes || strings.ContainsFunc(path, func(c rune) bool { return c <= ' ' || c > '~' }):
		r.mistake(n, place, "%s is no path that can ever pass: write one below /admin/api/, such as /admin/api/*/products.json", denial.Quote(path))
	case strings.HasSuffix(path, "/"):
		r.mistake(n, place, "ends in a slash, and no path does that matches: leave it out, or write /** for all that is below")
	case target.MaybeGraphQL:
		r.mistake(n, place, "is GraphQL's: list what is allowed there under queries and mutations")
	}
	return segments
}

func (r *policyReader) callers(n *jsonNode, place string) {
	if n.kind != '{' {
		r.mistake(n, place, "is not an object: write {\"caller\": \"policy\"}")
	}
	for _, m := range n.members {
		at := join(place, m.name)
		if !caller.IsName(m.name) {
			r.mistake(m.value, at, "is no name for a caller: use letters, digits and . _ : / @ + -, at most 128")
		}
		r.book.byCaller[m.name] = r.policyNamed(m.value, at)
	}
}

func (r *policyReader) policyNamed(n *jsonNode, place string) *Policy {
	name, _ := n.value.(string)
	p := r.book.byName[name]
	if p == nil {
		r.mistake(n, place, "names the policy %s, which is not there: there are %s", denial.Quote(name), strings.Join(slices.Sorted(maps.Keys(r.book.byName)), ", "))
	}
	return p
}
