package shopsim

import (
	"testing"
)

// sellingShop has orders, and an app that may do everything.
func sellingShop(orders, customers int) *Sim {
	return New(Options{
		Shops: []Shop{{Domain: "blue-finch", Products: 4, Orders: orders, Customers: customers}},
		Apps:  []App{{ClientID: DefaultClientID, ClientSecret: DefaultClientSecret, Scopes: AllScopes}},
	})
}

func TestOrdersAndCustomersAreThereToRead(t *testing.T) {
	c := mintingClient(t, sellingShop(5, 2))
	want(t, c.query(`{ orders(first: 2, reverse: true) { nodes { name email createdAt totalPriceSet { shopMoney { amount currencyCode } } customer { displayName numberOfOrders }
		lineItems(first: 5) { nodes { sku quantity originalUnitPriceSet { presentmentMoney { amount } } } } } } ordersCount { count } }`, nil, ""), 200,
		`{"name":"#1005","email":"customer1@example.com","createdAt":"2026-01-15T13:30:00Z","totalPriceSet":{"shopMoney":{"amount":"`,
		`"customer":{"displayName":"Customer 1","numberOfOrders":"3"}`, `"ordersCount":{"count":5}`)
	want(t, c.query(`{ orders(first: 9, query: "fulfillment_status:unfulfilled email:customer2@example.com") { nodes { name } } }`, nil, ""), 200,
		`{"orders":{"nodes":[{"name":"#1002"},{"name":"#1004"}]}}`)
	want(t, c.query(`{ customers(first: 9, query: "email:customer2*") { nodes { id orders(first: 1) { nodes { name } pageInfo { hasNextPage } } } } customersCount { count } }`, nil, ""), 200,
		`{"id":"gid://shopify/Customer/6600000000002","orders":{"nodes":[{"name":"#1002"}],"pageInfo":{"hasNextPage":true}}}`, `{"count":2}`)
	want(t, c.query(`{ order(id: "gid://shopify/Order/5500000000009") { id } customer(id: "x") { id } }`, nil, ""), 200, `{"order":null,"customer":null}`)
	want(t, mintingClient(t, simWith(1)).query(`{ orders(first: 1) { nodes { id } } }`, nil, ""), 200, "`read_orders` access scope.")
	want(t, mintingClient(t, stockedShop(1, 1)).query(`{ orders(first: 1) { nodes { id } } customers(first: 1) { nodes { id } } }`, nil, ""), 200, `{"orders":{"nodes":[]},"customers":{"nodes":[]}}`)
}
