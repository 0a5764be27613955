// Package network holds the promise that a network that changes costs a few seconds once. The binary runs in a network
// namespace of its own; the way to the simulated Shopify goes black for the connections there are, and stays open for new ones.
package network
