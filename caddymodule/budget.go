package caddymodule

import (
	"errors"
	"sync"
)

var errOverBudget = errors.New("max_buffered is used up by other requests' bodies")

// budget bounds the memory that all bodies hold at once, over every guard of a
// process. What is not verified may take half of it, so that a flood of
// forgeries cannot keep genuine events out.
type budget struct {
	mu         sync.Mutex
	limit      int64
	held       int64 // everything
	unverified int64 // part of held
}

// setLimit changes the bound; bodies already held stay.
func (b *budget) setLimit(limit int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.limit = limit
}

// take reserves n more bytes for a body that is not verified yet.
func (b *budget) take(n int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held+n > b.limit || b.unverified+n > b.limit/2 {
		return errOverBudget
	}
	b.held += n
	b.unverified += n
	return nil
}

// verify moves n bytes over to what is verified.
func (b *budget) verify(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unverified -= n
}

// give returns n bytes.
func (b *budget) give(n int64, verified bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held -= n
	if !verified {
		b.unverified -= n
	}
}

func (b *budget) bytes() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held
}
