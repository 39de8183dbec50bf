package signature

import (
	"slices"
	"time"
)

// maxCandidates bounds the signatures of one request: each can cost an HMAC
// over the body per secret, and rotations show two or three at a time.
const maxCandidates = 16

// candidate is one well-formed MAC of a request.
type candidate struct {
	mac   [maxMAC]byte
	text  string // instead of mac, for signatures of any length
	line  int    // of Scheme.lines: which algorithm and encoding
	group int    // of Inspection.groups: which timestamp goes with it
}

// Inspection is what the headers of one request said. It refers to the
// request's strings and holds no secret.
type Inspection struct {
	candidates few[candidate]
	groups     few[Parts]
	seen       int // signatures in all, malformed ones too
	stamp      readTime
}

// readTime is a stamp's text and what it was read as.
type readTime struct {
	text string
	at   time.Time
}

// copy makes an Inspection that can be added to, and leaves in as it is.
func (in *Inspection) copy() Inspection {
	all := *in
	all.candidates.more, all.groups.more = slices.Clip(all.candidates.more), slices.Clip(all.groups.more)
	return all
}

// few is a list that is short as a rule: its first elements are in place, so
// that most requests allocate nothing for it, and clear little memory.
type few[T any] struct {
	first [2]T
	more  []T
	count int
}

func (f *few[T]) at(i int) *T {
	if i < len(f.first) {
		return &f.first[i]
	}
	return &f.more[i-len(f.first)]
}

// push adds an element that is zero.
func (f *few[T]) push() *T {
	if f.count >= len(f.first) {
		var zero T
		f.more = append(f.more, zero)
	}
	f.count++
	return f.at(f.count - 1)
}

// pop takes the last element away.
func (f *few[T]) pop() {
	f.count--
	var zero T
	*f.at(f.count) = zero
	f.more = f.more[:max(f.count-len(f.first), 0)]
}
