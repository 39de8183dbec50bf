package testbed_test

import (
	"net"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

func TestRedisAnswersAndForgets(t *testing.T) {
	t.Parallel()
	r := testbed.StartRedis(t)
	do(t, r, "+OK", "SET", "k", "v")
	do(t, r, "$1", "GET", "k")

	r.Stop()
	r.Stop() // twice is fine
	if _, err := r.Do("PING"); err == nil {
		t.Fatal("a stopped server answered")
	}
	r.Start()
	do(t, r, "$-1", "GET", "k")
}

func TestRedisArgsWinOverDefaults(t *testing.T) {
	t.Parallel()
	r := testbed.StartRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	do(t, r, "+OK", "SET", "k", "v")
	r.Stop()
	r.Start()
	do(t, r, "$1", "GET", "k")
}

func TestRedisWithPasswordCountsAsUp(t *testing.T) {
	t.Parallel()
	r := testbed.StartRedis(t, "--requirepass", "demo")
	if _, err := r.Do("GET", "k"); err == nil {
		t.Fatal("no password was asked for")
	}
}

func TestFrozenRedisKeepsConnectionsAndAnswersNothing(t *testing.T) {
	t.Parallel()
	r := testbed.StartRedis(t)
	r.Freeze()
	if _, err := net.DialTimeout("tcp", r.Addr(), time.Minute); err != nil {
		t.Fatalf("a frozen server still accepts: %v", err)
	}
	if _, err := r.Within(time.Second).Do("PING"); err == nil {
		t.Fatal("a frozen server answered")
	}
	r.Thaw()
	do(t, r, "+PONG", "PING")
}

func TestFrozenRedisCanBeStopped(t *testing.T) {
	t.Parallel()
	r := testbed.StartRedis(t)
	r.Freeze()
	r.Stop()
	r.Start()
	do(t, r, "+PONG", "PING")
}

func TestServersDoNotShareAPort(t *testing.T) {
	t.Parallel()
	a, b := testbed.StartRedis(t), testbed.StartRedis(t)
	if a.URL() == b.URL() {
		t.Fatalf("both at %s", a.URL())
	}
}

func do(t *testing.T, r *testbed.Redis, want string, args ...string) {
	t.Helper()
	got, err := r.Do(args...)
	if err != nil || got != want {
		t.Fatalf("%v: got %q, %v; want %q", args, got, err, want)
	}
}
