package token_test

import (
	"errors"
	"fmt"

	"evergate/internal/token"
)

// People paste what their browser shows.
func ExampleParseShop() {
	shop, err := token.ParseShop("Acme")
	fmt.Println(shop, err)

	_, err = token.ParseShop("https://admin.shopify.com/store/acme/products")
	fmt.Println(err)
	// Output:
	// acme.myshopify.com <nil>
	// "https://admin.shopify.com/store/acme/products" is a URL; the shop is acme.myshopify.com: write acme
}

// No way of printing it gives a secret away; Reveal does, where it leaves for Shopify.
func ExampleSecret() {
	access := token.NewSecret("shpat_4f6c")
	fmt.Printf("%v %+v\n", access, struct{ Access token.Secret }{access})
	fmt.Println(access.Reveal())
	// Output:
	// [redacted] {Access:[redacted]}
	// shpat_4f6c
}

// The caller learns what to do, and a person what has happened.
func ExampleDecide() {
	err := token.Decide(token.ErrTransient, errors.New("token endpoint: connection reset"))
	fmt.Println(err)
	fmt.Println("try again:", errors.Is(err, token.ErrTransient))
	// Output:
	// token endpoint: connection reset
	// try again: true
}
