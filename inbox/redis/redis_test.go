package redis

import (
	"crypto/rand"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	dedupe "github.com/webhookguard/caddy-webhook-guard/dedupe/redis"
	"github.com/webhookguard/caddy-webhook-guard/inbox"
	"github.com/webhookguard/caddy-webhook-guard/inbox/queuetest"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// patient is a deadline that a busy machine meets.
const patient = 60 * time.Second

func TestRedis(t *testing.T) {
	t.Parallel()
	server := testbed.StartRedis(t)
	// A group of its own, so that the servers outlive the parallel tests.
	t.Run("queue", func(t *testing.T) { run(t, dedupe.Options{URLs: []string{server.URL()}}) })
}

func TestRedisSentinel(t *testing.T) {
	t.Parallel()
	s := testbed.StartSentinels(t, testbed.RedisSet{})
	t.Run("queue", func(t *testing.T) { run(t, dedupe.Options{URLs: s.URLs(), Sentinel: testbed.MasterName}) })
}

func TestRedisCluster(t *testing.T) {
	t.Parallel()
	cluster := testbed.StartCluster(t, testbed.RedisSet{})
	t.Run("queue", func(t *testing.T) { run(t, dedupe.Options{URLs: cluster.URLs()}) })
}

func run(t *testing.T, o dedupe.Options) {
	queuetest.Run(t, func(t *testing.T) queuetest.Bench { return bench(t, o) })
}

// A durable put is answered when a second place has the event, and not before.
func TestDurable(t *testing.T) {
	t.Parallel()
	put := func(t *testing.T, o dedupe.Options) (inbox.Answer, error) {
		b := bench(t, o)
		q, err := b.Open(t).Queue("payments", inbox.Options{Durable: true})
		if err != nil {
			t.Fatal(err)
		}
		return q.Put(t.Context(), inbox.Event{Key: inbox.Key(inbox.NewToken()), Envelope: []byte("event")})
	}
	t.Run("append-only file", func(t *testing.T) {
		t.Parallel()
		server := testbed.StartRedis(t, "--appendonly", "yes")
		a, err := put(t, dedupe.Options{URLs: []string{server.URL()}})
		if old := err != nil && strings.Contains(err.Error(), "unknown command"); old {
			if !strings.Contains(err.Error(), "Redis 7.2") {
				t.Errorf("an older server: %v", err)
			}
		} else if a != inbox.Accepted || err != nil {
			t.Errorf("%s, %v", a, err)
		}
	})
	t.Run("nowhere", func(t *testing.T) {
		t.Parallel()
		server := testbed.StartRedis(t)
		if a, err := put(t, dedupe.Options{URLs: []string{server.URL()}}); err == nil {
			t.Errorf("%s although nothing else has the event", a)
		}
	})
	t.Run("a replica", func(t *testing.T) {
		t.Parallel()
		s := testbed.StartSentinels(t, testbed.RedisSet{})
		if a, err := put(t, dedupe.Options{URLs: s.URLs(), Sentinel: testbed.MasterName}); a != inbox.Accepted || err != nil {
			t.Errorf("%s, %v", a, err)
		}
	})
	t.Run("replicas of a cluster", func(t *testing.T) {
		t.Parallel()
		cluster := testbed.StartCluster(t, testbed.RedisSet{})
		if a, err := put(t, dedupe.Options{URLs: cluster.URLs()}); a != inbox.Accepted || err != nil {
			t.Errorf("%s, %v", a, err)
		}
	})
}

// What keeps no event has nothing to wait for, so it is answered where no second place is.
func TestDurableWaitsOnlyForEvents(t *testing.T) {
	t.Parallel()
	b := bench(t, dedupe.Options{URLs: []string{testbed.StartRedis(t).URL()}})
	q, err := b.Open(t).Queue("payments", inbox.Options{Durable: true, MaxBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	k := inbox.Key(inbox.NewToken())
	if a, err := q.Put(t.Context(), inbox.Event{Key: k, Envelope: []byte("event")}); a != inbox.Full || err != nil {
		t.Errorf("a full inbox: %s, %v", a, err)
	}
	if a, err := q.Revive(t.Context(), k); a != inbox.NotKept || err != nil {
		t.Errorf("a copy of what is not kept: %s, %v", a, err)
	}
	if _, err := q.Put(t.Context(), inbox.Event{Key: k, Envelope: []byte("e")}); err == nil {
		t.Error("an event is kept although nothing else has it")
	}
}

// bench gives one test a part of the servers to itself, by its key prefix.
func bench(t *testing.T, o dedupe.Options) queuetest.Bench {
	o.KeyPrefix, o.Timeout = rand.Text()+":", patient
	servers, err := dedupe.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = servers.Close() })
	client := servers.Client()
	var skew atomic.Int64
	open := func(t *testing.T) *Store {
		s := New(servers)
		s.skew = func() time.Duration { return time.Duration(skew.Load()) }
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	b := queuetest.Bench{
		Open:    func(t *testing.T) inbox.Store { return open(t) },
		Advance: func(_ *testing.T, d time.Duration) { skew.Add(int64(d)) },
		Damage: func(t *testing.T, name string, k inbox.Key) {
			q, err := open(t).Queue(name, inbox.Options{})
			if err != nil {
				t.Fatal(err)
			}
			due := q.(*queue).lane(k)
			if n, err := client.Del(t.Context(), due[:len(due)-len("due")]+"b:"+k.String()).Result(); n != 1 || err != nil {
				t.Fatalf("%d envelopes removed, %v", n, err)
			}
		},
	}
	if _, cluster := client.(*goredis.ClusterClient); cluster {
		b.Lanes = clusterLanes
		b.SameLane = func() (k inbox.Key) {
			_, _ = rand.Read(k[:])
			k[0] = 0
			return k
		}
	}
	return b
}
