//go:build unix

package transport

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// look is one look at a socket, which takes nothing out of it.
type look struct {
	one     [1]byte
	nothing bool
	peek    func(fd uintptr) bool // made once
}

// silent reports whether there is nothing to read, nor the end.
func (l *look) silent(raw syscall.RawConn) bool {
	if l.peek == nil {
		l.peek = func(fd uintptr) bool {
			_, _, err := unix.Recvfrom(int(fd), l.one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
			l.nothing = errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR)
			return true
		}
	}
	l.nothing = false
	return raw.Read(l.peek) == nil && l.nothing
}
