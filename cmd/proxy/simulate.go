package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"evergate/internal/shopsim"
)

// simulate runs the simulator alone, for people who test other programs against it.
func simulate() action {
	var (
		listen, control, shop, id, secret, caFile string
		scopes, locations                         string
		plain                                     bool
		products, variants, orders, customers     int
		life                                      time.Duration
	)
	return action{
		flags: func(fs *flag.FlagSet) {
			fs.StringVar(&listen, "listen", "127.0.0.1:4443", "where the simulated Shopify listens")
			fs.StringVar(&control, "control", "", "where its control API listens; empty for none")
			fs.StringVar(&shop, "shop", shopsim.DefaultShop, "the shop")
			fs.StringVar(&id, "client-id", shopsim.DefaultClientID, "the app's client id")
			fs.StringVar(&secret, "client-secret", shopsim.DefaultClientSecret, "the app's client secret")
			fs.StringVar(&caFile, "ca-file", "", "write the certificate to trust to this file")
			fs.BoolVar(&plain, "plain", false, "serve HTTP instead of HTTPS")
			fs.IntVar(&products, "products", 10, "how many products the shop has")
			fs.IntVar(&variants, "variants", 1, "how many variants each of them has")
			fs.IntVar(&orders, "orders", 0, "how many orders the shop has")
			fs.IntVar(&customers, "customers", 0, "how many people made them; one if not given")
			fs.StringVar(&locations, "locations", "", "the names of the places where stock is kept, comma separated")
			fs.StringVar(&scopes, "scopes", shopsim.AllScopes, "what the app may do, comma separated")
			fs.DurationVar(&life, "token-life", 0, "how long a token lives (Shopify's own life if not given)")
		},
		run: func(w env) error {
			options := shopsim.Options{
				Shops: []shopsim.Shop{{
					Domain: shop, Products: products, Variants: variants, Orders: orders, Customers: customers, Locations: names(locations),
				}},
				LocalhostShop: shop, // for clients that cannot send another Host
				Apps:          []shopsim.App{{ClientID: id, ClientSecret: secret, Scopes: scopes}},
				Settings:      shopsim.Settings{TokenLife: life},
			}
			if err := options.Validate(); err != nil {
				return configError(err)
			}
			sim := shopsim.New(options)
			start := sim.Start
			if plain {
				start = sim.StartPlain
			}
			server, err := start(listen)
			if err != nil {
				return err
			}
			defer server.Close()
			if caFile != "" {
				if plain {
					return configError(errors.New("--ca-file makes no sense with --plain: drop one"))
				}
				if err := os.WriteFile(caFile, server.CAPEM, 0o644); err != nil {
					return err
				}
			}
			fmt.Fprintf(w.out, "simulated Shopify at %s for %s\n", server.URL, shop)
			if control != "" {
				c, err := sim.StartControl(control)
				if err != nil {
					return err
				}
				defer c.Close()
				fmt.Fprintf(w.out, "control API at %s\n", c.URL)
			}
			<-w.signals
			return nil
		},
	}
}

// names reads a list that is separated by commas.
func names(list string) []string {
	var out []string
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			out = append(out, name)
		}
	}
	return out
}
