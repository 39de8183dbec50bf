package redis_test

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/internal/testkit"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/redis"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/storetest"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

func TestRedisCluster(t *testing.T) {
	t.Parallel()
	cluster := testbed.StartCluster(t, testbed.RedisSet{})
	t.Run("store", func(t *testing.T) {
		storetest.Run(t, func(*testing.T) storetest.Bench {
			return redisBench(redis.Options{URLs: cluster.URLs(), Timeout: testkit.Patient})
		})
	})
}

func TestRedisClusterServer(t *testing.T) {
	t.Parallel()
	storetest.RunServer(t, func(t *testing.T, timeout time.Duration) storetest.ServerBench {
		cluster := testbed.StartCluster(t, testbed.RedisSet{})
		return storetest.ServerBench{
			Bench:   redisBench(redis.Options{URLs: cluster.URLs(), Timeout: timeout}),
			Server:  allOf{cluster.Nodes, cluster.WaitOK},
			Timeout: timeout,
		}
	})
}

// allOf makes one server of many.
type allOf struct {
	servers []*testbed.Redis
	waitOK  func()
}

func (a allOf) each(f func(*testbed.Redis)) {
	for _, r := range a.servers {
		f(r)
	}
}

func (a allOf) Freeze() { a.each((*testbed.Redis).Freeze) }
func (a allOf) Thaw()   { a.each((*testbed.Redis).Thaw) }
func (a allOf) Stop()   { a.each((*testbed.Redis).Stop) }
func (a allOf) Start()  { a.each((*testbed.Redis).Start); a.waitOK() }

// One URL is enough to find all nodes, and the two keys of an event are apart.
func TestRedisClusterIsFoundFromOneNode(t *testing.T) {
	t.Parallel()
	cluster := testbed.StartCluster(t, testbed.RedisSet{})
	r := newRedis(t, redis.Options{URLs: cluster.URLs()[4:5], Cluster: true, Timeout: testkit.Patient})
	for i := range byte(20) {
		ev, tok := testkit.Pair(i), dedupe.NewToken()
		if a, err := r.Claim(t.Context(), ev, tok, testkit.TTL); err != nil || a.State != dedupe.Claimed {
			t.Fatalf("claim: %+v, %v", a, err)
		}
		if err := r.Commit(t.Context(), ev, dedupe.Success{Status: 200}, testkit.TTL); err != nil {
			t.Fatal(err)
		}
	}
	for _, master := range cluster.Masters() {
		if size, err := master.Do("DBSIZE"); err != nil || size == ":0" || size == ":40" {
			t.Errorf("%s has %s keys, %v; want some of 40", master.Addr(), size, err)
		}
	}
}

// No write is lost in a failover that an operator asks for, or while slots move: so no
// key may ever have two holders meanwhile.
func TestRedisClusterHasOneHolderPerKeyWhileMastersChange(t *testing.T) {
	t.Parallel()
	// Four times as long is what a vote that fails waits for the next one.
	cluster := testbed.StartCluster(t, testbed.RedisSet{DownAfter: 15 * time.Second})
	contest := newContest(t, redis.Options{URLs: cluster.URLs(), Timeout: testkit.Patient})
	for range 2 {
		for _, master := range cluster.Masters() {
			contest.goOn()
			cluster.Failover(master)
		}
		cluster.WaitOK() // else some master has no replica yet that could take over
	}
	contest.goOn()
	contest.end()
}

func TestRedisClusterHasOneHolderPerKeyWhileASlotMoves(t *testing.T) {
	t.Parallel()
	cluster := testbed.StartCluster(t, testbed.RedisSet{})
	const tag = "moving"
	contest := newContest(t, redis.Options{URLs: cluster.URLs(), KeyPrefix: "{" + tag + "}:", Timeout: testkit.Patient})
	var nodes []clusterNode
	for _, r := range cluster.Masters() {
		nodes = append(nodes, newClusterNode(t, r))
	}
	slot := int(nodes[0].ClusterKeySlot(t.Context(), tag).Val())
	from := -1
	testbed.Eventually(t, testkit.Patient, func() bool {
		for i, r := range cluster.Masters() {
			if held, err := r.Do("CLUSTER", "COUNTKEYSINSLOT", strconv.Itoa(slot)); err == nil && held != ":0" {
				from = i
			}
		}
		return from >= 0
	}, "a master has the keys")
	for range 6 {
		to := (from + 1) % len(nodes)
		nodes[from].move(t, slot, nodes[to], nodes, contest.goOn)
		from = to
		contest.goOn()
	}
	contest.end()
}

type clusterNode struct {
	*goredis.Client
	id, host, port string
}

func newClusterNode(t *testing.T, r *testbed.Redis) clusterNode {
	t.Helper()
	c := raw(t, r)
	host, port, _ := strings.Cut(r.Addr(), ":")
	return clusterNode{c, c.ClusterMyID(t.Context()).Val(), host, port}
}

// move moves a slot to another node, and has the middle of it last for a while.
func (n clusterNode) move(t *testing.T, slot int, to clusterNode, all []clusterNode, linger func()) {
	t.Helper()
	set := func(on clusterNode, state, id string) {
		if err := on.Do(t.Context(), "CLUSTER", "SETSLOT", slot, state, id).Err(); err != nil {
			t.Fatalf("CLUSTER SETSLOT %s: %v", state, err)
		}
	}
	set(to, "IMPORTING", n.id)
	set(n, "MIGRATING", to.id)
	linger()
	for {
		keys, err := n.ClusterGetKeysInSlot(t.Context(), slot, 10).Result()
		if err != nil {
			t.Fatal(err)
		}
		if len(keys) == 0 {
			break
		}
		args := []any{"MIGRATE", to.host, to.port, "", 0, testkit.Patient.Milliseconds(), "KEYS"}
		for _, k := range keys {
			args = append(args, k)
		}
		if err := n.Do(t.Context(), args...).Err(); err != nil {
			t.Fatalf("MIGRATE: %v", err)
		}
	}
	linger()
	set(to, "NODE", to.id)
	set(n, "NODE", to.id)
	for _, other := range all {
		set(other, "NODE", to.id)
	}
}

