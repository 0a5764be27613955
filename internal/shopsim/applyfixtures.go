package shopsim

import (
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"
)

// ApplyFixtures gives all shops what the fixtures say, in place of what they have of that kind, and starts their answers anew.
// Tokens stay. Reset brings the same fixtures back.
func (s *Sim) ApplyFixtures(f *Fixtures) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opts.Fixtures = f
	for _, sh := range s.state.shops {
		_ = sh.applyFixtures(f) // which has succeeded when f was read
	}
	s.state.given = map[*fixtureReply]int{}
}

// applyFixtures puts products, customers and orders into a shop.
func (sh *shop) applyFixtures(f *Fixtures) error {
	if f == nil {
		return nil
	}
	if f.given["locations"] {
		var names []string
		for _, l := range f.locations {
			names = append(names, l.Name)
		}
		sh.locations = newLocations(names)
		for _, p := range sh.products.list {
			p.variants = nil // their stock was elsewhere
		}
	}
	if f.given["products"] {
		sh.products = productStore{}
	}
	for _, p := range f.products {
		if err := sh.stock(p); err != nil {
			return fmt.Errorf("%s product %q: %w", p.at, p.Title, err)
		}
	}
	if f.given["customers"] || f.given["orders"] {
		sh.sales.customerList, sh.sales.orderList = []*customer{}, nil
	}
	for i, c := range f.customers {
		sh.sales.customerList = append(sh.sales.customerList, &customer{
			id: firstCustomerID + int64(i), first: c.FirstName, last: c.LastName, email: c.Email, created: seedTime,
		})
	}
	for _, o := range f.orders {
		if err := sh.sell(o); err != nil {
			return fmt.Errorf("%s %w", o.at, err)
		}
	}
	return nil
}

// stock adds a product.
func (sh *shop) stock(p *fixtureProduct) error {
	made, problems := sh.products.create(p.fields, seedTime)
	for name, problem := range problems {
		return fmt.Errorf("its %s %s", name, problem[0])
	}
	made.variants = []*variant{}
	for i, in := range p.Variants {
		if in == nil || i >= maxVariants {
			return fmt.Errorf("want up to %d variants, each of them an object", maxVariants)
		}
		v := sh.newVariant(made, i, len(p.Variants))
		made.variants = append(made.variants, v)
		v.title, v.barcode, v.item.sku, v.item.tracked = orDefault(in.Title, v.title), in.Barcode, in.SKU, !in.Untracked
		if in.ContinueSelling {
			v.policy = "continue"
		}
		price, err := parseMoney(orDefault(in.Price.String(), "0"))
		compare, compareErr := parseMoney(orDefault(in.CompareAtPrice.String(), "0"))
		if err != nil || compareErr != nil || min(price, compare) < 0 {
			return fmt.Errorf("want prices such as 19.90, not %q and %q", in.Price, in.CompareAtPrice)
		}
		if v.price = price; in.CompareAtPrice != "" {
			v.compareAtPrice = &compare
		}
		for name, quantity := range in.Inventory {
			at := slices.IndexFunc(sh.locations, func(l *location) bool { return l.name == name })
			if at < 0 || quantity > maxQuantity || quantity < -maxQuantity {
				return fmt.Errorf("its inventory has %d at %q: list that location, and want no more than %d", quantity, name, maxQuantity)
			}
			v.item.levels[at].available = quantity
		}
	}
	if len(p.Variants) == 0 {
		made.variants = nil // it gets the one that every product has
	}
	return nil
}

// sell adds an order.
func (sh *shop) sell(o *fixtureOrder) error {
	by := slices.IndexFunc(sh.sales.customerList, func(c *customer) bool { return c.email == o.Customer })
	if by < 0 {
		return fmt.Errorf("no customer has the email %q: list one in customers", o.Customer)
	}
	i := len(sh.sales.orderList)
	made := newOrder(i, sh.sales.customerList[by], nil)
	made.fulfilled = o.Fulfilled
	if !o.CreatedAt.IsZero() {
		made.created = o.CreatedAt
	}
	all := sh.allVariants()
	for k, line := range o.Lines {
		if line == nil || k == maxLines {
			return fmt.Errorf("want up to %d line_items, each of them an object", maxLines)
		}
		quantity := orDefault(line.Quantity, 1)
		at := slices.IndexFunc(all, func(v *variant) bool { return v.item.sku == line.SKU })
		if at < 0 || quantity < 1 || quantity > maxQuantity {
			return fmt.Errorf("%d of %q: want the sku of a variant, and 1 to %d of it", quantity, line.SKU, maxQuantity)
		}
		v := all[at]
		made.lines = append(made.lines, &lineItem{
			id: firstLineID + int64(i*maxLines+k), variant: v, title: v.product.title, sku: line.SKU, price: v.price, quantity: quantity,
		})
		made.total += v.price * money(quantity)
	}
	made.customer.spent += made.total
	sh.sales.orderList = append(sh.sales.orderList, made)
	return nil
}

// canned is the reply that a fixture has for a request; nil if none has.
func (s *Sim) canned(q *request, operation string, variables map[string]any) *response {
	f := s.opts.Fixtures
	if f == nil {
		return nil
	}
	for _, a := range f.answers {
		if !a.matches(q, operation, variables) {
			continue
		}
		for k, r := range a.Replies {
			times := r.Times
			if times == 0 && k < len(a.Replies)-1 {
				times = 1
			}
			if times == 0 || s.state.given[r] < times {
				s.state.given[r]++
				return &response{status: r.Status, header: r.header.Clone(), body: slices.Clone(r.body), delay: time.Duration(r.Delay)}
			}
		}
	}
	return nil
}

func (a *fixtureAnswer) matches(q *request, operation string, variables map[string]any) bool {
	if a.Method != "" && !strings.EqualFold(a.Method, q.Method) || a.Path != "" && !pathMatches(a.Path, q.URL.Path) || a.Operation != "" && a.Operation != operation {
		return false
	}
	query := url.Values(nil)
	if a.Query != nil {
		query = q.URL.Query()
	}
	for name, value := range a.Query {
		if !slices.Contains(query[name], value) {
			return false
		}
	}
	for name, value := range a.Variables {
		if !reflect.DeepEqual(variables[name], value) {
			return false
		}
	}
	return true
}

// pathMatches compares segment by segment; * is any one.
func pathMatches(pattern, path string) bool {
	want, have := strings.Split(pattern, "/"), strings.Split(path, "/")
	return slices.EqualFunc(want, have, func(w, h string) bool { return w == h || w == "*" })
}

func (s *Sim) changeFixtures(in rawFixtures) (any, error) {
	f := newFixtures()
	if err := f.read("the body", "", in); err != nil {
		return nil, err
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	s.ApplyFixtures(f)
	return nil, nil
}

// rawFixtures keeps the lines of a body.
type rawFixtures []byte

// UnmarshalJSON implements json.Unmarshaler.
func (r *rawFixtures) UnmarshalJSON(b []byte) error {
	*r = slices.Clone(b)
	return nil
}
