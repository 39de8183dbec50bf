package chaos

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// topology is a store as people run it, and what can happen to it.
type topology interface {
	// gateways is how many share it.
	gateways() int
	// directive is what follows `store` in the configuration of one gateway.
	directive(gateway int) string
	// mishaps are the faults that it can have.
	mishaps() []mishap
}

// mishap is a kind of fault. Drawing decides all that a seed can decide; what happens
// then may depend on who is the master at that time.
type mishap struct {
	kind string
	draw func(r *rand.Rand) breakage
}

// breakage is a fault about to happen.
type breakage struct {
	fault  fault
	strike func()
	mend   func() // and waits until all is well
	// loses, where set, tells after that whether the store may have lost writes.
	loses func() bool
}

var topologies = map[string]func(tb testing.TB) topology{
	"single":   startSingle,
	"sentinel": startSentinel,
	"cluster":  startCluster,
	"disk":     startDisk,
}

// single is one Redis that keeps what it has confirmed. Each gateway has a way of its
// own to it, so that one can be cut off alone.
type single struct {
	redis *testbed.Redis
	ways  []*proxy
}

func startSingle(tb testing.TB) topology {
	s := &single{redis: testbed.StartRedis(tb, "--appendonly", "yes", "--appendfsync", "always")}
	for range 3 {
		s.ways = append(s.ways, startProxy(tb, s.redis.Addr()))
	}
	return s
}

func (s *single) gateways() int { return len(s.ways) }

func (s *single) directive(gateway int) string { return "redis redis://" + s.ways[gateway].listen }

func (s *single) mishaps() []mishap {
	all := []mishap{
		{"Redis killed", func(*rand.Rand) breakage {
			return breakage{
				fault:  fault{gateway: everyGateway, hits: storeHit},
				strike: s.redis.Stop,
				mend:   s.redis.Start,
			}
		}},
		{"Redis frozen", func(*rand.Rand) breakage {
			return breakage{
				fault:  fault{gateway: everyGateway, hits: storeHit},
				strike: s.redis.Freeze,
				mend:   s.redis.Thaw,
			}
		}},
	}
	for _, t := range toxics {
		all = append(all, mishap{t.kind, func(r *rand.Rand) breakage {
			toxic := t.draw(r)
			gateway := r.IntN(len(s.ways)+1) - 1
			ways := s.ways
			if gateway != everyGateway {
				ways = s.ways[gateway : gateway+1]
			}
			return spoiling(fault{gateway: gateway, detail: toxic.name}, ways, toxic)
		}})
	}
	return all
}

// spoiling is a breakage of ways to the store.
func spoiling(f fault, ways []*proxy, t toxic) breakage {
	f.hits = storeHit
	return breakage{
		fault: f,
		strike: func() {
			for _, p := range ways {
				p.spoil(t)
			}
		},
		mend: func() {
			for _, p := range ways {
				p.clear()
			}
		},
	}
}

// caddyfile is the configuration of one gateway. The version makes no difference but
// that Caddy sees another text. Connections to the app are not kept, so that an app that
// refuses them is noticed at once.
func (w *world) caddyfile(gateway int) string {
	text := fmt.Sprintf(`{
	admin 127.0.0.1:{$ADMIN}
	log {
		output file %s {
			roll_disabled
		}
		level WARN
	}
	webhook_guard {
		store %s
	}
}
http://:{$PORT} {
`, w.logPath(gateway), w.topology.directive(gateway))
	for _, s := range testbed.Senders() {
		token := ""
		if s.SignatureHeader == "" {
			token = "token query token"
		}
		text += fmt.Sprintf(`	handle /webhooks/%[1]s {
		webhook_guard %[1]s {
			secret %[2]s
			%[3]s
			lease %[4]v
			timeout %[5]v
			in_flight wait %[6]v
		}
		reverse_proxy %[7]s {
			header_up %[8]s %[9]d
			transport http {
				keepalive off
			}
		}
	}
`, s.Name, s.Secret, token, lease, appLimit, inFlightWait, w.app.addr, gatewayHeader, gateway)
	}
	return text + fmt.Sprintf("\thandle {\n\t\terror \"version %d\" 404\n\t}\n}\n", w.versions)
}
