package caddymodule

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/internal/body"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

const (
	// maxShadowed bounds the bodies that guards in shadow mode hold, in bytes. They go on to the
	// app in any case, so they do not count against max_buffered, where they would keep others
	// waiting.
	maxShadowed = 64 << 20

	// A read takes as much as has been read already, within these. So an upload that brings
	// nothing costs next to nothing.
	leastShadowRead, mostShadowRead = 512, 32 << 10
)

// shadowed is how many bytes those bodies have.
var shadowed atomic.Int64

// shadowBody is a body that is read to be judged, and goes on to the app as it came: also
// where it was too large or too slow to be judged, or broke off.
type shadowBody struct {
	x     *exchange
	rest  io.ReadCloser // what has not been read; nil: the body has not been touched
	until time.Time     // the end of body_timeout
	read  bytes.Buffer
	came  http.Header // the request's trailers, which the server writes when the body ends: the app has its own, as that may be at any time
	held  atomic.Int64
	going chan shadowRead // a read that has not come back
	err   error           // how it ended, where that was not its end
	key   dedupe.Key      // what the event in it is recognised by where the guard enforces, for resign
}

// shadowRead is what one read has brought.
type shadowRead struct {
	data []byte
	err  error
}

// take reads the body into the event.
func (b *shadowBody) take(limit int64) *webhook.Refusal {
	r, timeout := b.x.r, b.x.guard.sender.Rules.BodyTimeout
	if r.ContentLength > limit {
		return webhook.Refuse(webhook.BodyTooLarge, "the body has %d bytes, the limit is %d", r.ContentLength, limit)
	}
	if b.rest == nil {
		b.rest, b.until = r.Body, time.Now().Add(timeout)
	}
	late := time.NewTimer(time.Until(b.until))
	defer late.Stop()
	for int64(b.read.Len()) <= limit {
		n := min(max(leastShadowRead, int64(b.read.Len())), mostShadowRead, limit+1-int64(b.read.Len())) // one byte too many shows that the body is too large
		got, ok := b.next(n, late.C)
		fits := b.hold(int64(len(got.data)))
		switch {
		case !ok:
			return webhook.Refuse(webhook.BodyTimeout, "the body took longer to come than body_timeout, %s", timeout)
		case errors.Is(got.err, io.EOF) && int64(b.read.Len()) > limit: // it came with one byte too many
			b.err = got.err
		case errors.Is(got.err, io.EOF):
			b.x.event.Own(body.Of(b.read.Bytes()))
			return nil
		case got.err != nil:
			b.err = got.err
			return webhook.Refuse(webhook.BodyUnreadable, "%w", got.err)
		case !fits:
			return webhook.Refuse(webhook.Overloaded, "guards in shadow mode hold %d MiB of bodies already", maxShadowed>>20)
		}
	}
	return webhook.Refuse(webhook.BodyTooLarge, "the body has more than %d bytes", limit)
}

// next reads at most n bytes, and false where they do not come in time. The connection has no
// deadline meanwhile: reaching it would end the request, which is the app's.
func (b *shadowBody) next(n int64, late <-chan time.Time) (got shadowRead, ok bool) {
	if b.going == nil {
		b.going = make(chan shadowRead, 1)
		go func(from io.Reader, to chan<- shadowRead) {
			data := make([]byte, n)
			read, err := from.Read(data)
			to <- shadowRead{data[:read], err}
		}(b.rest, b.going)
	}
	select {
	case got = <-b.going:
		b.going = nil
		b.read.Write(got.data)
		return got, true
	case <-late:
		return got, false
	}
}

// hold counts what has been read.
func (b *shadowBody) hold(n int64) bool {
	b.held.Add(n)
	return shadowed.Add(n) <= maxShadowed
}

// release counts it out. The app's transport may call it, too.
func (b *shadowBody) release() { shadowed.Add(-b.held.Swap(0)) }

// rewind gives the app the whole body: what was read, and what has not been.
func (b *shadowBody) rewind() {
	r := b.x.r
	if b.rest != nil {
		rest := &shadowRest{from: b.rest, going: b.going, err: b.err}
		read := &shadowStart{b.read.Bytes(), b.release}
		b.read = bytes.Buffer{} // the app's from here on
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(read, rest), b.rest}
	}
	if b.came != nil {
		r.Body = &shadowTrailers{r.Body, r.Body, b.came, r.Trailer}
	}
}

// shadowTrailers is a body as the app reads it. Its trailers come with its end, and those in the
// guard's own names are the sender's: the app gets the others.
type shadowTrailers struct {
	io.Reader
	io.Closer
	came, passed http.Header
}

func (t *shadowTrailers) Read(p []byte) (int, error) {
	n, err := t.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		maps.Copy(t.passed, t.came)
		stripOwnNames(t.passed)
	}
	return n, err
}

// shadowStart is what was read of a body. It is given back once the app has all of it.
type shadowStart struct {
	left []byte
	done func()
}

func (s *shadowStart) Read(p []byte) (int, error) {
	if len(s.left) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.left)
	if s.left = s.left[n:]; len(s.left) == 0 {
		s.left = nil
		s.done()
	}
	return n, nil
}

// shadowRest is what was not read of a body, after what a read brings that had not come back.
// It ends as the sender's connection did.
type shadowRest struct {
	from  io.Reader
	going chan shadowRead
	left  []byte
	err   error
}

func (s *shadowRest) Read(p []byte) (int, error) {
	if s.going != nil {
		got := <-s.going
		s.going, s.left, s.err = nil, got.data, got.err
	}
	switch {
	case len(s.left) > 0:
		n := copy(p, s.left)
		s.left = s.left[n:]
		return n, nil
	case s.err != nil:
		return 0, s.err
	}
	return s.from.Read(p)
}
