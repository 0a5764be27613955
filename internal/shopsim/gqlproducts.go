package shopsim

import (
	"cmp"
	"html"
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
			"description": {resolve: func(_ *gqlRun, parent any, args map[string]any) any {
				return truncated(withoutTags(parent.(*product).bodyHTML), args["truncateAt"])
			}},
			"descriptionHtml": leaf(func(p *product) any { return p.bodyHTML }),
			"vendor":          leaf(func(p *product) any { return p.vendor }),
			"productType":     leaf(func(p *product) any { return p.productType }),
			"status":          leaf(func(p *product) any { return strings.ToUpper(p.status) }),
			"tags":            leaf(func(p *product) any { return splitTags(p.tags) }),
			"createdAt":       leaf(func(p *product) any { return gqlTime(p.created) }),
			"updatedAt":       leaf(func(p *product) any { return gqlTime(p.updated) }),
			"totalInventory": {resolve: func(r *gqlRun, parent any, _ map[string]any) any {
				return totalQuantity(r.q.shop.variantsOf(parent.(*product)))
			}},
			"priceRangeV2": {resolve: func(r *gqlRun, parent any, _ map[string]any) any {
				return r.q.shop.variantsOf(parent.(*product))
			}},
			"images": connection("", func(*gqlRun, *product, map[string]any) gqlListing[image] {
				return gqlListing[image]{}
			}),
			"variants": connection("", func(r *gqlRun, p *product, _ map[string]any) gqlListing[*variant] {
				return gqlListing[*variant]{items: r.q.shop.variantsOf(p)}
			}),
			"variantsCount": {resolve: func(r *gqlRun, parent any, _ map[string]any) any {
				return len(r.q.shop.variantsOf(parent.(*product)))
			}},
		},
		"ProductPriceRangeV2": {
			"minVariantPrice": leaf(func(of []*variant) any { return &slices.MinFunc(of, byPrice).price }),
			"maxVariantPrice": leaf(func(of []*variant) any { return &slices.MaxFunc(of, byPrice).price }),
		},
		"Image": {
			"url":     leaf(func(image) any { return "" }),
			"altText": leaf(func(image) any { return nil }),
		},
		"ProductCreatePayload": {
			"product":    leaf(func(c createdProduct) any { return orNull(c.product) }),
			"userErrors": leaf(func(c createdProduct) any { return c.errors }),
		},
	}
}

func (p *product) key() int64 { return p.id }

// image is of a product. There is none: programs that ask for images get an empty list.
type image struct{}

func (image) key() int64 { return 0 }

func byPrice(a, b *variant) int { return cmp.Compare(a.price, b.price) }

// withoutTags is what a page says, on one line.
func withoutTags(page string) string {
	var b strings.Builder
	for tag := false; page != ""; {
		text, rest, found := strings.Cut(page, map[bool]string{false: "<", true: ">"}[tag])
		if !tag {
			b.WriteString(text + " ")
		}
		page, tag = rest, tag != found
	}
	return strings.Join(strings.Fields(html.UnescapeString(b.String())), " ")
}

// truncated is a text of at most so many characters, of which the last three say that there is more.
func truncated(text string, at any) string {
	most, asked := at.(int)
	if all := []rune(text); asked && len(all) > most {
		return string(all[:max(0, most-3)]) + "..."
	}
	return text
}

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
