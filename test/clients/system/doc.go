// Package system runs the clients that come with a system, as they are, through the real binary: each of them lists all pages of products,
// creates one and asks GraphQL while its tokens expire, in every way in which it can be led to Evergate. What they run are the programs in
// examples. What worked is the table in docs/using/clients.md (-update writes it).
package system
