package body

import (
	"io"
	"net/http"
	"sync"
)

// Reader is the body that the app gets. The proxy may go on reading from it when the
// app has answered and the memory is another body's, so it is closed with the delivery.
// For the same reason it is no io.WriterTo: all it gives away are copies.
type Reader struct {
	mu     sync.Mutex
	unread []byte
	closed bool
}

// NewReader reads data, which is another body's once the reader is closed.
func NewReader(data []byte) *Reader { return &Reader{unread: data} }

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
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
func (r *Reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unread, r.closed = nil, true
	return nil
}
