package redis_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/internal/testkit"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/redis"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/storetest"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// A reply that is lost on the way leaves open whether the command took effect. Each
// step is sent again, and answers as if nothing had happened.
func TestRedisRepeatsWhatMayHaveHappened(t *testing.T) {
	t.Parallel()
	server := testbed.StartRedis(t)
	wire := newWire(t, server.Addr())
	r := newRedis(t, redis.Options{URLs: []string{"redis://" + wire.addr}, Timeout: testkit.Patient})
	ev, tok := testkit.Pair(1), dedupe.NewToken()

	step := func(name string, call func() error) {
		t.Helper()
		for _, lose := range []*atomic.Int32{&wire.requests, &wire.replies} {
			lose.Store(2)
			if err := call(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if left := lose.Load(); left != 0 {
				t.Errorf("%s: %d losses were never met", name, left)
			}
		}
	}
	// Once, so that there is a connection and the scripts are known.
	if _, err := r.Lookup(t.Context(), ev.ID); err != nil {
		t.Fatal(err)
	}
	step("claim", func() error {
		a, err := r.Claim(t.Context(), ev, tok, testkit.TTL)
		if a.State != dedupe.Claimed {
			t.Errorf("claim answered %+v", a)
		}
		return err
	})
	step("renew", func() error { return r.Renew(t.Context(), ev, tok, testkit.TTL) })
	step("commit", func() error { return r.Commit(t.Context(), ev, dedupe.Success{Status: 200}, testkit.TTL) })
	step("release", func() error { return r.Release(t.Context(), ev, tok) })
	step("lookup", func() error {
		rec, err := r.Lookup(t.Context(), ev.ID)
		if rec.State != dedupe.Done {
			t.Errorf("lookup answered %+v", rec)
		}
		return err
	})
}

// wire stands between a store and its server, and cuts connections.
type wire struct {
	addr string
	// requests and replies are how many of each to lose from now on.
	requests, replies atomic.Int32
}

func newWire(t *testing.T, server string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	w := &wire{addr: l.Addr().String()}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			upstream, err := net.Dial("tcp", server)
			if err != nil {
				_ = client.Close()
				continue
			}
			go pass(upstream, client, &w.requests)
			go pass(client, upstream, &w.replies)
		}
	}()
	return w
}

// pass copies until an end, or until a loss is due; then it cuts both ends.
func pass(to, from net.Conn, lose *atomic.Int32) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		for due := lose.Load(); due > 0; due = lose.Load() {
			if lose.CompareAndSwap(due, due-1) {
				return
			}
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// Nobody listens: that is known at once, and not only after a series of redials.
func TestRedisThatIsDownIsToldAtOnce(t *testing.T) {
	t.Parallel()
	server := testbed.StartRedis(t)
	server.Stop()
	r := newRedis(t, redis.Options{URLs: []string{server.URL()}, Timeout: testkit.Patient})
	took := storetest.Took(func() {
		if _, err := r.Lookup(t.Context(), testkit.Single(1).ID); err == nil {
			t.Error("a stopped server answered")
		}
	})
	if took > slack {
		t.Errorf("took %s", took)
	}
}

// A server that takes connections and says nothing at all, not even to the handshake.
func TestRedisThatIsNoRedis(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n") }()
		}
	}()
	const timeout = 300 * time.Millisecond
	r := newRedis(t, redis.Options{URLs: []string{"redis://" + l.Addr().String()}, Timeout: timeout})
	took := storetest.Took(func() {
		if a, err := r.Claim(t.Context(), testkit.Pair(1), dedupe.NewToken(), testkit.TTL); err == nil {
			t.Errorf("claim answered %+v", a)
		}
	})
	if took > timeout+slack {
		t.Errorf("took %s with %s allowed", took, timeout)
	}
}

