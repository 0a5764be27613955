package shopsim

import (
	"fmt"
	"time"
)

// sales are orders and customers. They follow from their numbers, and are made when they are first asked for.
type sales struct {
	orders, customers int
	orderList         []*order
	customerList      []*customer
}

// order is an order. It has been paid, and every other one is fulfilled.
type order struct {
	id        int64
	number    int
	customer  *customer
	lines     []*lineItem
	total     money
	fulfilled bool
	created   time.Time
}

type lineItem struct {
	id       int64
	variant  *variant
	title    string
	sku      string
	price    money
	quantity int
}

// customer is someone who bought something.
type customer struct {
	id          int64
	first, last string
	email       string
	orders      []*order
	spent       money
	created     time.Time
}

const (
	firstOrderID    = 5_500_000_000_001
	firstLineID     = 14_000_000_000_001
	firstCustomerID = 6_600_000_000_001
	firstOrder      = 1001 // its number
	maxLines        = 3    // of an order
)

func (o *order) key() int64    { return o.id }
func (l *lineItem) key() int64 { return l.id }
func (c *customer) key() int64 { return c.id }

func (o *order) name() string { return fmt.Sprintf("#%d", o.number) }

func (c *customer) name() string { return c.first + " " + c.last }

func (sh *shop) allCustomers() []*customer {
	sh.makeSales()
	return sh.sales.customerList
}

func (sh *shop) allOrders() []*order {
	sh.makeSales()
	return sh.sales.orderList
}

func (sh *shop) makeSales() {
	s := &sh.sales
	if s.customerList != nil || s.orders+s.customers == 0 { // the list of fixtures may be empty
		return
	}
	for i := range max(1, s.customers) {
		s.customerList = append(s.customerList, &customer{
			id: firstCustomerID + int64(i), first: "Customer", last: fmt.Sprint(i + 1),
			email: fmt.Sprintf("customer%d@example.com", i+1), created: seedTime.Add(time.Duration(i) * time.Minute),
		})
	}
	variants := sh.allVariants()
	for i := range s.orders {
		s.orderList = append(s.orderList, newOrder(i, s.customerList[i%len(s.customerList)], variants))
	}
}

func newOrder(i int, by *customer, variants []*variant) *order {
	o := &order{
		id: firstOrderID + int64(i), number: firstOrder + i, customer: by, fulfilled: i%2 == 0,
		created: seedTime.Add(time.Duration(i) * time.Hour),
	}
	for k := range min(1+i%maxLines, len(variants)) {
		v := variants[(i*maxLines+k)%len(variants)]
		l := &lineItem{
			id: firstLineID + int64(i*maxLines+k), variant: v, title: v.product.title, sku: v.sku(), price: v.price, quantity: 1 + (i+k)%2,
		}
		o.lines = append(o.lines, l)
		o.total += l.price * money(l.quantity)
	}
	by.orders = append(by.orders, o)
	by.spent += o.total
	return o
}

// byKey finds one of a list that is in the order of its keys, which begin at first and have no gaps.
func byKey[T any](list []*T, first, id int64) *T {
	if i := id - first; i >= 0 && i < int64(len(list)) {
		return list[i]
	}
	return nil
}
