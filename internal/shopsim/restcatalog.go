package shopsim

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// restView is the variant as REST shows it.
func (v *variant) restView() map[string]any {
	return map[string]any{
		"id": v.id, "product_id": v.product.id, "title": v.title, "price": v.price.String(), "position": v.position,
		"inventory_policy": v.policy, "compare_at_price": moneyOrNull(v.compareAtPrice), "option1": v.title, "option2": nil, "option3": nil,
		"created_at": restTime(v.created), "updated_at": restTime(v.updated), "taxable": v.taxable, "barcode": emptyIsNull(v.barcode),
		"fulfillment_service": "manual", "grams": 0, "inventory_management": v.item.management(), "requires_shipping": v.item.shipping,
		"sku": v.sku(), "weight": 0.0, "weight_unit": "kg", "inventory_item_id": v.item.id, "inventory_quantity": v.item.total(),
		"old_inventory_quantity": v.item.total(), "admin_graphql_api_id": v.gid(), "image_id": nil,
	}
}

// management says who keeps track of an item: Shopify, or nobody.
func (it *inventoryItem) management() any {
	if it.tracked {
		return "shopify"
	}
	return nil
}

func variantList(items []*variant) restList[*variant] {
	return restList[*variant]{name: "variants", items: items, view: (*variant).restView}
}

// restVariants answers one variant; a list of them is below a product.
func restVariants(s *Sim, q *request, below []string) *response {
	if len(below) != 1 {
		return notFound()
	}
	id, err := strconv.ParseInt(below[0], 10, 64)
	v := q.shop.variant(id)
	if err != nil || v == nil {
		return notFound()
	}
	switch {
	case isRead(q.Method):
		return jsonResponse(http.StatusOK, map[string]any{"variant": reduced(v.restView(), fieldList(q.URL.Query()))})
	case q.Method == http.MethodPut:
		return s.updateVariant(q, v)
	}
	return methodNotAllowed("GET, PUT")
}

func (s *Sim) updateVariant(q *request, v *variant) *response {
	var body struct {
		Variant map[string]any `json:"variant"`
	}
	if refused := readREST(q, &body, "variant", func() bool { return body.Variant != nil }); refused != nil {
		return refused
	}
	in := body.Variant
	edit := variantEdit{variant: v, barcode: optional[string](in, "barcode"), taxable: optional[bool](in, "taxable"), sku: optional[string](in, "sku")}
	for name, set := range map[string]func(*money){
		"price":            func(m *money) { edit.price = m },
		"compare_at_price": func(m *money) { edit.compareAtPrice = &m },
	} {
		raw, given := in[name]
		amount, err := parseMoney(textOf(raw))
		switch {
		case !given:
		case raw == nil && name != "price":
			set(nil)
		case err != nil:
			return jsonErrors(http.StatusUnprocessableEntity, map[string][]string{name: {"is not a number"}})
		case amount < 0:
			return jsonErrors(http.StatusUnprocessableEntity, map[string][]string{name: {"must be greater than or equal to 0"}})
		default:
			set(&amount)
		}
	}
	if policy := textOf(in["inventory_policy"]); policy != "" {
		if policy != "deny" && policy != "continue" {
			return jsonErrors(http.StatusUnprocessableEntity, map[string][]string{"inventory_policy": {"is not included in the list"}})
		}
		edit.policy = policy
	}
	s.editVariant(q, edit)
	return jsonResponse(http.StatusOK, map[string]any{"variant": v.restView()})
}

// readREST reads a JSON body, and refuses one that lacks a parameter.
func readREST(q *request, into any, parameter string, complete func() bool) *response {
	dec := json.NewDecoder(bytes.NewReader(q.body))
	dec.UseNumber()
	if err := dec.Decode(into); err != nil || !complete() {
		return jsonErrors(http.StatusBadRequest, map[string]string{parameter: "Required parameter missing or invalid"})
	}
	return nil
}

// restItems answers inventory items: those whose ids are given, or one.
func restItems(_ *Sim, q *request, below []string) *response {
	if len(below) == 0 && q.URL.Query().Get("ids") == "" && !q.URL.Query().Has("page_info") {
		return jsonErrors(http.StatusUnprocessableEntity, map[string]string{"ids": "Required parameter missing or invalid"})
	}
	var items []*inventoryItem
	for _, v := range q.shop.allVariants() {
		items = append(items, v.item)
	}
	return readOnly(q, below, "inventory_item", restList[*inventoryItem]{name: "inventory_items", items: items, view: (*inventoryItem).restView})
}

