package shopsim

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// seedTime is when everything that exists at the start came into being.
var seedTime = time.Date(2026, 1, 15, 9, 30, 0, 0, time.UTC)

// product is a product as both APIs see it.
type product struct {
	id          int64
	title       string
	bodyHTML    string
	vendor      string
	productType string
	handle      string
	status      string // "active", "draft" or "archived"
	tags        string
	created     time.Time
	updated     time.Time
	seeded      bool       // there from the start
	variants    []*variant // made when they are first asked for: see shop.variantsOf
}

// productStore holds products in the order of their ids, which is the order of
// creation and of listing.
type productStore struct {
	list   []*product
	lastID int64
}

const firstProductID = 7_000_000_000_001

// create adds a product, or says per field what is wrong with it.
func (ps *productStore) create(fields map[string]any, now time.Time) (*product, map[string][]string) {
	p := &product{status: "active", created: now}
	if _, given := fields["title"]; !given {
		fields = map[string]any{"title": ""} // a missing title is a blank one
	}
	if problems := p.update(fields, now); problems != nil {
		return nil, problems
	}
	ps.lastID = max(ps.lastID+1, firstProductID)
	p.id = ps.lastID
	ps.list = append(ps.list, p)
	return p, nil
}

// update sets the fields that are given and known; the others stay.
func (p *product) update(fields map[string]any, now time.Time) map[string][]string {
	next := *p
	for name, dst := range map[string]*string{
		"title": &next.title, "body_html": &next.bodyHTML, "vendor": &next.vendor,
		"product_type": &next.productType, "handle": &next.handle, "status": &next.status, "tags": &next.tags,
	} {
		if v, given := fields[name]; given {
			*dst = textOf(v)
		}
	}
	if strings.TrimSpace(next.title) == "" {
		return map[string][]string{"title": {"can't be blank"}}
	}
	if !slices.Contains([]string{"active", "draft", "archived"}, next.status) {
		return map[string][]string{"status": {"is not included in the list"}}
	}
	if next.handle == "" {
		next.handle = strings.Join(strings.Fields(strings.ToLower(next.title)), "-")
	}
	next.updated = now
	*p = next
	return nil
}

// textOf reads a JSON value that is meant as text; a list is joined with commas.
func textOf(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case []any:
		var parts []string
		for _, item := range v {
			parts = append(parts, textOf(item))
		}
		return strings.Join(parts, ", ")
	}
	return fmt.Sprint(v)
}

func (ps *productStore) find(id int64) (int, bool) {
	return slices.BinarySearchFunc(ps.list, id, func(p *product, id int64) int { return cmp.Compare(p.id, id) })
}

func (ps *productStore) get(id int64) *product {
	if i, ok := ps.find(id); ok {
		return ps.list[i]
	}
	return nil
}

func (ps *productStore) remove(id int64) {
	if i, ok := ps.find(id); ok {
		ps.list = slices.Delete(ps.list, i, i+1)
	}
}

// productFilters are the query parameters that choose products, beside those that every list has.
var productFilters = []string{"status", "title", "vendor", "product_type", "handle"}

func (p *product) matches(query url.Values) bool {
	for name, have := range map[string]string{
		"status": p.status, "title": p.title, "vendor": p.vendor, "product_type": p.productType, "handle": p.handle,
	} {
		if want := query.Get(name); want != "" && want != have {
			return false
		}
	}
	return true
}

// fieldList reads the fields parameter; nil means all.
func fieldList(query url.Values) []string {
	if v := query.Get("fields"); v != "" {
		return strings.Split(v, ",")
	}
	return nil
}

// productView is the product as REST shows it.
func (sh *shop) productView(p *product) map[string]any {
	variants := []any{}
	for _, v := range sh.variantsOf(p) {
		variants = append(variants, v.restView())
	}
	return map[string]any{
		"id": p.id, "title": p.title, "body_html": p.bodyHTML, "vendor": p.vendor, "product_type": p.productType,
		"created_at": restTime(p.created), "updated_at": restTime(p.updated), "published_at": nil,
		"handle": p.handle, "template_suffix": nil, "published_scope": "global", "tags": p.tags, "status": p.status,
		"admin_graphql_api_id": p.gid(), "variants": variants, "options": []any{}, "images": []any{}, "image": nil,
	}
}

// reduced leaves of a view the fields that are asked for, if any are.
func reduced(view map[string]any, fields []string) map[string]any {
	if fields == nil {
		return view
	}
	some := map[string]any{}
	for _, f := range fields {
		if v, ok := view[strings.TrimSpace(f)]; ok {
			some[strings.TrimSpace(f)] = v
		}
	}
	return some
}

// restTime is shop-local with an offset, unlike GraphQL's UTC.
func restTime(t time.Time) string {
	return t.In(time.FixedZone("", -5*60*60)).Format(time.RFC3339)
}

// restInstant reads a time as REST takes it; false means that there is none that can be read.
func restInstant(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
