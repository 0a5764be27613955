// Package shopify is what Shopify is: its routes, its API versions and their dates. It
// knows nothing of Evergate beside package token.
//
// Invariants: what is read of a stranger's bytes ends in a closed list or in a piece of a
// known form; reading them allocates nothing.
package shopify
