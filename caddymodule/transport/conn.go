package transport

import (
	"bufio"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// upstream is what kept connections are told apart by. Without TLS it has no serverName.
type upstream struct{ network, address, serverName string }

// conn is a connection to the app.
type conn struct {
	net.Conn          // to write to: the socket, or TLS over it
	socket   net.Conn // may have Caddy's time-outs for each read and write
	raw      syscall.RawConn
	bare     bool // socket is the operating system's own, and nobody else sets deadlines
	state    *tls.ConnectionState

	to     upstream
	reader *bufio.Reader
	limit  int64 // how much may still be read
	reused bool
	since  time.Time // idle
	look   look
	abort  func() // closes the socket
}

func newConn(socket net.Conn, to upstream) *conn {
	c := &conn{Conn: socket, socket: socket, to: to, abort: func() { _ = socket.Close() }}
	switch socket.(type) {
	case *net.TCPConn, *net.UnixConn:
		c.bare = true
	}
	if s, ok := socket.(syscall.Conn); ok {
		c.raw, _ = s.SyscallConn()
	}
	return c
}

func (c *conn) secure(over *tls.Conn, state *tls.ConnectionState) {
	c.Conn, c.state = over, state
}

// resumable reports whether a write that was interrupted can be taken up again.
func (c *conn) resumable() bool { return c.bare && c.state == nil }

func (c *conn) ready(bufferSize int) {
	if bufferSize <= 0 {
		bufferSize = 4 << 10
	}
	c.reader = bufio.NewReaderSize(limitedConn{c}, bufferSize)
}

// limitedConn reads at most limit bytes of the connection.
type limitedConn struct{ *conn }

var errLimit = errors.New("the app's response headers are too long")

func (l limitedConn) Read(p []byte) (int, error) {
	if l.limit <= 0 {
		return 0, errLimit
	}
	if int64(len(p)) > l.limit {
		p = p[:l.limit]
	}
	n, err := l.Conn.Read(p)
	l.limit -= int64(n)
	return n, err
}

// usable reports whether a kept connection looks as it should: nothing has come, and the app
// has not closed it.
func (c *conn) usable() bool {
	if c.reader.Buffered() > 0 || c.raw == nil {
		return false
	}
	if c.state != nil && c.bare && !c.quiet() {
		return false
	}
	return c.look.silent(c.raw)
}

// past is a deadline that has been over for long.
var past = time.Unix(1, 0)

// quiet reports whether TLS has nothing more to say of what it has already received, such as
// the end. It reads nothing from the socket.
func (c *conn) quiet() bool {
	if c.SetReadDeadline(past) != nil {
		return false
	}
	var one [1]byte
	n, err := c.Conn.Read(one[:])
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && c.SetReadDeadline(time.Time{}) == nil
}
