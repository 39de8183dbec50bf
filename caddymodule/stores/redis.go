package stores

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/lines"
	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/placeholder"
	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/redis"
	"github.com/webhookguard/caddy-webhook-guard/inbox"
	inboxredis "github.com/webhookguard/caddy-webhook-guard/inbox/redis"
)

func init() {
	caddy.RegisterModule((*Redis)(nil))
	goredis.SetLogger(clientLog{})
}

// clientLog writes the client library's messages to Caddy's log, at debug level: they
// repeat in plain text what the guard's own errors say of every dial that fails.
type clientLog struct{}

// Printf implements the library's logger.
func (clientLog) Printf(_ context.Context, format string, args ...any) {
	if entry := caddy.Log().Named("redis").Check(zapcore.DebugLevel, "client"); entry != nil {
		entry.Write(zap.String("text", fmt.Sprintf(format, args...)))
	}
}

// Redis remembers events in Redis (6.2 or later) or Valkey, which any number of
// gateways may share: a single server, a Sentinel set, or a Redis Cluster. A failover
// needs no restart of the gateway. The gateway also starts while the servers are down;
// until they are up, `on_store_error` decides how requests are handled.
//
// How much a crash of a server can lose depends on its persistence. Its
// `maxmemory-policy` must be `noeviction`. The log warns about either at startup.
type Redis struct {
	// `redis://[user:password@]host[:port][/db]`, `rediss://` for TLS, or
	// `unix:///path?db=n`. One is a single server; several, any of its nodes, are a
	// Redis Cluster; with `sentinel`, they are the sentinels: name them all. Each may
	// hold placeholders such as `{env.REDIS_URL}`.
	URLs []string `json:"urls,omitempty"`

	// Makes a Redis Cluster of a single URL too.
	Cluster bool `json:"cluster,omitempty"`

	// The name under which the sentinels at the URLs know the master.
	Sentinel string `json:"sentinel,omitempty"`

	// For the servers that hold the data. They take the place of the URLs', except
	// with `sentinel`: there the URLs' are the sentinels' own. May hold placeholders.
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`

	// Takes the place of the URL's database number. Default: 0, which is the only one
	// of a Cluster.
	DB *int `json:"db,omitempty"`

	// Certificates for TLS, and TLS for `redis://` URLs too; for sentinels as for the
	// servers that they name.
	TLS *RedisTLS `json:"tls,omitempty"`

	// The bound on connections, to each node of a Cluster. Default: 64, or 10 per CPU
	// where that is more.
	PoolSize int `json:"pool_size,omitempty"`

	// The one deadline for a whole step of the store, finding the master, dialling and
	// both keys of an event included. Default: 500ms.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// Stands before every key. Default: `wg:`.
	KeyPrefix string `json:"key_prefix,omitempty"`

	options redis.Options
	poolKey string
	place   string
}

// RedisTLS says how to trust a server and how to be trusted by it. All are
// paths of PEM files.
type RedisTLS struct {
	// The authority that signed the server's certificate. Default: the system's.
	CA string `json:"ca,omitempty"`

	// The client's certificate and its key, where the server asks for one.
	Cert string `json:"cert,omitempty"`
	Key  string `json:"key,omitempty"`
}

// CaddyModule implements caddy.Module.
func (*Redis) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "webhook_guard.stores.redis",
		New: func() caddy.Module { return new(Redis) },
	}
}

// Provision implements caddy.Provisioner. It resolves placeholders and reads
// certificates; it does not dial.
func (s *Redis) Provision(caddy.Context) error {
	if len(s.URLs) == 0 {
		return errors.New("redis: name the server: store redis redis://host:6379")
	}
	if s.Timeout < 0 || s.PoolSize < 0 {
		return errors.New("redis: timeout and pool_size must be positive")
	}
	s.options = redis.Options{
		URLs:      slices.Clone(s.URLs),
		Cluster:   s.Cluster,
		Sentinel:  s.Sentinel,
		Username:  s.Username,
		Password:  s.Password,
		DB:        s.DB,
		PoolSize:  s.PoolSize,
		Timeout:   time.Duration(s.Timeout),
		KeyPrefix: s.KeyPrefix,
	}
	for i := range s.options.URLs {
		if err := resolveInto(&s.options.URLs[i]); err != nil {
			return fmt.Errorf("redis: url: %w", err)
		}
	}
	if err := resolveInto(&s.options.Username); err != nil {
		return fmt.Errorf("redis: username: %w", err)
	}
	if err := resolveInto(&s.options.Password); err != nil {
		return fmt.Errorf("redis: password: %w", err)
	}
	if err := s.loadTLS(); err != nil {
		return err
	}
	// Options that Open would refuse are refused when the configuration loads.
	checked, err := redis.New(s.options)
	if err != nil {
		return err
	}
	s.place = checked.Addr()
	s.poolKey, err = s.digest()
	return errors.Join(err, checked.Close())
}

