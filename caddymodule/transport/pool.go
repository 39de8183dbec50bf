package transport

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// pool keeps the connections that no event uses. The newest is used first, so that what is
// not needed grows old and is closed.
type pool struct {
	perUpstream int           // kept for each
	all         int           // kept at all; 0 is any number
	idleTime    time.Duration // 0 is for ever
	atOnce      int           // in use for each upstream; 0 is any number

	mu       sync.Mutex
	closed   bool
	idle     map[upstream][]*conn // the newest is the last
	count    int
	sweeping bool
	http2    map[upstream]struct{}
	slots    map[upstream]chan struct{}
}

// limit takes the limits that Caddy's transport has made of its configuration.
func (p *pool) limit(settings *http.Transport) {
	p.perUpstream, p.all = settings.MaxIdleConnsPerHost, settings.MaxIdleConns
	p.idleTime, p.atOnce = settings.IdleConnTimeout, settings.MaxConnsPerHost
	if settings.DisableKeepAlives {
		p.perUpstream = -1
	}
	p.idle = make(map[upstream][]*conn)
	p.http2 = make(map[upstream]struct{})
	p.slots = make(map[upstream]chan struct{})
}

// take waits until the upstream may be sent one more request at once. The connections of
// each are never more than that: a new one is only made where none is idle.
func (p *pool) take(ctx context.Context, to upstream) error {
	if p.atOnce <= 0 {
		return nil
	}
	select {
	case p.slotsOf(to) <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// free ends what take began.
func (p *pool) free(to upstream) {
	if p.atOnce > 0 {
		<-p.slotsOf(to)
	}
}

func (p *pool) slotsOf(to upstream) chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	slots, ok := p.slots[to]
	if !ok {
		slots = make(chan struct{}, p.atOnce)
		p.slots[to] = slots
	}
	return slots
}

// get returns the newest connection that can be used, or nil.
func (p *pool) get(to upstream) *conn {
	for {
		c := p.newest(to)
		if c == nil || c.fresh(p.idleTime) && c.usable() {
			return c
		}
		_ = c.Close()
	}
}

func (p *pool) newest(to upstream) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	conns := p.idle[to]
	if len(conns) == 0 {
		return nil
	}
	c := conns[len(conns)-1]
	conns[len(conns)-1] = nil
	p.idle[to] = conns[:len(conns)-1]
	p.count--
	return c
}

func (c *conn) fresh(limit time.Duration) bool { return limit <= 0 || time.Since(c.since) < limit }

// put keeps the connection for the next event, or closes it.
func (p *pool) put(c *conn) {
	c.since = time.Now()
	p.mu.Lock()
	conns := p.idle[c.to]
	kept := !p.closed && len(conns) < p.perUpstream
	if kept {
		p.idle[c.to] = append(conns, c)
		p.count++
		p.sweepIn(p.idleTime)
	}
	var dropped *conn
	if p.all > 0 && p.count > p.all {
		dropped = p.oldest()
	}
	p.mu.Unlock()
	if !kept {
		_ = c.Close()
	}
	if dropped != nil {
		_ = dropped.Close()
	}
}

// oldest takes the connection out that has been idle for longest.
func (p *pool) oldest() *conn {
	var of upstream
	var oldest *conn
	for to, conns := range p.idle {
		if len(conns) > 0 && (oldest == nil || conns[0].since.Before(oldest.since)) {
			of, oldest = to, conns[0]
		}
	}
	if oldest != nil {
		p.cut(of, 1)
	}
	return oldest
}

// cut takes the n oldest connections of an upstream out.
func (p *pool) cut(to upstream, n int) {
	conns := p.idle[to]
	left := copy(conns, conns[n:])
	clear(conns[left:])
	p.idle[to] = conns[:left]
	p.count -= n
}

// sweepIn sees to it that what nobody uses is closed. One timer does for all.
func (p *pool) sweepIn(wait time.Duration) {
	if !p.sweeping && p.idleTime > 0 {
		p.sweeping = true
		time.AfterFunc(wait, p.sweep)
	}
}

// sweep closes what is too old, and comes again when the next one is.
func (p *pool) sweep() {
	p.mu.Lock()
	p.sweeping = false
	var old []*conn
	next := p.idleTime
	for to, conns := range p.idle {
		n := 0
		for n < len(conns) && !conns[n].fresh(p.idleTime) {
			n++
		}
		old = append(old, conns[:n]...)
		p.cut(to, n)
		if conns = p.idle[to]; len(conns) == 0 {
			delete(p.idle, to)
			continue
		}
		next = min(next, time.Until(conns[0].since.Add(p.idleTime)))
	}
	if len(p.idle) > 0 {
		p.sweepIn(next)
	}
	p.mu.Unlock()
	closeAll(old)
}

// close closes what is idle, and from then on whatever is put.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	var conns []*conn
	for _, idle := range p.idle {
		conns = append(conns, idle...)
	}
	clear(p.idle)
	p.count = 0
	p.mu.Unlock()
	closeAll(conns)
}

func closeAll(conns []*conn) {
	for _, c := range conns {
		_ = c.Close()
	}
}

// mostHTTP2 bounds what is remembered: an upstream may be a placeholder.
const mostHTTP2 = 1024

// markHTTP2 remembers that an upstream prefers HTTP/2.
func (p *pool) markHTTP2(to upstream) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.http2) >= mostHTTP2 {
		clear(p.http2)
	}
	p.http2[to] = struct{}{}
}

func (p *pool) speaksHTTP2(to upstream) bool {
	if to.serverName == "" {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, speaks := p.http2[to]
	return speaks
}
