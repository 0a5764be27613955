package shopsim

import (
	"fmt"
	"time"
)

// variant is a product variant as both APIs see it.
type variant struct {
	id             int64
	product        *product
	position       int
	title          string
	barcode        string
	price          money
	compareAtPrice *money
	policy         string // "deny" or "continue"
	taxable        bool
	created        time.Time
	updated        time.Time
	item           *inventoryItem
}

// The ids of variants and of their inventory items follow from those of their products, so that a shop that
// nobody asks for variants has none.
const (
	firstVariantID = 40_000_000_000_000
	firstItemID    = 50_000_000_000_000
	maxVariants    = 2048 // per product
)

func (v *variant) key() int64 { return v.id }

func (v *variant) gid() string { return gid("ProductVariant", v.id) }

func (v *variant) sku() string { return v.item.sku }

// variantsOf are the variants of a product. A product that was there from the start has as many as the shop's
// options say, with SKUs, prices and quantities; any other has the one that Shopify gives to every product.
func (sh *shop) variantsOf(p *product) []*variant {
	if p.variants == nil {
		n := 1
		if p.seeded {
			n = max(1, sh.variantsEach)
		}
		for i := range n {
			p.variants = append(p.variants, sh.newVariant(p, i, n))
		}
	}
	return p.variants
}

func (sh *shop) newVariant(p *product, i, of int) *variant {
	number := p.id - firstProductID
	v := &variant{
		id: firstVariantID + number*maxVariants + int64(i), product: p, position: i + 1,
		title: "Default Title", policy: "deny", taxable: true, created: p.created, updated: p.created,
	}
	v.item = &inventoryItem{id: v.id - firstVariantID + firstItemID, variant: v, shipping: true, updated: p.created}
	if of > 1 {
		v.title = fmt.Sprintf("Size %d", i+1)
	}
	if p.seeded {
		v.item.sku = fmt.Sprintf("SKU-%05d", number+1)
		if of > 1 {
			v.item.sku += fmt.Sprintf("-%d", i+1)
		}
		v.barcode = fmt.Sprintf("%013d", 4_000_000_000_000+number*maxVariants+int64(i))
		v.price = money(999 + 100*(number%40))
		v.item.tracked = true
	}
	for k, l := range sh.locations {
		quantity := 0
		if p.seeded {
			quantity = int((number*7 + int64(i) + int64(k)*3) % 50)
		}
		v.item.levels = append(v.item.levels, &inventoryLevel{item: v.item, location: l, available: quantity, updated: p.created})
	}
	return v
}

// allVariants are the variants of all products, in the order of their ids.
func (sh *shop) allVariants() []*variant {
	out := make([]*variant, 0, len(sh.products.list)*max(1, sh.variantsEach))
	for _, p := range sh.products.list {
		out = append(out, sh.variantsOf(p)...)
	}
	return out
}

// variant finds one by its id.
func (sh *shop) variant(id int64) *variant {
	number, i := (id-firstVariantID)/maxVariants, (id-firstVariantID)%maxVariants
	if id < firstVariantID {
		return nil
	}
	p := sh.products.get(firstProductID + number)
	if p == nil {
		return nil
	}
	if all := sh.variantsOf(p); i < int64(len(all)) {
		return all[i]
	}
	return nil
}

func totalQuantity(variants []*variant) int {
	total := 0
	for _, v := range variants {
		total += v.item.total()
	}
	return total
}
