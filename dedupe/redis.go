package dedupe

import (
	"context"
	"crypto/tls"
	_ "embed"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Defaults of RedisOptions.
const (
	DefaultRedisTimeout   = 500 * time.Millisecond
	DefaultRedisKeyPrefix = "wg:"
)

// minPoolSize keeps small gateways from queueing for connections when the server is a
// fraction of a millisecond away: see ADR 0001.
const minPoolSize = 64

var (
	//go:embed claim.lua
	claimSource string
	//go:embed renew.lua
	renewSource string
	//go:embed commit.lua
	commitSource string
	//go:embed release.lua
	releaseSource string
	//go:embed lookup.lua
	lookupSource string
	//go:embed forget.lua
	forgetSource string

	claimScript   = redis.NewScript(claimSource)
	renewScript   = redis.NewScript(renewSource)
	commitScript  = redis.NewScript(commitSource)
	releaseScript = redis.NewScript(releaseSource)
	lookupScript  = redis.NewScript(lookupSource)
	forgetScript  = redis.NewScript(forgetSource)
)

// RedisOptions configures NewRedis.
type RedisOptions struct {
	// URL is redis://[user:password@]host[:port][/db], rediss:// for TLS, or
	// unix:///path[?db=n]. Required.
	URL string
	// Username and Password, where set, take the place of the URL's.
	Username, Password string
	// DB, where not nil, takes the place of the URL's database number. Default: 0.
	DB *int
	// TLS configures TLS, and turns it on for redis:// URLs too. Its ServerName
	// defaults to the URL's host. Default: the system's roots for rediss://, else no TLS.
	TLS *tls.Config
	// PoolSize bounds the connections, which are opened as they are needed; each serves
	// one step at a time. Default: 64, or 10 per CPU where that is more.
	PoolSize int
	// Timeout is the one deadline for a whole step: waiting for a connection, dialling,
	// retries, and all keys of the event. Default: 500ms.
	Timeout time.Duration
	// KeyPrefix stands before every key, which is 22 characters of base64url.
	// Default: "wg:".
	KeyPrefix string
}

// Redis is a [Store] on a single Redis (6.2 or later) or Valkey server, shared by any
// number of gateways. Each step is one script call, so it happens as a whole or not at all.
type Redis struct {
	client  *redis.Client
	scripts redis.Scripter // the client, but for the benchmarks of ADR 0001
	timeout time.Duration
	prefix  string
}

// NewRedis returns a store on the server at o.URL. It does not dial: a server that is
// down makes the store's methods fail, each within o.Timeout, until it is back.
// No error of it quotes the URL.
func NewRedis(o RedisOptions) (*Redis, error) {
	c, err := parseURL(o.URL)
	if err != nil {
		return nil, err
	}
	if o.Username != "" {
		c.Username = o.Username
	}
	if o.Password != "" {
		c.Password = o.Password
	}
	if o.DB != nil {
		c.DB = *o.DB
	}
	if c.DB < 0 {
		return nil, fmt.Errorf("redis db is %d: it must not be negative", c.DB)
	}
	if err := useTLS(c, o.TLS); err != nil {
		return nil, err
	}
	r := &Redis{timeout: o.Timeout, prefix: o.KeyPrefix}
	if r.timeout <= 0 {
		r.timeout = DefaultRedisTimeout
	}
	if r.prefix == "" {
		r.prefix = DefaultRedisKeyPrefix
	}
	if c.PoolSize = o.PoolSize; c.PoolSize <= 0 {
		c.PoolSize = max(minPoolSize, 10*runtime.GOMAXPROCS(0))
	}
	boundByContext(c, r.timeout)
	r.client = redis.NewClient(c)
	r.scripts = r.client
	return r, nil
}

// boundByContext makes the context's deadline the only one. By default the library
// dials five times, retries three times and reads for five seconds each time.
func boundByContext(c *redis.Options, step time.Duration) {
	c.ContextTimeoutEnabled = true
	c.DialTimeout = step
	c.DialerRetries = 1
	c.PoolTimeout = step
	// Only a backstop: these count from a clock that the library reads every 50 ms, so
	// at the step's own length they would end early and be retried in vain.
	c.ReadTimeout = 2 * step
	c.WriteTimeout = 2 * step

	// Connections that died unseen, and a server that is just coming up, cost a retry
	// instead of the event. Scripts may run twice: see Store.
	c.MaxRetries = 3
	c.MinRetryBackoff = 5 * time.Millisecond
	c.MaxRetryBackoff = step / 4

	// Below the idle time-outs of the usual load balancers and NATs, which drop
	// connections without a word: the first command on such a one would take the whole step.
	c.ConnMaxIdleTime = 3 * time.Minute

	// RESP3 would let the server speak unasked. Without it, whatever there is to read on
	// an idle connection can only be the answer to a step that was given up, or its end.
	c.Protocol = 2

	// Handshake extras are round trips that nothing here uses.
	c.DisableIdentity = true
	c.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	// Nothing here sends pipelines: see ADR 0001.
	c.PipelinePoolSize = -1
	// Commands and replies are a few hundred bytes. The default is 32 KiB each.
	c.ReadBufferSize = 4 << 10
	c.WriteBufferSize = 4 << 10
}

// Addr returns the server's host:port or socket path, for logs. It holds no credentials.
func (r *Redis) Addr() string { return r.client.Options().Addr }

// Claim implements [Store].
func (r *Redis) Claim(ctx context.Context, ev Event, t Token, lease time.Duration) (Answer, error) {
	if err := checkClaim(ev, lease); err != nil {
		return Answer{}, fmt.Errorf("redis: claim: %w", err)
	}
	cmd := r.run(ctx, claimScript, r.keys(ev), t[:], millis(lease))
	reply, err := cmd.Text()
	if err != nil {
		return Answer{}, failed("claim", err)
	}
	if reply == "" {
		return Answer{State: Claimed}, nil
	}
	rec, err := decode(reply[1:])
	if err != nil {
		return Answer{}, failed("claim", err)
	}
	return rec.answer(ev, reply[0] == '1' && !ev.Content.IsZero()), nil
}

// Renew implements [Store].
func (r *Redis) Renew(ctx context.Context, ev Event, t Token, lease time.Duration) error {
	if err := checkClaim(ev, lease); err != nil {
		return fmt.Errorf("redis: renew: %w", err)
	}
	held, err := r.run(ctx, renewScript, r.keys(ev), t[:], millis(lease)).Int()
	if err == nil && held == 0 {
		err = ErrLost
	}
	return failed("renew", err)
}

// Commit implements [Store].
func (r *Redis) Commit(ctx context.Context, ev Event, status int, ttl time.Duration) error {
	if err := checkCommit(ev, status, ttl); err != nil {
		return fmt.Errorf("redis: commit: %w", err)
	}
	args := append(make([]any, 0, 3), millis(ttl))
	for k := range ev.keys() {
		var content Key
		if k == ev.ID {
			content = ev.Content
		}
		args = append(args, encode(status, content))
	}
	return failed("commit", r.run(ctx, commitScript, r.keys(ev), args...).Err())
}

// Release implements [Store].
func (r *Redis) Release(ctx context.Context, ev Event, t Token) error {
	if err := checkEvent(ev); err != nil {
		return fmt.Errorf("redis: release: %w", err)
	}
	return failed("release", r.run(ctx, releaseScript, r.keys(ev), t[:]).Err())
}

// Lookup implements [Store].
func (r *Redis) Lookup(ctx context.Context, k Key) (Record, error) {
	rec, _, err := r.lookup(ctx, k)
	return rec, failed("lookup", err)
}

// Forget implements [Store]. Where the server's reply is lost and the call retried, the
// answer may be Absent although a record was removed.
func (r *Redis) Forget(ctx context.Context, id Key) (Record, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	for {
		rec, value, err := r.lookup(ctx, id)
		if err != nil {
			return Record{}, failed("forget", err)
		}
		if rec.State == Absent {
			return rec, nil
		}
		// The content key's name comes from the record, and scripts may only touch keys
		// that they are given: so it takes two steps, and the second makes sure of the first.
		keys := r.keys(Event{Content: rec.Content, ID: id})
		removed, err := r.run(ctx, forgetScript, keys, value).Int()
		switch {
		case err != nil:
			return Record{}, failed("forget", err)
		case removed < 0:
			return Record{}, failed("forget", ErrInFlight)
		case removed > 0:
			return rec, nil
		}
	}
}

// Close implements [Store].
func (r *Redis) Close() error {
	if err := r.client.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
		return failed("close", err)
	}
	return nil
}

