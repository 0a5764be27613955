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

func inventoryResolvers() map[string]gqlFields {
	return map[string]gqlFields{
		gqlQuery:        inventoryQueries(),
		"InventoryItem": inventoryItemFields(),
		"MoneyV2": {
			"amount":       leaf(func(m *money) any { return m.String() }),
			"currencyCode": leaf(func(*money) any { return shopCurrency }),
		},
		"InventoryLevel": inventoryLevelFields(),
		"InventoryQuantity": {
			"id": leaf(func(q namedQuantity) any {
				return fmt.Sprintf("gid://shopify/InventoryQuantity/%d-%d?name=%s", q.level.item.id, q.level.location.id, url.QueryEscape(q.name))
			}),
			"name":      leaf(func(q namedQuantity) any { return q.name }),
			"quantity":  leaf(func(q namedQuantity) any { return q.value() }),
			"updatedAt": leaf(func(q namedQuantity) any { return gqlTime(q.level.updated) }),
		},
		"Location": locationFields(),
		"LocationAddress": {
			"address1":    leaf(func(*location) any { return "1 Example Street" }),
			"city":        leaf(func(*location) any { return "New York" }),
			"country":     leaf(func(*location) any { return "United States" }),
			"countryCode": leaf(func(*location) any { return "US" }),
			"zip":         leaf(func(*location) any { return "10001" }),
		},
		"InventorySetQuantitiesPayload": {
			"inventoryAdjustmentGroup": leaf(func(u quantitiesUpdate) any { return orNull(u.group) }),
			"userErrors":               leaf(func(u quantitiesUpdate) any { return anyList(u.errors) }),
		},
		"InventorySetQuantitiesUserError": userErrors(true),
		"InventoryAdjustmentGroup": {
			"id":                   leaf(func(g *adjustment) any { return gid("InventoryAdjustmentGroup", g.id) }),
			"createdAt":            leaf(func(g *adjustment) any { return gqlTime(g.at) }),
			"reason":               leaf(func(g *adjustment) any { return g.reason }),
			"referenceDocumentUri": leaf(func(g *adjustment) any { return emptyIsNull(g.reference) }),
			"changes": {resolve: func(_ *gqlRun, parent any, args map[string]any) any {
				return parent.(*adjustment).named(args["quantityNames"])
			}},
		},
		"InventoryChange": {
			"name":                leaf(func(c quantityChange) any { return c.name }),
			"delta":               leaf(func(c quantityChange) any { return c.delta }),
			"quantityAfterChange": leaf(func(c quantityChange) any { return c.after }),
			"item":                leaf(func(c quantityChange) any { return c.level.item }),
			"location":            leaf(func(c quantityChange) any { return c.level.location }),
		},
	}
}

func inventoryQueries() gqlFields {
	return gqlFields{
		"inventoryItem": {scope: "read_inventory", resolve: func(r *gqlRun, _ any, args map[string]any) any { return r.itemByID(args["id"]) }},
		"inventoryItems": connection("read_inventory", func(r *gqlRun, _ any, args map[string]any) gqlListing[*inventoryItem] {
			var items []*inventoryItem
			for _, v := range r.q.shop.allVariants() {
				items = append(items, v.item)
			}
			return gqlListing[*inventoryItem]{items: items, match: matching(args, searchItem)}
		}),
		"inventoryLevel": {scope: "read_inventory", resolve: func(r *gqlRun, _ any, args map[string]any) any { return r.levelByID(args["id"]) }},
		"location": {scope: "read_locations", resolve: func(r *gqlRun, _ any, args map[string]any) any {
			if args["id"] == nil {
				return r.q.shop.locations[0]
			}
			return r.locationByID(args["id"])
		}},
		"locations": connection("read_locations", func(r *gqlRun, _ any, args map[string]any) gqlListing[*location] {
			l := gqlListing[*location]{items: r.q.shop.locations, match: matching(args, searchLocation)}
			if args["sortKey"] == "NAME" {
				l.by = func(a, b *location) int { return cmp.Compare(a.name, b.name) }
			}
			return l
		}),
	}
}

func locationFields() gqlFields {
	return gqlFields{
		"id":                   leaf(func(l *location) any { return l.gid() }),
		"legacyResourceId":     leaf(func(l *location) any { return strconv.FormatInt(l.id, 10) }),
		"name":                 leaf(func(l *location) any { return l.name }),
		"isActive":             leaf(func(*location) any { return true }),
		"fulfillsOnlineOrders": leaf(func(*location) any { return true }),
		"shipsInventory":       leaf(func(*location) any { return true }),
		"address":              leaf(func(l *location) any { return l }),
		"createdAt":            leaf(func(*location) any { return gqlTime(seedTime) }),
		"updatedAt":            leaf(func(*location) any { return gqlTime(seedTime) }),
	}
}

