// Command goshopify calls Shopify with bold-commerce/go-shopify, as the programs for Node beside it do.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	goshopify "github.com/bold-commerce/go-shopify/v4"
)

// snippet

// baseURL leads the requests of a client elsewhere. It is needed with a base URL alone: go-shopify knows no other address
// than https and the shop's name.
type baseURL struct{ *url.URL }

func (b baseURL) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host, r.Host = b.Scheme, b.Host, ""
	return http.DefaultTransport.RoundTrip(r)
}

func newClient(shop, token string, base *url.URL) (*goshopify.Client, error) {
	options := []goshopify.Option{goshopify.WithVersion("2026-10")}
	if base != nil {
		options = append(options, goshopify.WithHTTPClient(&http.Client{Transport: baseURL{base}}))
	}
	return goshopify.NewClient(goshopify.App{}, shop, token, options...)
}

// end

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(address string) error {
	base, err := url.Parse(address)
	if err != nil {
		return err
	}
	shop := base.Host
	if base.Scheme == "http" {
		shop = os.Getenv("SHOPIFY_SHOP")
	} else {
		base = nil
	}
	client, err := newClient(shop, os.Getenv("SHOPIFY_ACCESS_TOKEN"), base)
	if err != nil {
		return err
	}
	titles := bufio.NewScanner(os.Stdin)
	for titles.Scan() {
		if err := round(client, strings.TrimSpace(titles.Text())); err != nil {
			return err
		}
	}
	return titles.Err()
}

func round(client *goshopify.Client, title string) error {
	ctx := context.Background()
	products, err := client.Product.ListAll(ctx, goshopify.ListOptions{Limit: 50, Fields: "id"})
	if err != nil {
		return err
	}
	created, err := client.Product.Create(ctx, goshopify.Product{Title: title})
	if err != nil {
		return err
	}
	var answer struct {
		Shop struct{ MyshopifyDomain string }
	}
	if err := client.GraphQL.Query(ctx, "{ shop { myshopifyDomain } }", nil, &answer); err != nil {
		return err
	}
	ids := []uint64{}
	for _, p := range products {
		ids = append(ids, p.Id)
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"ids": ids, "created": created.Id, "domain": answer.Shop.MyshopifyDomain})
}
