package shopsim

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
)

func productResolvers() map[string]gqlFields {
	return map[string]gqlFields{
		gqlQuery: {
			"product": {scope: "read_products", resolve: func(r *gqlRun, _ any, args map[string]any) any {
				return r.productByID(args["id"])
			}},
			"products": connection("read_products", func(r *gqlRun, _ any, args map[string]any) gqlListing[*product] {
				return gqlListing[*product]{items: r.q.shop.products.list, by: productOrder(args), match: matching(args, searchProduct)}
			}),
			"productsCount": {scope: "read_products", resolve: func(r *gqlRun, _ any, args map[string]any) any {
				return counted(r.q.shop.products.list, matching(args, searchProduct))
			}},
		},
		"Product": {
			"id":               leaf(func(p *product) any { return p.gid() }),
			"legacyResourceId": leaf(func(p *product) any { return strconv.FormatInt(p.id, 10) }),
			"title":            leaf(func(p *product) any { return p.title }),
			"handle":           leaf(func(p *product) any { return p.handle }),
			"descriptionHtml":  leaf(func(p *product) any { return p.bodyHTML }),
			"vendor":           leaf(func(p *product) any { return p.vendor }),
			"productType":      leaf(func(p *product) any { return p.productType }),
			"status":           leaf(func(p *product) any { return strings.ToUpper(p.status) }),
			"tags":             leaf(func(p *product) any { return splitTags(p.tags) }),
			"createdAt":        leaf(func(p *product) any { return gqlTime(p.created) }),
			"updatedAt":        leaf(func(p *product) any { return gqlTime(p.updated) }),
			"totalInventory": {resolve: func(r *gqlRun, parent any, _ map[string]any) any {
				return totalQuantity(r.q.shop.variantsOf(parent.(*product)))
			}},
			"variants": connection("", func(r *gqlRun, p *product, _ map[string]any) gqlListing[*variant] {
				return gqlListing[*variant]{items: r.q.shop.variantsOf(p)}
			}),
			"variantsCount": {resolve: func(r *gqlRun, parent any, _ map[string]any) any {
				return len(r.q.shop.variantsOf(parent.(*product)))
			}},
		},
		"ProductCreatePayload": {
			"product":    leaf(func(c createdProduct) any { return orNull(c.product) }),
			"userErrors": leaf(func(c createdProduct) any { return c.errors }),
		},
	}
}

func (p *product) key() int64 { return p.id }

func (r *gqlRun) productByID(id any) any {
	n, _ := gidOf("Product", id)
	return orNull(r.q.shop.products.get(n))
}

func productOrder(args map[string]any) func(a, b *product) int {
	switch args["sortKey"] {
	case "TITLE":
		return func(a, b *product) int { return cmp.Compare(strings.ToLower(a.title), strings.ToLower(b.title)) }
	case "UPDATED_AT":
		return func(a, b *product) int { return a.updated.Compare(b.updated) }
	}
	return nil // ids are given out in the order of creation
}

// counted is how many items match.
func counted[T any](items []T, match func(T) bool) int {
	if match == nil {
		return len(items)
	}
	n := 0
	for _, item := range items {
		if match(item) {
			n++
		}
	}
	return n
}

func splitTags(tags string) []string {
	out := []string{}
	for _, tag := range strings.Split(tags, ",") {
		if tag = strings.TrimSpace(tag); tag != "" {
			out = append(out, tag)
		}
	}
	return out
}

// createdProduct is what productCreate returns.
type createdProduct struct {
	product *product
	errors  []any
}

func productCreate(r *gqlRun, _ any, args map[string]any) any {
	given, _ := args["product"].(map[string]any)
	if given == nil {
		given, _ = args["input"].(map[string]any) // the older name
	}
	fields := map[string]any{}
	restNames := map[string]string{"descriptionHtml": "body_html", "productType": "product_type"}
	for name, v := range given {
		if name == "status" {
			v = strings.ToLower(textOf(v))
		}
		fields[orDefault(restNames[name], name)] = v
	}
	p, problems := r.q.shop.products.create(fields, r.q.now)
	out := createdProduct{product: p, errors: []any{}}
	for _, field := range slices.Sorted(maps.Keys(problems)) {
		message := strings.ToUpper(field[:1]) + field[1:] + " " + problems[field][0]
		out.errors = append(out.errors, userError{field: []string{field}, message: message})
	}
	return out
}

func (p *product) gid() string { return gid("Product", p.id) }
