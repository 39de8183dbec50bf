package testbed

import (
	"cmp"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// RedisSet is what the servers of a Cluster or a Sentinel set have in common.
type RedisSet struct {
	// Args come after the servers' own settings and win over them, as those of
	// StartRedis: "--appendonly", "yes". They are not for the sentinels.
	Args []string
	// Announce, where set, is called once for each server and each sentinel with the
	// port on which it listens. It returns the port that is announced to all others,
	// such as that of a proxy. Replication and the sentinels' checks use it too; the
	// bus of a Cluster does not.
	Announce func(port int) int
	// TLS, where set, has all of them use TLS with each other and with their clients,
	// with certificates of this authority. It does not go together with Announce.
	TLS *Authority
	// DownAfter is how long a server must be silent until the others count it as down. The
	// default is a minute: no machine that is only busy has a master replaced that nobody
	// killed. Where a test kills or freezes masters, it is DownSoon.
	DownAfter time.Duration
	// SentinelConf are further lines of the sentinels' configuration.
	SentinelConf []string
}

// DownSoon is a short DownAfter. A machine that stands still may exceed it: a test that has it
// compares epochs to know of failovers that it did not ask for.
const DownSoon = 1500 * time.Millisecond

// downAfter is DownAfter in milliseconds, as the servers take it.
func (s RedisSet) downAfter() string { return millis(cmp.Or(s.DownAfter, time.Minute)) }

// add makes a server of the set, and does not start it.
func (s RedisSet) add(tb testing.TB) *Redis {
	tb.Helper()
	r := newRedis(tb)
	if s.Announce != nil {
		r.announced = s.Announce(r.port)
	}
	if s.TLS != nil {
		r.tls = FreePort(tb)
	}
	return r
}

// overTLS are the arguments for TLS, none without it.
func (s RedisSet) overTLS(r *Redis) []string {
	if s.TLS == nil {
		return nil
	}
	return append(s.TLS.RedisTLS(strconv.Itoa(r.tls)), "--tls-replication", "yes")
}

// configure writes a server's configuration file, which the server may rewrite, so that
// its role in the set survives a restart.
func (r *Redis) configure(lines ...string) (path string) {
	r.tb.Helper()
	path = filepath.Join(r.dir, "redis.conf")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		r.tb.Fatal(err)
	}
	return path
}

// must sends a command that has to succeed.
func (r *Redis) must(args ...string) []string {
	r.tb.Helper()
	reply, err := r.Ask(args...)
	if err != nil {
		r.tb.Fatalf("redis-server at %s: %s: %v", r.Addr(), strings.Join(args[:min(len(args), 3)], " "), err)
	}
	return reply
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
