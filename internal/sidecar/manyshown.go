package sidecar

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"evergate/internal/admin"
	"evergate/internal/denial"
	"evergate/internal/refresh"
	"evergate/internal/token"
)

// shownShops is what the pages for operators show of a fleet. It implements admin.Shops.
type shownShops struct{ m *many }

// Ready implements admin.Shops.
func (s shownShops) Ready() error { return s.m.ready() }

// Started implements admin.Shops.
func (s shownShops) Started() bool { return s.m.hasOpened() }

// Find implements admin.Shops.
func (s shownShops) Find(ctx context.Context, name string) (admin.Tokens, error) {
	shop, ok := s.m.dir.Find(name)
	if !ok {
		return nil, denial.New(http.StatusNotFound, denial.CodeUnknownShop, "The shop "+denial.Quote(name)+" is not served here.")
	}
	found, err := s.m.member(ctx, shop)
	if err != nil {
		return nil, err
	}
	return found.source, nil
}

// List implements admin.Shops: of those that are listed, those that are active, and one that is only stored if the whole name is searched for.
func (s shownShops) List(after, search string, most int) (page []refresh.Status, more bool) {
	search = strings.ToLower(search)
	var names []string
	take := func(domain string) {
		if domain > after && strings.Contains(domain, search) {
			names = append(names, domain)
		}
	}
	for _, domain := range s.m.dir.all() {
		take(domain)
	}
	for shop := range s.m.fleet.Active {
		take(shop.Domain())
	}
	if shop, stored := s.searched(search); stored {
		take(shop.Domain())
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) > most {
		names, more = names[:most], true
	}
	for _, domain := range names {
		st := refresh.Status{Shop: domain, State: admin.Idle}
		if shop, ok := token.FindShop(domain); ok {
			if active, there := s.m.fleet.Peek(shop); there {
				st = active.source.Status()
			}
		}
		page = append(page, st)
	}
	return page, more
}

// searchWait bounds the look for a shop into the store.
const searchWait = 2 * time.Second

// searched is the shop that has the text for its name, if nothing is kept of it and it has a grant in the store: it would be
// served if it were called.
func (s shownShops) searched(text string) (token.Shop, bool) {
	shop, ok := s.m.dir.Find(text)
	if !ok || s.m.app.Backend == nil {
		return token.Shop{}, false
	}
	if _, active := s.m.fleet.Peek(shop); active {
		return token.Shop{}, false // it is there anyway
	}
	place, err := s.m.app.Backend.Shop(shop)
	if err != nil {
		return token.Shop{}, false
	}
	ctx, cancel := context.WithTimeout(context.Background(), searchWait)
	defer cancel()
	_, err = readStored(ctx, place)
	return shop, err == nil
}

// Count implements admin.Shops.
func (s shownShops) Count() admin.ShopCount {
	n := admin.ShopCount{Listed: s.m.dir.count()}
	for _, active := range s.m.fleet.Active {
		n.Active++
		switch st := active.source.Status(); {
		case st.Reauthorize:
			n.NeedPerson++
			n.Failing++
		case st.Err != nil && !st.Usable:
			n.NoToken++
			n.Failing++
		case st.Err != nil:
			n.Failing++
		}
	}
	if stored := s.m.stored.Load(); stored >= 0 {
		n.Stored = &stored
	}
	return n
}
