package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"evergate/internal/check"
	"evergate/internal/shopify"
	"evergate/internal/sidecar"
	"evergate/internal/token"
)

// isFleet reports whether there is no shop but those of a file.
func (c *checkup) isFleet() bool { return c.cfg.Shop.IsZero() && c.settings.Shops != nil }

// fleet says which shops a file names; empty: there is none.
func (c *checkup) fleet() string {
	file := c.settings.Shops
	if file == nil || c.shop != "" {
		return ""
	}
	text := fmt.Sprintf("shops in %s: %d", c.cfg.ShopsFile, len(file.Shops))
	if file.Stored {
		text += ", and those that have a grant in the store"
	}
	return text
}

// place is where the fleet's grants rest.
func (c *checkup) place() check.Place {
	if c.storeErr != nil || c.app == nil || c.app.Backend == nil {
		return check.Place{Err: c.storeErr}
	}
	return check.Place{Where: c.app.Where(), Find: c.app.Backend.Check, All: c.app.Backend.All}
}

const (
	// mostAsked bounds how many listed shops are looked at, askedAtOnce how many of them at a time.
	mostAsked   = 50
	askedAtOnce = 8
	// fleetLimit bounds the look at all of them.
	fleetLimit = time.Minute
)

// listed is whether the shops of a file exist. first looks at the first of them.
func (c *checkup) listed(first check.Check, shops []token.Shop) check.Check {
	asked := shops[:min(len(shops), mostAsked)]
	all := first
	all.Limit = fleetLimit
	all.Run = func(ctx context.Context) []check.Result {
		found := make([][]check.Result, len(asked))
		var group sync.WaitGroup
		places := make(chan struct{}, askedAtOnce)
		for i, shop := range asked {
			places <- struct{}{}
			group.Go(func() {
				defer func() { <-places }()
				look := first
				if i > 0 {
					transport := sidecar.NewTransport(c.cfg)
					transport.Expect(c.cfg.BaseOf(shop))
					look = (&check.Shopify{API: &shopify.Client{Shop: shop, Base: c.cfg.BaseOf(shop), Transport: transport, UserAgent: build().UserAgent(), Remedies: c.cfg.Remedies(shop)}}).Shop()
				}
				ctx, stop := context.WithTimeout(ctx, look.Limit)
				defer stop()
				found[i] = look.Run(ctx)
			})
		}
		group.Wait()
		return together(found, len(shops))
	}
	return all
}

// together says in one line which of the shops exist, and of each other what is wrong with it.
func together(found [][]check.Result, listed int) (results []check.Result) {
	exist := 0
	for _, one := range found {
		if !check.Failed(one) && len(one) == 1 && one[0].Status == check.OK {
			exist++
			continue
		}
		for _, r := range one {
			r.Remedy = strings.ReplaceAll(r.Remedy, "SHOPIFY_SHOP", "its name in EVERGATE_SHOPS_FILE")
			results = append(results, r)
		}
	}
	if exist == 0 {
		return results
	}
	text := fmt.Sprintf("%d of %d that are listed exist", exist, listed)
	if listed > len(found) {
		text += fmt.Sprintf("; the first %d were looked at", len(found))
	}
	return append([]check.Result{{Status: check.OK, Message: text + "; --shop NAME looks at one, with its grant"}}, results...)
}

// fleetWay are the checks of the way to Shopify, which is the same for all: in the name of the first shop, if there is one.
func (c *checkup) fleetWay() []check.Check {
	transport := sidecar.NewTransport(c.cfg)
	sidecar.AvoidLoop(transport, c.addresses())
	base := c.cfg.Base
	var shops []token.Shop
	for _, s := range c.settings.Shops.Shops {
		shops = append(shops, s.Name)
	}
	if len(shops) > 0 {
		base = c.cfg.BaseOf(shops[0])
	}
	transport.Expect(base)
	via, err := transport.Via()
	way := check.Way{Base: base, Roots: c.cfg.Roots.All(), Via: via.Name(), Err: err, Connect: transport.Connect, LookUp: transport.LookUp, Loop: transport.CheckLoop}
	all := []check.Check{check.DNS(way), check.Connection(way)}
	if len(shops) > 0 {
		s := &check.Shopify{API: &shopify.Client{Shop: shops[0], Base: base, Transport: transport, UserAgent: build().UserAgent(), Remedies: c.cfg.Remedies(shops[0])}}
		all = append(all, c.listed(s.Shop(), shops), s.Clock())
	}
	return all
}
