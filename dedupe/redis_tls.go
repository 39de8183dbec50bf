package dedupe

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// useTLS lays the caller's settings over what the URL asks for, and dials accordingly.
func useTLS(c *redis.Options, t *tls.Config) error {
	if t != nil {
		if c.Network == "unix" {
			return errSocketTLS
		}
		c.TLSConfig = t.Clone()
	}
	if c.TLSConfig == nil {
		return nil
	}
	if c.TLSConfig.ServerName == "" {
		host, _, err := net.SplitHostPort(c.Addr)
		if err != nil {
			return errURLSyntax
		}
		c.TLSConfig.ServerName = host
	}
	if c.TLSConfig.MinVersion == 0 {
		c.TLSConfig.MinVersion = tls.VersionTLS12
	}
	c.Dialer = dialTLS(c.TLSConfig)
	return nil
}

// dialTLS dials as the library would, and lets it see the socket below. The library
// peeks at an idle connection's socket before each use, but does not look through TLS:
// after a restart of the server every connection of the pool would cost an attempt, and
// the few retries of a step would not get past them.
func dialTLS(config *tls.Config) func(context.Context, string, string) (net.Conn, error) {
	d := tls.Dialer{NetDialer: &net.Dialer{KeepAlive: time.Minute}, Config: config}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := d.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return peekable{conn.(*tls.Conn)}, nil
	}
}

// peekable is a TLS connection that shows its socket. What arrives there unasked is the
// end of the connection, or a ticket that came late; either way a new one is in order.
type peekable struct{ *tls.Conn }

// SyscallConn implements syscall.Conn.
func (p peekable) SyscallConn() (syscall.RawConn, error) {
	socket, ok := p.NetConn().(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("connection to %s has no socket", p.RemoteAddr())
	}
	return socket.SyscallConn()
}
