package body

import (
	"context"
	"io"
	"net/http"
	"sync"
)

// Reader is a body for those that read it: the app's proxy, and placeholders. They may
// go on reading when the app has answered and the memory is another body's, so it is
// ended with the exchange. For the same reason it is no io.WriterTo: all it gives away
// are copies.
type Reader struct {
	mu     sync.Mutex
	data   []byte // nil before Open and after End
	read   int    // how much of it
	from   int    // where the first try began to read
	begun  bool   // there was a try
	closed bool   // after something was read

	lent sync.WaitGroup // what Lend gave away and nobody has returned
}

// contextKey is what the context of a forwarded request keeps its Reader under.
type contextKey struct{}

// ContextKey is what the context of a request that a guard forwards answers with the
// request's *Reader. It is nil for an event without a body.
var ContextKey any = contextKey{}

// FromContext returns the reader of the verified body, and reports whether a guard forwards
// the request at all.
func FromContext(ctx context.Context) (r *Reader, forwarded bool) {
	r, forwarded = ctx.Value(ContextKey).(*Reader)
	return r, forwarded
}

// Open lets data be read, which is not empty, and which is another body's after End.
func (r *Reader) Open(data []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.data, r.read, r.from, r.begun, r.closed = data, 0, 0, false, false
}

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.data == nil:
		return 0, http.ErrBodyReadAfterClose
	case r.read == len(r.data):
		return 0, io.EOF
	}
	n := copy(p, r.data[r.read:])
	r.read += n
	return n, nil
}

// Close implements io.Closer. It ends nothing: what a proxy closes, its next try reads.
func (r *Reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = r.closed || r.read > 0
	return nil
}

// Begin is called before each try to send the body, when the one before reads no more. The
// body is given again, as a whole. Begin returns false where that cannot be: where some of
// it was read before the first try, into a buffer that nobody fills again.
func (r *Reader) Begin() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := !r.begun
	r.begun = true
	switch {
	case r.data == nil:
		return false
	case first && !r.closed:
		r.from = r.read
	case !first && r.from > 0:
		return r.read == r.from && !r.closed // the buffer still has it
	default:
		r.read, r.closed = 0, false
	}
	return true
}

// Lend gives the whole body to a transport that sends it from where it is, whatever was read
// of it before. It is nil after End. Whoever gets it calls Return when nothing reads it any
// more.
func (r *Reader) Lend() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.data != nil {
		r.lent.Add(1)
	}
	return r.data
}

// Return ends what Lend began.
func (r *Reader) Return() { r.lent.Done() }

// End releases the data. None of it is read afterwards: what is lent is waited for, since
// the memory is another body's next.
func (r *Reader) End() {
	r.mu.Lock()
	r.data = nil
	r.mu.Unlock()
	r.lent.Wait()
}
