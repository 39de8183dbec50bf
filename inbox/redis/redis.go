// Package redis is an [inbox.Store] on Redis (6.2 or later) or Valkey: a single server, a
// Sentinel set, or a Redis Cluster. Each step is a Lua script that stands beside the code.
package redis

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// clusterLanes is how many slots of a Cluster an inbox is spread over.
const clusterLanes = 16

// Servers are those that hold the events, and how to reach them. The dedupe store on the
// same servers has all that.
type Servers interface {
	// Client returns the client of the servers, which stays its owner's to close.
	Client() redis.UniversalClient
	// Begin is called before each step, and Failed with the error of a call.
	Begin()
	Failed(error)
	// KeyPrefix stands before every key.
	KeyPrefix() string
	// Timeout is the one deadline of a whole step.
	Timeout() time.Duration
	// Do sends a call of a script. Calls that come together share a round trip, where the
	// servers allow that.
	Do(ctx context.Context, words ...any) *redis.Cmd
}

// Store is an [inbox.Store] on the servers of a client.
//
// On a single server and a Sentinel set an inbox is one lane. In a Cluster it has 16, each
// in a slot of its own, and an event's key says which is its.
//
// Redis replicates asynchronously. A master that dies takes what it has acknowledged in its
// last moments with it, unless the inbox is durable.
type Store struct {
	servers Servers
	client  redis.UniversalClient
	prefix  string
	lanes   int
	skew    func() time.Duration // nil but in tests
	closed  atomic.Bool

	replicas replicas
}

// New returns a store on the servers. It does not dial.
func New(servers Servers) *Store {
	s := &Store{servers: servers, client: servers.Client(), prefix: servers.KeyPrefix(), lanes: 1}
	if _, cluster := s.client.(*redis.ClusterClient); cluster {
		s.lanes = clusterLanes
	}
	return s
}

// Queue implements [inbox.Store].
func (s *Store) Queue(name string, o inbox.Options) (inbox.Queue, error) {
	if err := inbox.CheckName(name); err != nil {
		return nil, err
	}
	if strings.ContainsAny(s.prefix, "{}") {
		return nil, errors.New("key_prefix holds a brace: these say in a Redis Cluster where a key is, and an inbox sets its own")
	}
	q := &queue{lanes: lanes{s: s, o: o}, names: registration{s: s, name: name}}
	for lane := range s.lanes {
		q.due = append(q.due, fmt.Sprintf("{%sinbox/%s/%d}due", s.prefix, name, lane))
	}
	return q, nil
}

