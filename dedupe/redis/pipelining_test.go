package redis

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/webhookguard/caddy-webhook-guard/dedupe/internal/testkit"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// BenchmarkPipelining compares the ways to send commands that ADR 0001 chooses from,
// on a loopback connection and with a round trip like that to another zone.
func BenchmarkPipelining(b *testing.B) {
	for _, way := range []struct {
		name string
		pool int
		use  *redis.AutoPipelineOptions
	}{
		{name: "pool-20", pool: 20},
		{name: "pool-64", pool: 64},
		{name: "pool-128", pool: 128},
		{name: "lanes", pool: 64},
		{name: "auto", use: redis.DefaultBlockingAutoPipelineOptions()},
		{name: "auto-parallel", use: &redis.AutoPipelineOptions{
			MaxBatchSize: 100, MaxConcurrentBatches: 4, Unordered: true,
		}},
		{name: "auto-duplex", use: &redis.AutoPipelineOptions{FullDuplex: true}},
	} {
		for _, rtt := range []time.Duration{0, 500 * time.Microsecond} {
			for _, callers := range []int{1, 16, 128} {
				b.Run(fmt.Sprintf("way=%s/rtt=%s/callers=%d", way.name, rtt, callers), func(b *testing.B) {
					r := openWay(b, testbed.StartRedis(b).URL(), 20*time.Second, rtt, way.pool, way.use)
					if way.name == "lanes" {
						r.calls = newLanes(r.client)
					}
					b.ReportAllocs()
					before := testkit.CPU(b)
					b.ResetTimer()
					testkit.Spread(b, callers, func() error { return testkit.Settle(b, r, 0) })
					b.StopTimer()
					b.ReportMetric(float64(testkit.CPU(b)-before)/float64(b.N), "cpu-ns/op")
				})
			}
		}
	}
}

// openWay returns a store that sends its scripts one way or another.
func openWay(tb testing.TB, url string, timeout, rtt time.Duration, pool int, use *redis.AutoPipelineOptions) *Store {
	tb.Helper()
	r, err := New(Options{URLs: []string{url}, Timeout: timeout, PoolSize: pool})
	if err != nil {
		tb.Fatal(err)
	}
	o := r.client.(*redis.Client).Options()
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, network, addr)
		if err == nil && rtt > 0 {
			conn = &farConn{Conn: conn, rtt: rtt}
		}
		return conn, err
	}
	o.PipelinePoolSize = 10
	client := redis.NewClient(o)
	r.client, r.calls = client, client
	tb.Cleanup(func() { _ = r.Close() })
	if use != nil {
		if r.calls, err = client.AutoPipelineWithOptions(use); err != nil {
			tb.Fatal(err)
		}
	}
	return r
}

// farConn adds a round trip between the last write and the next read.
type farConn struct {
	net.Conn
	rtt   time.Duration
	ready atomic.Int64
}

func (c *farConn) Write(p []byte) (int, error) {
	c.ready.Store(time.Now().Add(c.rtt).UnixNano())
	return c.Conn.Write(p)
}

func (c *farConn) Read(p []byte) (int, error) {
	time.Sleep(time.Until(time.Unix(0, c.ready.Load())))
	return c.Conn.Read(p)
}

// openLanes is openWay for the way that the store takes by itself.
func openLanes(tb testing.TB, url string, timeout, rtt time.Duration) *Store {
	tb.Helper()
	r := openWay(tb, url, timeout, rtt, 64, nil)
	r.calls = newLanes(r.client)
	return r
}
