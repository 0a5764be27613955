package shopsim

import (
	"net/url"
	"strings"
)

func restOrders(_ *Sim, q *request, below []string) *response {
	return readOnly(q, below, "order", restList[*order]{
		name: "orders", items: q.shop.allOrders(), filters: []string{"status", "fulfillment_status", "created_at_min", "created_at_max"},
		match: (*order).matches, view: (*order).restView,
	})
}

// matches knows that Shopify lists open orders only, unless it is asked for others. The times are compared
// in UTC, whatever their offset.
func (o *order) matches(query url.Values) bool {
	status := orDefault(query.Get("status"), "open")
	if status != "any" && status != o.fulfillment("open", "closed") {
		return false
	}
	wanted := query.Get("fulfillment_status")
	if wanted != "" && wanted != "any" && wanted != o.fulfillment("unfulfilled", "shipped") {
		return false
	}
	since, after := restInstant(query.Get("created_at_min"))
	until, before := restInstant(query.Get("created_at_max"))
	return !(after && o.created.Before(since)) && !(before && o.created.After(until))
}

func (o *order) restView() map[string]any {
	lines := []any{}
	for _, l := range o.lines {
		lines = append(lines, map[string]any{
			"id": l.id, "title": l.title, "name": l.title, "sku": l.sku, "quantity": l.quantity, "price": l.price.String(),
			"product_id": l.variant.product.id, "variant_id": l.variant.id, "variant_title": l.variant.title, "admin_graphql_api_id": gid("LineItem", l.id),
		})
	}
	var fulfilled, closed any
	if o.fulfilled {
		fulfilled, closed = "fulfilled", restTime(o.created)
	}
	return map[string]any{
		"id": o.id, "name": o.name(), "number": o.number - firstOrder + 1, "order_number": o.number, "email": o.customer.email,
		"created_at": restTime(o.created), "updated_at": restTime(o.created), "processed_at": restTime(o.created), "closed_at": closed, "cancelled_at": nil,
		"currency": shopCurrency, "total_price": o.total.String(), "subtotal_price": o.total.String(), "total_tax": "0.00", "total_discounts": "0.00",
		"financial_status": "paid", "fulfillment_status": fulfilled, "confirmed": true, "test": false, "tags": "", "note": nil,
		"customer": o.customer.restView(), "line_items": lines, "admin_graphql_api_id": gid("Order", o.id),
	}
}

func restCustomers(_ *Sim, q *request, below []string) *response {
	return readOnly(q, below, "customer", restList[*customer]{
		name: "customers", items: q.shop.allCustomers(), filters: []string{"email"},
		match: func(c *customer, query url.Values) bool {
			email := query.Get("email")
			return email == "" || strings.EqualFold(email, c.email)
		},
		view: (*customer).restView,
	})
}

func (c *customer) restView() map[string]any {
	return map[string]any{
		"id": c.id, "email": c.email, "first_name": c.first, "last_name": c.last, "orders_count": len(c.orders), "total_spent": c.spent.String(),
		"created_at": restTime(c.created), "updated_at": restTime(c.created), "state": "disabled", "verified_email": true, "tags": "", "note": nil,
		"currency": shopCurrency, "admin_graphql_api_id": gid("Customer", c.id),
	}
}
