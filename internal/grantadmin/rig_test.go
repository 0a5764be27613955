package grantadmin

import (
	"context"
	"net/url"
	"testing"
	"time"

	"evergate/internal/config"
	"evergate/internal/grant"
	"evergate/internal/shopify"
	"evergate/internal/shopsim"
	"evergate/internal/store"
	"evergate/internal/token"
)

// rig is an Admin in front of a simulated Shopify that runs in process.
type rig struct {
	*Admin
	sim   *shopsim.Sim
	store *watchedStore
}

func newRig(t *testing.T) *rig {
	t.Helper()
	sim := shopsim.New(shopsim.Options{})
	shop, err := token.ParseShop(shopsim.DefaultShop)
	if err != nil {
		t.Fatal(err)
	}
	api := &shopify.Client{Shop: shop, Base: &url.URL{Scheme: "https", Host: shop.Domain()}, Transport: sim.RoundTripper()}
	r := &rig{sim: sim, store: &watchedStore{Store: store.Memory(shop)}}
	r.Admin = &Admin{Shop: shop, ClientID: shopsim.DefaultClientID, Store: r.store, API: api, Endpoint: &grant.Endpoint{
		API: api,
		Client: func() (grant.Client, error) {
			return grant.Client{ID: shopsim.DefaultClientID, Secret: token.NewSecret(shopsim.DefaultClientSecret)}, nil
		},
		Previous: func() (token.Secret, error) { return token.Secret{}, nil },
	}}
	return r
}

// watchedStore calls before ahead of each write with its number, from 1. An error is that of a store that cannot be written.
type watchedStore struct {
	token.Store
	writes int
	before func(write int) error
}

func (s *watchedStore) Swap(ctx context.Context, old token.Handle, next token.Record) (token.Handle, error) {
	s.writes++
	if s.before != nil {
		if err := s.before(s.writes); err != nil {
			return "", err
		}
	}
	return s.Store.Swap(ctx, old, next)
}

// put stores a record; what is left out of it is this shop's, this app's and the offline grant's.
func (r *rig) put(t *testing.T, record token.Record) {
	t.Helper()
	record.Shop = r.Shop.Domain()
	if record.ClientID == "" {
		record.ClientID = r.ClientID
	}
	if record.Grant == "" {
		record.Grant = config.GrantOffline
	}
	_, handle, _ := r.store.Store.Load(t.Context())
	if _, err := r.store.Store.Swap(t.Context(), handle, record); err != nil {
		t.Fatal(err)
	}
}

func (r *rig) stored(t *testing.T) token.Record {
	t.Helper()
	record, err := r.Load()
	if err != nil {
		t.Fatal(err)
	}
	return record
}

// permanent is a token of Shopify's that does not expire.
func (r *rig) permanent() token.Secret { return token.NewSecret(r.sim.IssueToken("", "", 0)) }

// pair is an expiring token of Shopify's with its refresh token.
func (r *rig) pair() token.Pair {
	access, refresh := r.sim.IssuePair("", "")
	return token.Pair{Token: token.Token{Access: token.NewSecret(access), Issued: time.Now().Round(0), Life: time.Hour}, Refresh: token.NewSecret(refresh)}
}

func permanentPair(access token.Secret) token.Pair {
	return token.Pair{Token: token.Token{Access: access, Issued: time.Now().Round(0)}}
}

func (r *rig) accepts(t *testing.T, access token.Secret) bool {
	t.Helper()
	_, err := r.API.Scopes(t.Context(), access)
	return err == nil
}
