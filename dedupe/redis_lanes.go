package dedupe

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// laneCount is how many round trips are under way at once before script calls
	// begin to share them. See ADR 0001.
	laneCount = 4
	// laneBatch bounds the calls of one round trip, and with it the claims that may
	// still take effect at a server that froze after their callers had given up.
	laneBatch = 32
)

// lanes sends script calls. While few are under way each takes a connection for
// itself, as the library does it; beyond that they queue for a moment, and those that
// came together travel together, which costs the gateway and the server a fraction.
//
// Each caller keeps its own deadline. A call whose caller has given up is taken from the
// queue, not sent once the server is back: it would be a claim that nobody holds.
type lanes struct {
	redis.Scripter // what is rare goes straight
	client         redis.UniversalClient

	mu    sync.Mutex
	busy  int
	queue []*laneCall
}

// laneCall is one script call that waits or travels with others.
type laneCall struct {
	ctx  context.Context
	cmd  *redis.Cmd
	done chan struct{} // closed when cmd has its answer
}

func newLanes(client redis.UniversalClient) *lanes {
	return &lanes{Scripter: client, client: client}
}

// Eval implements redis.Scripter.
func (l *lanes) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	return l.do(ctx, scriptCall("eval", script, keys, args))
}

// EvalSha implements redis.Scripter.
func (l *lanes) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	return l.do(ctx, scriptCall("evalsha", sha, keys, args))
}

// scriptCall returns the words of a call, of which a command can be made more than once.
func scriptCall(name, script string, keys []string, args []any) []any {
	words := make([]any, 0, 3+len(keys)+len(args))
	words = append(words, name, script, len(keys))
	for _, key := range keys {
		words = append(words, key)
	}
	return append(words, args...)
}

func (l *lanes) do(ctx context.Context, words []any) *redis.Cmd {
	cmd := redis.NewCmd(ctx, words...)
	l.mu.Lock()
	if l.busy < laneCount {
		l.busy++
		l.mu.Unlock()
		_ = l.client.Process(ctx, cmd)
		if batch := l.take(); len(batch) > 0 {
			go l.drain(batch)
		}
		return cmd
	}
	call := &laneCall{ctx: ctx, cmd: cmd, done: make(chan struct{})}
	l.queue = append(l.queue, call)
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
	// By itself it gets the library's retries: they do not reach into a batch.
	cmd = redis.NewCmd(ctx, words...)
	_ = l.client.Process(ctx, cmd)
	return cmd
}

// drain sends a batch, and what has queued meanwhile until there is nothing left.
func (l *lanes) drain(batch []*laneCall) {
	for ; len(batch) > 0; batch = l.take() {
		l.send(batch)
	}
}

// take is called at the end of a round trip, and returns the calls for the next one that
// are still wanted. Without any, the lane is free.
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
	for _, call := range batch {
		close(call.done)
	}
}
