// Package guard lets requests in, or says why not: which names Evergate answers to, which web
// pages may call it, which shop a request means, which paths go on to Shopify. That is what no
// caller may do; who calls and what a caller's policy lets it do are asked of packages caller
// and policy.
//
// Invariants:
//
//   - What is judged is what is forwarded. The path policy reads the bytes of the
//     request target as the client sent them, and never changes one.
//   - A path that two parsers could read in two ways is refused, never normalised.
//   - Names compare exactly, ASCII letters in any case. There are no patterns to get
//     wrong, and nothing that fails to parse is let through.
//   - No request that passes reaches an endpoint that mints, destroys or shows credentials
//     by REST.
//   - Requests share no lock, and one that passes a policy without rules allocates nothing.
package guard
