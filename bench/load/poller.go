//go:build linux

package load

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// poller tells which connections are ready, and when a time has come.
type poller struct{ epoll, timer int }

// timerID stands for the timer among the events, where connections have their index.
const timerID = -1

func (p *poller) open() (err error) {
	if p.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	// The runtime's timers come up to a millisecond late, which is as much as the
	// latencies that are measured; the kernel's are exact.
	if p.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err != nil {
		return fmt.Errorf("timer: %w", err)
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: timerID}
	if err := unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, p.timer, &event); err != nil {
		return fmt.Errorf("timer: %w", err)
	}
	return nil
}

func (p *poller) watch(op int, c *conn, events uint32) error {
	// The event's Fd is ours to choose: the index saves a look-up.
	return unix.EpollCtl(p.epoll, op, c.fd, &unix.EpollEvent{Events: events, Fd: int32(c.index)})
}

func (p *poller) setTimer(wait time.Duration) error {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(wait))}
	return unix.TimerfdSettime(p.timer, 0, &spec, nil)
}

func (p *poller) close() {
	for _, fd := range []int{p.epoll, p.timer} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}
