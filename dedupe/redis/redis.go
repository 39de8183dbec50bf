// Package redis is a [dedupe.Store] on Redis or Valkey: a single server, a Sentinel set,
// or a Redis Cluster. Each operation is a Lua script that stands beside the code.
package redis

import (
	"crypto/tls"
	"errors"
	"net"
	"runtime"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

// Defaults of Options.
const (
	DefaultTimeout   = 500 * time.Millisecond
	DefaultKeyPrefix = "wg:"
)

// minPoolSize keeps small gateways from queueing for connections when the server is a
// fraction of a millisecond away: see ADR 0001.
const minPoolSize = 64

// Options configures [New].
type Options struct {
	// URLs are redis://[user:password@]host[:port][/db], rediss:// for TLS, or
	// unix:///path[?db=n]. One is a single server; several, which may be any of its nodes,
	// are a Redis Cluster; with Sentinel, they are the sentinels, best all of them.
	// Required; all of one scheme.
	URLs []string
	// Cluster makes a Redis Cluster of a single URL too.
	Cluster bool
	// Sentinel, where not empty, is the name under which the sentinels at URLs know the
	// master.
	Sentinel string
	// Username and Password are for the servers that hold the data, every node of a
	// Cluster included. Where set, they take the place of the URLs', which have to agree.
	// With Sentinel, the URLs' are for the sentinels, each its own, and for these only.
	Username, Password string
	// DB, where not nil, takes the place of the URL's database number. Default: 0, which
	// is the only one of a Cluster.
	DB *int
	// TLS configures TLS, and turns it on for redis:// URLs too; for sentinels as for the
	// servers that they name. Its ServerName defaults to the host that is dialled, so the
	// certificates of a Cluster's nodes must be for what the nodes announce. Default: the
	// system's roots for rediss://, else no TLS.
	TLS *tls.Config
	// PoolSize bounds the connections, to each node of a Cluster. They are opened as they
	// are needed; each serves one step at a time. Default: 64, or 10 per CPU where that is
	// more.
	PoolSize int
	// Timeout is the one deadline for a whole step: waiting for a connection, finding the
	// master, dialling, retries, and all keys of the event. Default: 500ms.
	Timeout time.Duration
	// KeyPrefix stands before every key, which is 22 characters of base64url.
	// Default: "wg:".
	KeyPrefix string
}

// Store is a [dedupe.Store] on Redis (6.2 or later) or Valkey, shared by any number of
// gateways. A failover needs no restart: steps fail until the new master is there, each
// within its deadline.
//
// On a single server and a Sentinel set each step is one script call, so it happens as a
// whole or not at all. In a Cluster an event's content and ID live on different nodes, so
// a step on both is one call for each, content before ID, and others may look in between:
//   - A claim that will be refused its ID holds the content for a moment. Another claim on
//     the content is answered InFlight meanwhile, and its caller asks again. Only an
//     attempt that holds both keys owns the event, and a key has one holder.
//   - A commit may have reached the content and not yet, or in a crash never, the ID. A
//     copy is a duplicate by its content. An event that shares only the ID waits until the
//     claim is committed or lapses. Committing again completes the commit.
//   - A renewal looks at both keys before it renews either. If one is lost between these
//     two steps, the other still gets a new lease, until it is released or lapses.
//   - A forget removes the content first. If it ends there, the ID still names the content
//     and forgetting can be repeated.
//
// Redis replicates asynchronously. A master that dies takes the claims and commits of its
// last moments with it, which no client can prevent. The replica that takes over lets
// their duplicates through.
type Store struct {
	servers
	apart bool // the keys of an event are on different nodes
	addr  string
}

// New returns a store on the servers that the options name. It does not dial: while servers
// are down, the store's methods fail, each within o.Timeout. Its errors never quote a URL.
func New(o Options) (*Store, error) {
	targets, err := parseURLs(o)
	if err != nil {
		return nil, err
	}
	r := &Store{servers: servers{timeout: o.Timeout, prefix: o.KeyPrefix}, apart: o.cluster()}
	if r.timeout <= 0 {
		r.timeout = DefaultTimeout
	}
	if r.prefix == "" {
		r.prefix = DefaultKeyPrefix
	}
	c := boundByContext(r.timeout)
	if c.PoolSize = o.PoolSize; c.PoolSize <= 0 {
		c.PoolSize = max(minPoolSize, 10*runtime.GOMAXPROCS(0))
	}
	c.Username, c.Password, c.DB = targets.username, targets.password, targets.db
	c.Addrs = targets.addrs
	dial := dialer(targets.tls)
	c.Dialer = dial
	r.addr = strings.Join(targets.addrs, ",")

	switch {
	case r.apart:
		r.client = newCluster(c, r.timeout)
	case o.Sentinel != "":
		r.master = newMasterDialer(o.Sentinel, targets, dial, r.timeout)
		c.Dialer = r.master.dial
		r.client = redis.NewClient(c.Simple())
		r.addr = o.Sentinel + "@" + r.addr
	default:
		simple := c.Simple()
		simple.Network = targets.network
		r.client = redis.NewClient(simple)
	}
	r.calls = r.client
	if !r.apart {
		// In a Cluster one silent node would hold up the calls for all others.
		r.calls = newLanes(r.client)
	}
	return r, nil
}

// boundByContext makes the context's deadline the only one. By default the library
// dials five times, retries three times and reads for five seconds each time.
func boundByContext(step time.Duration) *redis.UniversalOptions {
	return &redis.UniversalOptions{
		ContextTimeoutEnabled: true,
		DialTimeout:           step,
		DialerRetries:         1,
		PoolTimeout:           step,
		// Only a backstop. The library reads its clock for these every 50 ms, so at the
		// step's own length they would end early and be retried in vain.
		ReadTimeout:  2 * step,
		WriteTimeout: 2 * step,

		// Connections that died unseen, and a server that is just coming up, cost a retry
		// instead of the event. Scripts may run twice: see Store.
		MaxRetries:      3,
		MinRetryBackoff: 5 * time.Millisecond,
		MaxRetryBackoff: step / 4,

		// Below the idle time-outs of the usual load balancers and NATs, which drop
		// connections silently: the first command on one would take the whole step.
		ConnMaxIdleTime: 3 * time.Minute,

		// RESP3 would let the server push messages. Without it, anything to read on an idle
		// connection is the reply to a step that was given up, or the connection's end.
		Protocol: 2,

		// Handshake extras are round trips that nothing here uses.
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		// Batches of calls use the same connections as single ones.
		PipelinePoolSize: -1,
		// Commands and replies are a few hundred bytes. The default is 32 KiB each.
		ReadBufferSize:  4 << 10,
		WriteBufferSize: 4 << 10,
	}
}

// Addr returns where the store is, for logs: host:port or the socket's path, several with
// commas between; for sentinels after the master's name and an @. It holds no credentials.
func (r *Store) Addr() string { return r.addr }

// Close implements [dedupe.Store].
func (r *Store) Close() error {
	err := r.client.Close()
	if r.master != nil {
		err = errors.Join(err, r.master.close())
	}
	// A connection that the server closed first is closed, even where that is an error.
	var gone *net.OpError
	if err == nil || errors.Is(err, redis.ErrClosed) || errors.As(err, &gone) {
		return nil
	}
	return err
}

var (
	_ dedupe.Store  = (*Store)(nil)
	_ dedupe.Warner = (*Store)(nil)
)
