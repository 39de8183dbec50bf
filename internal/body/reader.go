package body

import (
	"io"
	"net/http"
	"sync"
	"time"
)

// Reader is a body for those that read it: the app's proxy, and placeholders. They may
// go on reading when the app has answered and the memory is another body's, so it is
// ended with the exchange. For the same reason it is no io.WriterTo: all it gives away
// are copies.
type Reader struct {
	mu     sync.Mutex
	data   []byte        // nil before Open and after End
	read   int           // how much of it
	from   int           // where the current try began to read
	begun  bool          // there was a try
	atEnd  bool          // io.EOF was returned
	closed bool          // once in this try, after something was read
	wait   chan struct{} // closes with Close, where Begin waits for that
}

// Open lets data be read, which is not empty, and which is another body's after End.
func (r *Reader) Open(data []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.data, r.begun = data, false
	r.rewind()
}

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.data == nil:
		return 0, http.ErrBodyReadAfterClose
	case r.read == len(r.data):
		r.atEnd = true
		return 0, io.EOF
	}
	n := copy(p, r.data[r.read:])
	r.read += n
	return n, nil
}

// Close implements io.Closer. It only tells Begin that a try is over: net/http closes a
// body twice, and the second time may come when the next try is reading.
func (r *Reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = r.closed || r.read > 0
	if r.closed && r.wait != nil {
		close(r.wait)
		r.wait = nil
	}
	return nil
}

// Begin is called before each try to send the body: the body is given again, as a whole.
// It returns false where that cannot be: where the try before goes on reading after the
// wait, as the two could not be told apart, and where some of the body was read before the
// first try, into a buffer that nobody fills again.
func (r *Reader) Begin(wait time.Duration) bool {
	closed, ready := r.begin()
	if closed == nil {
		return ready
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-closed:
	case <-timer.C:
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	// FastCGI reads to the end, and never closes.
	if r.data == nil || !r.closed && !r.atEnd {
		return false
	}
	r.rewind()
	return true
}

// begin does what needs no waiting. It returns what to wait for, if anything.
func (r *Reader) begin() (closed <-chan struct{}, ready bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := !r.begun
	r.begun = true
	switch {
	case r.data == nil:
		return nil, false
	case r.closed && (first || r.from == 0):
		r.rewind()
	case first:
		r.from = r.read
	case r.read == r.from && !r.closed && !r.atEnd: // nothing was read
	case r.from > 0:
		return nil, false
	default:
		if r.wait == nil {
			r.wait = make(chan struct{})
		}
		return r.wait, false
	}
	return nil, true
}

func (r *Reader) rewind() { r.read, r.from, r.atEnd, r.closed = 0, 0, false, false }

// End gives the data up. From then on nothing of it is read any more.
func (r *Reader) End() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.data = nil
}
