package redis_test

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe/internal/testkit"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/redis"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/storetest"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

func TestRedisURLs(t *testing.T) {
	t.Parallel()
	for url, addr := range map[string]string{
		"redis://":                           "localhost:6379",
		"redis://cache":                      "cache:6379",
		"redis://cache:7000/":                "cache:7000",
		"redis://:secret@cache:7000/4":       "cache:7000",
		"rediss://user:secret@cache?db=3":    "cache:6379",
		"redis://[::1]:7000":                 "[::1]:7000",
		"redis://[fe80::1]":                  "[fe80::1]:6379",
		"unix:///run/redis.sock":             "/run/redis.sock",
		"unix://user:secret@/run/redis?db=1": "/run/redis",
	} {
		r, err := redis.New(redis.Options{URLs: []string{url}})
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		if r.Addr() != addr {
			t.Errorf("%s: address is %s, want %s", url, r.Addr(), addr)
		}
		if err := r.Close(); err != nil {
			t.Errorf("%s: close: %v", url, err)
		}
	}
}

// Passwords with characters that mean something in a URL end up in its other parts.
func TestRedisURLErrorsPrintNoPassword(t *testing.T) {
	t.Parallel()
	const canary = "hunter2"
	for _, url := range []string{
		"",
		canary,
		canary + ":6379",
		canary + "://host",
		"redis:" + canary,
		"redis://:%zz" + canary + "@host",
		"redis://:a/" + canary + "@host",
		"redis://:12/" + canary + "@host",
		"redis://:a#" + canary + "@host",
		"redis://:12#" + canary + "@host",
		"redis://:a?" + canary + "@host",
		"redis://:12?" + canary + "@host",
		"redis://:12?" + canary + "=1",
		"redis://host:" + canary,
		"redis://ho st:" + canary,
		"redis://host/" + canary,
		"redis://host/-1",
		"redis://host/1/" + canary,
		"redis://host?db=" + canary,
		"redis://host?db=1;" + canary,
		"redis://host?db=1&max_retries=9&x=" + canary,
		"redis://host?read_timeout=" + canary,
		"redis://user:" + canary + "@host\x7f",
		"unix://",
		"unix://" + canary + "/redis.sock",
		"unix://:" + canary + "@host",
		"http://:" + canary + "@host",
	} {
		r, err := redis.New(redis.Options{URLs: []string{url}})
		if err == nil {
			t.Errorf("%q is taken, as %s", url, r.Addr())
			_ = r.Close()
			continue
		}
		if text := err.Error(); strings.Contains(text, canary) || !strings.Contains(text, "redis") || !strings.Contains(text, ":") {
			t.Errorf("%q: message must name redis and the fix, and no part of the url: %s", url, text)
		}
	}
}

func TestRedisAddrNamesTheServersAndNoPassword(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]redis.Options{
		"a:6379":               {URLs: []string{"redis://:hunter2@a"}},
		"b:6379":               {URLs: []string{"redis://:hunter2@b"}, Cluster: true},
		"a:6379,b:7000":        {URLs: []string{"rediss://user:hunter2@a", "rediss://user:hunter2@b:7000/0"}},
		"c:6379,d:6379":        {URLs: []string{"redis://:hunter1@c", "redis://:hunter2@d"}, Password: "hunter2"},
		"events@a:6379,b:6379": {URLs: []string{"redis://:hunter1@a", "redis://:hunter2@b"}, Sentinel: "events", DB: new(3)},
		"events@a:6379":        {URLs: []string{"redis://a"}, Sentinel: "events", Password: "hunter2"},
	} {
		if got := newRedis(t, o).Addr(); got != want {
			t.Errorf("address is %s, want %s", got, want)
		}
	}
}

func TestRedisOptionErrors(t *testing.T) {
	t.Parallel()
	a, b, socket := "redis://:hunter2@a", "redis://:hunter2@b", "unix:///run/redis.sock"
	for name, c := range map[string]struct {
		o   redis.Options
		fix string
	}{
		"no url":                       {redis.Options{}, "name a server"},
		"negative db":                  {redis.Options{URLs: []string{a}, DB: new(-1)}, "use 0 or more"},
		"tls on a socket":              {redis.Options{URLs: []string{socket}, TLS: &tls.Config{}}, "leave tls out"},
		"sockets":                      {redis.Options{URLs: []string{socket, socket}}, "single server"},
		"cluster on a socket":          {redis.Options{URLs: []string{socket}, Cluster: true}, "single server"},
		"sentinel on a socket":         {redis.Options{URLs: []string{socket}, Sentinel: "events"}, "single server"},
		"schemes":                      {redis.Options{URLs: []string{a, "rediss://:hunter2@b"}}, "for all"},
		"socket and server":            {redis.Options{URLs: []string{a, socket}}, "for all"},
		"cluster and sentinel":         {redis.Options{URLs: []string{a}, Cluster: true, Sentinel: "events"}, "leave out"},
		"db of a cluster":              {redis.Options{URLs: []string{a, b}, DB: new(1)}, "key_prefix"},
		"db in a url of a cluster":     {redis.Options{URLs: []string{a, b + "/1"}}, "key_prefix"},
		"db in a sentinel's url":       {redis.Options{URLs: []string{a + "/1"}, Sentinel: "events"}, "beside the urls"},
		"passwords of a cluster":       {redis.Options{URLs: []string{a, "redis://:hunter3@b"}}, "beside the urls"},
		"users of a cluster":           {redis.Options{URLs: []string{a, "redis://user:hunter2@b"}}, "beside the urls"},
		"password of one node, not of": {redis.Options{URLs: []string{a, "redis://b"}}, "beside the urls"},
	} {
		r, err := redis.New(c.o)
		if err == nil {
			t.Errorf("%s: no error", name)
			_ = r.Close()
		} else if text := err.Error(); !strings.Contains(text, c.fix) || strings.Contains(text, "hunter") {
			t.Errorf("%s: message must name the fix, %q, and no password: %s", name, c.fix, text)
		}
	}
}

