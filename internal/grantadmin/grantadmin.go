// Package grantadmin is what people do with a stored grant: put one in, exchange a permanent
// token for one that expires, end it, look at it. Each is a protocol of its own with the store
// and with Shopify, in an order in which no interruption loses a grant:
//
//   - What is about to be given up at Shopify is written down first, so that the same command
//     can be run again.
//   - What changes the store does so under the store's lease or as a compare-and-swap, so that
//     a sidecar that refreshes at the same time is not overwritten.
//   - A grant that appeared between a question and its answer is left alone.
//
// It asks nobody and prints nothing.
package grantadmin

import (
	"context"
	"errors"
	"time"

	"evergate/internal/config"
	"evergate/internal/grant"
	"evergate/internal/remedy"
	"evergate/internal/shopify"
	"evergate/internal/token"
)

// replaceWait bounds what is done to the store. Another process may hold the
// lease for as long as a refresh takes.
const replaceWait = 60 * time.Second

// storeWait bounds a look into the store.
const storeWait = 10 * time.Second

// Admin is the stored grant of one shop and app.
type Admin struct {
	Shop     token.Shop
	ClientID string
	Store    token.Store // nil: nothing is kept
	Endpoint *grant.Endpoint
	API      *shopify.Client
	// Remedies writes the commands that errors name.
	Remedies remedy.Shop
}

// Load loads the record; a zero one when nothing is stored.
func (a *Admin) Load() (token.Record, error) {
	ctx, cancel := context.WithTimeout(context.Background(), storeWait)
	defer cancel()
	record, _, err := a.Store.Load(ctx)
	if errors.Is(err, token.ErrNotFound) {
		return token.Record{}, nil
	}
	return record, err
}

// loadOwn loads a record that is to be used. One of another app is of no use to this one.
func (a *Admin) loadOwn() (token.Record, error) {
	record, err := a.Load()
	if err == nil && record.ClientID != "" && record.ClientID != a.ClientID {
		return token.Record{}, config.Wrong(OtherApp(a.Shop, record))
	}
	return record, err
}

// OtherApp says that a record is of another app than the one that is configured.
func OtherApp(shop token.Shop, record token.Record) error {
	return remedy.New("check SHOPIFY_CLIENT_ID, or use another EVERGATE_STORE for this one", "what is stored for %s belongs to another app, with client id %s", shop, record.ClientID)
}

// IsPermanent reports whether a pair is a token that does not expire.
func IsPermanent(p token.Pair) bool {
	return !p.Token.Access.Empty() && !p.Token.Expires() && p.Refresh.Empty()
}
