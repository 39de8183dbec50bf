package redis

import (
	"crypto/rand"
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
const patient = 20 * time.Second

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
