// Package sync holds the promise of examples/sheet-sync: unattended, it brings a shop in step with a sheet, and
// writes no row twice, whatever happens to an answer, to Evergate or to the sync itself.
//
// The sync runs as a child with Python's standard library alone, through the real binary as another child, against
// the simulator of Shopify, which lives in the test. Tokens live a second, so Evergate renews them all the time. The
// test sees every request before and after Shopify has it, and kills a child at that very moment.
//
// SYNC_LIVES says how many tokens there have to be: 100 by default, 10 with -short. SYNC_SEED repeats a run's
// choices.
package sync