func inventoryLevelFields() gqlFields {
	return gqlFields{
		"id":            leaf(func(l *inventoryLevel) any { return l.gid() }),
		"isActive":      leaf(func(*inventoryLevel) any { return true }),
		"canDeactivate": leaf(func(*inventoryLevel) any { return true }),
		"item":          leaf(func(l *inventoryLevel) any { return l.item }),
		"location":      leaf(func(l *inventoryLevel) any { return l.location }),
		"createdAt":     leaf(func(l *inventoryLevel) any { return gqlTime(l.item.variant.created) }),
		"updatedAt":     leaf(func(l *inventoryLevel) any { return gqlTime(l.updated) }),
		"quantities": {resolve: func(_ *gqlRun, parent any, args map[string]any) any {
			out := []any{}
			for _, name := range args["names"].([]any) {
				out = append(out, namedQuantity{parent.(*inventoryLevel), name.(string)})
			}
			return out
		}},
	}
}

func inventoryItemFields() gqlFields {
	return gqlFields{
		"id":               leaf(func(it *inventoryItem) any { return it.gid() }),
		"legacyResourceId": leaf(func(it *inventoryItem) any { return strconv.FormatInt(it.id, 10) }),
		"sku":              leaf(func(it *inventoryItem) any { return it.sku }),
		"tracked":          leaf(func(it *inventoryItem) any { return it.tracked }),
		"requiresShipping": leaf(func(it *inventoryItem) any { return it.shipping }),
		"unitCost":         leaf(func(it *inventoryItem) any { return orNull(it.cost) }),
		"variant":          leaf(func(it *inventoryItem) any { return it.variant }),
		"createdAt":        leaf(func(it *inventoryItem) any { return gqlTime(it.variant.created) }),
		"updatedAt":        leaf(func(it *inventoryItem) any { return gqlTime(it.updated) }),
		"locationsCount":   leaf(func(it *inventoryItem) any { return len(it.levels) }),
		"inventoryLevel": {resolve: func(_ *gqlRun, parent any, args map[string]any) any {
			id, _ := gidOf("Location", args["locationId"])
			return orNull(parent.(*inventoryItem).at(id))
		}},
		"inventoryLevels": connection("", func(_ *gqlRun, it *inventoryItem, _ map[string]any) gqlListing[*inventoryLevel] {
			return gqlListing[*inventoryLevel]{items: it.levels}
		}),
	}
}

func (r *gqlRun) itemByID(id any) any {
	n, _ := gidOf("InventoryItem", id)
	return orNull(r.q.shop.item(n))
}

func (r *gqlRun) levelByID(id any) any {
	text, _ := id.(string)
	return orNull(r.q.shop.level(text))
}

func (r *gqlRun) locationByID(id any) any {
	n, _ := gidOf("Location", id)
	return orNull(r.q.shop.location(n))
}

// namedQuantity is one of the quantities of a level.
type namedQuantity struct {
	level *inventoryLevel
	name  string
}

func (q namedQuantity) value() int {
	if q.name == "available" || q.name == "on_hand" {
		return q.level.available
	}
	return 0
}

// adjustment is a group of changes that were made together.
type adjustment struct {
	id                int64
	at                time.Time
	reason, reference string
	changes           []quantityChange
}

type quantityChange struct {
	level        *inventoryLevel
	name         string
	delta, after int
}

func (g *adjustment) named(names any) []any {
	list, some := names.([]any)
	out := []any{}
	for _, c := range g.changes {
		if !some || slices.Contains(list, any(c.name)) {
			out = append(out, c)
		}
	}
	return out
}

// quantitiesUpdate is what inventorySetQuantities returns.
type quantitiesUpdate struct {
	group  *adjustment
	errors []userError
}

// adjustmentReasons are what Shopify takes as a reason.
const adjustmentReasons = " correction cycle_count_available damaged movement_canceled movement_created movement_received " +
	"movement_updated other promotion quality_control received reservation_created reservation_deleted reservation_updated " +
	"restock safety_stock shrinkage "

const maxQuantity = 1_000_000_000

