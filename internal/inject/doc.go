// Package inject is the request path: observe, admit, serve. It lets a request in, puts the
// token on it, sends it to Shopify and brings the answer back.
//
// A reader follows a request through these files: handler.go (observe, admit, serve), admit.go,
// requestbody.go, attempt.go (the one loop of attempts), request.go, response.go, record.go.
//
// Invariants:
//   - The token goes on a request of our own making, never on the client's, and only to
//     the configured shop's upstream. Credentials of the client's never pass.
//   - Nothing is invented, neither header nor body; the path and the query are sent as the
//     bytes the client wrote.
//   - A request is sent a second time only after a 401 or a refusal for the rate limit, both of
//     which mean that it was not carried out, and only with its body whole.
//   - No lock is held while a request waits for the network or for a client. Those that requests
//     share (net/http's connection pool, the memory of GraphQL costs, the queue of the rate
//     limit, the memory of what was logged) are held for a few instructions.
//   - A token that is being renewed delays nobody who has a usable one.
package inject
