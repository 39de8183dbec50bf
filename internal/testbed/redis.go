package testbed

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// Redis is a redis-server of one test's own. Its methods are not for concurrent use.
type Redis struct {
	redisClient
	tb        testing.TB
	announced int // the port under which others know it
	tls       int // the port for TLS, 0 for none
	dir       string
	args      []string
	proc      *Process // nil while stopped
}

// StartRedis starts redis-server on a free port, in a temporary directory and without
// persistence, and waits until it answers. Args come after those settings and win over
// them: "--appendonly", "yes". The server is killed when the test ends. Without
// redis-server the test fails.
func StartRedis(tb testing.TB, args ...string) *Redis {
	tb.Helper()
	r := newRedis(tb)
	r.args = append(r.settings(), args...)
	r.Start()
	return r
}

// newRedis chooses a server's port and directory, and does not start it.
func newRedis(tb testing.TB) *Redis {
	tb.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		tb.Fatalf("redis-server is not installed: run `make deps`")
	}
	r := &Redis{tb: tb, redisClient: redisClient{port: FreePort(tb)}, dir: tb.TempDir()}
	r.announced = r.port
	return r
}

// settings are what every server has, as arguments.
func (r *Redis) settings() []string {
	return []string{
		"--bind", loopbackHost, "--port", strconv.Itoa(r.port), "--dir", r.dir, "--save", "", "--appendonly", "no",
	}
}

// URL returns redis://host:port. In a Cluster or a Sentinel set that is the address which
// the server announces; with TLS it is rediss://.
func (r *Redis) URL() string {
	if r.tls != 0 {
		return "rediss://" + loopback(r.tls)
	}
	return "redis://" + loopback(r.announced)
}

// RedisStore is what follows `store` in a Caddyfile for Redis at these URLs, with a timeout that
// no machine exceeds by being busy. Where the default timeout is the subject, as in an outage,
// write the line without it.
func RedisStore(urls ...string) string {
	return "redis " + strings.Join(urls, " ") + " {\n\t\t\ttimeout 30s\n\t\t}"
}

// isAt reports whether others know the server by this port.
func (r *Redis) isAt(port string) bool {
	return port == strconv.Itoa(r.announced) || r.tls != 0 && port == strconv.Itoa(r.tls)
}

// Freeze stops the server where it is: connections stay open and nothing answers.
func (r *Redis) Freeze() {
	r.tb.Helper()
	r.running().Freeze()
}

// Thaw ends a Freeze.
func (r *Redis) Thaw() {
	r.tb.Helper()
	r.running().Thaw()
}

// Stop kills the server, frozen or not, and waits for its end. It may be called twice.
func (r *Redis) Stop() {
	if r.proc != nil {
		r.proc.Kill()
		r.proc = nil
	}
}

// Start starts a stopped server again, on the same port. Its data is gone, unless the
// args of StartRedis say otherwise.
func (r *Redis) Start() {
	r.tb.Helper()
	if r.proc != nil {
		r.tb.Fatal("redis-server is running already: Stop it first")
	}
	r.proc = StartProcess(r.tb, r.dir, nil, "redis-server", r.args...)
	// Killed, not asked to end: a master waits for its replicas for ten seconds, and refuses
	// to end while it writes its first append-only file.
	r.tb.Cleanup(r.Stop)
	up := poll(waitLimit, func() bool {
		select {
		case <-r.proc.Exited():
			return true
		default:
		}
		_, err := r.glance().Do("PING")
		// A server that asks for a password is up. One that is still loading is not.
		return err == nil || strings.HasPrefix(err.Error(), "NOAUTH")
	})
	select {
	case <-r.proc.Exited(): // whatever answered on this port was another process
		r.tb.Fatalf("redis-server ended at once; it printed:\n%s", r.proc.Output())
	default:
	}
	if !up {
		r.tb.Fatalf("redis-server did not answer within %v; it printed:\n%s", waitLimit, r.proc.Output())
	}
}

func (r *Redis) running() *Process {
	r.tb.Helper()
	if r.proc == nil {
		r.tb.Fatal("redis-server is not running: Start it first")
	}
	return r.proc
}
