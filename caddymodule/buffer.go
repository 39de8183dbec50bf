package caddymodule

import (
	"io"
	"math/bits"
	"net/http"
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

// newBuffer returns one of this size, and whether it was used before. What it holds is
// anything.
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

// bodyReader is the body that the app gets. The proxy may go on reading from it when the
// app has answered and the memory is another body's, so it is closed with the delivery.
// For the same reason it is no io.WriterTo: all it gives away are copies.
type bodyReader struct {
	mu     sync.Mutex
	unread []byte
	closed bool
}

// Read implements io.Reader.
func (r *bodyReader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return 0, http.ErrBodyReadAfterClose
	case len(r.unread) == 0:
		return 0, io.EOF
	}
	n := copy(p, r.unread)
	r.unread = r.unread[n:]
	return n, nil
}

// Close implements io.Closer. From then on nothing of the body is read any more.
func (r *bodyReader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unread, r.closed = nil, true
	return nil
}
