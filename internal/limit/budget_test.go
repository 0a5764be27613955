package limit

import (
	"sync"
	"testing"
)

func TestABudgetEndsAndComesBack(t *testing.T) {
	b := NewBudget(100 << 10)
	first, second := Borrow(b), Borrow(b)
	if !first.Grow(Free) || b.Held() != 0 {
		t.Errorf("the first bytes are counted: %d", b.Held())
	}
	if !first.Grow(Free+90<<10) || first.Grow(Free+101<<10) || b.Held() != 90<<10 {
		t.Errorf("%d held", b.Held())
	}
	if second.Grow(Free+11<<10) || !second.Grow(Free+10<<10) || b.Refused() != 2 {
		t.Errorf("%d held, %d refused", b.Held(), b.Refused())
	}
	for range 2 {
		first.Return()
		second.Return()
	}
	if b.Held() != 0 {
		t.Errorf("%d bytes are lost", b.Held())
	}
}

func TestANilBudgetHasNoEnd(t *testing.T) {
	l := Borrow(nil)
	if !l.Grow(1 << 60) {
		t.Error("it ended")
	}
	l.Return()
}

func TestManyTakeFromABudgetAndNeverTooMuch(t *testing.T) {
	b := NewBudget(10)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				if b.Take(3) {
					b.Give(3)
				}
			}
		})
	}
	all.Wait()
	if b.Held() != 0 {
		t.Errorf("%d bytes are lost", b.Held())
	}
}
