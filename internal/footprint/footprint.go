// Package footprint gives back the memory that only the start of the process needed.
//
// Invariants: what is given back is read again from where it came from when it is needed, so nothing is lost, whatever
// the process is doing meanwhile; where that cannot be known of a piece of memory, it is kept.
package footprint
