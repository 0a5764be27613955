// Package shopsim is a simulator of the parts of Shopify that an Admin API
// client meets: the token endpoint with all its grants, the authorize page, the
// REST and GraphQL Admin API, their rate limits, their error bodies, and the
// ways in which all of it breaks.
//
// Evergate is tested against it. Others get it as a program, `evergate simulate`,
// not as a package. docs/using/simulator.md is the manual, and
// docs/developing/simulator.md has the functions.
//
// Invariants:
//
//   - The package imports nothing from the rest of the module. A simulator that
//     shared code with the proxy would share its misreadings of the protocol,
//     and a test between the two would prove nothing. The one module that both use
//     is a GraphQL parser; what the proxy makes of a document is tested against
//     lexers of its tests' own.
//   - One mutex guards all state and is held for computation only, never over
//     input, output or a wait. Every answer is computed in full before its
//     first byte is sent, so a fault can lose an answer whose effect stays.
//   - Which refresh tokens are honoured is decided in one place,
//     refreshToken.honoured; what announces it (Generations, ChainAlive,
//     ChainHeld) and what acts on it cannot disagree.
//   - Counters and journal are up to date before the first byte of an answer
//     goes out: a test may read them as soon as it has the response.
//   - Nothing runs in the background except servers that were started, until
//     they are closed. Time is time.Now, so a testing/synctest bubble controls
//     it; RoundTripper is the way in that needs no network.
//   - With the same Seed and the same sequence of requests, tokens, request
//     ids and random faults are the same.
package shopsim
