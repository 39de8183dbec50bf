package redis_test

import (
	"crypto/rand"
	"flag"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/internal/testkit"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/redis"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/storetest"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// slack is what may be added to a deadline.
const slack = 500 * time.Millisecond

// atOnce is how many tests run at the same time: more than there are processors, as most
// of them wait for servers to come, to go or to time out.
const atOnce = 6

func TestMain(m *testing.M) {
	flag.Parse()
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "test.parallel" })
	if !asked && runtime.GOMAXPROCS(0) < atOnce {
		if err := flag.Set("test.parallel", strconv.Itoa(atOnce)); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

func TestRedis(t *testing.T) {
	t.Parallel()
	server := testbed.StartRedis(t)
	// A group of its own, so that the server outlives the parallel tests.
	t.Run("store", func(t *testing.T) {
		storetest.Run(t, func(*testing.T) storetest.Bench {
			return redisBench(redis.Options{URLs: []string{server.URL()}, Timeout: testkit.Patient})
		})
	})
}

func TestRedisServer(t *testing.T) {
	t.Parallel()
	storetest.RunServer(t, func(t *testing.T, timeout time.Duration) storetest.ServerBench {
		server := testbed.StartRedis(t)
		bench := redisBench(redis.Options{URLs: []string{server.URL()}, Timeout: timeout})
		return storetest.ServerBench{Bench: bench, Server: server, Timeout: timeout}
	})
}

// redisBench gives one test a part of the servers to itself, by its key prefix.
func redisBench(o redis.Options) storetest.Bench {
	o.KeyPrefix, o.PoolSize = rand.Text()+":", 16
	return storetest.Bench{
		Open:  func(t *testing.T) dedupe.Store { return newRedis(t, o) },
		Short: 20 * time.Millisecond,
		Lapse: func(t *testing.T, keys ...dedupe.Key) {
			t.Helper()
			r := newRedis(t, o)
			for _, k := range keys {
				testbed.Eventually(t, testkit.Patient, func() bool {
					rec, err := r.Lookup(t.Context(), k)
					return err == nil && rec.State == dedupe.Absent
				}, "the lease ends")
			}
		},
	}
}

func newRedis(tb testing.TB, o redis.Options) *redis.Store {
	tb.Helper()
	r, err := redis.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := r.Close(); err != nil {
			tb.Error(err)
		}
	})
	return r
}
