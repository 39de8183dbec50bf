package redis_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/internal/testkit"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/redis"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/storetest"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

func sentinelOptions(s *testbed.Sentinels, timeout time.Duration) redis.Options {
	return redis.Options{URLs: s.URLs(), Sentinel: testbed.MasterName, Timeout: timeout}
}

func TestRedisSentinel(t *testing.T) {
	t.Parallel()
	s := testbed.StartSentinels(t, testbed.RedisSet{})
	t.Run("store", func(t *testing.T) {
		storetest.Run(t, func(*testing.T) storetest.Bench { return redisBench(sentinelOptions(s, testkit.Patient)) })
	})
}

func TestRedisSentinelServer(t *testing.T) {
	t.Parallel()
	storetest.RunServer(t, func(t *testing.T, timeout time.Duration) storetest.ServerBench {
		s := testbed.StartSentinels(t, testbed.RedisSet{})
		return storetest.ServerBench{
			Bench: redisBench(sentinelOptions(s, timeout)),
			// With its sentinels, so that they do not think the master alone is gone.
			Server:  allOf{slices.Concat(s.Servers, s.Sentinels), s.WaitOK},
			Timeout: timeout,
		}
	})
}

func TestRedisSentinelOutlivesItsMasters(t *testing.T) {
	t.Parallel()
	for name, lose := range losses {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := testbed.StartSentinels(t, testbed.RedisSet{Args: []string{"--appendonly", "yes"}, DownAfter: testbed.DownSoon})
			load := newLoad(t, sentinelOptions(s, 0))
			for range 2 {
				load.goesWell()
				master := s.Master()
				lose.begin(master)
				s.WaitFailover(master)
				load.goesWell()
				lose.end(master)
				s.WaitOK()
				load.goesWell()
			}
			load.end()
		})
	}
}

// A machine often runs a server and a sentinel; it may be any sentinel of the list.
func TestRedisSentinelOutlivesMachines(t *testing.T) {
	t.Parallel()
	for name, lose := range losses {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := testbed.StartSentinels(t, testbed.RedisSet{DownAfter: testbed.DownSoon})
			load := newLoad(t, sentinelOptions(s, 0))
			master := s.Master()
			load.goesWell()
			lose.begin(s.Sentinels[0])
			lose.begin(master)
			s.WaitFailover(master)
			load.goesWell()
			lose.end(s.Sentinels[0])
			lose.end(master)
			load.goesWell()
			load.end()
		})
	}
}

// A quiet gateway notices with its first step, not with one per idle connection.
func TestRedisSentinelFindsTheMasterAfterAQuietTime(t *testing.T) {
	t.Parallel()
	s := testbed.StartSentinels(t, testbed.RedisSet{DownAfter: testbed.DownSoon})
	// A step that fails costs this much: enough for a machine that stands still to fail none.
	load := newLoad(t, sentinelOptions(s, 12*time.Second))
	load.goesWell()
	load.end() // and leaves its connections behind
	old := s.Master()
	old.Freeze()
	s.WaitFailover(old)
	for _, r := range load.stores {
		failures := 0
		for settleOwn(t.Context(), r) != nil {
			if failures++; failures > 3 {
				t.Fatalf("%d steps have failed since there is another master", failures)
			}
		}
	}
}

func TestRedisSentinelWorksOnWithoutSentinels(t *testing.T) {
	t.Parallel()
	for name, lose := range losses {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := testbed.StartSentinels(t, testbed.RedisSet{})
			r := newRedis(t, sentinelOptions(s, testkit.Patient))
			if err := settleOwn(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			for _, sentinel := range s.Sentinels {
				lose.begin(sentinel)
			}
			for range 10 {
				if err := settleOwn(t.Context(), r); err != nil {
					t.Errorf("with its master well: %v", err)
				}
			}
			for _, sentinel := range s.Sentinels {
				lose.end(sentinel)
			}
		})
	}
}

func TestRedisSentinelErrorsNameTheTrouble(t *testing.T) {
	t.Parallel()
	s := testbed.StartSentinels(t, testbed.RedisSet{})
	o := sentinelOptions(s, testkit.Patient)
	o.Sentinel = "nobody"
	if _, err := newRedis(t, o).Lookup(t.Context(), testkit.Single(1).ID); err == nil || !strings.Contains(err.Error(), `no master "nobody"`) {
		t.Errorf("with a wrong name: %v", err)
	}
	o = sentinelOptions(s, testkit.Patient)
	o.URLs = []string{s.Servers[0].URL()}
	if _, err := newRedis(t, o).Lookup(t.Context(), testkit.Single(1).ID); err == nil || !strings.Contains(err.Error(), "asking for the master") {
		t.Errorf("with the url of a server: %v", err)
	}
}

// The sentinels' passwords are in their urls, the servers' beside them.
func TestRedisSentinelLogsIn(t *testing.T) {
	t.Parallel()
	s := testbed.StartSentinels(t, testbed.RedisSet{
		Args: []string{
			"--user", "guard", "on", ">data-secret", "~wg:*", "+get", "+set", "+del", "+pttl", "+pexpire", "+eval", "+evalsha", "+select",
		},
		SentinelConf: []string{
			"user asker on >sentinel-secret +sentinel|get-master-addr-by-name",
		},
	})
	withUser := func(user string) []string {
		var all []string
		for _, url := range s.URLs() {
			all = append(all, strings.Replace(url, "//", "//"+user+"@", 1))
		}
		return all
	}
	for name, c := range map[string]struct {
		o  redis.Options
		ok bool
	}{
		"both":                    {redis.Options{URLs: withUser("asker:sentinel-secret"), Username: "guard", Password: "data-secret"}, true},
		"and a database":          {redis.Options{URLs: withUser("asker:sentinel-secret"), Username: "guard", Password: "data-secret", DB: new(3)}, true},
		"the sentinels' is wrong": {redis.Options{URLs: withUser("asker:wrong-secret"), Username: "guard", Password: "data-secret"}, false},
		"the servers' is wrong":   {redis.Options{URLs: withUser("asker:sentinel-secret"), Username: "guard", Password: "wrong-secret"}, false},
	} {
		c.o.Sentinel, c.o.Timeout = testbed.MasterName, testkit.Patient
		r := newRedis(t, c.o)
		_, err := r.Claim(t.Context(), dedupe.Event{ID: dedupe.NewKey("id", []byte(name))}, dedupe.NewToken(), testkit.TTL)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the password is printed: %v", name, err)
		}
	}
}

// Behind an address that moves with the master there are neither sentinels nor redirects.
func TestRedisThatBecomesAReplicaIsLeftAndComesBack(t *testing.T) {
	t.Parallel()
	server, other := testbed.StartRedis(t), testbed.StartRedis(t)
	r := newRedis(t, redis.Options{URLs: []string{server.URL()}, Timeout: testkit.Patient})
	if err := settleOwn(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	host, port, _ := strings.Cut(other.Addr(), ":")
	if _, err := server.Do("REPLICAOF", host, port); err != nil {
		t.Fatal(err)
	}
	if err := settleOwn(t.Context(), r); err == nil || !strings.Contains(err.Error(), "READONLY") {
		t.Errorf("on a replica: %v, want READONLY", err)
	}
	if _, err := server.Do("REPLICAOF", "NO", "ONE"); err != nil {
		t.Fatal(err)
	}
	if err := settleOwn(t.Context(), r); err != nil {
		t.Errorf("on a master again: %v", err)
	}
}
