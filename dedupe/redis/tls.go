package redis

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"syscall"
	"time"
)

type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// dialer returns a function that dials servers, with TLS where the settings are not nil.
// It dials as the library would, and lets it see the socket below TLS. The library checks
// an idle connection's socket before each use, but not through TLS. After a restart of the
// server every connection of the pool would cost an attempt, more than the retries of a
// step.
func dialer(settings *tls.Config) dialFunc {
	below := &net.Dialer{KeepAlive: time.Minute}
	if settings == nil {
		return below.DialContext
	}
	d := tls.Dialer{NetDialer: below, Config: settings}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := d.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return peekable{conn.(*tls.Conn)}, nil
	}
}

// peekable is a TLS connection that shows its socket. Anything to read there while it is
// idle is the end of the connection, or a late session ticket. Either way the library
// dials a new one.
type peekable struct{ *tls.Conn }

// SyscallConn implements syscall.Conn.
func (p peekable) SyscallConn() (syscall.RawConn, error) { return rawConn(p.NetConn()) }

func rawConn(c net.Conn) (syscall.RawConn, error) {
	socket, ok := c.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("connection to %s has no socket", c.RemoteAddr())
	}
	return socket.SyscallConn()
}
