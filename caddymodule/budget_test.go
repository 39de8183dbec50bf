package caddymodule

import (
	"errors"
	"sync"
	"testing"
)

func wantBudget(t *testing.T, b *budget, held, unverified int64) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held != held || b.unverified != unverified {
		t.Errorf("the budget counts %d, %d of it unverified; want %d and %d", b.held, b.unverified, held, unverified)
	}
}

func TestUnverifiedBodiesTakeHalfAtMost(t *testing.T) {
	b := &budget{limit: 100}
	if err := b.take(51); !errors.Is(err, errOverBudget) {
		t.Errorf("51 of 100 unverified: %v", err)
	}
	wantBudget(t, b, 0, 0) // what is refused counts for nothing
	if err := b.take(50); err != nil {
		t.Errorf("50 of 100 unverified: %v", err)
	}
	if err := b.take(1); !errors.Is(err, errOverBudget) {
		t.Errorf("one more: %v", err)
	}
	b.verify(50)
	wantBudget(t, b, 50, 0)
	if err := b.take(50); err != nil {
		t.Errorf("beside 50 verified: %v", err)
	}
	b.verify(50)
	if err := b.take(1); !errors.Is(err, errOverBudget) {
		t.Errorf("beyond the whole: %v", err)
	}
	b.give(50, true)
	if err := b.take(50); err != nil {
		t.Errorf("after some was given back: %v", err)
	}
	b.give(50, false)
	b.give(50, true)
	wantBudget(t, b, 0, 0)
}

func TestALowerLimitLeavesWhatIsHeld(t *testing.T) {
	b := &budget{limit: 100}
	if err := b.take(40); err != nil {
		t.Fatal(err)
	}
	b.setLimit(10)
	wantBudget(t, b, 40, 40)
	if err := b.take(1); err == nil {
		t.Error("more was taken although the budget is overdrawn")
	}
	b.give(40, false)
	if err := b.take(5); err != nil {
		t.Errorf("half of the lower limit: %v", err)
	}
}

func TestTheBudgetIsNeverOverdrawn(t *testing.T) {
	b := &budget{limit: 100}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				if b.take(7) != nil {
					continue
				}
				if held := b.bytes(); held > 100 {
					t.Errorf("%d of 100 held", held)
				}
				b.verify(7)
				b.give(7, true)
			}
		})
	}
	wg.Wait()
	wantBudget(t, b, 0, 0)
}