// What a crash takes with it is not part of the promise. That the store works on is.
func TestRedisClusterOutlivesItsMasters(t *testing.T) {
	t.Parallel()
	for name, lose := range losses {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := testbed.StartCluster(t, testbed.RedisSet{Args: []string{"--appendonly", "yes"}, DownAfter: testbed.DownSoon})
			load := newLoad(t, redis.Options{URLs: cluster.URLs()})
			for _, master := range cluster.Masters()[:2] {
				load.goesWell()
				lose.begin(master)
				cluster.WaitFailover(master)
				load.goesWell()
				lose.end(master)
				cluster.WaitOK()
				load.goesWell()
			}
			load.end()
		})
	}
}

// What a gateway asks at first, it may ask the one node that is silent. Events of the
// other nodes must not suffer for it.
func TestRedisClusterWithASilentMasterCostsOneDeadline(t *testing.T) {
	t.Parallel()
	cluster := testbed.StartCluster(t, testbed.RedisSet{})
	silent := cluster.Nodes[0]
	events := make([]dedupe.Event, 16)
	reachable := make([]bool, len(events))
	for i := range events {
		events[i] = testkit.Pair(byte(i))
		reachable[i] = holderOf(t, cluster, events[i].Content) != silent && holderOf(t, cluster, events[i].ID) != silent
	}
	silent.Freeze()
	const timeout = 12 * time.Second // so that a machine that stands still fails no claim
	var all sync.WaitGroup
	for i, ev := range events {
		r := newRedis(t, redis.Options{URLs: cluster.URLs(), Timeout: timeout})
		all.Go(func() {
			var err error
			took := storetest.Took(func() { _, err = r.Claim(t.Context(), ev, dedupe.NewToken(), testkit.TTL) })
			if (err == nil) != reachable[i] {
				t.Errorf("its nodes answer: %v; claim: %v", reachable[i], err)
			}
			if took > timeout+slack {
				t.Errorf("took %s with %s allowed", took, timeout)
			}
		})
	}
	all.Wait()
}

func TestRedisClusterWarnsOfEachMaster(t *testing.T) {
	t.Parallel()
	cluster := testbed.StartCluster(t, testbed.RedisSet{Args: []string{"--appendonly", "yes"}})
	masters := cluster.Masters()
	r := newRedis(t, redis.Options{URLs: cluster.URLs(), Timeout: testkit.Patient})
	if got, err := r.Warnings(t.Context()); err != nil || len(got) != 0 {
		t.Fatalf("warnings are %q, %v; want none", got, err)
	}
	for _, master := range masters[:2] {
		if _, err := master.Do("CONFIG", "SET", "maxmemory-policy", "allkeys-lru"); err != nil {
			t.Fatal(err)
		}
	}
	got, err := r.Warnings(t.Context())
	if err != nil || len(got) != 1 {
		t.Fatalf("warnings are %q, %v; want one", got, err)
	}
	for i, master := range masters {
		if named := strings.Contains(got[0], master.Addr()); named != (i < 2) {
			t.Errorf("%s is named: %v, in %q", master.Addr(), named, got[0])
		}
	}
}

// A claim that got one key and then no answer for the other is released by its token.
func TestRedisClusterClaimThatFailsHalfWayCanBeReleased(t *testing.T) {
	t.Parallel()
	cluster := testbed.StartCluster(t, testbed.RedisSet{})
	r := newRedis(t, redis.Options{URLs: cluster.URLs(), Timeout: 12 * time.Second})
	ev, tok := eventApart(t, cluster), dedupe.NewToken()
	stuck := holderOf(t, cluster, ev.ID)
	stuck.Freeze()
	if a, err := r.Claim(t.Context(), ev, tok, testkit.TTL); err == nil {
		t.Fatalf("claim without one of its masters: %+v", a)
	}
	if rec, err := r.Lookup(t.Context(), ev.Content); err != nil || rec.State != dedupe.InFlight {
		t.Fatalf("content is %+v, %v; want in flight", rec, err)
	}
	if err := r.Release(t.Context(), ev, tok); err == nil {
		t.Error("release without one of the masters: no error")
	}
	if rec, err := r.Lookup(t.Context(), ev.Content); err != nil || rec.State != dedupe.Absent {
		t.Errorf("content is %+v, %v; want absent", rec, err)
	}
	stuck.Thaw()
}

// eventApart returns an event whose keys are on different masters.
func eventApart(t *testing.T, c *testbed.Cluster) dedupe.Event {
	t.Helper()
	for {
		ev := dedupe.Event{Content: dedupe.Key(dedupe.NewToken()), ID: dedupe.Key(dedupe.NewToken())}
		if holderOf(t, c, ev.Content) != holderOf(t, c, ev.ID) {
			return ev
		}
	}
}

func holderOf(t *testing.T, c *testbed.Cluster, k dedupe.Key) *testbed.Redis {
	t.Helper()
	for _, master := range c.Masters() {
		if _, err := master.Do("GET", "wg:"+k.String()); err == nil {
			return master
		} else if !strings.HasPrefix(err.Error(), "MOVED") {
			t.Fatal(err)
		}
	}
	t.Fatal("no master has the slot")
	return nil
}
