package shopsim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// stockedShop has products with SKUs, and an app that may do everything.
func stockedShop(products, variants int, locations ...string) *Sim {
	return New(Options{
		Shops: []Shop{{Domain: "blue-finch", Products: products, Variants: variants, Locations: locations}},
		Apps:  []App{{ClientID: DefaultClientID, ClientSecret: DefaultClientSecret, Scopes: AllScopes}},
	})
}

func TestVariantsAreFoundBySKU(t *testing.T) {
	c := mintingClient(t, stockedShop(30, 2))
	find := func(query string, n int, skus ...string) {
		t.Helper()
		a := c.query(`query($q: String!, $n: Int!) { productVariants(first: $n, query: $q) { nodes { sku } } }`, map[string]any{"q": query, "n": n}, "")
		var got []string
		for _, v := range a.json(t)["data"].(map[string]any)["productVariants"].(map[string]any)["nodes"].([]any) {
			got = append(got, v.(map[string]any)["sku"].(string))
		}
		if !slices.Equal(got, skus) {
			t.Errorf("%s: %v, want %v", query, got, skus)
		}
	}
	find(`sku:SKU-00003-1`, 10, "SKU-00003-1")
	find(`sku:"sku-00003-1" OR sku:'SKU-00001-2'`, 10, "SKU-00001-2", "SKU-00003-1")
	find(`sku:SKU-00003*`, 10, "SKU-00003-1", "SKU-00003-2")
	find(`sku:SKU-00003* -sku:SKU-00003-1`, 10, "SKU-00003-2")
	find(`sku:SKU-00003* AND NOT (sku:SKU-00003-1 OR sku:SKU-00003-2)`, 10)
	find(`sku:"SKU-00003"`, 10)
	find(`id:>=40000000059392`, 10, "SKU-00030-1", "SKU-00030-2")
	find(`spoon:x SKU-00004`, 10, "SKU-00004-1", "SKU-00004-2")
	find(`barcode:4000000002048`, 10, "SKU-00002-1")
	find(``, 2, "SKU-00001-1", "SKU-00001-2")
	find(`product_id:7000000000002`, 5, "SKU-00002-1", "SKU-00002-2")
}

