package chaos

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// servers is a set of Redis servers that replaces a failed master.
type servers interface {
	masters() []*testbed.Redis
	Epoch() int // which each failover makes greater
	failover(master *testbed.Redis)
	waitFailover(gone *testbed.Redis)
	waitOK()
}

// replicated is a topology with a set. A proxy stands before every server, and the set
// announces the proxies' ports: the gateways, the sentinels and the replicas know no
// others.
type replicated struct {
	servers
	store   string // the directive
	proxies map[string]*proxy

	// seen is the epoch when the last fault of these servers was over, and seenAt is when.
	seen   int
	seenAt time.Time
}

// look notes the epoch, and reports whether it is another one than before.
func (t *replicated) look() (changed bool) {
	at, epoch := time.Now(), t.Epoch()
	changed = epoch != t.seen
	t.seen, t.seenAt = epoch, at
	return changed
}

// unasked implements [replacing].
func (t *replicated) unasked() (since time.Time, happened bool) {
	since = t.seenAt
	return since, t.look()
}

// announced is the common part of the sets: each server is known by its proxy's port.
func (t *replicated) announced(tb testing.TB) testbed.RedisSet {
	t.proxies = make(map[string]*proxy)
	return testbed.RedisSet{
		Args:      []string{"--appendonly", "yes"},
		DownAfter: testbed.DownSoon,
		Announce: func(port int) int {
			p := startProxy(tb, fmt.Sprintf("127.0.0.1:%d", port))
			t.proxies[p.upstream] = p
			return p.port()
		},
	}
}

func (t *replicated) gateways() int { return 3 }

func (t *replicated) directive(int) string { return t.store }

func (t *replicated) faultKinds() []faultKind {
	all := []faultKind{
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
				func(m *testbed.Redis) { t.proxies[m.Addr()].addToxic(toxic) },
				func(m *testbed.Redis) { t.proxies[m.Addr()].clear() }
		}))
	}
	return all
}

// losing is the failure of a master. It returns after another has taken over or, if the
// seed decides so, before that.
func (t *replicated) losing(kind string, away, back func(*testbed.Redis)) faultKind {
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

// onMaster is a faultKind of one master. Where it ends in a failover, writes that the
// old master had confirmed but not replicated are lost.
func (t *replicated) onMaster(kind string, draw func(*rand.Rand) (detail string, inject, repair func(*testbed.Redis))) faultKind {
	return faultKind{kind: kind, draw: func(r *rand.Rand) injection {
		detail, inject, repair := draw(r)
		which := r.IntN(1 << 16)
		var master *testbed.Redis
		return injection{
			fault: fault{gateway: everyGateway, hits: storeHit, detail: detail},
			inject: func() {
				masters := t.masters()
				master = masters[which%len(masters)]
				inject(master)
			},
			repair: func() {
				repair(master)
				t.waitOK()
			},
			loses: t.look,
		}
	}}
}

// startSentinel is a master, two replicas and three sentinels.
func startSentinel(tb testing.TB) topology {
	t := &replicated{}
	s := testbed.StartSentinels(tb, t.announced(tb))
	t.servers = sentinels{s}
	t.look()
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
	t.look()
	t.store = fmt.Sprintf("redis %s {\n\t\t\tcluster\n\t\t}", strings.Join(c.URLs(), " "))
	return t
}

type cluster struct{ *testbed.Cluster }

func (c cluster) masters() []*testbed.Redis        { return c.Masters() }
func (c cluster) failover(master *testbed.Redis)   { c.Failover(master) }
func (c cluster) waitFailover(gone *testbed.Redis) { c.WaitFailover(gone) }
func (c cluster) waitOK()                          { c.WaitOK() }

// onDisk is a single gateway with the embedded store, whose only faults are those of
// its process.
type onDisk struct{ dir string }

func startDisk(tb testing.TB) topology { return onDisk{filepath.Join(tb.TempDir(), "events")} }

func (onDisk) gateways() int           { return 1 }
func (d onDisk) directive(int) string  { return "disk " + d.dir }
func (onDisk) faultKinds() []faultKind { return nil }