func TestRedisOverTLS(t *testing.T) {
	t.Parallel()
	args, addr, roots := tlsServer(t)
	testbed.StartRedis(t, args...)
	other := x509.NewCertPool()
	for name, c := range map[string]struct {
		url string
		tls *tls.Config
		ok  bool
	}{
		"rediss":               {"rediss://" + addr, &tls.Config{RootCAs: roots}, true},
		"redis and tls":        {"redis://" + addr, &tls.Config{RootCAs: roots}, true},
		"given server name":    {"rediss://" + addr, &tls.Config{RootCAs: roots, ServerName: "redis.test"}, true},
		"other server name":    {"rediss://" + addr, &tls.Config{RootCAs: roots, ServerName: "else.test"}, false},
		"authority not known":  {"rediss://" + addr, &tls.Config{RootCAs: other}, false},
		"the system's roots":   {"rediss://" + addr, nil, false},
		"no tls to a tls port": {"redis://" + addr, nil, false},
	} {
		r := newRedis(t, redis.Options{URLs: []string{c.url}, TLS: c.tls, Timeout: testkit.Patient})
		_, err := r.Lookup(t.Context(), testkit.Single(1).ID)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A connection that is wrongly taken for dead would cost a handshake for each step.
func TestRedisUsesTLSConnectionsAgain(t *testing.T) {
	t.Parallel()
	args, addr, roots := tlsServer(t)
	c := raw(t, testbed.StartRedis(t, args...))
	r := newRedis(t, redis.Options{URLs: []string{"rediss://" + addr}, TLS: &tls.Config{RootCAs: roots}, Timeout: testkit.Patient})
	for range 50 {
		if _, err := r.Lookup(t.Context(), testkit.Single(1).ID); err != nil {
			t.Fatal(err)
		}
	}
	testbed.Eventually(t, testkit.Patient, func() bool { // the server is slow to notice that a PING's connection has ended
		_, rest, _ := strings.Cut(c.Info(t.Context(), "clients").Val(), "connected_clients:")
		return strings.HasPrefix(rest, "2\r")
	}, "no more connected clients than the store and the one that asks")
	_, rest, _ := strings.Cut(c.Info(t.Context(), "stats").Val(), "total_connections_received:")
	// Those two, and the PINGs that the start was waited for with.
	if n, err := strconv.Atoi(strings.SplitN(rest, "\r", 2)[0]); err != nil || n > 25 {
		t.Errorf("%d connections, %v: each step made its own", n, err)
	}
}

// The library by itself does not see whether an idle TLS connection is dead.
func TestRedisServerOverTLS(t *testing.T) {
	t.Parallel()
	storetest.RunServer(t, func(t *testing.T, timeout time.Duration) storetest.ServerBench {
		args, addr, roots := tlsServer(t)
		server := testbed.StartRedis(t, args...)
		return storetest.ServerBench{
			Bench: storetest.Bench{Open: func(t *testing.T) dedupe.Store {
				return newRedis(t, redis.Options{
					URLs: []string{"rediss://" + addr}, TLS: &tls.Config{RootCAs: roots}, Timeout: timeout,
				})
			}},
			Server: server, Timeout: timeout,
		}
	})
}

// tlsServer returns what makes a Redis listen for TLS too, where, and whom to trust.
func tlsServer(t *testing.T) (args []string, addr string, roots *x509.CertPool) {
	t.Helper()
	authority := testbed.NewAuthority(t)
	port := strconv.Itoa(testbed.FreePort(t))
	args = append(authority.RedisTLS(port), "--tls-auth-clients", "no")
	return args, net.JoinHostPort("127.0.0.1", port), authority.Roots()
}

// A server that answers something else than the scripts do has no event forwarded, and
// none of its answers ends in a panic.
func TestRedisThatAnswersSomethingElse(t *testing.T) {
	t.Parallel()
	for name, reply := range map[string]string{
		"a number": ":1\r\n", "nothing": "$-1\r\n", "an empty list": "*0\r\n", "a short list": "*1\r\n$3\r\n200\r\n", "a long list": "*3\r\n:1\r\n:1\r\n:1\r\n", "a list of lists": "*2\r\n*0\r\n*0\r\n",
		"a status": "+OK\r\n", "a status that is none": "$4\r\n1099\r\n", "another text": "$2\r\n1x\r\n", "a value cut off": "$3\r\n1=2\r\n", "a map": "%1\r\n+a\r\n+b\r\n", "a push": ">1\r\n+x\r\n", "bytes": "\x00\xff\r\n",
		"an error": "-ERR x\r\n", "a server that loads": "-LOADING x\r\n", "a server that only reads": "-READONLY x\r\n", "a server that is full": "-OOM x\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRedis(t, redis.Options{URLs: []string{"redis://" + answersAlways(t, reply)}, Timeout: testkit.Patient})
			ev, tok := testkit.Pair(1), dedupe.NewToken()
			if a, err := r.Claim(t.Context(), ev, tok, testkit.TTL); err == nil {
				t.Errorf("claim: %+v", a)
			}
			if rec, err := r.Lookup(t.Context(), ev.ID); err == nil {
				t.Errorf("lookup: %+v", rec)
			}
			if rec, err := r.Forget(t.Context(), ev.ID); err == nil {
				t.Errorf("forget: %+v", rec)
			}
		})
	}
}

// answersAlways starts a server that has one reply for each command but those that open a
// connection.
func answersAlways(t *testing.T, reply string) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				buf := make([]byte, 64<<10)
				for {
					n, err := conn.Read(buf)
					if err != nil {
						return
					}
					text := strings.ToLower(string(buf[:n]))
					answer := reply
					if strings.Contains(text, "hello") {
						answer = "-ERR unknown command\r\n"
					} else if !strings.Contains(text, "eval") {
						answer = strings.Repeat("+OK\r\n", strings.Count(text, "*"))
					}
					if _, err := io.WriteString(conn, answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return listener.Addr().String()
}
