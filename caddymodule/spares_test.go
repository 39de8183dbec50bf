package caddymodule

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestSizeClasses(t *testing.T) {
	for size := int64(1); size < 100<<20; size += 1 + size/7 {
		class := sizeClass(size)
		if class < size || class > size+size/8+1 || sizeClass(class) != class {
			t.Errorf("%d is of class %d, that of %d", size, class, sizeClass(class))
		}
	}
	for size := int64(firstChunk); size < 100<<20; size *= 2 {
		if class := sizeClass(size); class != size {
			t.Errorf("%d is rounded to %d", size, class)
		}
	}
}

func TestSpareBuffersAreTakenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s spares
		first := s.get(leastSpare, unlimited)
		s.put(append(first, "old"...), leastSpare)
		s.put(make([]byte, 0, leastSpare), leastSpare)     // one too many
		s.put(make([]byte, 0, leastSpare-1), 2*leastSpare) // too small
		if s.bytes != leastSpare {
			t.Errorf("%d bytes are kept", s.bytes)
		}
		if got := s.get(2*leastSpare, unlimited); cap(got) != 2*leastSpare {
			t.Errorf("got one of %d bytes", cap(got))
		}
		again := s.get(leastSpare, unlimited)
		if len(again) != 0 || &again[:1][0] != &first[:1][0] || s.bytes != 0 {
			t.Error("the buffer was not taken again, or not emptied")
		}
		s.put(again, leastSpare)
		time.Sleep(spareFor + 1)
		synctest.Wait()
		if s.bytes != 0 || len(s.bySize) != 0 {
			t.Error("a buffer that nobody took is kept for ever")
		}
	})
}

func TestSpareBuffersMakeRoomForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s spares
		for range 4 {
			s.put(make([]byte, 0, leastSpare), unlimited)
			s.put(make([]byte, 0, 2*leastSpare), unlimited)
		}
		s.get(4*leastSpare, 5*leastSpare)
		if s.bytes > 5*leastSpare || s.bytes < 4*leastSpare {
			t.Errorf("%d bytes are kept", s.bytes)
		}
		held := int64(0)
		for size, kept := range s.bySize {
			held += size * int64(len(kept))
		}
		if held != s.bytes {
			t.Errorf("%d bytes are kept, %d counted", held, s.bytes)
		}
	})
}

// What somebody may still read, the app's connection for instance, is never
// given to another body.
func TestForwardedBodiesAreNotReused(t *testing.T) {
	for name, forwarded := range map[string]bool{"refused": false, "forwarded": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				budget := &budget{limit: unlimited}
				b, up := &body{budget: budget, users: 1}, budget.begin(nil, time.Now())
				if err := b.grow(up, leastSpare); err != nil {
					t.Fatal(err)
				}
				b.counted = up.held
				if forwarded {
					b.lend()
				}
				b.drop()
				if reused := budget.spares.bytes > 0; reused == forwarded {
					t.Errorf("reused: %t", reused)
				}
			})
		})
	}
}
