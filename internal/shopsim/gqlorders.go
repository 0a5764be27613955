package shopsim

import (
	"cmp"
	"strconv"
)

func orderResolvers() map[string]gqlFields {
	bag := func(amount func(*order) money) *gqlField { return leaf(func(o *order) any { return amount(o) }) }
	inside := func(m money) any { return &m }
	return map[string]gqlFields{
		gqlQuery: orderQueries(),
		"Order": {
			"id":                       leaf(func(o *order) any { return gid("Order", o.id) }),
			"legacyResourceId":         leaf(func(o *order) any { return strconv.FormatInt(o.id, 10) }),
			"name":                     leaf(func(o *order) any { return o.name() }),
			"number":                   leaf(func(o *order) any { return o.number }),
			"email":                    leaf(func(o *order) any { return o.customer.email }),
			"note":                     leaf(func(*order) any { return nil }),
			"tags":                     leaf(func(*order) any { return []string{} }),
			"test":                     leaf(func(*order) any { return false }),
			"confirmed":                leaf(func(*order) any { return true }),
			"closed":                   leaf(func(o *order) any { return o.fulfilled }),
			"cancelledAt":              leaf(func(*order) any { return nil }),
			"createdAt":                leaf(func(o *order) any { return gqlTime(o.created) }),
			"processedAt":              leaf(func(o *order) any { return gqlTime(o.created) }),
			"updatedAt":                leaf(func(o *order) any { return gqlTime(o.created) }),
			"currencyCode":             leaf(func(*order) any { return shopCurrency }),
			"currentTotalPriceSet":     bag(func(o *order) money { return o.total }),
			"subtotalPriceSet":         bag(func(o *order) money { return o.total }),
			"totalPriceSet":            bag(func(o *order) money { return o.total }),
			"displayFinancialStatus":   leaf(func(*order) any { return "PAID" }),
			"displayFulfillmentStatus": leaf(func(o *order) any { return o.fulfillment("UNFULFILLED", "FULFILLED") }),
			"customer": {scope: "read_customers", resolve: func(_ *gqlRun, parent any, _ map[string]any) any {
				return parent.(*order).customer
			}},
			"lineItems": connection("", func(_ *gqlRun, o *order, _ map[string]any) gqlListing[*lineItem] {
				return gqlListing[*lineItem]{items: o.lines}
			}),
		},
		"LineItem": {
			"id":                   leaf(func(l *lineItem) any { return gid("LineItem", l.id) }),
			"name":                 leaf(func(l *lineItem) any { return l.title }),
			"title":                leaf(func(l *lineItem) any { return l.title }),
			"variantTitle":         leaf(func(l *lineItem) any { return l.variant.title }),
			"sku":                  leaf(func(l *lineItem) any { return l.sku }),
			"quantity":             leaf(func(l *lineItem) any { return l.quantity }),
			"originalUnitPriceSet": leaf(func(l *lineItem) any { return l.price }),
			"product":              {scope: "read_products", resolve: func(_ *gqlRun, parent any, _ map[string]any) any { return parent.(*lineItem).variant.product }},
			"variant":              {scope: "read_products", resolve: func(_ *gqlRun, parent any, _ map[string]any) any { return parent.(*lineItem).variant }},
		},
		"MoneyBag": {
			"presentmentMoney": leaf(inside),
			"shopMoney":        leaf(inside),
		},
		"Customer":             customerFields(),
		"CustomerEmailAddress": {"emailAddress": leaf(func(address string) any { return address })},
	}
}

func orderQueries() gqlFields {
	return gqlFields{
		"order": {scope: "read_orders", resolve: func(r *gqlRun, _ any, args map[string]any) any { return r.orderByID(args["id"]) }},
		"orders": connection("read_orders", func(r *gqlRun, _ any, args map[string]any) gqlListing[*order] {
			return gqlListing[*order]{items: r.q.shop.allOrders(), by: orderOrder(args), match: matching(args, searchOrder)}
		}),
		"ordersCount": {scope: "read_orders", resolve: func(r *gqlRun, _ any, args map[string]any) any {
			return counted(r.q.shop.allOrders(), matching(args, searchOrder))
		}},
		"customer": {scope: "read_customers", resolve: func(r *gqlRun, _ any, args map[string]any) any { return r.customerByID(args["id"]) }},
		"customers": connection("read_customers", func(r *gqlRun, _ any, args map[string]any) gqlListing[*customer] {
			return gqlListing[*customer]{items: r.q.shop.allCustomers(), by: customerOrder(args), match: matching(args, searchCustomer)}
		}),
		"customersCount": {scope: "read_customers", resolve: func(r *gqlRun, _ any, args map[string]any) any {
			return counted(r.q.shop.allCustomers(), matching(args, searchCustomer))
		}},
	}
}