// inventorySetQuantities sets quantities: all, or none.
func inventorySetQuantities(r *gqlRun, _ any, args map[string]any) any {
	input := args["input"].(map[string]any)
	name, reason := input["name"].(string), input["reason"].(string)
	reference, _ := input["referenceDocumentUri"].(string)
	out := quantitiesUpdate{errors: headProblems(name, reason, reference)}
	var levels []*inventoryLevel
	seen := map[*inventoryLevel]bool{}
	list := input["quantities"].([]any)
	for i, raw := range list {
		level, problem := levelIn(r.q, input, raw.(map[string]any), seen)
		if problem.code != "" {
			problem.field = slices.DeleteFunc([]string{"input", "quantities", strconv.Itoa(i), problem.field[0]}, func(s string) bool { return s == "" })
			out.errors = append(out.errors, problem)
		}
		levels = append(levels, level)
		seen[level] = level != nil
	}
	if len(out.errors) > 0 {
		return out
	}
	out.group = &adjustment{id: int64(r.q.entry.Seq), at: r.q.now, reason: reason, reference: reference}
	for i, level := range levels {
		quantity := list[i].(map[string]any)["quantity"].(int)
		delta := quantity - level.available
		r.sim.setAvailable(r.q, level, quantity)
		for _, changed := range []string{"available", "on_hand"} {
			if delta != 0 {
				out.group.changes = append(out.group.changes, quantityChange{level, changed, delta, quantity})
			}
		}
	}
	if len(out.group.changes) == 0 {
		out.group = nil
	}
	return out
}

func headProblems(name, reason, reference string) []userError {
	var out []userError
	if name != "available" && name != "on_hand" {
		out = append(out, userError{[]string{"input", "name"}, "The quantity name must be either 'available' or 'on_hand'.", "INVALID_NAME"})
	}
	if reason == "" || !strings.Contains(adjustmentReasons, " "+reason+" ") {
		out = append(out, userError{[]string{"input", "reason"}, "The specified reason is invalid.", "INVALID_REASON"})
	}
	if u, err := url.Parse(reference); reference != "" && (err != nil || u.Scheme == "" || u.Scheme == "gid" && u.Host == "shopify") {
		out = append(out, userError{[]string{"input", "referenceDocumentUri"}, "The specified reference document is invalid.", "INVALID_REFERENCE_DOCUMENT"})
	}
	return out
}

// levelIn finds what one entry is about, or what is wrong with it; the problem's field is that of the entry.
func levelIn(q *request, input, entry map[string]any, seen map[*inventoryLevel]bool) (*inventoryLevel, userError) {
	problem := func(field, code, message string) (*inventoryLevel, userError) {
		return nil, userError{[]string{field}, message, code}
	}
	itemID, _ := gidOf("InventoryItem", entry["inventoryItemId"])
	item := q.shop.item(itemID)
	if item == nil {
		return problem("inventoryItemId", "INVALID_INVENTORY_ITEM", "The specified inventory item could not be found.")
	}
	locationID, _ := gidOf("Location", entry["locationId"])
	if q.shop.location(locationID) == nil {
		return problem("locationId", "INVALID_LOCATION", "The specified location could not be found.")
	}
	level := item.at(locationID)
	switch quantity := entry["quantity"].(int); {
	case level == nil:
		return problem("locationId", "ITEM_NOT_STOCKED_AT_LOCATION", "The specified inventory item is not stocked at the location.")
	case seen[level]:
		return problem("", "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR", "The combination of inventoryItemId and locationId must be unique.")
	case quantity < 0:
		return problem("quantity", "INVALID_QUANTITY_NEGATIVE", "The quantity can't be negative.")
	case quantity > maxQuantity:
		return problem("quantity", "INVALID_QUANTITY_TOO_HIGH", "The quantity can't be higher than 1,000,000,000.")
	}
	return compare(q.version, level, input, entry)
}

// compare is the compare of compare-and-set. changeFromQuantity decides if it is there at all, even as null;
// what came before it is compareQuantity, which ignoreCompareQuantity makes optional.
func compare(version string, level *inventoryLevel, input, entry map[string]any) (*inventoryLevel, userError) {
	if from, given := entry["changeFromQuantity"]; given {
		if n, ok := from.(int); ok && n != level.available {
			return nil, userError{[]string{"changeFromQuantity"}, "The changeFromQuantity argument no longer matches the persisted quantity.", "CHANGE_FROM_QUANTITY_STALE"}
		}
		return level, userError{}
	}
	if ignore, _ := input["ignoreCompareQuantity"].(bool); ignore {
		return level, userError{}
	}
	n, ok := entry["compareQuantity"].(int)
	switch {
	case version >= onceSince:
		return nil, userError{[]string{"changeFromQuantity"}, "The changeFromQuantity argument must be given, even if it is null.", "COMPARE_QUANTITY_REQUIRED"}
	case !ok:
		return nil, userError{[]string{"compareQuantity"}, "The compareQuantity argument must be given to each quantity or ignored using ignoreCompareQuantity.", "COMPARE_QUANTITY_REQUIRED"}
	case n != level.available:
		return nil, userError{[]string{"compareQuantity"}, "The compareQuantity value does not match persisted value.", "COMPARE_QUANTITY_STALE"}
	}
	return level, userError{}
}
