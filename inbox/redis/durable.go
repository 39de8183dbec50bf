package redis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// errNotDurable is returned where a write is not yet in a second place. It has happened all
// the same, so a copy of the event waits for the same thing again.
var errNotDurable = errors.New("durable: neither a replica nor the append-only file has the event yet")

// durably has a script of one lane keep an event. It returns when a replica has the event or,
// where there is none, the append-only file on the disk. Both are about what one connection
// wrote.
func (l *lanes) durably(ctx context.Context, sc *redis.Script, due string, args ...any) (int, error) {
	client, err := l.s.server(ctx, due)
	if err != nil {
		return 0, l.s.failure(err)
	}
	replicas, err := l.s.replicas.known(ctx, client)
	if err != nil {
		return 0, l.s.failure(err)
	}
	within := l.s.servers.Timeout().Milliseconds() / 2
	for {
		pipe := client.Pipeline()
		script := pipe.EvalSha(ctx, sc.Hash(), []string{due}, append([]any{l.s.offset()}, args...)...)
		second := []any{"waitaof", 1, 0, within}
		if replicas {
			second = []any{"wait", 1, within}
		}
		wait := pipe.Do(ctx, second...)
		_, _ = pipe.Exec(ctx) // each command has its own error
		if redis.HasErrorPrefix(script.Err(), "NOSCRIPT") {
			if err := sc.Load(ctx, client).Err(); err != nil {
				return 0, l.s.failure(err)
			}
			continue
		}
		n, err := script.Int()
		if err != nil {
			return 0, l.s.failure(err)
		}
		switch inbox.Answer(n) {
		case inbox.Accepted, inbox.Queued, inbox.Revived:
			return n, durable(wait, replicas)
		}
		return n, nil // nobody relies on what was written
	}
}

// durable reads the reply of WAIT or WAITAOF.
func durable(wait *redis.Cmd, replicas bool) error {
	if err := wait.Err(); err != nil {
		return fmt.Errorf("durable: it takes a replica, or appendonly yes and Redis 7.2: %w", err)
	}
	n, err := wait.Int64()
	if !replicas {
		var both []int64
		if both, err = wait.Int64Slice(); err == nil {
			n = both[0]
		}
	}
	if err == nil && n < 1 {
		err = errNotDurable
	}
	return err
}

// CheckDurable implements [inbox.DurableChecker].
func (q *queue) CheckDurable(ctx context.Context) error {
	ctx, cancel, err := q.s.step(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	if c, ok := q.s.client.(*redis.ClusterClient); ok {
		return q.s.failure(c.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error { return checkDurable(ctx, c) }))
	}
	return q.s.failure(checkDurable(ctx, q.s.client))
}

func checkDurable(ctx context.Context, c redis.Cmdable) error {
	info, err := c.Info(ctx).Result()
	if err != nil {
		return err
	}
	return durableBy(infoOf(info))
}

// durableBy is checkDurable by what a server says of itself.
func durableBy(has map[string]string) error {
	var major, minor int
	_, _ = fmt.Sscanf(has["redis_version"], "%d.%d", &major, &minor)
	waitsForFile := major > 7 || major == 7 && minor >= 2
	if has["connected_slaves"] != "0" || waitsForFile && has["aof_enabled"] == "1" {
		return nil
	}
	return fmt.Errorf("redis %s has no replica, and appendonly is %s: add a replica, or take Redis 7.2 with appendonly yes",
		has["redis_version"], map[string]string{"0": "no", "1": "yes"}[has["aof_enabled"]])
}

// server returns a client of the server that holds a key.
func (s *Store) server(ctx context.Context, key string) (*redis.Client, error) {
	switch c := s.client.(type) {
	case *redis.Client:
		return c, nil
	case *redis.ClusterClient:
		return c.MasterForKey(ctx, key)
	}
	return nil, errors.New("durable: the client is of an unknown kind")
}

// replicas remembers which servers have replicas.
type replicas struct {
	mu    sync.Mutex
	asked map[string]time.Time
	has   map[string]bool
}

// known reports whether the server has a replica, as of a few seconds ago at most. While one
// caller asks again, others go by what was known before, or ask for themselves: nobody waits
// for another's call, which may be to a server that does not answer.
func (r *replicas) known(ctx context.Context, c *redis.Client) (bool, error) {
	const fresh = 5 * time.Second
	name := c.Options().Addr
	r.mu.Lock()
	at, known := r.asked[name]
	has := r.has[name]
	if known && time.Since(at) < fresh {
		r.mu.Unlock()
		return has, nil
	}
	if known {
		r.asked[name] = time.Now()
	}
	r.mu.Unlock()
	info, err := c.Info(ctx, "replication").Result()
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		delete(r.asked, name)
		return false, err
	}
	if r.asked == nil {
		r.asked, r.has = make(map[string]time.Time), make(map[string]bool)
	}
	r.asked[name], r.has[name] = time.Now(), infoOf(info)["connected_slaves"] != "0"
	return r.has[name], nil
}
