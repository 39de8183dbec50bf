package redis_test

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/internal/testkit"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/redis"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// raw returns a plain client, to look at what a store has left on the server.
func raw(t *testing.T, server *testbed.Redis) *goredis.Client {
	t.Helper()
	c := goredis.NewClient(&goredis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestRedisValuesAreCompact(t *testing.T) {
	t.Parallel()
	server := testbed.StartRedis(t)
	r, c := newRedis(t, redis.Options{URLs: []string{server.URL()}, Timeout: testkit.Patient}), raw(t, server)
	ev, tok := testkit.Pair(1), dedupe.NewToken()
	want := func(k dedupe.Key, value string, ttl time.Duration) {
		t.Helper()
		name := "wg:" + k.String()
		if got := c.Get(t.Context(), name).Val(); got != value {
			t.Errorf("%s holds %q, want %q", name, got, value)
		}
		if left := c.PTTL(t.Context(), name).Val(); left <= ttl-time.Minute || left > ttl {
			t.Errorf("%s has %s left, want %s", name, left, ttl)
		}
	}
	if _, err := r.Claim(t.Context(), ev, tok, 2*time.Minute); err != nil {
		t.Fatal(err)
	}
	want(ev.Content, "*"+string(tok[:]), 2*time.Minute)
	want(ev.ID, "*"+string(tok[:]), 2*time.Minute)
	if err := r.Commit(t.Context(), ev, dedupe.Success{Status: 204}, testkit.TTL); err != nil {
		t.Fatal(err)
	}
	want(ev.Content, "204", testkit.TTL)
	want(ev.ID, "204"+string(ev.Content[:]), testkit.TTL)
	if n := c.DBSize(t.Context()).Val(); n != 2 {
		t.Errorf("%d keys on the server, want 2", n)
	}
}

// TestRedisMemoryPerEvent counts everything that the server needs for an event: key,
// value, both dictionaries.
func TestRedisMemoryPerEvent(t *testing.T) {
	t.Parallel()
	idOnly := func() dedupe.Event { return dedupe.Event{ID: dedupe.Key(dedupe.NewToken())} }
	for name, c := range map[string]struct {
		ev   func() dedupe.Event
		text int // bytes of the ID's text
		most int
	}{
		"id only":                     {idOnly, 0, 140},
		"id only, its text is a UUID": {idOnly, 36, 140},
		"content and id":              {testkit.Random, 0, 300},
		"content and a UUID":          {testkit.Random, 36, 350},
		"content and a long id":       {testkit.Random, dedupe.MaxIDText, 460},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := testbed.StartRedis(t)
			r, client := newRedis(t, redis.Options{URLs: []string{server.URL()}, Timeout: testkit.Patient}), raw(t, server)
			add := func(n int) {
				for range n {
					if err := r.Commit(t.Context(), c.ev(), dedupe.Success{Status: 200, IDText: strings.Repeat("x", c.text)}, testkit.TTL); err != nil {
						t.Fatal(err)
					}
				}
			}
			// A power of two of keys fills a dictionary's buckets just so; connections
			// and the scripts are there before the first look.
			const first, more = 64, 8192 - 64
			add(first)
			before := usedMemory(t, client)
			add(more)
			per := (usedMemory(t, client) - before) / more
			t.Logf("%d bytes per event", per)
			if per > c.most {
				t.Errorf("%d bytes per event, want %d at most", per, c.most)
			}
		})
	}
}

func usedMemory(t *testing.T, c *goredis.Client) int {
	t.Helper()
	// The least of a few: client buffers come and go.
	least := math.MaxInt
	for range 5 {
		info := c.Info(t.Context(), "memory").Val()
		_, rest, _ := strings.Cut(info, "used_memory:")
		n, err := strconv.Atoi(strings.TrimSpace(strings.SplitN(rest, "\n", 2)[0]))
		if err != nil {
			t.Fatalf("reading INFO memory: %v", err)
		}
		least = min(least, n)
	}
	return least
}

