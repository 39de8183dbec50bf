package redis

import (
	"cmp"
	"context"
	"runtime"
	"slices"
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
// costs the gateway and the server a fraction. One of their callers makes it for all, so
// nobody is woken but who gets an answer. Another lane, with a connection of its own,
// opens in two cases: a full batch has queued, or calls wait and no round trip has ended
// for laneWait. Then the server may be far, or the connections in use dead.
//
// Each caller keeps its own deadline. A call whose caller has given up leaves the queue.
// Sent once the server is back, it would be a claim that nobody holds.
type lanes struct {
	client redis.UniversalClient

	mu      sync.Mutex
	busy    int         // lanes in use
	sharing int         // those of them that send the queue
	ended   uint        // round trips that have ended
	watched bool        // whether watch will look at the calls
	queue   []*laneCall // those that wait, and those that will lead and have not begun
	sent    [][]*laneCall
}

// laneCall is one script call in the queue or in a batch.
type laneCall struct {
	ctx   context.Context
	cmd   *redis.Cmd
	turns chan turn // holds the one that the caller waits for
	told  bool      // whether it has been sent; under the mutex of the lanes
}

// turn is what the caller of a queued call is woken for.
type turn int

const (
	answered turn = iota // the call has its answer, or its error
	leads                // it makes the next round trip, for itself and for others
	late                 // its deadline is over
)

// tell wakes the caller, unless it has been woken already. Needs the mutex.
func (c *laneCall) tell(t turn) bool {
	if c.told {
		return false
	}
	c.told = true
	c.turns <- t
	return true
}

func newLanes(client redis.UniversalClient) *lanes {
	return &lanes{client: client}
}

// Do makes a call of these words. It keeps the slice.
func (l *lanes) Do(ctx context.Context, words ...any) *redis.Cmd {
	cmd := redis.NewCmd(ctx, words...)
	call := l.enter(ctx, cmd)
	if call == nil {
		l.process(ctx, cmd)
		l.leave(false)
		return cmd
	}
	if err := l.await(call); err != nil {
		// The call itself may be on its way, and belongs to the batch.
		gone := redis.NewCmd(ctx, words...)
		gone.SetErr(err)
		return gone
	}
	if err := cmd.Err(); err == nil || redis.HasErrorPrefix(err, "NOSCRIPT") {
		return cmd
	}
	// On its own the call gets the library's retries, which a batch does not.
	cmd = redis.NewCmd(ctx, words...)
	l.process(ctx, cmd)
	return cmd
}

// process makes a round trip for one call.
func (l *lanes) process(ctx context.Context, cmd *redis.Cmd) {
	ctx, cancel := timed(ctx)
	defer cancel()
	_ = l.client.Process(ctx, cmd)
}

// enter takes a lane for a call by itself, and returns nil, or queues it.
func (l *lanes) enter(ctx context.Context, cmd *redis.Cmd) *laneCall {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sharing == 0 && l.busy < loneCalls {
		l.busy++
		return nil
	}
	call := &laneCall{ctx: ctx, cmd: cmd, turns: make(chan turn, 1)}
	l.queue = append(l.queue, call)
	if len(l.queue)%laneBatch == 0 {
		l.open()
	}
	if !l.watched {
		l.watched = true
		l.watch()
	}
	return call
}

// await waits for the answer to a queued call, and makes the round trip if that falls to
// it. It returns an error where the caller cannot wait any longer.
func (l *lanes) await(call *laneCall) error {
	var turn turn
	select {
	case turn = <-call.turns:
	case <-call.ctx.Done():
		l.mu.Lock()
		if call.tell(late) {
			l.unqueue(call)
		}
		l.mu.Unlock()
		turn = <-call.turns
	}
	if turn == leads {
		return l.lead(call)
	}
	if turn == late {
		return cmp.Or(call.ctx.Err(), context.DeadlineExceeded)
	}
	return nil
}

// lead makes the next round trip for the call and for others. The call is the youngest of
// those that waited, so its deadline is the last.
func (l *lanes) lead(call *laneCall) error {
	defer l.leave(true)
	batch := l.take(call)
	if len(batch) == 0 {
		return cmp.Or(call.ctx.Err(), context.DeadlineExceeded)
	}
	l.send(call.ctx, batch)
	l.end(call, batch)
	// Lets the callers that just got their replies queue their next calls.
	runtime.Gosched()
	return nil
}

// end hands out the answers of a round trip.
func (l *lanes) end(leading *laneCall, batch []*laneCall) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended++
	l.sent = slices.DeleteFunc(l.sent, func(b []*laneCall) bool { return &b[0] == &batch[0] })
	for _, c := range batch {
		if c != leading {
			c.tell(answered)
		}
	}
}

// leave ends a round trip. It hands the lane to the calls that have queued meanwhile, if
// there are any. The lane of a lone call goes to them only where no other sends the queue.
func (l *lanes) leave(shared bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy--
	if shared {
		l.sharing--
	} else {
		l.ended++
	}
	if shared || l.sharing == 0 {
		l.open()
	}
}

// open has the queue sent at once, if a lane is free. Needs the mutex.
func (l *lanes) open() {
	if l.busy < laneCount && l.promote() {
		l.busy++
		l.sharing++
	}
}

// promote has one call of the queue make the next round trip, the last that finds room in
// it. It returns false where no call waits. Needs the mutex.
func (l *lanes) promote() bool {
	for _, call := range slices.Backward(l.queue[:min(len(l.queue), laneBatch)]) {
		if call.tell(leads) {
			return true
		}
	}
	return false
}

// unqueue takes a call whose caller has given up from the queue. Needs the mutex.
func (l *lanes) unqueue(call *laneCall) {
	l.queue = slices.DeleteFunc(l.queue, func(c *laneCall) bool { return c == call })
}

// take returns the calls of the next round trip: the leading one's, and of those that wait
// as many as find room. There is none where the leading one's caller cannot wait.
func (l *lanes) take(leading *laneCall) []*laneCall {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unqueue(leading)
	if leading.ctx.Err() != nil {
		return nil
	}
	batch := make([]*laneCall, 0, min(1+len(l.queue), laneBatch))
	batch = append(batch, leading)
	l.queue = slices.DeleteFunc(l.queue, func(call *laneCall) bool {
		if call.told || len(batch) == laneBatch || call.ctx.Err() != nil {
			return false
		}
		batch = append(batch, call)
		return true
	})
	l.sent = append(l.sent, batch)
	return batch
}

// send makes one round trip for the batch.
func (l *lanes) send(ctx context.Context, batch []*laneCall) {
	ctx, cancel := timed(ctx)
	defer cancel()
	pipe := l.client.Pipeline()
	for _, call := range batch {
		_ = pipe.Process(ctx, call.cmd)
	}
	_, _ = pipe.Exec(ctx) // every call has its own answer or error
}

// watch opens a lane when calls wait for round trips that do not end, and wakes those
// whose deadlines are over. It looks every laneWait, which costs less than a timer for each
// call. Needs the mutex.
func (l *lanes) watch() {
	ended := l.ended
	time.AfterFunc(laneWait, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.watched = len(l.queue)+len(l.sent) > 0; !l.watched {
			return
		}
		over := func(call *laneCall) bool { return call.ctx.Err() != nil && call.tell(late) }
		l.queue = slices.DeleteFunc(l.queue, over)
		for _, batch := range l.sent {
			for _, call := range batch {
				over(call)
			}
		}
		if len(l.queue) > 0 && l.ended == ended {
			l.open()
		}
		l.watch()
	})
}
