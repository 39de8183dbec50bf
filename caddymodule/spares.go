package caddymodule

import (
	"math/bits"
	"sync"
	"time"
)

const (
	// leastSpare is the smallest buffer that is worth keeping.
	leastSpare = 64 << 10

	// spareFor is how long unused buffers are kept.
	spareFor = 5 * time.Second
)

// spares are large buffers that are not in use. In a flood of large bodies they
// are taken again at once; left to the garbage collector, they would make the
// process twice as large as the budget allows for.
type spares struct {
	mu     sync.Mutex
	bySize map[int64][][]byte
	bytes  int64
	clear  *time.Timer
}

// sizeClass rounds the size of a large buffer up, by an eighth at most, so that
// a buffer fits bodies of about its size and not of one size only.
func sizeClass(size int64) int64 {
	if size <= leastSpare {
		return size
	}
	step := int64(1) << (bits.Len64(uint64(size-1)) - 4)
	return (size + step - 1) / step * step
}

// get returns an empty buffer for size bytes, which is a size class. Where it has
// to make one, it keeps no more than most bytes of others.
func (s *spares) get(size, most int64) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.bySize[size]
	if len(kept) == 0 {
		s.trimLocked(most)
		return make([]byte, 0, size)
	}
	last := len(kept) - 1
	buffer := kept[last]
	kept[last] = nil
	s.bySize[size] = kept[:last]
	s.bytes -= size
	return buffer[:0]
}

// put keeps a buffer that nothing refers to any more, unless that made more than
// most bytes.
func (s *spares) put(buffer []byte, most int64) {
	size := int64(cap(buffer))
	if size < leastSpare {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bytes+size > most {
		return
	}
	if s.bySize == nil {
		s.bySize = make(map[int64][][]byte)
	}
	s.bySize[size] = append(s.bySize[size], buffer)
	s.bytes += size
	if s.clear == nil {
		s.clear = time.AfterFunc(spareFor, s.forget)
	} else {
		s.clear.Reset(spareFor)
	}
}

// trimLocked leaves what is more than most bytes to the garbage collector.
func (s *spares) trimLocked(most int64) {
	for size, kept := range s.bySize {
		for s.bytes > most && len(kept) > 0 {
			last := len(kept) - 1
			kept[last] = nil
			kept = kept[:last]
			s.bytes -= size
		}
		s.bySize[size] = kept
	}
}

// forget leaves everything to the garbage collector.
func (s *spares) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bySize, s.bytes = nil, 0
}
