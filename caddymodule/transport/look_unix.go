//go:build unix

package transport

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// look is one look at a socket, which takes nothing out of it. Its memory is used again.
type look struct {
	sockets [1]unix.PollFd
	silence bool
	poll    func(fd uintptr) bool // made once
}

// silent reports whether there is nothing to read, nor the end.
func (l *look) silent(raw syscall.RawConn) bool {
	if l.poll == nil {
		l.poll = func(fd uintptr) bool {
			l.sockets[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN} //nolint:gosec // as the system counts them
			n, err := unix.Poll(l.sockets[:], 0)
			l.silence = n == 0 && err == nil
			return true
		}
	}
	l.silence = false
	return raw.Read(l.poll) == nil && l.silence
}
