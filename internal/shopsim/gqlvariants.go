package shopsim

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

func variantResolvers() map[string]gqlFields {
	return map[string]gqlFields{
		gqlQuery: {
			"productVariant": {scope: "read_products", resolve: func(r *gqlRun, _ any, args map[string]any) any {
				return r.variantByID(args["id"])
			}},
			"productVariants": connection("read_products", func(r *gqlRun, _ any, args map[string]any) gqlListing[*variant] {
				return gqlListing[*variant]{items: r.q.shop.allVariants(), by: variantOrder(args), match: matching(args, searchVariant)}
			}),
			"productVariantsCount": {scope: "read_products", resolve: func(r *gqlRun, _ any, args map[string]any) any {
				return counted(r.q.shop.allVariants(), matching(args, searchVariant))
			}},
		},
		"ProductVariant": {
			"id":                leaf(func(v *variant) any { return v.gid() }),
			"legacyResourceId":  leaf(func(v *variant) any { return strconv.FormatInt(v.id, 10) }),
			"title":             leaf(func(v *variant) any { return v.title }),
			"displayName":       leaf(func(v *variant) any { return v.product.title + " - " + v.title }),
			"position":          leaf(func(v *variant) any { return v.position }),
			"sku":               leaf(func(v *variant) any { return v.sku() }),
			"barcode":           leaf(func(v *variant) any { return emptyIsNull(v.barcode) }),
			"price":             leaf(func(v *variant) any { return v.price.String() }),
			"compareAtPrice":    leaf(func(v *variant) any { return moneyOrNull(v.compareAtPrice) }),
			"inventoryPolicy":   leaf(func(v *variant) any { return strings.ToUpper(v.policy) }),
			"inventoryQuantity": leaf(func(v *variant) any { return v.item.total() }),
			"inventoryItem":     leaf(func(v *variant) any { return v.item }),
			"product":           leaf(func(v *variant) any { return v.product }),
			"selectedOptions":   leaf(func(v *variant) any { return []any{v} }), // of the one option that products have
			"taxable":           leaf(func(v *variant) any { return v.taxable }),
			"createdAt":         leaf(func(v *variant) any { return gqlTime(v.created) }),
			"updatedAt":         leaf(func(v *variant) any { return gqlTime(v.updated) }),
		},
		"SelectedOption": {
			"name":  leaf(func(*variant) any { return "Title" }),
			"value": leaf(func(v *variant) any { return v.title }),
		},
		"ProductVariantsBulkUpdatePayload": {
			"product":         leaf(func(u variantsUpdate) any { return orNull(u.product) }),
			"productVariants": leaf(func(u variantsUpdate) any { return anyList(u.variants) }),
			"userErrors":      leaf(func(u variantsUpdate) any { return anyList(u.errors) }),
		},
		"ProductVariantsBulkUpdateUserError": userErrors(true),
	}
}

func emptyIsNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func moneyOrNull(m *money) any {
	if m == nil {
		return nil
	}
	return m.String()
}

func (r *gqlRun) variantByID(id any) any {
	n, _ := gidOf("ProductVariant", id)
	return orNull(r.q.shop.variant(n))
}

func variantOrder(args map[string]any) func(a, b *variant) int {
	switch args["sortKey"] {
	case "SKU":
		return func(a, b *variant) int { return cmp.Compare(a.sku(), b.sku()) }
	case "TITLE":
		return func(a, b *variant) int { return cmp.Compare(a.title, b.title) }
	}
	return nil
}

// variantsUpdate is what productVariantsBulkUpdate returns.
type variantsUpdate struct {
	product  *product
	variants []*variant
	errors   []userError
}

