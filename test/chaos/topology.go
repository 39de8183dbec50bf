package chaos

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// topology is a store as users run it, with its faults.
type topology interface {
	// gateways is how many share it.
	gateways() int
	// directive is what follows `store` in the configuration of one gateway.
	directive(gateway int) string
	// faultKinds are its possible faults.
	faultKinds() []faultKind
}

// replacing is a topology whose servers replace a master that is silent: on a busy machine
// without a fault, too.
type replacing interface {
	// unasked reports whether that has happened since a time, which is that of the last call or
	// of the end of the last fault that loses writes.
	unasked() (since time.Time, happened bool)
}

// faultKind is a kind of fault. Drawing decides everything that the seed can decide.
// The rest may depend on which server is the master at that time.
type faultKind struct {
	kind string
	draw func(r *rand.Rand) injection
	// hold is how long it lasts, where that is not up to its lane.
	hold [2]time.Duration
}

// injection is a fault about to happen.
type injection struct {
	fault  fault
	inject func()
	repair func() // returns when the fault is over
	// loses, where set, reports afterwards whether the store may have lost writes.
	loses func() bool
}

// setup is a topology that a run can have.
type setup struct {
	start func(tb testing.TB) topology
	// inbox: every guard has an inbox.
	inbox bool
}

var topologies = map[string]setup{
	"single":         {start: startSingle},
	"sentinel":       {start: startSentinel},
	"cluster":        {start: startCluster},
	"disk":           {start: startDisk},
	"inbox-single":   {start: startSingle, inbox: true},
	"inbox-sentinel": {start: startSentinel, inbox: true},
	"inbox-cluster":  {start: startCluster, inbox: true},
	"inbox-disk":     {start: startDisk, inbox: true},
}

// single is one Redis that keeps confirmed writes. Each gateway reaches it through a
// proxy of its own, so that one can be cut off alone.
type single struct {
	redis   *testbed.Redis
	proxies []*proxy
}

func startSingle(tb testing.TB) topology {
	s := &single{redis: testbed.StartRedis(tb, "--appendonly", "yes", "--appendfsync", "always")}
	for range 3 {
		s.proxies = append(s.proxies, startProxy(tb, s.redis.Addr()))
	}
	return s
}

func (s *single) gateways() int { return len(s.proxies) }

func (s *single) directive(gateway int) string { return "redis redis://" + s.proxies[gateway].listen }

func (s *single) faultKinds() []faultKind {
	all := []faultKind{
		{kind: "Redis killed", draw: func(*rand.Rand) injection {
			return injection{
				fault:  fault{gateway: everyGateway, hits: storeHit},
				inject: s.redis.Stop,
				repair: s.redis.Start,
			}
		}},
		{kind: "Redis frozen", draw: func(*rand.Rand) injection {
			return injection{
				fault:  fault{gateway: everyGateway, hits: storeHit},
				inject: s.redis.Freeze,
				repair: s.redis.Thaw,
			}
		}},
	}
	for _, t := range toxics {
		all = append(all, faultKind{kind: t.kind, draw: func(r *rand.Rand) injection {
			toxic := t.draw(r)
			gateway := r.IntN(len(s.proxies)+1) - 1
			proxies := s.proxies
			if gateway != everyGateway {
				proxies = s.proxies[gateway : gateway+1]
			}
			return injectToxic(fault{gateway: gateway, detail: toxic.name}, proxies, toxic)
		}})
	}
	return all
}

// injectToxic returns the fault that a toxic on these proxies makes.
func injectToxic(f fault, proxies []*proxy, t toxic) injection {
	f.hits = storeHit
	return injection{
		fault: f,
		inject: func() {
			for _, p := range proxies {
				p.addToxic(t)
			}
		},
		repair: func() {
			for _, p := range proxies {
				p.clear()
			}
		},
	}
}