func customerFields() gqlFields {
	return gqlFields{
		"id":                  leaf(func(c *customer) any { return gid("Customer", c.id) }),
		"legacyResourceId":    leaf(func(c *customer) any { return strconv.FormatInt(c.id, 10) }),
		"firstName":           leaf(func(c *customer) any { return c.first }),
		"lastName":            leaf(func(c *customer) any { return c.last }),
		"displayName":         leaf(func(c *customer) any { return c.name() }),
		"email":               leaf(func(c *customer) any { return c.email }),
		"defaultEmailAddress": leaf(func(c *customer) any { return c.email }),
		"verifiedEmail":       leaf(func(*customer) any { return true }),
		"state":               leaf(func(*customer) any { return "DISABLED" }),
		"note":                leaf(func(*customer) any { return nil }),
		"tags":                leaf(func(*customer) any { return []string{} }),
		"numberOfOrders":      leaf(func(c *customer) any { return strconv.Itoa(len(c.orders)) }),
		"amountSpent":         leaf(func(c *customer) any { return &c.spent }),
		"createdAt":           leaf(func(c *customer) any { return gqlTime(c.created) }),
		"updatedAt":           leaf(func(c *customer) any { return gqlTime(c.created) }),
		"orders": connection("read_orders", func(_ *gqlRun, c *customer, _ map[string]any) gqlListing[*order] {
			return gqlListing[*order]{items: c.orders}
		}),
	}
}

// fulfillment is one of two words.
func (o *order) fulfillment(open, done string) string {
	if o.fulfilled {
		return done
	}
	return open
}

func (r *gqlRun) orderByID(id any) any {
	n, _ := gidOf("Order", id)
	return orNull(byKey(r.q.shop.allOrders(), firstOrderID, n))
}

func (r *gqlRun) customerByID(id any) any {
	n, _ := gidOf("Customer", id)
	return orNull(byKey(r.q.shop.allCustomers(), firstCustomerID, n))
}

// orderOrder sorts orders. Numbers and times are given out in the order of ids.
func orderOrder(args map[string]any) func(a, b *order) int {
	if args["sortKey"] == "TOTAL_PRICE" {
		return func(a, b *order) int { return cmp.Compare(a.total, b.total) }
	}
	return nil
}

func customerOrder(args map[string]any) func(a, b *customer) int {
	if args["sortKey"] == "NAME" {
		return func(a, b *customer) int { return cmp.Compare(a.name(), b.name()) }
	}
	return nil
}

func searchOrder(o *order) searchDoc {
	return searchFields(map[string]func() string{
		"":                   func() string { return o.name() + " " + o.customer.name() + " " + o.customer.email },
		"id":                 func() string { return strconv.FormatInt(o.id, 10) },
		"name":               o.name,
		"email":              func() string { return o.customer.email },
		"customer_id":        func() string { return strconv.FormatInt(o.customer.id, 10) },
		"financial_status":   func() string { return "paid" },
		"fulfillment_status": func() string { return o.fulfillment("unfulfilled", "fulfilled") },
		"status":             func() string { return o.fulfillment("open", "closed") },
		"created_at":         func() string { return gqlTime(o.created) },
		"updated_at":         func() string { return gqlTime(o.created) },
		"processed_at":       func() string { return gqlTime(o.created) },
	})
}

func searchCustomer(c *customer) searchDoc {
	return searchFields(map[string]func() string{
		"":           func() string { return c.name() + " " + c.email },
		"id":         func() string { return strconv.FormatInt(c.id, 10) },
		"email":      func() string { return c.email },
		"first_name": func() string { return c.first },
		"last_name":  func() string { return c.last },
		"created_at": func() string { return gqlTime(c.created) },
		"updated_at": func() string { return gqlTime(c.created) },
	})
}