// Names implements [inbox.Store].
func (s *Store) Names(ctx context.Context) ([]string, error) {
	ctx, cancel, err := s.step(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	names, err := s.client.SMembers(ctx, s.names()).Result()
	slices.Sort(names)
	return names, s.failure(err)
}

func (s *Store) names() string { return s.prefix + "inboxes" }

// Close implements [inbox.Store].
func (s *Store) Close() error {
	s.closed.Store(true)
	return nil
}

// Check implements [inbox.Checker]. A server that does not show its settings passes.
func (s *Store) Check(ctx context.Context) error {
	ctx, cancel, err := s.step(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	if c, ok := s.client.(*redis.ClusterClient); ok {
		return s.failure(c.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error { return checkServer(ctx, c) }))
	}
	return s.failure(checkServer(ctx, s.client))
}

func checkServer(ctx context.Context, c redis.Cmdable) error {
	info, err := c.Info(ctx, "memory").Result()
	var refusal redis.Error
	switch {
	case errors.As(err, &refusal):
		return nil // forbidden, as with some hosted servers
	case err != nil:
		return err
	}
	if policy, told := infoOf(info)["maxmemory_policy"]; told && policy != "noeviction" {
		return fmt.Errorf("%w: redis evicts keys when it is full, as maxmemory-policy is %s: set maxmemory-policy noeviction, or use another server", inbox.ErrUnsafe, policy)
	}
	return nil
}

// infoOf reads what a server says of itself.
func infoOf(text string) map[string]string {
	fields := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields
}

// step begins one step, which ends by the one deadline.
func (s *Store) step(ctx context.Context) (context.Context, context.CancelFunc, error) {
	if s.closed.Load() {
		return nil, nil, inbox.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	s.servers.Begin()
	ctx, cancel := context.WithTimeout(ctx, s.servers.Timeout())
	return ctx, cancel, nil
}

// failure is what the caller gets for an error of the client.
func (s *Store) failure(err error) error {
	if errors.Is(err, redis.ErrClosed) {
		return inbox.ErrClosed
	}
	if err != nil {
		s.servers.Failed(err)
	}
	return err
}

// offset is what tests add to the server's time, in ms.
func (s *Store) offset() int64 {
	if s.skew == nil {
		return 0
	}
	return s.skew().Milliseconds()
}

// largeCall is the size of an envelope from which on its call takes a round trip of its own,
// so that others do not wait for it.
const largeCall = 64 << 10

// run runs a script on one lane.
func (s *Store) run(ctx context.Context, sc *redis.Script, due string, args ...any) *redis.Cmd {
	return s.send(ctx, s.servers.Do, sc, due, args)
}

// runAlone is run in a round trip of its own.
func (s *Store) runAlone(ctx context.Context, sc *redis.Script, due string, args ...any) *redis.Cmd {
	return s.send(ctx, s.client.Do, sc, due, args)
}

func (s *Store) send(ctx context.Context, do func(context.Context, ...any) *redis.Cmd, sc *redis.Script, due string, args []any) *redis.Cmd {
	words := append(make([]any, 0, 5+len(args)), "evalsha", sc.Hash(), 1, due, s.offset())
	cmd := do(ctx, append(words, args...)...)
	if err := cmd.Err(); err != nil && redis.HasErrorPrefix(err, "NOSCRIPT") {
		cmd = sc.Eval(ctx, s.client, []string{due}, append([]any{s.offset()}, args...)...)
	}
	if err := cmd.Err(); err != nil {
		cmd.SetErr(s.failure(err))
	}
	return cmd
}

// queue is one inbox.
type queue struct {
	lanes
	names registration
}

// lanes are the parts of an inbox, and what is done in each of them.
type lanes struct {
	s   *Store
	o   inbox.Options
	due []string // the first key of each lane
}

// lane returns the first key of the lane of an event.
func (l *lanes) lane(k inbox.Key) string { return l.due[l.of(k)] }

func (l *lanes) of(k inbox.Key) int { return int(k[0]) % len(l.due) }

// limits are the options' limits of one lane.
func (l *lanes) limits() (events, bytes int64) {
	share := func(limit int64) int64 {
		if limit == 0 {
			return 0
		}
		return max(1, limit/int64(len(l.due)))
	}
	return share(l.o.MaxEvents), share(l.o.MaxBytes)
}

// registration adds an inbox's name to those of the store.
type registration struct {
	s    *Store
	name string

	mu   sync.Mutex
	last time.Time
}

// renew adds the name now and then, so that it is there before the first event and comes
// back where a server has lost it.
func (r *registration) renew(ctx context.Context) error {
	const every = time.Minute
	r.mu.Lock()
	fresh := !r.last.IsZero() && time.Since(r.last) < every
	r.mu.Unlock()
	if fresh {
		return nil
	}
	if err := r.s.client.SAdd(ctx, r.s.names(), r.name).Err(); err != nil {
		return r.s.failure(err)
	}
	r.mu.Lock()
	r.last = time.Now()
	r.mu.Unlock()
	return nil
}

func millis(d time.Duration) int64 { return d.Milliseconds() }

func flag(set bool) string {
	return strconv.Itoa(map[bool]int{true: 1}[set])
}

var (
	//go:embed lane.lua
	laneSource string
	//go:embed accept.lua
	acceptSource string
	//go:embed take.lua
	takeSource string
	//go:embed extend.lua
	extendSource string
	//go:embed settle.lua
	settleSource string
	//go:embed replay.lua
	replaySource string
	//go:embed delete.lua
	deleteSource string
	//go:embed control.lua
	controlSource string
	//go:embed gate.lua
	gateSource string
	//go:embed page.lua
	pageSource string
	//go:embed find.lua
	findSource string
	//go:embed get.lua
	getSource string
	//go:embed status.lua
	statusSource string

	acceptScript  = newScript(acceptSource)
	takeScript    = newScript(takeSource)
	extendScript  = newScript(extendSource)
	settleScript  = newScript(settleSource)
	replayScript  = newScript(replaySource)
	deleteScript  = newScript(deleteSource)
	controlScript = newScript(controlSource)
	gateScript    = newScript(gateSource)
	pageScript    = newScript(pageSource)
	findScript    = newScript(findSource)
	getScript     = newScript(getSource)
	statusScript  = newScript(statusSource)
)

func newScript(source string) *redis.Script { return redis.NewScript(laneSource + source) }

var (
	_ inbox.Store   = (*Store)(nil)
	_ inbox.Checker = (*Store)(nil)
	_ inbox.Queue   = (*queue)(nil)
)
