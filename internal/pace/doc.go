// Package pace waits for Shopify's rate limits, so that callers need not.
//
// Shopify keeps one leaky bucket per app and shop for REST, counted in calls, and one for
// GraphQL, counted in points. Each is modelled here from what the responses say of it; none
// is configured. A request that would be throttled waits until it would not be.
//
// A request makes a [Reservation], waits for it, and has it observe the answer. The package
// takes what it needs of an answer and no more, so that it does not matter which HTTP
// implementation brought it.
//
// Invariants:
//   - While nobody has to wait, a request takes no lock for the bucket, whose state is one
//     atomic integer. Who has to wait queues behind a mutex, which is held for no I/O. The
//     memory of GraphQL costs has locks of its own, each held for one look-up.
//   - What a caller gets of a bucket does not depend on how many requests it has waiting:
//     the queue is fair between callers, by cost. All that are not known have one share together.
//   - The model never invents a refusal. Who has waited for the longest time allowed is
//     sent, and gets Shopify's own answer, unless its caller has had its turns and others wait
//     for theirs: that is a [QueueFullError].
//   - Bodies pass byte for byte. What is read of an answer is read from a copy, and of a
//     bounded part of it.
package pace