func TestRedisSendsScriptsAnew(t *testing.T) {
	t.Parallel()
	server := testbed.StartRedis(t)
	r, c := newRedis(t, redis.Options{URLs: []string{server.URL()}, Timeout: testkit.Patient}), raw(t, server)
	ev, tok := testkit.Pair(1), dedupe.NewToken()
	for name, call := range map[string]func() error{
		"claim":   func() error { _, err := r.Claim(t.Context(), ev, tok, testkit.TTL); return err },
		"release": func() error { return r.Release(t.Context(), ev, dedupe.NewToken()) },
		"commit":  func() error { return r.Commit(t.Context(), ev, dedupe.Success{Status: 200}, testkit.TTL) },
		"lookup":  func() error { _, err := r.Lookup(t.Context(), ev.ID); return err },
		"forget":  func() error { _, err := r.Forget(t.Context(), testkit.Pair(2).ID); return err },
		"renew": func() error {
			if err := r.Renew(t.Context(), testkit.Pair(3), tok, testkit.TTL); !errors.Is(err, dedupe.ErrLost) {
				return fmt.Errorf("want ErrLost: %w", err)
			}
			return nil
		},
	} {
		for range 2 {
			if err := c.ScriptFlush(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			if err := call(); err != nil {
				t.Errorf("%s after SCRIPT FLUSH: %v", name, err)
			}
		}
	}

	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 20 {
				ev := dedupe.Event{ID: dedupe.Key(dedupe.NewToken())}
				if a, err := r.Claim(t.Context(), ev, tok, testkit.TTL); err != nil || a.State != dedupe.Claimed {
					t.Errorf("claim amid flushes: %+v, %v", a, err)
				}
			}
		})
		c.ScriptFlush(t.Context())
	}
	all.Wait()
}

// Someone else's data under our keys is an error, so that it is neither taken for a
// finished event nor overwritten.
func TestRedisRefusesForeignValues(t *testing.T) {
	t.Parallel()
	server := testbed.StartRedis(t)
	r, c := newRedis(t, redis.Options{URLs: []string{server.URL()}, Timeout: testkit.Patient}), raw(t, server)
	for i, value := range []string{"hello", "2", "20x", "-20", "+20", "2000", "200short", "\x00\x00\x00"} {
		ev := testkit.Single(byte(i))
		name := "wg:" + ev.ID.String()
		c.Set(t.Context(), name, value, 0)
		if a, err := r.Claim(t.Context(), ev, dedupe.NewToken(), testkit.TTL); err == nil {
			t.Errorf("claim over %q answered %+v", value, a)
		} else if !strings.Contains(err.Error(), "key_prefix") {
			t.Errorf("error does not name the fix: %v", err)
		}
		if rec, err := r.Lookup(t.Context(), ev.ID); err == nil {
			t.Errorf("lookup of %q answered %+v", value, rec)
		}
		if rec, err := r.Forget(t.Context(), ev.ID); err == nil {
			t.Errorf("forget of %q answered %+v", value, rec)
		}
		if got := c.Get(t.Context(), name).Val(); got != value {
			t.Errorf("%q was overwritten with %q", value, got)
		}
	}
	c.LPush(t.Context(), "wg:"+testkit.Pair(100).ID.String(), "a list")
	if a, err := r.Claim(t.Context(), testkit.Pair(100), dedupe.NewToken(), testkit.TTL); err == nil {
		t.Errorf("claim over a list answered %+v", a)
	}
}

func TestRedisKeepsPrefixesAndDatabasesApart(t *testing.T) {
	t.Parallel()
	url := testbed.StartRedis(t).URL()
	for i, o := range []redis.Options{
		{URLs: []string{url}},
		{URLs: []string{url}, KeyPrefix: "other:"},
		{URLs: []string{url + "/3"}},
		{URLs: []string{url + "/3"}, DB: new(4)},
		{URLs: []string{url + "?db=5"}},
	} {
		o.Timeout = testkit.Patient
		if a, err := newRedis(t, o).Claim(t.Context(), testkit.Pair(1), dedupe.NewToken(), testkit.TTL); err != nil || a.State != dedupe.Claimed {
			t.Errorf("store %d: %+v, %v", i, a, err)
		}
	}
	// And DB 0 is where no number means.
	zero := newRedis(t, redis.Options{URLs: []string{url + "/3"}, DB: new(0), Timeout: testkit.Patient})
	if a, err := zero.Claim(t.Context(), testkit.Pair(1), dedupe.NewToken(), testkit.TTL); err != nil || a.State != dedupe.InFlight {
		t.Errorf("database 0: %+v, %v", a, err)
	}
}