// productVariantsBulkUpdate changes variants of one product: all, or with allowPartialUpdates those of which
// nothing is wrong.
func productVariantsBulkUpdate(r *gqlRun, _ any, args map[string]any) any {
	out := variantsUpdate{}
	id, _ := gidOf("Product", args["productId"])
	if out.product = r.q.shop.products.get(id); out.product == nil {
		out.errors = append(out.errors, userError{field: []string{"productId"}, message: "Product does not exist", code: "PRODUCT_DOES_NOT_EXIST"})
		return out
	}
	var edits []variantEdit
	for i, input := range args["variants"].([]any) {
		edit, problems := editOf(r.q.shop.variantsOf(out.product), input.(map[string]any), []string{"variants", strconv.Itoa(i)})
		if problems == nil {
			edits = append(edits, edit)
		}
		out.errors = append(out.errors, problems...)
	}
	if partial, _ := args["allowPartialUpdates"].(bool); len(out.errors) > 0 && !partial {
		return out
	}
	for _, edit := range edits {
		r.sim.editVariant(r.q, edit)
		out.variants = append(out.variants, edit.variant)
	}
	return out
}

// variantEdit is what to change of a variant; what is nil stays.
type variantEdit struct {
	variant        *variant
	price          *money
	compareAtPrice **money
	barcode        *string
	policy         string
	taxable        *bool
	sku            *string
	tracked        *bool
	shipping       *bool
	cost           **money
}

func editOf(among []*variant, input map[string]any, path []string) (variantEdit, []userError) {
	at := func(name string) []string { return append(slices.Clone(path), name) }
	id, given := gidOf("ProductVariant", input["id"])
	if !given {
		return variantEdit{}, []userError{{field: at("id"), message: "Product variant is missing ID attribute", code: "PRODUCT_VARIANT_ID_MISSING"}}
	}
	i := slices.IndexFunc(among, func(v *variant) bool { return v.id == id })
	if i < 0 {
		return variantEdit{}, []userError{{field: at("id"), message: "Product variant does not exist", code: "PRODUCT_VARIANT_DOES_NOT_EXIST"}}
	}
	edit := variantEdit{variant: among[i], price: moneyIn(input, "price"), barcode: optional[string](input, "barcode"), taxable: optional[bool](input, "taxable")}
	if edit.price != nil && *edit.price < 0 {
		return variantEdit{}, []userError{{field: at("price"), message: "Price must be greater than or equal to 0", code: "GREATER_THAN_OR_EQUAL_TO"}}
	}
	if _, given := input["compareAtPrice"]; given {
		m := moneyIn(input, "compareAtPrice")
		edit.compareAtPrice = &m
	}
	policy, _ := input["inventoryPolicy"].(string)
	edit.policy = strings.ToLower(policy)
	if item, ok := input["inventoryItem"].(map[string]any); ok {
		edit.sku, edit.tracked, edit.shipping = optional[string](item, "sku"), optional[bool](item, "tracked"), optional[bool](item, "requiresShipping")
		if _, given := item["cost"]; given {
			m := moneyIn(item, "cost")
			edit.cost = &m
		}
	}
	return edit, nil
}

// optional is a member of an input, nil if it is absent or null.
func optional[T any](input map[string]any, name string) *T {
	if v, ok := input[name].(T); ok {
		return &v
	}
	return nil
}

// moneyIn reads a decimal that coercion has seen before.
func moneyIn(input map[string]any, name string) *money {
	text, ok := input[name].(string)
	if m, err := parseMoney(text); ok && err == nil {
		return &m
	}
	return nil
}

// set changes what an edit names.
func set[T any](dst, v *T) {
	if v != nil {
		*dst = *v
	}
}

func (s *Sim) editVariant(q *request, e variantEdit) {
	v := e.variant
	if e.price != nil {
		s.state.noteWrite(q, v.gid(), "price", v.price.String(), e.price.String())
	}
	set(&v.price, e.price)
	set(&v.compareAtPrice, e.compareAtPrice)
	set(&v.barcode, e.barcode)
	set(&v.taxable, e.taxable)
	set(&v.item.sku, e.sku)
	set(&v.item.tracked, e.tracked)
	set(&v.item.shipping, e.shipping)
	set(&v.item.cost, e.cost)
	v.policy = orDefault(e.policy, v.policy)
	v.updated, v.item.updated, v.product.updated = q.now, q.now, q.now
}
