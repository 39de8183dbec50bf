package redis

import (
	"context"
	"net"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// A server that does not answer is nobody's matter but of those whose events it has: a durable
// put on another master does not wait for it.
func TestAFrozenServerKeepsNobodyElseWaiting(t *testing.T) {
	t.Parallel()
	frozen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer frozen.Close()
	asked := make(chan net.Conn, 1)
	go func() {
		for {
			conn, err := frozen.Accept()
			if err != nil {
				return
			}
			select {
			case asked <- conn:
			default:
			}
		}
	}()
	var r replicas
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	mute := goredis.NewClient(&goredis.Options{Addr: frozen.Addr().String(), ReadTimeout: -1, MaxRetries: -1})
	defer mute.Close()
	go func() {
		_, err := r.known(ctx, mute)
		ended <- err
	}()
	conn := <-asked
	defer conn.Close()
	well := goredis.NewClient(&goredis.Options{Addr: testbed.StartRedis(t).Addr()})
	defer well.Close()
	answered := make(chan error, 1)
	go func() {
		has, err := r.known(t.Context(), well)
		if has {
			t.Error("a server without a replica has one")
		}
		answered <- err
	}()
	select {
	case err := <-answered:
		if err != nil {
			t.Error(err)
		}
	case err := <-ended:
		t.Error("the frozen server has answered:", err)
	case <-testbed.After(patient):
		t.Error("the other server is not asked while the frozen one is")
	}
	cancel()
	_ = conn.Close() // the client waits for it without a deadline
	if err := <-ended; err == nil {
		t.Error("a server that is gone has answered")
	}
}

// A durable inbox needs a second place for its events, which a server may not have.
func TestWhatKeepsAnInboxFromBeingDurable(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		info string
		says string // "" where it is durable
	}{
		"a replica":             {"redis_version:6.2.14\r\nconnected_slaves:1\r\naof_enabled:0\r\n", ""},
		"a file, by Redis 7.2":  {"redis_version:7.2.0\r\nconnected_slaves:0\r\naof_enabled:1\r\n", ""},
		"a file, by Redis 8.0":  {"redis_version:8.0.1\r\nconnected_slaves:0\r\naof_enabled:1\r\n", ""},
		"a file, by Redis 7.0":  {"redis_version:7.0.15\r\nconnected_slaves:0\r\naof_enabled:1\r\n", "appendonly is yes"},
		"nothing, by Redis 7.2": {"redis_version:7.2.0\r\nconnected_slaves:0\r\naof_enabled:0\r\n", "appendonly is no"},
	} {
		if err := durableBy(infoOf(c.info)); (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want something of %q", name, err, c.says)
		}
	}

	master := testbed.StartRedis(t)
	client := goredis.NewClient(&goredis.Options{Addr: master.Addr()})
	defer client.Close()
	if err := checkDurable(t.Context(), client); err == nil {
		t.Error("a server alone is said to be durable")
	}
	_, port, _ := net.SplitHostPort(master.Addr())
	testbed.StartRedis(t, "--replicaof", "127.0.0.1 "+port, "--repl-diskless-sync-delay", "0")
	testbed.Eventually(t, patient, func() bool { return checkDurable(t.Context(), client) == nil }, "a server with a replica to be durable")
}
