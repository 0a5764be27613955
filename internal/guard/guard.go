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

	"evergate/internal/denial"
)

func ambiguous(why, rawPath string) error {
	return denial.New(http.StatusBadRequest, denial.CodeAmbiguousPath,
		"The path "+denial.Quote(rawPath)+" has "+why+", so it can be read in two ways. "+
			"Send the plain path, for example /admin/api/2026-10/shop.json.")
}