// run calls a script by its digest, or sends it where the server has not got it (yet,
// or any more), all within one step's deadline.
func (r *Redis) run(ctx context.Context, s *redis.Script, keys []string, args ...any) *redis.Cmd {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	return s.Run(ctx, r.scripts, keys, args...)
}

func (r *Redis) lookup(ctx context.Context, k Key) (rec Record, value string, err error) {
	reply, err := r.run(ctx, lookupScript, []string{r.prefix + k.String()}).Slice()
	if err != nil {
		return Record{}, "", err
	}
	value, ok := reply[0].(string)
	left, ok2 := reply[1].(int64)
	if !ok || !ok2 {
		return Record{}, "", errForeign
	}
	if rec, err = decode(value); err != nil || rec.State == Absent {
		return rec, value, err
	}
	rec.TTL = max(time.Duration(left)*time.Millisecond, 0)
	return rec, value, nil
}

func (r *Redis) keys(ev Event) []string {
	keys := make([]string, 0, 2)
	for k := range ev.keys() {
		keys = append(keys, r.prefix+k.String())
	}
	return keys
}

// errForeign is what a value under one of our keys means that we cannot have written.
var errForeign = errors.New("key holds something else: give the gateways a key_prefix or db of their own")

// encode makes a finished key's value. A bare status is an integer to Redis, which
// then needs no memory of its own.
func encode(status int, content Key) []byte {
	value := strconv.AppendInt(make([]byte, 0, 3+len(content)), int64(status), 10)
	if !content.IsZero() {
		value = append(value, content[:]...)
	}
	return value
}

// decode reads any value that the scripts store; "" is an absent key.
func decode(value string) (Record, error) {
	switch n := len(value); {
	case n == 0:
		return Record{State: Absent}, nil
	case value[0] == '*':
		return Record{State: InFlight}, nil
	case n != 3 && n != 3+len(Key{}):
		return Record{}, errForeign
	}
	status, err := strconv.ParseUint(value[:3], 10, 16)
	if err != nil {
		return Record{}, errForeign
	}
	rec := Record{State: Done, Status: int(status)}
	copy(rec.Content[:], value[3:])
	return rec, nil
}

// millis rounds up, so that what is positive stays so.
func millis(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}

// failed says which step went wrong. Nil stays nil.
func failed(step string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, redis.ErrClosed):
		err = ErrClosed
	}
	return fmt.Errorf("redis: %s: %w", step, err)
}
