//go:build linux

package load

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// conn is one connection, with at most one request under way.
type conn struct {
	index   int // among the run's connections
	fd      int
	busy    bool
	req     Request
	sent    int           // bytes of req
	blocked bool          // the rest of req waits for room in the socket
	meant   time.Duration // when the request was meant to start
	resp    response
}

// smallRequest is copied together and written at once: cheaper than two writes.
const smallRequest = 32 << 10

// dial connects and leaves the connection in non-blocking mode.
func dial(to *unix.SockaddrInet4) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("opening a socket: %w", err)
	}
	for _, step := range []func() error{
		func() error { return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) },
		func() error { return ignoringEINTR(func() error { return unix.Connect(fd, to) }) },
		func() error { return unix.SetNonblock(fd, true) },
	} {
		if err := step(); err != nil {
			return 0, errors.Join(fmt.Errorf("connecting: %w", err), unix.Close(fd))
		}
	}
	return fd, nil
}

// write sends as much of the request as the socket takes. Done reports that it
// was all of it.
func (c *conn) write(scratch []byte) (done bool, err error) {
	total := len(c.req.Head) + len(c.req.Tail)
	for c.sent < total {
		n, err := c.writeSome(scratch, total)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return false, nil
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return false, err
		default:
			c.sent += n
		}
	}
	return true, nil
}

func (c *conn) writeSome(scratch []byte, total int) (int, error) {
	switch {
	case c.sent >= len(c.req.Head):
		return unix.Write(c.fd, c.req.Tail[c.sent-len(c.req.Head):])
	case total <= smallRequest:
		whole := append(append(scratch[:0], c.req.Head[c.sent:]...), c.req.Tail...)
		return unix.Write(c.fd, whole)
	default:
		return unix.Writev(c.fd, [][]byte{c.req.Head[c.sent:], c.req.Tail})
	}
}

var errClosed = errors.New("the server closed the connection")

// read takes what has arrived. Done reports that the answer is complete.
func (c *conn) read(buf []byte) (done bool, err error) {
	for {
		n, err := unix.Read(c.fd, buf)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return false, nil
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return false, err
		case n == 0:
			return false, errClosed
		case !c.busy:
			return false, errors.New("bytes that nothing asked for")
		}
		if done, err = c.resp.feed(buf[:n]); done || err != nil || n < len(buf) {
			return done, err // less than there was room for: nothing more is there now
		}
	}
}

func ignoringEINTR(do func() error) error {
	for {
		if err := do(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
