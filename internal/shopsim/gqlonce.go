package shopsim

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
)

func mutationResolvers() map[string]gqlFields {
	return map[string]gqlFields{
		gqlMutation: {
			"appUninstall":              {resolve: appUninstall},
			"bulkOperationCancel":       {resolve: bulkCancel},
			"bulkOperationRunMutation":  {resolve: bulkRunMutation},
			"bulkOperationRunQuery":     {resolve: bulkRunQuery},
			"inventorySetQuantities":    {scope: "write_inventory", once: true, resolve: inventorySetQuantities},
			"productCreate":             {scope: "write_products", resolve: productCreate},
			"productVariantsBulkUpdate": {scope: "write_products", resolve: productVariantsBulkUpdate},
			"stagedUploadsCreate":       {resolve: stagedUploadsCreate},
		},
		"AppUninstallPayload": {"userErrors": leaf(func(struct{}) any { return []any{} })},
	}
}

// appUninstall removes the calling app, like DELETE /admin/api_permissions/current.json.
func appUninstall(r *gqlRun, _ any, _ map[string]any) any {
	r.sim.uninstall(r.q.shop, r.token.app, r.q.now)
	return struct{}{}
}

// onceDirective has a mutation take effect once.
const onceDirective = "idempotent"

const (
	onceSince = "2026-04" // from this version on it is demanded
	onceLife  = day       // for so long a key is remembered
	maxOnce   = 10_000    // at so many keys those that have ended are forgotten
)

// onceUse is what was done under a key.
type onceUse struct {
	at      time.Time
	what    [sha256.Size]byte // the mutation and its arguments
	outcome any
}

// onceKey reads @idempotent.
func (p *gqlPlanner) onceKey(def *gqlField, s *ast.Field, path []string) string {
	d := s.Directives.ForName(onceDirective)
	demanded := def.once && p.run.q.version >= onceSince
	switch {
	case d == nil && demanded:
		p.fail(s.Position, path, "BAD_REQUEST", "The @idempotent directive is required for this mutation but was not provided.")
		return ""
	case d == nil:
		return ""
	case !def.once:
		p.fail(d.Position, path, "BAD_REQUEST", "The @idempotent directive is not supported for '%s'.", s.Name)
		return ""
	}
	var key string
	if a := d.Arguments.ForName("key"); a != nil {
		v, _ := p.value(a.Value)
		key, _ = v.(string)
	}
	if key == "" || len(key) > 255 {
		p.fail(d.Position, path, "BAD_REQUEST", "Directive 'idempotent' wants the argument key: String!, of 1 to 255 characters")
	}
	return key
}

// resolve answers a field; a mutation under a key that was used before is answered without being done again.
func (r *gqlRun) resolve(f *gqlPlanned, parent any) any {
	if f.once == "" {
		return f.def.resolve(r, parent, f.args)
	}
	arguments, err := json.Marshal(f.args)
	if err != nil {
		panic(fmt.Sprintf("shopsim: encode arguments: %v", err)) // they come from JSON
	}
	what := sha256.Sum256(slices.Concat([]byte(f.name), arguments))
	keys, key := r.q.shop.keys, r.token.app.id+" "+f.once
	before, used := keys[key]
	switch {
	case !used || r.q.now.Sub(before.at) >= onceLife:
	case before.what != what:
		return quantitiesUpdate{errors: []userError{{nil, "The same idempotency key cannot be used with different operation parameters.",
			"IDEMPOTENCY_KEY_PARAMETER_MISMATCH"}}}
	default:
		return before.outcome
	}
	outcome := f.def.resolve(r, parent, f.args)
	if done, ok := outcome.(quantitiesUpdate); ok && len(done.errors) == 0 { // a refusal changed nothing, so nothing is to be kept
		if len(keys) >= maxOnce {
			maps.DeleteFunc(keys, func(_ string, u onceUse) bool { return r.q.now.Sub(u.at) >= onceLife })
		}
		keys[key] = onceUse{r.q.now, what, outcome}
	}
	return outcome
}
