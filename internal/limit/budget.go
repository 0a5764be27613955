// Package limit bounds what clients can make one process hold: bytes, connections, and the time
// in which nothing moves.
//
// Invariants:
//   - One Budget counts every byte that is kept for clients; taking from it is an atomic addition,
//     so requests share no lock.
//   - Connections never has more open than its limit and the one just accepted. Whom it closes for
//     a newcomer is never in the middle of a request that makes progress, unless its caller has more than its part of the places.
//   - A connection that ends while its client may still be sending lingers, as a connection that counts.
//   - A connection that is being read or written, or that waits for its next request, costs no timer of its own.
package limit

import "sync/atomic"

// Budget is how many bytes may be held for all clients together. Its methods are safe for
// concurrent use, and a nil Budget has no end.
type Budget struct {
	most          int64
	held, refused atomic.Int64
}

// NewBudget returns a Budget of most bytes.
func NewBudget(most int64) *Budget { return &Budget{most: most} }

// Take reserves n bytes, or reports that there is no room for them.
func (b *Budget) Take(n int64) bool {
	if b == nil || b.held.Add(n) <= b.most {
		return true
	}
	b.held.Add(-n)
	b.refused.Add(1)
	return false
}

// Give returns n bytes that were taken.
func (b *Budget) Give(n int64) {
	if b != nil && n != 0 {
		b.held.Add(-n)
	}
}

// Held is how many bytes are taken now.
func (b *Budget) Held() int64 { return b.held.Load() }

// Refused is how often there was no room.
func (b *Budget) Refused() int64 { return b.refused.Load() }

// Most is the size of the budget.
func (b *Budget) Most() int64 { return b.most }

// Loan is what one request has taken from a Budget. The first Free bytes of it are not counted: they
// are part of what a connection is reckoned to cost, so that small requests pass when the budget is used up.
// A Loan belongs to one goroutine at a time.
type Loan struct {
	budget *Budget
	taken  int64
}

// Free is how many bytes of each request's body are not counted. Nor is a body that lies in the buffer into which its head was read, which is there anyway.
const Free = 8 << 10

// Borrow begins a Loan.
func Borrow(b *Budget) Loan { return Loan{budget: b} }

// Grow makes the loan one for size bytes in all, or reports that there is no room.
func (l *Loan) Grow(size int64) bool {
	more := size - Free - l.taken
	if more <= 0 {
		return true
	}
	if !l.budget.Take(more) {
		return false
	}
	l.taken += more
	return true
}

// Return ends the loan. It may be called again.
func (l *Loan) Return() {
	l.budget.Give(l.taken)
	l.taken = 0
}