func (it *inventoryItem) restView() map[string]any {
	return map[string]any{
		"id": it.id, "sku": it.sku, "created_at": restTime(it.variant.created), "updated_at": restTime(it.updated),
		"requires_shipping": it.shipping, "cost": moneyOrNull(it.cost), "tracked": it.tracked, "admin_graphql_api_id": it.gid(),
	}
}

// restLevels answers inventory levels: the list, and the two ways to change one.
func restLevels(s *Sim, q *request, below []string) *response {
	switch what := strings.Join(below, "/"); {
	case what == "" && isRead(q.Method):
		return listLevels(q)
	case what == "":
		return methodNotAllowed(http.MethodGet)
	case what != "set" && what != "adjust":
		return notFound()
	case q.Method != http.MethodPost:
		return methodNotAllowed(http.MethodPost)
	default:
		return s.changeLevel(q, what)
	}
}

// listLevels wants items or locations to be named, as Shopify does.
func listLevels(q *request) *response {
	query := q.URL.Query()
	filters := []string{"inventory_item_ids", "location_ids"}
	if !query.Has("page_info") && query.Get(filters[0]) == "" && query.Get(filters[1]) == "" {
		return jsonErrors(http.StatusUnprocessableEntity, map[string]string{"inventory_item_ids": "Required parameter missing or invalid"})
	}
	var items []*restLevel
	for _, v := range q.shop.allVariants() {
		for i, l := range v.item.levels {
			items = append(items, &restLevel{l, int64(len(v.item.levels)), int64(i)})
		}
	}
	named := func(l *restLevel, query url.Values) bool {
		for name, id := range map[string]int64{filters[0]: l.item.id, filters[1]: l.location.id} {
			if list := query.Get(name); list != "" && !slices.Contains(strings.Split(list, ","), strconv.FormatInt(id, 10)) {
				return false
			}
		}
		return true
	}
	return restList[*restLevel]{name: "inventory_levels", items: items, filters: filters, match: named, view: func(l *restLevel) map[string]any { return l.restView() }}.page(q)
}

// restLevel is a level in the list of all levels, where a location alone is no key.
type restLevel struct {
	*inventoryLevel

	of, i int64
}

func (l *restLevel) key() int64 { return l.item.id*l.of + l.i }

func (l *inventoryLevel) restView() map[string]any {
	return map[string]any{
		"inventory_item_id": l.item.id, "location_id": l.location.id, "available": l.available, "updated_at": restTime(l.updated),
		"admin_graphql_api_id": l.gid(),
	}
}

func (s *Sim) changeLevel(q *request, how string) *response {
	var body struct {
		Item       *int64 `json:"inventory_item_id"`
		Location   *int64 `json:"location_id"`
		Available  *int   `json:"available"`
		Adjustment *int   `json:"available_adjustment"`
	}
	parameter, change := "available", &body.Available
	if how == "adjust" {
		parameter, change = "available_adjustment", &body.Adjustment
	}
	if refused := readREST(q, &body, parameter, func() bool { return body.Item != nil && body.Location != nil && *change != nil }); refused != nil {
		return refused
	}
	item := q.shop.item(*body.Item)
	if item == nil || item.at(*body.Location) == nil {
		return notFound()
	}
	if !item.tracked {
		return jsonErrors(http.StatusUnprocessableEntity, []string{"Inventory item does not have inventory tracking enabled"})
	}
	level, quantity := item.at(*body.Location), **change
	if how == "adjust" {
		quantity += level.available
	}
	if quantity > maxQuantity || quantity < -maxQuantity {
		return jsonErrors(http.StatusUnprocessableEntity, []string{"Available must be between -1000000000 and 1000000000"})
	}
	s.setAvailable(q, level, quantity)
	return jsonResponse(http.StatusOK, map[string]any{"inventory_level": level.restView()})
}

func restLocations(_ *Sim, q *request, below []string) *response {
	return readOnly(q, below, "location", restList[*location]{name: "locations", items: q.shop.locations, view: (*location).restView})
}

func (l *location) restView() map[string]any {
	return map[string]any{
		"id": l.id, "name": l.name, "address1": "1 Example Street", "city": "New York", "zip": "10001", "country": "US", "country_code": "US",
		"country_name": "United States", "created_at": restTime(seedTime), "updated_at": restTime(seedTime), "legacy": false, "active": true,
		"admin_graphql_api_id": l.gid(),
	}
}