func TestRedisLogsIn(t *testing.T) {
	t.Parallel()
	const password = "p:a/s#s?w%rd @"
	server := testbed.StartRedis(t,
		"--requirepass", password,
		"--user", "guard", "on", ">"+password, "~wg:*",
		"+get", "+set", "+del", "+pttl", "+pexpire", "+eval", "+evalsha")
	host := server.Addr()
	const escaped = "p%3Aa%2Fs%23s%3Fw%25rd%20%40"
	for name, c := range map[string]struct {
		o  redis.Options
		ok bool
	}{
		"password in the url":    {redis.Options{URLs: []string{"redis://:" + escaped + "@" + host}}, true},
		"user in the url":        {redis.Options{URLs: []string{"redis://guard:" + escaped + "@" + host}}, true},
		"password beside it":     {redis.Options{URLs: []string{"redis://" + host}, Password: password}, true},
		"user beside it":         {redis.Options{URLs: []string{"redis://" + host}, Username: "guard", Password: password}, true},
		"beside it wins":         {redis.Options{URLs: []string{"redis://nobody:wrong@" + host}, Username: "guard", Password: password}, true},
		"wrong password":         {redis.Options{URLs: []string{"redis://:wrong-secret@" + host}}, false},
		"no password":            {redis.Options{URLs: []string{"redis://" + host}}, false},
		"a prefix not permitted": {redis.Options{URLs: []string{"redis://guard:" + escaped + "@" + host}, KeyPrefix: "else:"}, false},
	} {
		c.o.Timeout = testkit.Patient
		r := newRedis(t, c.o)
		_, err := r.Claim(t.Context(), dedupe.Event{ID: dedupe.NewKey("id", []byte(name))}, dedupe.NewToken(), testkit.TTL)
		if (err == nil) != c.ok {
			t.Errorf("%s: claim: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "wrong-secret") {
			t.Errorf("%s: the password is printed: %v", name, err)
		}
	}
}

func TestRedisOverASocket(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "redis.sock")
	server := testbed.StartRedis(t, "--unixsocket", socket)
	r := newRedis(t, redis.Options{URLs: []string{"unix://" + socket + "?db=2"}, Timeout: testkit.Patient})
	if a, err := r.Claim(t.Context(), testkit.Pair(1), dedupe.NewToken(), testkit.TTL); err != nil || a.State != dedupe.Claimed {
		t.Fatalf("claim: %+v, %v", a, err)
	}
	over := newRedis(t, redis.Options{URLs: []string{server.URL() + "/2"}, Timeout: testkit.Patient})
	if a, err := over.Claim(t.Context(), testkit.Pair(1), dedupe.NewToken(), testkit.TTL); err != nil || a.State != dedupe.InFlight {
		t.Fatalf("claim over tcp: %+v, %v", a, err)
	}
}

// The record may change between the two steps of a Forget; it must then follow.
func TestRedisForgetsWhileEventsComeAndGo(t *testing.T) {
	t.Parallel()
	server := testbed.StartRedis(t)
	r, c := newRedis(t, redis.Options{URLs: []string{server.URL()}, Timeout: testkit.Patient}), raw(t, server)
	id := dedupe.NewKey("id", []byte("shared"))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 50 {
				ev := dedupe.Event{Content: dedupe.Key(dedupe.NewToken()), ID: id}
				tok := dedupe.NewToken()
				if a, err := r.Claim(t.Context(), ev, tok, testkit.TTL); err != nil {
					t.Errorf("claim: %v", err)
				} else if a.State == dedupe.Claimed {
					if err := r.Commit(t.Context(), ev, dedupe.Success{Status: 200}, testkit.TTL); err != nil {
						t.Errorf("commit: %v", err)
					}
				}
				if _, err := r.Forget(t.Context(), id); err != nil && !errors.Is(err, dedupe.ErrInFlight) {
					t.Errorf("forget: %v", err)
				}
			}
		})
	}
	all.Wait()
	if _, err := r.Forget(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	// Had any Forget freed an ID with another event's content, a content key would be left.
	if left := c.Keys(t.Context(), "*").Val(); len(left) != 0 {
		t.Errorf("%d keys are left: %q", len(left), left)
	}
}