func FuzzSearch(f *testing.F) {
	for _, seed := range []string{`sku:"A 1" OR sku:B*`, `((a:1) b) -c NOT d`, `a:>=2 :x "y`, `)(`, `'\'`, strings.Repeat("(", 50), `a:"\"b" AND`, `title:'x\'y' OR`} {
		f.Add(seed)
	}
	v := newShop(Shop{Domain: "a", Products: 1}, 0).allVariants()[0]
	f.Fuzz(func(t *testing.T, text string) {
		parseSearch(text)(searchVariant(v))
		quoted := `sku:"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
		v.item.sku = text
		if !parseSearch(quoted)(searchVariant(v)) {
			t.Errorf("%q is not found by %s", text, quoted)
		}
	})
}

const setQuantities = `mutation Set($input: InventorySetQuantitiesInput!, $key: String!) {
	inventorySetQuantities(input: $input) @idempotent(key: $key) {
		inventoryAdjustmentGroup { reason referenceDocumentUri changes(quantityNames: ["available"]) { name delta quantityAfterChange item { sku } } }
		userErrors { code field message }
	}
}`

// quantity is one entry of inventorySetQuantities.
func quantity(item, location, to int, more ...any) map[string]any {
	entry := map[string]any{"inventoryItemId": gid("InventoryItem", firstItemID+int64(item)*maxVariants),
		"locationId": gid("Location", firstLocationID+int64(location)), "quantity": to}
	for i := 0; i+1 < len(more); i += 2 {
		entry[more[i].(string)] = more[i+1]
	}
	return entry
}

func quantitiesInput(entries ...map[string]any) map[string]any {
	return map[string]any{"name": "available", "reason": "correction", "referenceDocumentUri": "sheet://test/1", "quantities": entries}
}

func TestSetQuantities(t *testing.T) {
	s := stockedShop(3, 1, "North", "South")
	c := mintingClient(t, s)
	at := func(item, location int) int {
		return s.mustShop("").allVariants()[item].item.levels[location].available
	}
	send := func(key string, input map[string]any) answer {
		t.Helper()
		return c.query(setQuantities, map[string]any{"key": key, "input": input}, "")
	}
	want(t, send("a", quantitiesInput(quantity(1, 0, 12, "changeFromQuantity", at(1, 0)), quantity(2, 1, 3, "changeFromQuantity", nil))), 200,
		`"reason":"correction","referenceDocumentUri":"sheet://test/1"`, fmt.Sprintf(`{"name":"available","delta":%d,"quantityAfterChange":12,"item":{"sku":"SKU-00002"}}`, 12-7), `"userErrors":[]`)
	if at(1, 0) != 12 || at(2, 1) != 3 || at(2, 0) != 14 {
		t.Errorf("quantities are %d, %d, %d", at(1, 0), at(2, 1), at(2, 0))
	}
	// All or nothing.
	want(t, send("b", quantitiesInput(quantity(0, 0, 5, "changeFromQuantity", 0), quantity(1, 0, 1, "changeFromQuantity", 11))), 200,
		`"inventoryAdjustmentGroup":null,"userErrors":[{"code":"CHANGE_FROM_QUANTITY_STALE","field":["input","quantities","1","changeFromQuantity"]`)
	if at(0, 0) != 0 {
		t.Error("half of a refused call was done")
	}
	for code, input := range map[string]map[string]any{
		"INVALID_INVENTORY_ITEM":                       quantitiesInput(quantity(99, 0, 1, "changeFromQuantity", nil)),
		"INVALID_LOCATION":                             quantitiesInput(quantity(0, 9, 1, "changeFromQuantity", nil)),
		"INVALID_QUANTITY_NEGATIVE":                    quantitiesInput(quantity(0, 0, -1, "changeFromQuantity", nil)),
		"INVALID_QUANTITY_TOO_HIGH":                    quantitiesInput(quantity(0, 0, 1_000_000_001, "changeFromQuantity", nil)),
		"NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR": quantitiesInput(quantity(0, 0, 1, "changeFromQuantity", nil), quantity(0, 0, 2, "changeFromQuantity", nil)),
		"COMPARE_QUANTITY_REQUIRED":                    quantitiesInput(quantity(0, 0, 1)),
		"INVALID_REASON":                               {"name": "available", "reason": "mood", "quantities": []any{quantity(0, 0, 1, "changeFromQuantity", nil)}},
		"INVALID_NAME":                                 {"name": "lost", "reason": "other", "quantities": []any{quantity(0, 0, 1, "changeFromQuantity", nil)}},
		"INVALID_REFERENCE_DOCUMENT":                   {"name": "available", "reason": "other", "referenceDocumentUri": "sheet", "quantities": []any{quantity(0, 0, 1, "changeFromQuantity", nil)}},
	} {
		want(t, send(code, input), 200, `"userErrors":[{"code":"`+code+`"`)
	}
	if len(s.Writes()) != 2 {
		t.Errorf("writes: %+v", s.Writes())
	}
	want(t, send("c", quantitiesInput(quantity(0, 0, 1, "compareQuantity", 0))), 200, `doesn't accept argument 'compareQuantity'`)
	var many []map[string]any
	for range 251 {
		many = append(many, quantity(0, 0, 1, "changeFromQuantity", nil))
	}
	want(t, send("d", quantitiesInput(many...)), 200, "The input array size of 251 is greater than the maximum allowed of 250.")
	want(t, send("e", map[string]any{"name": "available", "reason": "other"}), 200, "INVALID_VARIABLE", "quantities: Expected type '[InventoryQuantityInput!]!', got null")
}

func TestCompareQuantityOfTheOldVersion(t *testing.T) {
	s := stockedShop(1, 1)
	c := mintingClient(t, s)
	send := func(entry map[string]any, more map[string]any) answer {
		input := quantitiesInput(entry)
		for k, v := range more {
			input[k] = v
		}
		body, err := json.Marshal(map[string]any{"query": strings.Replace(strings.Replace(setQuantities, ", $key: String!", "", 1), "@idempotent(key: $key)", "", 1), "variables": map[string]any{"input": input}})
		if err != nil {
			t.Fatal(err)
		}
		return c.do("POST", "/admin/api/2026-01/graphql.json", string(body))
	}
	want(t, send(quantity(0, 0, 5, "compareQuantity", 1), nil), 200, `"code":"COMPARE_QUANTITY_STALE","field":["input","quantities","0","compareQuantity"]`)
	want(t, send(quantity(0, 0, 5), nil), 200, `COMPARE_QUANTITY_REQUIRED`)
	want(t, send(quantity(0, 0, 5, "compareQuantity", 0), nil), 200, `"quantityAfterChange":5`)
	want(t, send(quantity(0, 0, 6), map[string]any{"ignoreCompareQuantity": true}), 200, `"quantityAfterChange":6`)
	want(t, send(quantity(0, 0, 7, "compareQuantity", 1, "changeFromQuantity", 6), nil), 200, `"quantityAfterChange":7`)
}

func TestAKeyTakesEffectOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stockedShop(2, 1)
		c := mintingClient(t, s)
		c.token = s.IssueToken("", "", 0)
		send := func(key string, to int, from any) answer {
			return c.query(setQuantities, map[string]any{"key": key, "input": quantitiesInput(quantity(0, 0, to, "changeFromQuantity", from))}, "")
		}
		first := send("k", 5, 0)
		if again := send("k", 5, 0); !strings.Contains(again.body, `"quantityAfterChange":5`) || len(s.Writes()) != 1 {
			t.Errorf("first %s, again %s, writes %v", first.body, again.body, s.Writes())
		}
		want(t, send("k", 6, 5), 200, `"code":"IDEMPOTENCY_KEY_PARAMETER_MISMATCH","field":null`)
		want(t, send("l", 6, 4), 200, `CHANGE_FROM_QUANTITY_STALE`) // what was refused may be tried again
		want(t, send("l", 6, 5), 200, `"quantityAfterChange":6`)
		time.Sleep(onceLife)
		want(t, send("k", 6, 4), 200, `CHANGE_FROM_QUANTITY_STALE`)
		want(t, c.query(strings.Replace(setQuantities, "@idempotent(key: $key)", "", 1), map[string]any{"key": "m", "input": quantitiesInput(quantity(0, 0, 1, "changeFromQuantity", nil))}, ""),
			200, "The @idempotent directive is required for this mutation but was not provided.")
		want(t, c.query(`mutation { productCreate(product: {title: "x"}) @idempotent(key: "x") { product { id } } }`, nil, ""), 200, "is not supported for 'productCreate'")
		want(t, send("", 6, 5), 200, "of 1 to 255 characters")
	})
}

func TestVariantsAreUpdatedTogether(t *testing.T) {
	s := stockedShop(2, 2)
	c := mintingClient(t, s)
	update := func(product int, partial bool, variants ...map[string]any) answer {
		t.Helper()
		return c.query(`mutation($id: ID!, $v: [ProductVariantsBulkInput!]!, $p: Boolean) { productVariantsBulkUpdate(productId: $id, variants: $v, allowPartialUpdates: $p) {
			product { id } productVariants { sku price compareAtPrice barcode inventoryItem { tracked unitCost { amount currencyCode } } } userErrors { code field message } } }`,
			map[string]any{"id": gid("Product", firstProductID+int64(product)), "v": variants, "p": partial}, "")
	}
	variant := func(product, i int, more ...any) map[string]any {
		out := map[string]any{"id": gid("ProductVariant", firstVariantID+int64(product)*maxVariants+int64(i))}
		for k := 0; k+1 < len(more); k += 2 {
			out[more[k].(string)] = more[k+1]
		}
		return out
	}
	want(t, update(0, false, variant(0, 0, "price", "12.5", "barcode", "x"), variant(0, 1, "price", 7, "compareAtPrice", "9",
		"inventoryItem", map[string]any{"sku": "NEW", "tracked": false, "cost": "1.005"})), 200,
		`{"sku":"SKU-00001-1","price":"12.50","compareAtPrice":null,"barcode":"x","inventoryItem":{"tracked":true,"unitCost":null}}`,
		`{"sku":"NEW","price":"7.00","compareAtPrice":"9.00"`, `"tracked":false,"unitCost":{"amount":"1.0`, `"userErrors":[]`)
	want(t, update(0, false, variant(0, 0, "price", "1"), variant(1, 0, "price", "1")), 200, `"productVariants":[]`,
		`{"code":"PRODUCT_VARIANT_DOES_NOT_EXIST","field":["variants","1","id"],"message":"Product variant does not exist"}`)
	want(t, update(0, true, variant(0, 0, "price", "1"), variant(0, 1, "price", "-1")), 200, `"price":"1.00"`, `GREATER_THAN_OR_EQUAL_TO`)
	want(t, update(9, false, variant(0, 0)), 200, `"product":null,"productVariants":[],"userErrors":[{"code":"PRODUCT_DOES_NOT_EXIST"`)
	want(t, update(0, false, map[string]any{"price": "1"}), 200, `PRODUCT_VARIANT_ID_MISSING`)
	want(t, update(0, false, variant(0, 0, "price", "1,5")), 200, `INVALID_VARIABLE`)
	var prices []string
	for _, w := range s.Writes() {
		prices = append(prices, w.Field+" "+w.From+" "+w.To)
	}
	if got := strings.Join(prices, ", "); got != "price 9.99 12.50, price 9.99 7.00, price 12.50 1.00" {
		t.Errorf("writes: %s", got)
	}
}

func TestInventoryScopes(t *testing.T) {
	c := mintingClient(t, simWith(1))
	want(t, c.query(`{ locations(first: 1) { nodes { id } } }`, nil, ""), 200, "`read_locations` access scope.")
	want(t, c.query(setQuantities, map[string]any{"key": "k", "input": quantitiesInput(quantity(0, 0, 1, "changeFromQuantity", nil))}, ""), 200, "`write_inventory` access scope.")
	want(t, c.query(`{ node(id: "gid://shopify/Location/80000000001") { id } }`, nil, ""), 200, `{"node":null}`)
}

func TestNodesOfAnInterface(t *testing.T) {
	c := mintingClient(t, stockedShop(1, 1))
	ids := []string{gid("Product", firstProductID), gid("Location", firstLocationID), "gid://shopify/Spoon/1", gid("ProductVariant", firstVariantID)}
	want(t, c.query(`query($ids: [ID!]!) { nodes(ids: $ids) { __typename id ... on Product { title } ...V } } fragment V on ProductVariant { sku }`, map[string]any{"ids": ids}, ""), 200,
		`{"nodes":[{"__typename":"Product","id":"gid://shopify/Product/7000000000001","title":"Product 1"},{"__typename":"Location","id":"gid://shopify/Location/80000000001"},null,`+
			`{"__typename":"ProductVariant","id":"gid://shopify/ProductVariant/40000000000000","sku":"SKU-00001"}]}`, `"requestedQueryCost":5,"actualQueryCost":4`)
	want(t, c.query(`{ node(id: "x") { title } }`, nil, ""), 200, `Field 'title' doesn't exist on type 'Node'`)
	want(t, c.query(`{ node(id: "x") { ... on PageInfo { hasNextPage } } }`, nil, ""), 200, `Fragment on PageInfo can't be spread inside Node`)
	want(t, c.query(`{ shop { ... on Node { id } } }`, nil, ""), 200, `"shop":{"id":"gid://shopify/Shop/60000001"}`)
	want(t, c.query(`{ a: shop { id } a: shop { name } p: products(first: 1) { nodes { id } } p: products(first: 2) { nodes { id } } }`, nil, ""), 200, `argument conflict: {first:1} or {first:2}?`)
	want(t, c.query(`query($x: Product) { shop { id } }`, nil, ""), 200, `Product isn't a defined input type (on $x)`)
	want(t, c.query(`{ products(first: 1, sortKey: SPOON) { nodes { id } } }`, nil, ""), 200, `Expected type 'ProductSortKeys'`)
}

func TestSortedAndReversedPages(t *testing.T) {
	s := simWith(3)
	c := mintingClient(t, s)
	s.mustShop("").products.list[1].title = "A first"
	walk := func(arguments, wanted string) {
		t.Helper()
		var titles []string
		after := "null"
		for range 4 {
			a := c.query(`{ products(first: 1, after: `+after+`, `+arguments+`) { nodes { title } pageInfo { hasNextPage endCursor } } }`, nil, "")
			page := a.json(t)["data"].(map[string]any)["products"].(map[string]any)
			for _, n := range page["nodes"].([]any) {
				titles = append(titles, n.(map[string]any)["title"].(string))
			}
			info := page["pageInfo"].(map[string]any)
			if after = fmt.Sprintf("%q", info["endCursor"]); info["hasNextPage"] != true {
				break
			}
		}
		if got := strings.Join(titles, ","); got != wanted {
			t.Errorf("%s: %s, want %s", arguments, got, wanted)
		}
	}
	walk("sortKey: TITLE", "A first,Product 1,Product 3")
	walk("sortKey: TITLE, reverse: true", "Product 3,Product 1,A first")
	walk("reverse: true", "Product 3,A first,Product 1")
	walk(`query: "title:Product*"`, "Product 1,Product 3")
}
