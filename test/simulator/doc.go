// Package simulator holds the promise of docs/using/simulator.md: what it tells people to copy into tests of their own
// code works, in each language, and fails a test whose code does wrong.
package simulator
