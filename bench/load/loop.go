//go:build linux

package load

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// loop is the one thread that serves all connections of a run.
type loop struct {
	cfg     Config
	to      *unix.SockaddrInet4
	poller  poller
	conns   []*conn
	free    []*conn
	total   int // requests to start
	next    int // requests started
	busy    int
	begun   time.Time
	last    time.Duration // when the last answer came
	scratch []byte
	buf     []byte
	result  Result
}

func newLoop(c Config) (*loop, error) {
	addr, err := netip.ParseAddrPort(c.Addr)
	if err != nil || !addr.Addr().Is4() {
		return nil, fmt.Errorf("%q is no IPv4 address and port", c.Addr)
	}
	l := &loop{
		cfg: c, poller: poller{-1, -1},
		to:      &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()},
		scratch: make([]byte, 0, smallRequest), buf: make([]byte, smallRequest),
		total:  len(c.Requests),
		result: Result{Wrong: make(map[string]int), Latencies: make([]time.Duration, 0, len(c.Requests))},
	}
	switch {
	case c.Rate > 0:
		l.total = int(c.Rate * c.Duration.Seconds())
	case c.Cycle:
		l.total = math.MaxInt
	}
	err = l.poller.open()
	for err == nil && c.Rate == 0 && len(l.conns) < c.Conns {
		err = l.connect()
	}
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// connect opens another connection.
func (l *loop) connect() (err error) {
	c := &conn{index: len(l.conns)}
	if c.fd, err = dial(l.to); err != nil {
		return err
	}
	l.conns = append(l.conns, c)
	l.free = append(l.free, c)
	if err := l.poller.watch(unix.EPOLL_CTL_ADD, c, unix.EPOLLIN); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	return nil
}

func (l *loop) close() {
	for _, c := range l.conns {
		if c.fd >= 0 {
			_ = unix.Close(c.fd)
		}
	}
	l.poller.close()
}

func (l *loop) now() time.Duration { return time.Since(l.begun) }

// run starts requests until they or the time run out, and waits for what is under
// way then.
func (l *loop) run() error {
	l.begun = time.Now()
	if err := l.startAll(); err != nil {
		return err
	}
	events := make([]unix.EpollEvent, 256)
	for !l.finished() {
		n, err := unix.EpollWait(l.poller.epoll, events, 100)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("epoll: %w", err)
		}
		for _, event := range events[:max(n, 0)] {
			if event.Fd == timerID {
				continue // it is set anew below
			}
			if err := l.serve(l.conns[event.Fd], event.Events); err != nil {
				return err
			}
		}
		if err := l.startAll(); err != nil {
			return err
		}
	}
	l.finish()
	return nil
}

// startAll starts what is to be started now: on every free connection the next
// request, in an open loop as far as it is due.
func (l *loop) startAll() error {
	for (len(l.free) > 0 || len(l.conns) < l.cfg.Conns) && !l.ended() {
		meant := l.now()
		if l.cfg.Rate > 0 {
			due := time.Duration(float64(l.next) / l.cfg.Rate * float64(time.Second))
			if wait := due - meant; wait > 0 {
				return l.poller.setTimer(wait)
			}
			meant = due
		}
		if len(l.free) == 0 {
			if err := l.connect(); err != nil {
				return err
			}
		}
		c := l.free[len(l.free)-1]
		l.free = l.free[:len(l.free)-1]
		if err := l.start(c, meant); err != nil {
			return err
		}
	}
	return nil
}

// start sends the next request.
func (l *loop) start(c *conn, meant time.Duration) error {
	c.req = l.cfg.Requests[l.next%len(l.cfg.Requests)]
	c.busy, c.sent, c.meant = true, 0, meant
	c.resp.reset()
	l.next++
	l.busy++
	return l.send(c)
}

// send goes on with a request, and has epoll report when there is room for the rest of
// it.
func (l *loop) send(c *conn) error {
	done, err := c.write(l.scratch)
	if err != nil {
		return l.fail(c, err)
	}
	if c.blocked == !done {
		return nil
	}
	c.blocked = !done
	events := uint32(unix.EPOLLIN)
	if c.blocked {
		events |= unix.EPOLLOUT
	}
	return l.poller.watch(unix.EPOLL_CTL_MOD, c, events)
}

// serve handles a connection that epoll reports as ready.
func (l *loop) serve(c *conn, events uint32) error {
	if events&unix.EPOLLOUT != 0 && c.blocked {
		if err := l.send(c); err != nil {
			return err
		}
	}
	if events&^unix.EPOLLOUT == 0 {
		return nil
	}
	done, err := c.read(l.buf)
	switch {
	case err != nil && !c.busy:
		return l.reconnect(c) // between requests, as a server may
	case err != nil:
		return l.fail(c, err)
	case done:
		return l.answered(c)
	}
	return nil
}

// answered books an answer and frees its connection.
func (l *loop) answered(c *conn) error {
	now := l.now()
	l.last = now
	if c.resp.status == l.cfg.Want.Status && string(c.resp.guard) == l.cfg.Want.Guard {
		l.result.Done++
		if l.cfg.Duration == 0 || now <= l.cfg.Duration {
			l.result.InTime++
		}
		l.result.Latencies = append(l.result.Latencies, now-c.meant)
	} else {
		l.result.Wrong[fmt.Sprintf("%d %s", c.resp.status, c.resp.guard)]++
	}
	l.release(c)
	if c.resp.close || c.blocked { // or answered before all was sent
		return l.reconnect(c)
	}
	return nil
}

// fail books a request that gets no answer.
func (l *loop) fail(c *conn, cause error) error {
	l.result.Wrong[cause.Error()]++
	l.release(c)
	return l.reconnect(c)
}

func (l *loop) release(c *conn) {
	c.busy = false
	l.busy--
	l.free = append(l.free, c)
}

// reconnect replaces a connection that cannot be used again.
func (l *loop) reconnect(c *conn) error {
	if err := unix.Close(c.fd); err != nil { // epoll forgets it by itself
		return fmt.Errorf("closing a connection: %w", err)
	}
	var err error
	if c.fd, err = dial(l.to); err != nil {
		c.fd = -1
		return err
	}
	c.blocked = false
	return l.poller.watch(unix.EPOLL_CTL_ADD, c, unix.EPOLLIN)
}

// ended reports whether no further request will be started.
func (l *loop) ended() bool {
	return l.next >= l.total || l.cfg.Rate == 0 && l.cfg.Duration > 0 && l.now() >= l.cfg.Duration
}

// finished reports whether nothing is left to wait for. An open loop still sends
// overdue requests, which count with their whole delay.
func (l *loop) finished() bool {
	if l.ended() && l.busy == 0 {
		return true
	}
	end := l.cfg.Duration
	if l.cfg.Rate == 0 {
		end = max(end, l.last)
	}
	return l.now() > end+grace
}

func (l *loop) finish() {
	if l.busy > 0 {
		l.result.Wrong["no answer"] = l.busy
	}
	if l.cfg.Rate > 0 {
		l.result.Unsent = l.total - l.next
	}
	l.result.Elapsed = l.cfg.Duration
	if l.cfg.Rate == 0 && (l.next >= l.total || l.cfg.Duration == 0) {
		l.result.Elapsed, l.result.InTime = l.last, l.result.Done // the requests ran out
	}
}
