// Package wire reads the heads of HTTP/1.1 messages in place: as slices of the buffer that they came in, in their order, with
// nothing allocated. What has two readings it does not read: whoever calls it gives such a message to net/http, with every byte.
//
// The grammar is RFC 9112's with everything left out that lenient readers quarrel about: lines end with CRLF, nothing is folded,
// names are tokens, values are visible ASCII, spaces and tabs, and the length of the body is said once and in one way.
//
// Invariants:
//   - What is Understood, net/http reads as the same message, and would send on as the same bytes. A fuzz test compares the two.
//   - Nothing is changed in the buffer, and no byte behind the head is looked at.
package wire

// Verdict is what there is to say of the bytes so far.
type Verdict int8

const (
	// Incomplete says that the head is not at its end, and good as far as it goes.
	Incomplete Verdict = iota
	// Understood says that it is whole.
	Understood
	// Foreign says that it is not for this package to read.
	Foreign
)

const (
	// MaxFields is how many field lines a head may have.
	MaxFields = 100
	// MaxHead is how long a head may be in bytes.
	MaxHead = 16 << 10
)
