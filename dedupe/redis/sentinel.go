package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// masterDialer dials the server that the sentinels name as the master, and keeps
// connections to no other.
//
// The library's failover client is not used. It asks one sentinel, within the deadline of
// the dial itself, and so never leaves a sentinel that has gone silent. If a machine that
// runs both the master and that sentinel is lost, it never finds the next master.
type masterDialer struct {
	name      string
	sentinels []*redis.SentinelClient
	below     dialFunc
	timeout   time.Duration // of one round of questions

	asking atomic.Bool
	asked  atomic.Int64 // when it was last asked in the background, in Unix nanoseconds

	mu    sync.Mutex
	addr  string // of the master, "" until it is known
	conns map[*masterConn]struct{}
}

// refreshAfter is how old the known master may be before a step has the sentinels asked
// again. It bounds how long a master that was replaced, but is still up, is used.
const refreshAfter = time.Second

// newMasterDialer bounds a round of questions by half a step. The other half is left for
// the master when a sentinel is silent.
func newMasterDialer(name string, at targets, below dialFunc, step time.Duration) *masterDialer {
	m := &masterDialer{name: name, below: below, timeout: step / 2, conns: make(map[*masterConn]struct{})}
	for i, addr := range at.addrs {
		c := boundByContext(m.timeout)
		c.Addrs, c.Dialer = []string{addr}, below
		c.Username, c.Password = at.users[i].Username(), password(at.users[i])
		c.PoolSize, c.MaxRetries = 4, 1
		m.sentinels = append(m.sentinels, redis.NewSentinelClient(c.Simple()))
	}
	return m
}

// dial implements the library's Dialer for the data's connections.
func (m *masterDialer) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	addr, err := m.master(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := m.below(ctx, network, addr)
	if err != nil {
		m.refresh()
		return nil, fmt.Errorf("master %s at %s: %w", m.name, addr, err)
	}
	c := &masterConn{Conn: conn, dialer: m}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.addr != addr { // replaced meanwhile: whoever uses the connection retries
		_ = conn.Close()
		return c, nil
	}
	m.conns[c] = struct{}{}
	return c, nil
}

// master returns the master's address as it was last known, or asks for it.
func (m *masterDialer) master(ctx context.Context) (string, error) {
	m.mu.Lock()
	addr := m.addr
	m.mu.Unlock()
	if addr != "" {
		return addr, nil
	}
	addr, err := m.ask(ctx)
	if err == nil {
		m.follow(addr)
	}
	return addr, err
}

// refreshIfOld asks again in the background, unless that was done just now.
func (m *masterDialer) refreshIfOld() {
	if time.Since(time.Unix(0, m.asked.Load())) > refreshAfter {
		m.refresh()
	}
}

// refresh asks in the background, once at a time.
func (m *masterDialer) refresh() {
	if !m.asking.CompareAndSwap(false, true) {
		return
	}
	m.asked.Store(time.Now().UnixNano())
	go func() {
		defer m.asking.Store(false)
		if addr, err := m.ask(context.Background()); err == nil {
			m.follow(addr)
		}
	}()
}

// follow records the master. It closes connections to any other server, those in use too:
// a server that is gone would never reply.
func (m *masterDialer) follow(addr string) {
	m.mu.Lock()
	var old []*masterConn
	if m.addr != addr {
		m.addr = addr
		for c := range m.conns {
			old = append(old, c)
		}
	}
	m.mu.Unlock()
	for _, c := range old {
		_ = c.Close()
	}
}

// ask asks all sentinels at once. It returns an address as soon as a majority names it,
// else the one that most name once each has replied or timed out. A single sentinel may
// not know of a failover yet.
func (m *masterDialer) ask(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	type answer struct {
		addr string
		err  error
	}
	answers := make(chan answer, len(m.sentinels))
	for _, s := range m.sentinels {
		go func() {
			found, err := s.GetMasterAddrByName(ctx, m.name).Result()
			switch {
			case errors.Is(err, redis.Nil):
				err = fmt.Errorf("sentinel knows no master %q", m.name)
			case err == nil && len(found) != 2:
				err = errors.New("sentinel answered something else than an address")
			}
			if err != nil {
				answers <- answer{err: err}
				return
			}
			answers <- answer{addr: net.JoinHostPort(found[0], found[1])}
		}()
	}
	named := make(map[string]int)
	most := ""
	var errs []error
	for range m.sentinels {
		a := <-answers
		if a.err != nil {
			errs = append(errs, a.err)
			continue
		}
		if named[a.addr]++; named[a.addr] > named[most] {
			most = a.addr
		}
		if named[most] > len(m.sentinels)/2 {
			break
		}
	}
	if most == "" {
		return "", fmt.Errorf("asking for the master: %w", errors.Join(errs...))
	}
	return most, nil
}

func (m *masterDialer) close() error {
	var errs []error
	for _, s := range m.sentinels {
		if err := s.Close(); !errors.Is(err, redis.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// masterConn is a connection that the dialer can end.
type masterConn struct {
	net.Conn
	dialer *masterDialer
}

// Close implements net.Conn.
func (c *masterConn) Close() error {
	c.dialer.mu.Lock()
	delete(c.dialer.conns, c)
	c.dialer.mu.Unlock()
	return c.Conn.Close()
}

// SyscallConn implements syscall.Conn: see dialer.
func (c *masterConn) SyscallConn() (syscall.RawConn, error) { return rawConn(c.Conn) }
