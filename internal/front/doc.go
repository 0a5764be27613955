// Package front serves ordinary requests of HTTP/1.1 itself, in the goroutine of their connection, and has an
// http.Server serve every other one, with the bytes that have come. What is ordinary, internal/wire says. The handler is the same for both, so that
// each rule is written once and neither lane has one that the other has not.
//
// Invariants:
//   - What a handler is given is what net/http would have given it. A fuzz test compares the two.
//   - A connection is with the front or with the http.Server, never both. The server has it for one request; one that speaks HTTP/2, or that a
//     handler takes over, does not come back.
//   - A head that can be read in two ways is answered with an error, and nobody else reads it.
//   - A connection serves another request only if the one before was read to its end and its answer written to its end.
//   - No byte that came is lost or read twice when a connection is given away.
//   - Shutdown closes what waits and lets what is served end.
package front
