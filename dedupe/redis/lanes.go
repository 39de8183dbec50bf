package redis

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// laneCount is how many round trips are under way at once, at most. See ADR 0001.
	laneCount = 4
	// loneCalls is how many calls take a round trip each before further ones queue. Two
	// callers gain nothing by waiting for each other.
	loneCalls = 2
	// laneBatch bounds the calls of one round trip, and with it the claims that may
	// still take effect at a frozen server after their callers have given up.
	laneBatch = 32
	// laneWait is how long calls wait for a round trip that does not end.
	laneWait = time.Millisecond
)

// lanes sends script calls in batches. One or two calls at a time take a connection each,
// as the library does it. Further calls queue for the next round trip and share it, which
// costs the gateway and the server a fraction. Another lane, with a connection of its own,
// opens in two cases: a full batch has queued, or calls wait and no round trip has ended
// for laneWait. Then the server may be far, or the connections in use dead.
//
// Each caller keeps its own deadline. A call whose caller has given up leaves the queue.
// Sent once the server is back, it would be a claim that nobody holds.
type lanes struct {
	client redis.UniversalClient

	mu      sync.Mutex
	busy    int  // lanes in use
	sharing int  // those of them that send the queue
	ended   uint // round trips that have ended
	watched bool // whether watch will look at the queue
	queue   []*laneCall
}

// laneCall is one script call in the queue or in a batch.
type laneCall struct {
	ctx  context.Context
	cmd  *redis.Cmd
	done chan struct{} // closed when cmd has its answer
}

func newLanes(client redis.UniversalClient) *lanes {
	return &lanes{client: client}
}

// Do makes a call of these words. It keeps the slice.
func (l *lanes) Do(ctx context.Context, words ...any) *redis.Cmd {
	cmd := redis.NewCmd(ctx, words...)
	l.mu.Lock()
	if l.sharing == 0 && l.busy < loneCalls {
		l.busy++
		l.mu.Unlock()
		_ = l.client.Process(ctx, cmd)
		l.handOver()
		return cmd
	}
	call := &laneCall{ctx: ctx, cmd: cmd, done: make(chan struct{})}
	l.queue = append(l.queue, call)
	if len(l.queue)%laneBatch == 0 {
		l.open()
	}
	if !l.watched {
		l.watched = true
		l.watch()
	}
	l.mu.Unlock()

	select {
	case <-call.done:
	case <-ctx.Done():
		// The call itself may be on its way, and belongs to the batch.
		gone := redis.NewCmd(ctx, words...)
		gone.SetErr(ctx.Err())
		return gone
	}
	if err := cmd.Err(); err == nil || redis.HasErrorPrefix(err, "NOSCRIPT") {
		return cmd
	}
	// On its own the call gets the library's retries, which a batch does not.
	cmd = redis.NewCmd(ctx, words...)
	_ = l.client.Process(ctx, cmd)
	return cmd
}

// open sends the queue at once, if a lane is free. Needs mu.
func (l *lanes) open() {
	if l.busy < laneCount {
		l.busy++
		l.sharing++
		go l.drain()
	}
}

// watch opens a lane when calls wait for round trips that do not end. It looks at the
// queue every laneWait, which costs less than a timer for each call. Needs mu.
func (l *lanes) watch() {
	ended := l.ended
	time.AfterFunc(laneWait, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.watched = len(l.queue) > 0; !l.watched {
			return
		}
		if l.ended == ended {
			l.open()
		}
		l.watch()
	})
}

// handOver ends the round trip of a lone call. It leaves the lane to the calls that have
// queued meanwhile, if there are any: the caller does not wait for them.
func (l *lanes) handOver() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended++
	if len(l.queue) > 0 && l.sharing == 0 {
		l.sharing++
		go l.drain()
	} else {
		l.busy--
	}
}

// drain sends the queue until it is empty, and frees the lane.
func (l *lanes) drain() {
	for {
		// Lets the callers that just got their replies queue their next calls.
		runtime.Gosched()
		batch := l.take()
		if len(batch) == 0 {
			return
		}
		l.send(batch)
	}
}

// take returns the calls of the next round trip, without those whose callers have given
// up. If there are none, it frees the lane.
func (l *lanes) take() []*laneCall {
	l.mu.Lock()
	defer l.mu.Unlock()
	var batch []*laneCall
	n := 0
	for _, call := range l.queue {
		if len(batch) == laneBatch {
			break
		}
		n++
		if call.ctx.Err() == nil {
			batch = append(batch, call)
		}
	}
	rest := copy(l.queue, l.queue[n:])
	clear(l.queue[rest:])
	l.queue = l.queue[:rest]
	if len(batch) == 0 {
		l.busy--
		l.sharing--
	}
	return batch
}

// send makes one round trip for the batch, which ends when the last of its callers
// gives up.
func (l *lanes) send(batch []*laneCall) {
	var last time.Time
	pipe := l.client.Pipeline()
	for _, call := range batch {
		if end, ok := call.ctx.Deadline(); ok && end.After(last) {
			last = end
		}
		_ = pipe.Process(call.ctx, call.cmd)
	}
	ctx, cancel := context.WithDeadline(context.Background(), last)
	defer cancel()
	_, _ = pipe.Exec(ctx) // every call has its own answer or error
	l.mu.Lock()
	l.ended++
	l.mu.Unlock()
	for _, call := range batch {
		close(call.done)
	}
}
