// Package wire holds the promises about bytes: what of a client's bytes reaches Shopify, what
// of Shopify's bytes reaches the client, and what it costs to carry them.
//
// TestMain builds the binary once, as a release has it and never with the race detector,
// because its memory is measured. Every test runs `serve` as a child, speaks to it over raw
// connections and stands behind it as an upstream that records what arrives. That recorder
// parses by the letter of RFC 9112 and takes anything doubtful for an offence, so a request
// that two servers could read in two ways cannot pass unseen.
//
// Path bytes, links, bodies, early bytes and fields that end here are tested in this package and
// nowhere else at this level; test/e2e does not repeat them.
//
// A test that compares sends the same bytes to the recorder and to the sidecar, and holds the
// two answers side by side.
package wire
