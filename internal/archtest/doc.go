// Package archtest holds the shape of the house as tests: who may import whom, what may be
// called where, and that the documentation's links lead somewhere. It has no other code.
//
// When one of its tests fails, either the change that made it fail is in the wrong room, or
// the table here and the one in docs/architecture.md are to be changed with it.
package archtest
