// Package shopify is what Shopify is: what a path asks it for, its routes, its API versions
// and their dates. It knows nothing of Evergate beside package token.
//
// Invariants:
//
//   - A path is read once, by ParseTarget, and nothing of it is changed: what is judged and
//     counted is what is forwarded. One that two parsers could read in two ways is refused.
//   - What is read of a stranger's bytes ends in a closed list or in a piece of a known form,
//     and reading them allocates nothing.
package shopify