// resolveInto replaces the placeholders of a text that is set.
func resolveInto(text *string) error {
	if *text == "" {
		return nil
	}
	resolved, err := placeholder.Resolve(*text)
	if err == nil {
		*text = resolved
	}
	return err
}

// digest names the servers and how to reach them. The password is in it only as a
// part of what is hashed.
func (s *Redis) digest() (string, error) {
	options := s.options
	options.TLS = nil // the paths stand for it
	encoded, err := json.Marshal([]any{options, s.TLS})
	if err != nil {
		return "", fmt.Errorf("redis: %w", err)
	}
	sum := sha256.Sum256(encoded)
	return "redis:" + hex.EncodeToString(sum[:]), nil
}

func (s *Redis) loadTLS() error {
	if s.TLS == nil {
		return nil
	}
	settings := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.TLS.CA != "" {
		pem, err := os.ReadFile(s.TLS.CA)
		if err != nil {
			return fmt.Errorf("redis: tls: ca: %w", err)
		}
		settings.RootCAs = x509.NewCertPool()
		if !settings.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("redis: tls: ca: %s holds no PEM certificate", s.TLS.CA)
		}
	}
	if (s.TLS.Cert == "") != (s.TLS.Key == "") {
		return errors.New("redis: tls: cert and key go together")
	}
	if s.TLS.Cert != "" {
		pair, err := tls.LoadX509KeyPair(s.TLS.Cert, s.TLS.Key)
		if err != nil {
			return fmt.Errorf("redis: tls: cert: %w", err)
		}
		settings.Certificates = []tls.Certificate{pair}
	}
	s.options.TLS = settings
	return nil
}

// PoolKey implements [Module].
func (s *Redis) PoolKey() string { return s.poolKey }

// Open implements [Module].
func (s *Redis) Open() (dedupe.Store, error) { return redis.New(s.options) }

// Inboxes implements [Inboxer].
func (*Redis) Inboxes(store dedupe.Store) (inbox.Store, error) {
	return inboxredis.New(store.(*redis.Store)), nil
}

// Adopt implements [Module]: every option is part of the key.
func (*Redis) Adopt(dedupe.Store) {}

// Place implements [Placer].
func (s *Redis) Place() string { return s.place }

// UnmarshalCaddyfile sets up the store from Caddyfile tokens:
//
//	redis <url>… {
//		cluster
//		sentinel   <master>
//		username   <name>
//		password   <password>
//		db         <number>
//		tls {
//			ca   <file>
//			cert <file>
//			key  <file>
//		}
//		pool_size  <count>
//		timeout    <duration>
//		key_prefix <prefix>
//	}
func (s *Redis) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	s.URLs = d.RemainingArgs()
	return lines.Each(d, func(name string) error {
		switch name {
		case "cluster":
			s.Cluster = true
			return lines.End(d)
		case "sentinel":
			return lines.Word(d, &s.Sentinel)
		case "username":
			return lines.Word(d, &s.Username)
		case "password":
			return lines.Word(d, &s.Password)
		case "db":
			s.DB = new(int)
			return lines.Number(d, s.DB)
		case "tls":
			s.TLS = new(RedisTLS)
			return s.TLS.unmarshal(d)
		case "pool_size":
			return lines.Count(d, &s.PoolSize)
		case "timeout":
			return lines.Duration(d, &s.Timeout)
		case "key_prefix":
			return lines.Word(d, &s.KeyPrefix)
		}
		return d.Errf("unknown line %q of store redis: there are cluster, sentinel, username, password, db, tls, pool_size, timeout and key_prefix", name)
	})
}

func (t *RedisTLS) unmarshal(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	return lines.Each(d, func(name string) error {
		switch name {
		case "ca":
			return lines.Word(d, &t.CA)
		case "cert":
			return lines.Word(d, &t.Cert)
		case "key":
			return lines.Word(d, &t.Key)
		}
		return d.Errf("unknown line %q of tls: there are ca, cert and key", name)
	})
}

var (
	_ Module                = (*Redis)(nil)
	_ Inboxer               = (*Redis)(nil)
	_ Placer                = (*Redis)(nil)
	_ caddy.Provisioner     = (*Redis)(nil)
	_ caddyfile.Unmarshaler = (*Redis)(nil)
)
