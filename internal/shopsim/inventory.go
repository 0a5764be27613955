package shopsim

import (
	"fmt"
	"strings"
	"time"
)

// inventoryItem is what a variant is in a warehouse.
type inventoryItem struct {
	id       int64
	variant  *variant
	sku      string
	tracked  bool
	shipping bool
	cost     *money
	updated  time.Time
	levels   []*inventoryLevel // one for each location, in their order
}

// inventoryLevel is how much of an item is at a location. Nothing is committed to orders here, so what is
// available is also what is on hand.
type inventoryLevel struct {
	item      *inventoryItem
	location  *location
	available int
	updated   time.Time
}

// location is where stock is kept.
type location struct {
	id   int64
	name string
}

const firstLocationID = 80_000_000_001

func newLocations(names []string) []*location {
	if len(names) == 0 {
		names = []string{"Shop location"}
	}
	var out []*location
	for i, name := range names {
		out = append(out, &location{id: firstLocationID + int64(i), name: name})
	}
	return out
}

func (it *inventoryItem) key() int64  { return it.id }
func (l *inventoryLevel) key() int64  { return l.location.id }
func (l *location) key() int64        { return l.id }
func (it *inventoryItem) gid() string { return gid("InventoryItem", it.id) }
func (l *location) gid() string       { return gid("Location", l.id) }

func (l *inventoryLevel) gid() string {
	return fmt.Sprintf("%s?inventory_item_id=%d", gid("InventoryLevel", l.location.id), l.item.id)
}

// total is what is available at all locations together.
func (it *inventoryItem) total() int {
	total := 0
	for _, l := range it.levels {
		total += l.available
	}
	return total
}

// at is the level of an item at a location.
func (it *inventoryItem) at(id int64) *inventoryLevel {
	for _, l := range it.levels {
		if l.location.id == id {
			return l
		}
	}
	return nil
}

func (sh *shop) item(id int64) *inventoryItem {
	if v := sh.variant(id - firstItemID + firstVariantID); v != nil {
		return v.item
	}
	return nil
}

func (sh *shop) location(id int64) *location {
	for _, l := range sh.locations {
		if l.id == id {
			return l
		}
	}
	return nil
}

// level finds an inventory level by its id, which names location and item.
func (sh *shop) level(id string) *inventoryLevel {
	where, what, _ := strings.Cut(id, "?inventory_item_id=")
	at, ok := gidOf("InventoryLevel", where)
	itemID, isItem := gidOf("InventoryItem", what)
	if it := sh.item(itemID); ok && isItem && it != nil {
		return it.at(at)
	}
	return nil
}

// setAvailable changes a level, and notes that.
func (s *Sim) setAvailable(q *request, l *inventoryLevel, quantity int) {
	s.state.noteWrite(q, l.gid(), "available", fmt.Sprint(l.available), fmt.Sprint(quantity))
	l.available, l.updated = quantity, q.now
}
