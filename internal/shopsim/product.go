package shopsim

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
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

// productFilters are the query parameters that choose products.
var productFilters = []string{"ids", "since_id", "status", "title", "vendor", "product_type", "handle"}

// matching lists the products that a query asks for. Parameters that are not
// filters are ignored, as Shopify ignores what it does not know.
func (ps *productStore) matching(query url.Values) []*product {
	var out []*product
	for _, p := range ps.list {
		if p.matches(query) {
			out = append(out, p)
		}
	}
	return out
}

func (p *product) matches(query url.Values) bool {
	for name, have := range map[string]string{
		"status": p.status, "title": p.title, "vendor": p.vendor, "product_type": p.productType, "handle": p.handle,
	} {
		if want := query.Get(name); want != "" && want != have {
			return false
		}
	}
	if since, err := strconv.ParseInt(query.Get("since_id"), 10, 64); err == nil && p.id <= since {
		return false
	}
	ids := query.Get("ids")
	return ids == "" || slices.Contains(strings.Split(ids, ","), strconv.FormatInt(p.id, 10))
}

// fieldList reads the fields parameter; nil means all.
func fieldList(query url.Values) []string {
	if v := query.Get("fields"); v != "" {
		return strings.Split(v, ",")
	}
	return nil
}

// restView is the product as REST shows it, reduced to fields if there are any.
func (p *product) restView(fields []string) map[string]any {
	view := map[string]any{
		"id": p.id, "title": p.title, "body_html": p.bodyHTML, "vendor": p.vendor, "product_type": p.productType,
		"created_at": restTime(p.created), "updated_at": restTime(p.updated), "published_at": nil,
		"handle": p.handle, "template_suffix": nil, "published_scope": "global", "tags": p.tags, "status": p.status,
		"admin_graphql_api_id": p.gid(), "variants": []any{}, "options": []any{}, "images": []any{}, "image": nil,
	}
	if fields == nil {
		return view
	}
	reduced := map[string]any{}
	for _, f := range fields {
		if v, ok := view[strings.TrimSpace(f)]; ok {
			reduced[strings.TrimSpace(f)] = v
		}
	}
	return reduced
}

// restTime is shop-local with an offset, unlike GraphQL's UTC.
func restTime(t time.Time) string {
	return t.In(time.FixedZone("", -5*60*60)).Format(time.RFC3339)
}
