package token

import (
	"context"
	"iter"
	"time"
)

// Backend is a place for the grants of many shops: a directory, a database, a namespace. It is safe for concurrent use.
type Backend interface {
	// Shop returns the store of one shop's record. It may look for the record; it makes none.
	Shop(shop Shop) (Store, error)
	// All yields every shop that has a record, in no order, each at most once. A record that cannot be read is
	// yielded with its error. An error with an empty Listed ends it: the place itself cannot be read.
	All(ctx context.Context) iter.Seq2[Listed, error]
	// Watch tells changed of every record that may have been changed by anybody, by its shop's domain; an empty domain
	// stands for all of them, and with that it begins. It mends its own connections, tells of all of them again when something
	// may have been missed, and ends with ctx. changed must not block.
	Watch(ctx context.Context, changed func(domain string))
	// Check says what is wrong with the place; nothing: it can be reached and is fit for grants.
	Check(ctx context.Context) []Finding
	// Close ends its connections. No other method is called then.
	Close()
}

// Dues is a Backend that knows, without reading every record, whose token ends when.
type Dues interface {
	// Due yields the domains of the shops whose access token ends before a moment, those that end first at the beginning, without
	// those for which a person has to act. An error with an empty domain ends it. A shop whose record is written meanwhile may be
	// yielded twice or not at all: whoever is told loads the record.
	Due(ctx context.Context, before time.Time) iter.Seq2[string, error]
}

// Listed is one of the records of a Backend.
type Listed struct {
	Domain string
	Record Record
	Handle Handle
}

// Finding is something that a person should know of a place where grants rest.
type Finding struct {
	// Loses says that grants can be lost; else it is only advice.
	Loses bool
	// Text says what is, Do what to do about it.
	Text, Do string
}
