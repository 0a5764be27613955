package main

import (
	"fmt"

	"evergate/internal/check"
	"evergate/internal/shopify"
	"evergate/internal/sidecar"
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

// fleetWay are the checks of the way to Shopify, which is the same for all: in the name of the first shop, if there is one.
func (c *checkup) fleetWay() []check.Check {
	transport := sidecar.NewTransport(c.cfg)
	base, shops := c.cfg.Base, c.settings.Shops.Shops
	if len(shops) > 0 {
		base = c.cfg.BaseOf(shops[0].Name)
	}
	transport.Expect(base)
	via, err := transport.Via()
	way := check.Way{Base: base, Roots: c.cfg.Roots, Via: via.Name(), Err: err, Connect: transport.Connect, LookUp: transport.LookUp}
	all := []check.Check{check.DNS(way), check.Connection(way)}
	if len(shops) > 0 {
		s := &check.Shopify{API: &shopify.Client{Shop: shops[0].Name, Base: base, Transport: transport, UserAgent: build().UserAgent()}}
		all = append(all, s.Shop(), s.Clock())
	}
	return all
}
