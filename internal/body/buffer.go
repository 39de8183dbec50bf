package body

import (
	"math/bits"
	"sync"
)

// buffer is memory for a body. Those of finished bodies are used again: fresh memory for
// each would cost a large body about as much as its hash.
type buffer struct{ bytes []byte }

// Buffers come in eight sizes for each doubling, from leastBuffer on. Larger ones than
// there are classes for are not kept.
const (
	leastBuffer = 1 << leastBits
	leastBits   = 8
	classes     = 1 + 8*18
)

// spares are the buffers that nobody uses, by class. What stays unused is the garbage
// collector's after a while.
var spares [classes]sync.Pool

// bufferClass is the class of buffers for n bytes, and their size, which is at most an
// eighth more.
func bufferClass(n int) (class, size int) {
	if n <= leastBuffer {
		return 0, leastBuffer
	}
	shift := bits.Len(uint(n-1)) - 4 // leaves the leading four bits, 8 to 15
	eighths := (n - 1) >> shift
	return 1 + 8*(shift+3-leastBits) + eighths - 8, (eighths + 1) << shift
}

// newBuffer returns a buffer of this size and reports whether it was used before. Its
// contents are undefined.
func newBuffer(class, size int) (b *buffer, used bool) {
	if class < classes {
		if b, used = spares[class].Get().(*buffer); used {
			return b, true
		}
	}
	return &buffer{make([]byte, size)}, false
}

// free hands the buffer on to the next body: nobody may have a part of it any more.
func (b *buffer) free() {
	if spoilFreed { // so that tests see who does
		for i := range b.bytes {
			b.bytes[i] = 0xdb
		}
	}
	if class, _ := bufferClass(len(b.bytes)); class < classes {
		spares[class].Put(b)
	}
}
