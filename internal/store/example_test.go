package store_test

import (
	"context"
	"errors"
	"fmt"

	"evergate/internal/store"
	"evergate/internal/token"
)

// A record is replaced only by whoever has read the one before.
func ExampleStore() {
	ctx := context.Background()
	shop, err := token.ParseShop("acme")
	if err != nil {
		panic(err)
	}
	s := store.Memory(shop)

	_, _, err = s.Load(ctx)
	fmt.Println("empty:", errors.Is(err, token.ErrNotFound))

	record := token.Record{Shop: shop.Domain(), ClientID: "app", Grant: "offline"}
	first, err := s.Swap(ctx, "", record) // in place of nothing
	fmt.Println("stored:", err)

	record.Current.Refresh = token.NewSecret("shprt_2")
	_, err = s.Swap(ctx, first, record)
	fmt.Println("replaced:", err)

	_, err = s.Swap(ctx, first, record) // from a state that is gone
	fmt.Println("conflict:", errors.Is(err, token.ErrConflict))
	// Output:
	// empty: true
	// stored: <nil>
	// replaced: <nil>
	// conflict: true
}

// Replace is for what a person has just authorised: it waits for a refresh under way.
func ExampleReplace() {
	ctx := context.Background()
	shop, err := token.ParseShop("acme")
	if err != nil {
		panic(err)
	}
	s := store.Memory(shop)
	err = store.Replace(ctx, s, func(before token.Record) (token.Record, error) {
		return token.Record{Shop: shop.Domain(), ClientID: "app", Grant: "offline",
			Current: token.Pair{Refresh: token.NewSecret("shprt_1")}}, nil
	})
	now, _, _ := s.Load(ctx)
	fmt.Println(err, now.Grant, now.Current.Refresh)
	// Output:
	// <nil> offline [redacted]
}
