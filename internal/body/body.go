// Package body holds the bodies of requests in memory: each once, however many
// copies of its event wait, in buffers that are used again, and all of them
// together within a budget.
package body

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// firstChunk is how much is set aside for a body before any of it has arrived,
// whatever its sender announces.
const firstChunk = 8 << 10

// Body is a request's body, held in memory once and counted against a budget.
// Copies of one event that wait for the first share its body.
type Body struct {
	data   []byte // within buffer
	buffer *buffer
	upload *upload // how the budget counts it; nil where none does

	mu    sync.Mutex
	users int
}

// Read reads a request's body of at most limit bytes within timeout. Its error is
// an [*Error].
func Read(w http.ResponseWriter, r *http.Request, limit int64, timeout time.Duration, budget *Budget) (*Body, error) {
	return ReadToParse(w, r, limit, timeout, budget, 1)
}

// ReadToParse is Read for a body that takes weight times its size in memory until it is
// verified, as values are read out of it. Until then the budget counts all of that.
func ReadToParse(w http.ResponseWriter, r *http.Request, limit int64, timeout time.Duration, budget *Budget, weight int) (*Body, error) {
	until := time.Now().Add(timeout)
	conn := readDeadliner(w)
	if r.ContentLength > limit {
		boundRest(conn, r, until, false)
		return nil, failed(TooLarge, "the body has %d bytes, more than max_body, %d", r.ContentLength, limit)
	}
	b := &Body{upload: budget.begin(conn, until), users: 1}
	up := b.upload
	up.weight = int64(weight)
	err := b.read(r.Body, r.ContentLength, limit)
	asked := len(b.data) > 0 || !errors.Is(err, errOverBudget)
	if err != nil {
		b.free()
	}
	evicted := up.end(err != nil)
	if err != nil {
		if !up.interrupted {
			boundRest(conn, r, until, asked)
		}
		if evicted && errors.Is(err, os.ErrDeadlineExceeded) {
			err = errEvicted
		}
		return nil, explain(err, limit, timeout)
	}
	if up.interrupted {
		// Just too late. The server goes on reading, to learn of a hang-up.
		_ = conn.SetReadDeadline(time.Time{})
	}
	return b, nil
}

// Of makes a body of bytes that no budget counts.
func Of(data []byte) *Body { return &Body{data: data, users: 1} }

// Bytes are the body's, until the last user drops it.
func (b *Body) Bytes() []byte { return b.data }

// deadliner is a connection, or a stream of one, whose reads can be ended.
type deadliner interface{ SetReadDeadline(time.Time) error }

// readDeadliner finds what http.ResponseController would set a deadline on. It is nil
// where there is nothing like that; then the server's own time-outs hold.
func readDeadliner(w http.ResponseWriter) deadliner {
	for {
		switch inner := w.(type) {
		case deadliner:
			return inner
		case interface{ Unwrap() http.ResponseWriter }:
			w = inner.Unwrap()
		default:
			return nil
		}
	}
}

// BoundRest is for requests that are answered before any of their body was read: the
// server first reads the rest of a short one, until the given time at most.
func BoundRest(w http.ResponseWriter, r *http.Request, until time.Time) {
	boundRest(readDeadliner(w), r, until, false)
}

// boundRest also ends the wait for a sender that sends its body only when it is asked to,
// unless somebody, such as an error route, still asks.
func boundRest(conn deadliner, r *http.Request, until time.Time, asked bool) {
	if conn == nil {
		return
	}
	if !asked && r.ProtoMajor == 1 && r.ContentLength != 0 && r.Header.Get("Expect") != "" {
		r.Body = &unasked{ReadCloser: r.Body, conn: conn, until: until}
		until = time.Now()
	}
	_ = conn.SetReadDeadline(until)
}

// unasked is a body that its sender has not been asked for.
type unasked struct {
	io.ReadCloser
	conn  deadliner
	until time.Time
	asked bool
}

func (u *unasked) Read(p []byte) (int, error) {
	if !u.asked {
		u.asked = true
		_ = u.conn.SetReadDeadline(u.until)
	}
	return u.ReadCloser.Read(p)
}

// read fills b. Its buffer grows with what has arrived, so that a sender who
// announces much and sends little holds little.
func (b *Body) read(from io.Reader, announced, limit int64) error {
	if from == nil || announced == 0 {
		return nil
	}
	most, more := limit, errTooLarge
	if announced > 0 {
		most, more = announced, errMoreThanAnnounced
	}
	for size := min(firstChunk, most); ; size = nextSize(int64(len(b.data)), most) {
		if err := b.grow(int(size)); err != nil {
			return err
		}
		err := b.fill(from, int(min(int64(cap(b.data)), most)))
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case int64(len(b.data)) == most:
			return wantEnd(from, more)
		}
	}
}

// fill reads until there are n bytes.
func (b *Body) fill(from io.Reader, n int) error {
	for len(b.data) < n {
		got, err := from.Read(b.data[len(b.data):n])
		b.data = b.data[:len(b.data)+got]
		b.upload.progress(int64(len(b.data)))
		if err != nil {
			return err
		}
	}
	return nil
}

// wantEnd returns more where there is more to read.
func wantEnd(from io.Reader, more error) error {
	var one [1]byte
	_, err := io.ReadFull(from, one[:])
	switch {
	case err == nil:
		return more
	case errors.Is(err, io.EOF):
		return nil
	}
	return err
}

// nextSize is twice the size, or all that can come where that is not much more.
func nextSize(size, most int64) int64 {
	if 4*size >= most {
		return most
	}
	return 2 * size
}

// grow makes room for size bytes in all.
func (b *Body) grow(size int) error {
	class, size := bufferClass(size)
	if err := b.upload.take(int64(size-cap(b.data)) * b.upload.weight); err != nil {
		return err
	}
	larger, used := newBuffer(class, size)
	if used {
		b.upload.budget.reuse(int64(size))
	}
	data := larger.bytes[:copy(larger.bytes, b.data)]
	b.free()
	b.buffer, b.data = larger, data
	return nil
}

// free releases the buffer.
func (b *Body) free() {
	if b.buffer == nil {
		return
	}
	size := int64(len(b.buffer.bytes))
	b.buffer.free()
	b.buffer, b.data = nil, nil
	b.upload.budget.discard(size)
}

// MarkVerified moves the body out of the share of unverified ones.
func (b *Body) MarkVerified() {
	if b.upload != nil {
		b.upload.verify()
	}
}

// Share adds a user. It returns false if the last one has gone.
func (b *Body) Share() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.users == 0 {
		return false
	}
	b.users++
	return true
}

// Drop takes a user away. With the last one its memory goes to other bodies, and the
// budget gets its bytes back.
func (b *Body) Drop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.users--
	if b.users > 0 || b.upload == nil {
		return
	}
	b.free()
	b.upload.give()
}
