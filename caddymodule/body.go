package caddymodule

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// firstChunk is how much is set aside for a body before any of it has arrived,
// whatever its sender claims that it will send.
const firstChunk = 8 << 10

// body is a request's body, held in memory once and counted against the budget.
// Copies of one event that wait for the first share its body.
type body struct {
	data   []byte // within buffer
	buffer *buffer
	budget *budget

	mu       sync.Mutex
	users    int
	counted  int64 // bytes of the budget that it holds
	verified bool
}

// readBody reads a request's body within limit bytes and timeout.
func readBody(w http.ResponseWriter, r *http.Request, limit int64, timeout time.Duration, budget *budget) (*body, *refusal) {
	until := time.Now().Add(timeout)
	conn := readDeadliner(w)
	if r.ContentLength > limit {
		boundRest(conn, until)
		return nil, refuse(ResultBodyTooLarge, "the body has %d bytes, more than max_body, %d", r.ContentLength, limit)
	}
	up := budget.begin(conn, until)
	b := &body{budget: budget, users: 1}
	err := b.read(r.Body, up, r.ContentLength, limit)
	if err != nil {
		b.free()
	}
	evicted := up.end(err != nil)
	if err != nil {
		if !up.interrupted {
			boundRest(conn, until)
		}
		if evicted && errors.Is(err, os.ErrDeadlineExceeded) {
			err = errEvicted
		}
		return nil, refuseBody(err, limit, timeout)
	}
	b.counted = up.held
	if up.interrupted {
		// Just too late. The server goes on reading, to learn of a hang-up.
		_ = conn.SetReadDeadline(time.Time{})
	}
	return b, nil
}

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

// boundRest is for requests that are answered before all of their body has come: the
// server reads what is left of a short one first.
func boundRest(conn deadliner, until time.Time) {
	if conn != nil {
		_ = conn.SetReadDeadline(until)
	}
}

var (
	errTooLarge          = errors.New("too large")
	errMoreThanAnnounced = errors.New("more bytes than were announced")
)

func refuseBody(err error, limit int64, timeout time.Duration) *refusal {
	var tooLarge *http.MaxBytesError // of request_body's max_size, or the like
	switch {
	case errors.As(err, &tooLarge):
		return refuse(ResultBodyTooLarge, "the body has more than %d bytes", tooLarge.Limit)
	case errors.Is(err, errTooLarge):
		return refuse(ResultBodyTooLarge, "the body has more bytes than max_body, %d", limit)
	case errors.Is(err, errOverBudget):
		return &refusal{ResultOverloaded, err}
	case errors.Is(err, errEvicted):
		return &refusal{ResultBodyTimeout, err}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return refuse(ResultBodyTimeout, "the body took longer than body_timeout, %s", timeout)
	}
	return refuse(ResultBodyUnreadable, "reading the body: %w", err)
}

// read fills b. Its buffer grows with what has arrived, so that a sender who
// announces much and sends little holds little.
func (b *body) read(from io.Reader, up *upload, announced, limit int64) error {
	if from == nil || announced == 0 {
		return nil
	}
	most, more := limit, errTooLarge
	if announced > 0 {
		most, more = announced, errMoreThanAnnounced
	}
	for size := min(firstChunk, most); ; size = nextSize(int64(len(b.data)), most) {
		if err := b.grow(up, int(size)); err != nil {
			return err
		}
		err := b.fill(from, up, int(min(int64(cap(b.data)), most)))
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
func (b *body) fill(from io.Reader, up *upload, n int) error {
	for len(b.data) < n {
		got, err := from.Read(b.data[len(b.data):n])
		b.data = b.data[:len(b.data)+got]
		up.progress(int64(len(b.data)))
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
func (b *body) grow(up *upload, size int) error {
	class, size := bufferClass(size)
	if err := up.take(int64(size - cap(b.data))); err != nil {
		return err
	}
	larger, used := newBuffer(class, size)
	if used {
		b.budget.reuse(int64(size))
	}
	data := larger.bytes[:copy(larger.bytes, b.data)]
	b.free()
	b.buffer, b.data = larger, data
	return nil
}

// free gives the buffer away.
func (b *body) free() {
	if b.buffer == nil {
		return
	}
	size := int64(len(b.buffer.bytes))
	b.buffer.free()
	b.buffer, b.data = nil, nil
	b.budget.discard(size)
}

// markVerified moves the body out of the share of unverified ones.
func (b *body) markVerified() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.verified {
		b.verified = true
		b.budget.verify(b.counted)
	}
}

// share adds a user, unless the last one has gone.
func (b *body) share() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.users == 0 {
		return false
	}
	b.users++
	return true
}

// drop takes a user away. With the last one its memory goes to other bodies, and the
// budget gets its bytes back.
func (b *body) drop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.users--
	if b.users == 0 {
		b.free()
		b.budget.give(b.counted, b.verified)
		b.counted = 0
	}
}