func TestRedisDeadlineHasADefault(t *testing.T) {
	t.Parallel()
	server := testbed.StartRedis(t)
	r := newRedis(t, redis.Options{URLs: []string{server.URL()}})
	testbed.Eventually(t, testkit.Patient, func() bool {
		_, err := r.Lookup(t.Context(), testkit.Single(1).ID)
		return err == nil
	}, "a connection")
	server.Freeze()
	begun := time.Now()
	took := storetest.Took(func() {
		if _, err := r.Lookup(t.Context(), testkit.Single(1).ID); err == nil {
			t.Error("a frozen server answered")
		}
	})
	// On a busy machine took is less than what the clock says: it bounds from above only.
	if by := time.Since(begun); by < 300*time.Millisecond || took > 500*time.Millisecond+slack {
		t.Errorf("gave up after %s by the clock, %s of them running, want 500ms", by, took)
	}
}

func TestRedisWarnings(t *testing.T) {
	t.Parallel()
	persistent := []string{"--appendonly", "yes"}
	for name, c := range map[string]struct {
		args     []string
		user     string
		warnings [][]string // words of each
	}{
		"all is well":            {args: persistent},
		"snapshots only":         {args: []string{"--save", "3600 1"}, warnings: [][]string{{"last snapshot", "appendonly yes"}}},
		"no persistence":         {warnings: [][]string{{"persistence", "appendonly yes"}}},
		"evicts what expires":    {args: append(persistent, "--maxmemory-policy", "volatile-ttl"), warnings: [][]string{{"volatile-ttl", "noeviction"}}},
		"evicts anything":        {args: append(persistent, "--maxmemory-policy", "allkeys-lru"), warnings: [][]string{{"allkeys-lru", "noeviction"}}},
		"both":                   {args: []string{"--maxmemory-policy", "allkeys-lfu"}, warnings: [][]string{{"allkeys-lfu"}, {"persistence"}}},
		"CONFIG is renamed":      {args: []string{"--rename-command", "CONFIG", "", "--maxmemory-policy", "allkeys-lru"}, warnings: [][]string{{"allkeys-lru"}}},
		"CONFIG is forbidden":    {args: append(acl("+@all", "-config"), "--maxmemory-policy", "allkeys-lru"), user: "guard", warnings: [][]string{{"allkeys-lru"}}},
		"all of it is forbidden": {args: append(acl("+eval", "+evalsha"), "--maxmemory-policy", "allkeys-lru"), user: "guard"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := testbed.StartRedis(t, c.args...)
			o := redis.Options{URLs: []string{server.URL()}, Timeout: testkit.Patient}
			if c.user != "" {
				o.Username, o.Password = c.user, "demo"
			}
			got, err := newRedis(t, o).Warnings(t.Context())
			if err != nil || len(got) != len(c.warnings) {
				t.Fatalf("warnings are %q, %v; want %d", got, err, len(c.warnings))
			}
			for i, words := range c.warnings {
				for _, word := range words {
					if !strings.Contains(got[i], word) {
						t.Errorf("warning %q does not name %q", got[i], word)
					}
				}
			}
		})
	}
}

func acl(rights ...string) []string {
	return append([]string{"--user", "guard", "on", ">demo", "~*"}, rights...)
}

func TestRedisWarningsFailWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	const timeout = 300 * time.Millisecond
	down := testbed.StartRedis(t)
	down.Stop()
	frozen := testbed.StartRedis(t)
	frozen.Freeze()
	locked := testbed.StartRedis(t, "--requirepass", "demo")
	for name, server := range map[string]*testbed.Redis{"down": down, "frozen": frozen, "wrong password": locked} {
		r := newRedis(t, redis.Options{URLs: []string{server.URL()}, Timeout: timeout, Password: "wrong"})
		took := storetest.Took(func() {
			if got, err := r.Warnings(t.Context()); err == nil {
				t.Errorf("%s: no error, and the warnings %q", name, got)
			}
		})
		if took > timeout+slack {
			t.Errorf("%s: took %s with %s allowed", name, took, timeout)
		}
	}
}

// The scripts' headers are their contract: a second caller, such as a Cluster store,
// calls them by it.
func TestScriptsSayWhatTheyTake(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.lua")
	if err != nil || len(files) != 6 {
		t.Fatalf("scripts are %v, %v; want one per operation", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		header, code, _ := strings.Cut(string(text), "\n\n")
		for _, word := range []string{"KEYS", "Returns"} {
			if !strings.Contains(header, word) {
				t.Errorf("%s: header does not tell %s", file, word)
			}
		}
		if strings.Contains(code, "ARGV") != strings.Contains(header, "ARGV") {
			t.Errorf("%s: header and code differ about ARGV", file)
		}
	}
}
