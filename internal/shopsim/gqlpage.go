package shopsim

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// gqlNode is what a connection can list. Its key names its place, and is unique in the list.
type gqlNode interface{ key() int64 }

// gqlPage is a window on a list.
type gqlPage struct {
	items             []gqlNode
	hasNext, hasPrior bool
}

// cursorOf names the place of an item in its list.
func cursorOf(n gqlNode) string { return cursor{Direction: "next", LastID: n.key()}.encode() }

// pageSize is how many items a connection was asked for, 0 for other fields.
func pageSize(args map[string]any) int {
	for _, name := range []string{"first", "last"} {
		if n, ok := args[name].(int); ok {
			return n
		}
	}
	return 0
}

// checkPage holds the rules of Shopify's connections.
func checkPage(args map[string]any) string {
	if args["first"] == nil && args["last"] == nil {
		return "you must provide one of first or last"
	}
	for _, name := range []string{"first", "last"} {
		n, ok := args[name].(int)
		switch {
		case ok && n < 0:
			return name + " must not be negative"
		case ok && n > maxLimit:
			return fmt.Sprintf("%s cannot exceed %d. To query larger amounts of data with fewer limits, "+
				"bulk operations should be used instead.", name, maxLimit)
		}
	}
	for _, name := range []string{"after", "before"} {
		text, ok := args[name].(string)
		if _, err := decodeCursor(text); ok && err != nil {
			return "Invalid cursor for current pagination sort."
		}
	}
	return ""
}

// gqlListing is all that a connection can list.
type gqlListing[T gqlNode] struct {
	items []T              // in the order of their keys
	by    func(a, b T) int // another order, nil for that of the keys
	match func(T) bool     // nil: all
}

// connection is a field that lists what a parent has. It is not inlined for the reason of leaf.
//
//go:noinline
func connection[P any, T gqlNode](scope string, list func(r *gqlRun, parent P, args map[string]any) gqlListing[T]) *gqlField {
	return &gqlField{scope: scope, check: checkPage, resolve: func(r *gqlRun, parent any, args map[string]any) any {
		of, _ := parent.(P) // the root has none
		if r.bulk {         // which reads all, whatever was asked for
			args = maps.Clone(args)
			for _, name := range []string{"first", "last", "after", "before"} {
				delete(args, name)
			}
		}
		return list(r, of, args).page(args)
	}}
}

// page cuts the page out, as the Relay specification has it.
func (l gqlListing[T]) page(args map[string]any) gqlPage {
	all, from := l.ordered(args), 0
	to := len(all)
	place := l.place(args, all)
	if text, ok := args["after"].(string); ok {
		i, found := place(mustCursor(text).LastID)
		from = i
		if found {
			from++
		}
	}
	if text, ok := args["before"].(string); ok {
		to, _ = place(mustCursor(text).LastID)
	}
	to = max(from, to)
	if n, ok := args["first"].(int); ok {
		to = min(to, from+n)
	}
	if n, ok := args["last"].(int); ok {
		from = max(from, to-n)
	}
	page := gqlPage{items: make([]gqlNode, 0, to-from), hasPrior: from > 0, hasNext: to < len(all)}
	for _, item := range all[from:to] {
		page.items = append(page.items, item)
	}
	return page
}

func (l gqlListing[T]) ordered(args map[string]any) []T {
	all := l.items
	if l.match != nil {
		var some []T
		for _, item := range all {
			if l.match(item) {
				some = append(some, item)
			}
		}
		all = some
	}
	reverse, _ := args["reverse"].(bool)
	if l.by == nil && !reverse {
		return all
	}
	all = slices.Clone(all)
	if l.by != nil {
		slices.SortStableFunc(all, l.by)
	}
	if reverse {
		slices.Reverse(all)
	}
	return all
}

// place finds where the item of a key is, or would be. In the order of keys that is known also of an item that
// is gone; in any other order its page is at the end.
func (l gqlListing[T]) place(args map[string]any, all []T) func(key int64) (int, bool) {
	if reverse, _ := args["reverse"].(bool); l.by == nil && !reverse {
		return func(key int64) (int, bool) {
			return slices.BinarySearchFunc(all, key, func(item T, key int64) int { return cmp.Compare(item.key(), key) })
		}
	}
	return func(key int64) (int, bool) {
		if i := slices.IndexFunc(all, func(item T) bool { return item.key() == key }); i >= 0 {
			return i, true
		}
		return len(all), false
	}
}

// mustCursor decodes what checkPage has seen before.
func mustCursor(text string) cursor {
	c, err := decodeCursor(text)
	if err != nil {
		panic(fmt.Sprintf("shopsim: cursor %q was not checked: %v", text, err))
	}
	return c
}
