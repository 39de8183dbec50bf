package chaos

import (
	"fmt"
	"math/rand/v2"
	"testing"

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

// faultKind is a kind of fault. Drawing decides everything that the seed can decide.
// The rest may depend on which server is the master at that time.
type faultKind struct {
	kind string
	draw func(r *rand.Rand) injection
}

// injection is a fault about to happen.
type injection struct {
	fault  fault
	inject func()
	repair func() // returns when the fault is over
	// loses, where set, reports afterwards whether the store may have lost writes.
	loses func() bool
}

var topologies = map[string]func(tb testing.TB) topology{
	"single":   startSingle,
	"sentinel": startSentinel,
	"cluster":  startCluster,
	"disk":     startDisk,
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
		{"Redis killed", func(*rand.Rand) injection {
			return injection{
				fault:  fault{gateway: everyGateway, hits: storeHit},
				inject: s.redis.Stop,
				repair: s.redis.Start,
			}
		}},
		{"Redis frozen", func(*rand.Rand) injection {
			return injection{
				fault:  fault{gateway: everyGateway, hits: storeHit},
				inject: s.redis.Freeze,
				repair: s.redis.Thaw,
			}
		}},
	}
	for _, t := range toxics {
		all = append(all, faultKind{t.kind, func(r *rand.Rand) injection {
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

// caddyfile is the configuration of one gateway. The version only makes the text
// differ, since Caddy ignores a reload without a change. Connections to the app are not
// kept, so that a refusing app is noticed at once.
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
