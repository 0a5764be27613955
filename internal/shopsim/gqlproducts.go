package shopsim

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// productPage is a window on the products of a shop.
type productPage struct {
	items             []*product
	hasNext, hasPrior bool
}

func productByID(of *gqlType) *gqlField {
	return &gqlField{of: of, scope: "read_products", args: map[string]gqlInput{"id": {kind: "ID", required: true}},
		resolve: func(r *gqlRun, _ any, args map[string]any) any {
			text, _ := args["id"].(string)
			id, err := strconv.ParseInt(strings.TrimPrefix(text, "gid://shopify/Product/"), 10, 64)
			if p := r.q.shop.products.get(id); err == nil && p != nil {
				return p
			}
			return nil
		}}
}

// products is the connection: products(first:, after:) or (last:, before:).
func (s *gqlSchema) products(of *gqlType) *gqlField {
	edge := s.add("ProductEdge", 0, map[string]*gqlField{
		"cursor": leaf(func(p *product) any { return p.cursor() }),
		"node":   object(of, func(p *product) any { return p }),
	})
	list := func(of *gqlType) *gqlField {
		f := object(of, func(pg productPage) any { return anyList(pg.items) })
		f.list = true
		return f
	}
	connection := s.add("ProductConnection", 1, map[string]*gqlField{
		"edges":    list(edge),
		"nodes":    list(of),
		"pageInfo": object(s.pageInfo(), func(pg productPage) any { return pg }),
	})
	return &gqlField{
		of:    connection,
		scope: "read_products",
		args: map[string]gqlInput{
			"first": {kind: "Int"}, "after": {kind: "String"}, "last": {kind: "Int"}, "before": {kind: "String"},
		},
		check: checkPage,
		resolve: func(r *gqlRun, _ any, args map[string]any) any {
			return pageOf(r.q.shop.products.list, args)
		},
	}
}

func (s *gqlSchema) pageInfo() *gqlType {
	cursorAt := func(pick func([]*product) *product) *gqlField {
		return leaf(func(pg productPage) any {
			if len(pg.items) == 0 {
				return nil
			}
			return pick(pg.items).cursor()
		})
	}
	return s.add("PageInfo", 1, map[string]*gqlField{
		"hasNextPage":     leaf(func(pg productPage) any { return pg.hasNext }),
		"hasPreviousPage": leaf(func(pg productPage) any { return pg.hasPrior }),
		"startCursor":     cursorAt(func(l []*product) *product { return l[0] }),
		"endCursor":       cursorAt(func(l []*product) *product { return l[len(l)-1] }),
	})
}

// cursor names the place of a product in the list.
func (p *product) cursor() string { return cursor{Direction: "next", LastID: p.id}.encode() }

// pageSize is how many items a connection was asked for, 0 for other fields.
func pageSize(args map[string]any) int {
	for _, name := range []string{"first", "last"} {
		if n, ok := args[name].(int); ok {
			return n
		}
	}
	return 0
}

// checkPage holds the rules of Shopify's connections.
func checkPage(args map[string]any) string {
	if args["first"] == nil && args["last"] == nil {
		return "you must provide one of first or last"
	}
	for _, name := range []string{"first", "last"} {
		n, ok := args[name].(int)
		switch {
		case ok && n < 0:
			return name + " must not be negative"
		case ok && n > maxLimit:
			return fmt.Sprintf("%s cannot exceed %d. To query larger amounts of data with fewer limits, "+
				"bulk operations should be used instead.", name, maxLimit)
		}
	}
	for _, name := range []string{"after", "before"} {
		text, ok := args[name].(string)
		if _, err := decodeCursor(text); ok && err != nil {
			return "Invalid cursor for current pagination sort."
		}
	}
	return ""
}

// pageOf cuts the page out, as the Relay specification has it.
func pageOf(all []*product, args map[string]any) productPage {
	from, to := 0, len(all)
	if text, ok := args["after"].(string); ok {
		from, _ = pageBounds(all, mustCursor(text), 0)
	}
	if text, ok := args["before"].(string); ok {
		at := mustCursor(text)
		at.Direction = "prev"
		_, to = pageBounds(all, at, 0)
	}
	to = max(from, to)
	if n, ok := args["first"].(int); ok {
		to = min(to, from+n)
	}
	if n, ok := args["last"].(int); ok {
		from = max(from, to-n)
	}
	return productPage{items: all[from:to], hasPrior: from > 0, hasNext: to < len(all)}
}

// mustCursor decodes what checkPage has seen before.
func mustCursor(text string) cursor {
	c, err := decodeCursor(text)
	if err != nil {
		panic(fmt.Sprintf("shopsim: cursor %q was not checked: %v", text, err))
	}
	return c
}

func (s *gqlSchema) productsCount() *gqlField {
	of := s.add("Count", 0, map[string]*gqlField{
		"count":     leaf(func(n int) any { return n }),
		"precision": leaf(func(int) any { return "EXACT" }),
	})
	return &gqlField{of: of, scope: "read_products", resolve: func(r *gqlRun, _ any, _ map[string]any) any {
		return len(r.q.shop.products.matching(url.Values{}))
	}}
}

// createdProduct is what productCreate returns.
type createdProduct struct {
	product *product
	errors  []any
}

func (s *gqlSchema) productCreate(of, errorType *gqlType) *gqlField {
	text := gqlInput{kind: "String"}
	input := map[string]gqlInput{"title": text, "descriptionHtml": text, "vendor": text, "productType": text,
		"handle": text, "status": text, "tags": {kind: "[String]"}}
	errs := object(errorType, func(c createdProduct) any { return c.errors })
	errs.list = true
	payload := s.add("ProductCreatePayload", 0, map[string]*gqlField{
		"product": object(of, func(c createdProduct) any {
			if c.product == nil {
				return nil // not a nil *product, which would not be null
			}
			return c.product
		}),
		"userErrors": errs,
	})
	return &gqlField{
		of: payload, price: mutationPrice, scope: "write_products",
		args: map[string]gqlInput{
			"product": {kind: "ProductCreateInput", fields: input},
			"input":   {kind: "ProductInput", fields: input}, // the older name
		},
		resolve: func(r *gqlRun, _ any, args map[string]any) any {
			given, _ := args["product"].(map[string]any)
			if given == nil {
				given, _ = args["input"].(map[string]any)
			}
			return createByGraphQL(r, given)
		},
	}
}

func createByGraphQL(r *gqlRun, given map[string]any) createdProduct {
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
