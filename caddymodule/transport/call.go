package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"sync"
	"time"
)

// call is one message on one connection, and then the body of its answer.
type call struct {
	transport *Transport
	conn      *conn
	ctx       context.Context
	trace     *httptrace.ClientTrace
	unwatch   func() bool   // ends the watch over ctx
	rest      chan struct{} // closes when the rest has been written; nil where there is none
	restErr   error         // once rest is closed
	body      io.ReadCloser // as http.ReadResponse made it
	reusable  bool          // the answer leaves the connection open

	mu       sync.Mutex
	answered bool
	late     *time.Timer
	tooLate  bool
	ended    bool
}

const (
	// atOnce is what a connection's send buffer has room for when nothing is under way, so
	// that the write cannot wait for the app.
	atOnce = 32 << 10
	// patience is how long a larger write may wait for the app to read. Then it goes on beside
	// the wait for the answer, since the app may answer before it reads.
	patience = 10 * time.Millisecond
	// step is what is written at once where each write has a time-out of its own.
	step = 64 << 10
	// lastWrite is how long the rest may take once the answer is there, as in net/http.
	lastWrite = 50 * time.Millisecond
	// lastAnswer is how long an answer is looked for where the write failed.
	lastAnswer = time.Second
)

// errNothingSent reports that a kept connection was closed before anything left.
var errNothingSent = errors.New("the app had closed the connection")

// roundTrip sends the message and reads the head of the answer, whose body then ends the
// call.
func roundTrip(t *Transport, c *conn, req *http.Request, m *message, trace *httptrace.ClientTrace) (*http.Response, error) {
	x := &call{transport: t, conn: c, ctx: req.Context(), trace: trace}
	// A deadline would do less: Caddy's own time-outs set deadlines too.
	x.unwatch = context.AfterFunc(x.ctx, c.abort)
	sent, err := x.write(m)
	if err != nil && sent == 0 && c.reused && x.ctx.Err() == nil {
		x.drop()
		return nil, errNothingSent
	}
	if x.rest == nil {
		m.traceHeader(req, trace)
		x.wrote(err)
	}
	if isTimeout(err) {
		return nil, x.fail(err)
	}
	if err != nil { // perhaps after an answer
		_ = c.SetReadDeadline(time.Now().Add(lastAnswer))
	}
	res, readErr := x.receive(req)
	switch {
	case readErr == nil:
		x.reusable = x.reusable && err == nil
		return x.answer(req, res, m.gzip), nil
	case err != nil:
		return nil, x.fail(err)
	}
	return nil, x.fail(readErr)
}

// write sends the message, or begins to: see rest. It reads the verified body from where it
// is. That is safe, since the message has the body on loan until it is released, and
// body.Reader.End waits for that before the memory is given to anything else.
func (x *call) write(m *message) (sent int64, err error) {
	c := x.conn
	if len(m.head)+len(m.body) <= atOnce {
		all := append(m.head, m.body...) //nolint:gocritic // the head's buffer has room behind it
		m.head = all[:len(m.head)]
		n, err := c.Write(all)
		return int64(n), err
	}
	vectors := net.Buffers{m.head, m.body}
	if c.resumable() {
		_ = c.SetWriteDeadline(time.Now().Add(patience))
		sent, err = vectors.WriteTo(c.socket)
		_ = c.SetWriteDeadline(time.Time{})
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return sent, err
		}
	}
	x.rest = make(chan struct{})
	go x.writeRest(m.detach(), vectors)
	return sent, nil
}

// writeRest writes what the app did not take at once. Over TLS that is all of a large
// message, since a write that is interrupted there cannot be taken up again.
func (x *call) writeRest(m *message, vectors net.Buffers) {
	defer close(x.rest)
	defer m.release()
	if x.conn.resumable() {
		_, x.restErr = vectors.WriteTo(x.conn.socket)
	} else {
		x.restErr = writeSteps(x.conn, vectors)
	}
	if x.restErr != nil { // perhaps after an answer
		_ = x.conn.SetReadDeadline(time.Now().Add(lastAnswer))
	}
	x.wrote(x.restErr)
}

func writeSteps(to io.Writer, vectors net.Buffers) error {
	for _, v := range vectors {
		for len(v) > 0 {
			n, err := to.Write(v[:min(len(v), step)])
			if err != nil {
				return err
			}
			v = v[n:]
		}
	}
	return nil
}

// wrote is called when nothing more is written.
func (x *call) wrote(err error) {
	if x.trace != nil && x.trace.WroteHeaders != nil {
		x.trace.WroteHeaders()
	}
	if x.trace != nil && x.trace.WroteRequest != nil {
		x.trace.WroteRequest(httptrace.WroteRequestInfo{Err: err})
	}
	limit := x.transport.settings().ResponseHeaderTimeout
	if limit <= 0 {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.answered {
		x.late = time.AfterFunc(limit, x.giveUp)
	}
}

// giveUp ends the wait for an answer.
func (x *call) giveUp() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.answered {
		x.tooLate = true
		_ = x.conn.socket.Close()
	}
}

// hasAnswer ends the time for that.
func (x *call) hasAnswer() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.answered = true
	if x.late != nil {
		x.late.Stop()
	}
}

// fail ends the call without an answer.
func (x *call) fail(err error) error {
	x.hasAnswer()
	x.finish(false)
	switch {
	case x.ctx.Err() != nil:
		return context.Cause(x.ctx)
	case x.tooLate:
		return errTooLate
	}
	return err
}

// drop ends the call for another one.
func (x *call) drop() {
	x.unwatch()
	_ = x.conn.Close()
}

// finish ends the call. The connection is kept where the answer is whole and the message
// too. Nothing reads the message afterwards.
func (x *call) finish(whole bool) {
	x.mu.Lock()
	ended := x.ended
	x.ended = true
	x.mu.Unlock()
	if ended {
		return
	}
	keep := x.unwatch() && whole && x.reusable && x.wroteAll()
	if keep {
		x.transport.pool.put(x.conn)
	} else {
		_ = x.conn.Close()
		if x.rest != nil {
			<-x.rest
		}
	}
	x.transport.pool.free(x.conn.to)
}

// wroteAll reports whether the app took the whole message. It may be about to.
func (x *call) wroteAll() bool {
	if x.rest == nil {
		return true
	}
	timer := time.NewTimer(lastWrite)
	defer timer.Stop()
	select {
	case <-x.rest:
		return x.restErr == nil
	case <-timer.C:
		return false
	}
}

func isTimeout(err error) bool {
	if err == nil {
		return false
	}
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// lateError is a net.Error, which the proxy makes a 504 of.
type lateError struct{}

var errTooLate net.Error = lateError{}

func (lateError) Error() string   { return "the app did not answer within response_header_timeout" }
func (lateError) Timeout() bool   { return true }
func (lateError) Temporary() bool { return true }
