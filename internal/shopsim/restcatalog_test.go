package shopsim

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

const admin = "/admin/api/2026-10/"

func TestVariantsByREST(t *testing.T) {
	s := stockedShop(2, 2)
	c := mintingClient(t, s)
	want(t, c.get(admin+"products/7000000000002.json"), 200, `"sku":"SKU-00002-1"`, `"inventory_item_id":50000000002048`, `"inventory_management":"shopify"`)
	want(t, c.get(admin+"products/7000000000002/variants.json?fields=sku,price&limit=1"), 200, `{"variants":[{"price":"10.99","sku":"SKU-00002-1"}]}`)
	want(t, c.get(admin+"variants/40000000002049.json?fields=sku"), 200, `{"variant":{"sku":"SKU-00002-2"}}`)
	want(t, c.do(http.MethodPut, admin+"variants/40000000002049.json", `{"variant":{"price":"7.5","compare_at_price":9,"sku":"NEW","inventory_policy":"continue"}}`), 200,
		`"price":"7.50"`, `"compare_at_price":"9.00"`, `"sku":"NEW"`, `"inventory_policy":"continue"`)
	want(t, c.do(http.MethodPut, admin+"variants/40000000002049.json", `{"variant":{"compare_at_price":null}}`), 200, `"compare_at_price":null`, `"price":"7.50"`)
	for body, status := range map[string]int{`{}`: 400, `{"variant":{"price":"x"}}`: 422, `{"variant":{"price":null}}`: 422, `{"variant":{"price":"-1"}}`: 422, `{"variant":{"inventory_policy":"odd"}}`: 422} {
		want(t, c.do(http.MethodPut, admin+"variants/40000000002049.json", body), status, `"errors"`)
	}
	for _, path := range []string{"variants.json", "variants/1.json", "variants/40000000002049/x.json", "products/1/variants.json", "products/7000000000002/spoons.json", "shop/x.json"} {
		want(t, c.get(admin+path), 404)
	}
	want(t, c.do(http.MethodDelete, admin+"variants/40000000002049.json", ""), 405)
	if w := s.Writes(); len(w) != 1 || w[0].Field != "price" || w[0].To != "7.50" {
		t.Errorf("writes: %+v", w)
	}
}

func TestInventoryByREST(t *testing.T) {
	s := stockedShop(3, 1, "North", "South")
	c := mintingClient(t, s)
	want(t, c.get(admin+"locations.json?fields=name"), 200, `{"locations":[{"name":"North"},{"name":"South"}]}`)
	want(t, c.get(admin+"locations/count.json"), 200, `{"count":2}`)
	want(t, c.get(admin+"locations/80000000002.json"), 200, `"name":"South"`)
	want(t, c.get(admin+"locations/9.json"), 404)
	want(t, c.get(admin+"inventory_items.json?ids=50000000002048&fields=sku"), 200, `{"inventory_items":[{"sku":"SKU-00002"}]}`)
	want(t, c.get(admin+"inventory_items.json"), 422)
	want(t, c.get(admin+"inventory_levels.json"), 422)
	a := c.get(admin + "inventory_levels.json?location_ids=80000000002&fields=inventory_item_id,available&limit=2")
	want(t, a, 200, `{"inventory_levels":[{"available":3,"inventory_item_id":50000000000000},{"available":10,"inventory_item_id":50000000002048}]}`)
	want(t, c.get(links(a)["next"]), 200, `{"inventory_levels":[{"available":17,"inventory_item_id":50000000004096}]}`)

	const at = `"inventory_item_id":50000000002048,"location_id":80000000001`
	want(t, c.do(http.MethodPost, admin+"inventory_levels/set.json", `{`+at+`,"available":40}`), 200, `"available":40`)
	want(t, c.do(http.MethodPost, admin+"inventory_levels/adjust.json", `{`+at+`,"available_adjustment":-5}`), 200, `"available":35`)
	for body, status := range map[string]int{`{`: 400, `{` + at + `}`: 400, `{"available":1}`: 400, `{` + at + `,"available":2000000000}`: 422, `{"inventory_item_id":1,"location_id":1,"available":1}`: 404} {
		want(t, c.do(http.MethodPost, admin+"inventory_levels/set.json", body), status)
	}
	s.mustShop("").allVariants()[1].item.tracked = false
	want(t, c.do(http.MethodPost, admin+"inventory_levels/set.json", `{`+at+`,"available":40}`), 422, "tracking")
	want(t, c.get(admin+"inventory_levels/set.json"), 405)
	want(t, c.get(admin+"inventory_levels/odd.json"), 404)
	var changes []string
	for _, w := range s.Writes() {
		changes = append(changes, w.From+">"+w.To)
	}
	if got := strings.Join(changes, " "); got != "7>40 40>35" {
		t.Errorf("writes: %s", got)
	}
	want(t, mintingClient(t, simWith(1)).get(admin+"locations.json"), 403, "read_locations")
}

func TestOrdersAndCustomersByREST(t *testing.T) {
	c := mintingClient(t, sellingShop(6, 2))
	a := c.get(admin + "orders.json?status=any&limit=4&fields=name")
	want(t, a, 200, `{"orders":[{"name":"#1001"},{"name":"#1002"},{"name":"#1003"},{"name":"#1004"}]}`)
	want(t, c.get(links(a)["next"]), 200, `{"orders":[{"name":"#1005"},{"name":"#1006"}]}`)
	want(t, c.get(admin+"orders.json?fields=name"), 200, `{"orders":[{"name":"#1002"},{"name":"#1004"},{"name":"#1006"}]}`)
	want(t, c.get(admin+"orders.json?status=closed&fulfillment_status=shipped&fields=name&since_id=5500000000001"), 200, `{"orders":[{"name":"#1003"},{"name":"#1005"}]}`)
	want(t, c.get(admin+"orders.json?status=any&fields=name&created_at_min=2026-01-15T08:30:00-05:00"), 200, `{"orders":[{"name":"#1005"},{"name":"#1006"}]}`)
	want(t, c.get(admin+"orders/count.json?status=any&created_at_max=2026-01-15"), 200, `{"count":0}`)
	want(t, c.get(admin+"orders/5500000000002.json"), 200, `"order_number":1002`, `"financial_status":"paid"`, `"line_items":[{`, `"customer":{`, `"email":"customer2@example.com"`)
	want(t, c.get(admin+"customers.json?email=CUSTOMER2@example.com&fields=id,orders_count"), 200, `{"customers":[{"id":6600000000002,"orders_count":3}]}`)
	want(t, c.get(admin+"customers/count.json"), 200, `{"count":2}`)
	want(t, c.do(http.MethodPost, admin+"orders.json", `{}`), 403, "write_orders")
	want(t, c.get(fmt.Sprintf(admin+"customers/%d.json", firstCustomerID+2)), 404)
}
