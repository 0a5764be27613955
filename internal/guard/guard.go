// Package guard decides who and what may pass: which names Evergate answers to, which
// web pages may call it, who its callers are, which shop a request means, which paths go on
// to Shopify, and what a caller's policy lets it do there.
//
// Invariants:
//
//   - What is judged is what is forwarded. The path policy reads the bytes of the
//     request target as the client sent them, and never changes one.
//   - A path that two parsers could read in two ways is refused, never normalised.
//   - Names compare exactly, ASCII letters in any case. There are no patterns to get
//     wrong, and nothing that fails to parse is let through.
//   - No request that passes reaches an endpoint that mints or destroys credentials.
//   - A policy judges what will run, not what it looks like: GraphQL is parsed, and what two
//     parsers could read in two ways is refused. A policy only ever takes away.
//   - Requests share no lock, and one that passes a policy without rules allocates nothing.
//   - A mistake in a file that is read again leaves what held before in force.
package guard

import (
	"net/http"
	"strconv"
)

// The closed list of reasons for a refusal. They go out in X-Evergate-Error and label
// a metric, so a client can tell a local refusal from Shopify's own.
const (
	CodeAmbiguousPath   = "ambiguous_path"
	CodeDeniedPath      = "denied_path"
	CodeDeniedMethod    = "denied_method"
	CodeMisdirectedHost = "misdirected_host"
	CodeUnknownShop     = "unknown_shop"
	CodeCrossSite       = "cross_site"

	CodeUnauthenticated  = "unauthenticated"
	CodeDeniedPeer       = "denied_peer"
	CodeDeniedShop       = "denied_shop"
	CodeReadOnly         = "read_only"
	CodeDeniedOperation  = "denied_operation"
	CodeAmbiguousMethod  = "ambiguous_method"
	CodeAmbiguousGraphQL = "ambiguous_graphql"
	CodeMalformedGraphQL = "malformed_graphql"
	CodeGraphQLTooLarge  = "graphql_too_large"
)

// Refusal is why a request may not pass. The zero Refusal lets it pass.
type Refusal struct {
	// Status is the HTTP status to answer with; 200 has the answer in GraphQL's shape, for an
	// operation that is well understood and not allowed.
	Status int
	// Code is one of the Code constants.
	Code string
	// Message says what happened and what to do. What it repeats of the request is
	// quoted and cut short.
	Message string
}

// Refused reports whether the request may not pass.
func (r Refusal) Refused() bool { return r.Status != 0 }

// AboutCaller reports whether another caller might have passed with the same request.
func (r Refusal) AboutCaller() bool {
	switch r.Code {
	case CodeAmbiguousPath, CodeDeniedPath, CodeDeniedMethod, CodeMisdirectedHost, CodeUnknownShop, CodeCrossSite:
		return false
	}
	return r.Refused()
}

func ambiguous(why, rawPath string) Refusal {
	return Refusal{http.StatusBadRequest, CodeAmbiguousPath,
		"The path " + quote(rawPath) + " has " + why + ", so it can be read in two ways. " +
			"Send the plain path, for example /admin/api/2026-10/shop.json."}
}

// quote makes bytes of a stranger fit for a message: escaped, ASCII and short.
func quote(s string) string {
	const limit = 80
	if len(s) > limit {
		return strconv.QuoteToASCII(s[:limit]) + "..."
	}
	return strconv.QuoteToASCII(s)
}

// equalFold compares as ASCII. strings.EqualFold would fold Unicode as well, where a
// long s equals s and a Kelvin sign equals k.
func equalFold[A, B string | []byte](a A, b B) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func hasSuffixFold(s, suffix string) bool {
	return len(s) >= len(suffix) && equalFold(s[len(s)-len(suffix):], suffix)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
