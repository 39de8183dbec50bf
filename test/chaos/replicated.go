package chaos

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// servers is a set of Redis servers that replaces a master that is gone.
type servers interface {
	masters() []*testbed.Redis
	failover(master *testbed.Redis)
	waitFailover(gone *testbed.Redis)
	waitOK()
}

// replicated is a topology with a set. A proxy stands before every server of it, and is
// what the set announces: the gateways, the sentinels and the replicas know no other way.
type replicated struct {
	servers
	store string // the directive
	ways  map[string]*proxy
}

// announced is the common part of the sets: each server is known by its proxy's port.
func (t *replicated) announced(tb testing.TB) testbed.RedisSet {
	t.ways = make(map[string]*proxy)
	return testbed.RedisSet{
		Args: []string{"--appendonly", "yes"},
		Announce: func(port int) int {
			p := startProxy(tb, fmt.Sprintf("127.0.0.1:%d", port))
			t.ways[p.upstream] = p
			return p.port()
		},
	}
}

func (t *replicated) gateways() int { return 3 }

func (t *replicated) directive(int) string { return t.store }

func (t *replicated) mishaps() []mishap {
	all := []mishap{
		t.losing("master killed", (*testbed.Redis).Stop, (*testbed.Redis).Start),
		t.losing("master frozen", (*testbed.Redis).Freeze, (*testbed.Redis).Thaw),
		t.onMaster("failover asked for", func(*rand.Rand) (string, func(*testbed.Redis), func(*testbed.Redis)) {
			return "", t.failover, func(*testbed.Redis) {}
		}),
	}
	for _, spoilt := range toxics {
		all = append(all, t.onMaster(spoilt.kind, func(r *rand.Rand) (string, func(*testbed.Redis), func(*testbed.Redis)) {
			toxic := spoilt.draw(r)
			return toxic.name,
				func(m *testbed.Redis) { t.ways[m.Addr()].spoil(toxic) },
				func(m *testbed.Redis) { t.ways[m.Addr()].clear() }
		}))
	}
	return all
}

// losing is a master that goes away. It comes back after another has taken over, or,
// as the seed says, already before that.
func (t *replicated) losing(kind string, away, back func(*testbed.Redis)) mishap {
	return t.onMaster(kind, func(r *rand.Rand) (string, func(*testbed.Redis), func(*testbed.Redis)) {
		if r.IntN(3) == 0 {
			return "back soon", away, back
		}
		return "until another takes over", away, func(m *testbed.Redis) {
			t.waitFailover(m)
			back(m)
		}
	})
}

// onMaster is a mishap of one master. Where it ends in a failover, what the old master had
// confirmed and not passed on is lost.
func (t *replicated) onMaster(kind string, draw func(*rand.Rand) (detail string, strike, mend func(*testbed.Redis))) mishap {
	return mishap{kind, func(r *rand.Rand) breakage {
		detail, strike, mend := draw(r)
		which := r.IntN(1 << 16)
		var before []*testbed.Redis
		var master *testbed.Redis
		return breakage{
			fault: fault{gateway: everyGateway, hits: storeHit, detail: detail},
			strike: func() {
				before = t.masters()
				master = before[which%len(before)]
				strike(master)
			},
			mend: func() {
				mend(master)
				t.waitOK()
			},
			loses: func() bool { return !slices.Equal(before, t.masters()) },
		}
	}}
}

// startSentinel is a master, two replicas and three sentinels.
func startSentinel(tb testing.TB) topology {
	t := &replicated{}
	s := testbed.StartSentinels(tb, t.announced(tb))
	t.servers = sentinels{s}
	t.store = fmt.Sprintf("redis %s {\n\t\t\tsentinel %s\n\t\t}", strings.Join(s.URLs(), " "), testbed.MasterName)
	return t
}

type sentinels struct{ *testbed.Sentinels }

func (s sentinels) masters() []*testbed.Redis        { return []*testbed.Redis{s.Master()} }
func (s sentinels) failover(*testbed.Redis)          { s.Failover() }
func (s sentinels) waitFailover(gone *testbed.Redis) { s.WaitFailover(gone) }
func (s sentinels) waitOK()                          { s.WaitOK() }

// startCluster is a Redis Cluster of three masters with a replica each.
func startCluster(tb testing.TB) topology {
	t := &replicated{}
	c := testbed.StartCluster(tb, t.announced(tb))
	t.servers = cluster{c}
	t.store = fmt.Sprintf("redis %s {\n\t\t\tcluster\n\t\t}", strings.Join(c.URLs(), " "))
	return t
}

type cluster struct{ *testbed.Cluster }

func (c cluster) masters() []*testbed.Redis        { return c.Masters() }
func (c cluster) failover(master *testbed.Redis)   { c.Failover(master) }
func (c cluster) waitFailover(gone *testbed.Redis) { c.WaitFailover(gone) }
func (c cluster) waitOK()                          { c.WaitOK() }

// onDisk is a gateway alone with the embedded store, which has no faults of its own
// but those of its process.
type onDisk struct{}

func startDisk(testing.TB) topology { return onDisk{} }

func (onDisk) gateways() int        { return 1 }
func (onDisk) directive(int) string { return "disk" }
func (onDisk) mishaps() []mishap    { return nil }
