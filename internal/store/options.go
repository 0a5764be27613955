package store

import "evergate/internal/envelope"

// Options opens a token.Backend.
type Options struct {
	// Spec is as in EVERGATE_STORE.
	Spec string
	// Layout is as in EVERGATE_STORE_LAYOUT; empty: a place of our own.
	Layout string
	Keys   envelope.Keys
	// ClientID is the app whose grants these are.
	ClientID string
	// Getenv is for default directories, and what the libraries of a database read.
	Getenv func(string) string
}
