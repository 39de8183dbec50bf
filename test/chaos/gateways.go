package chaos

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
)

// gatewayFaults are the faults of gateways. At most one gateway has a fault at a time,
// except for the fault that affects all of them.
func (w *world) gatewayFaults() []faultKind {
	one := func(kind string, hits part, inject func(i int), repair func(i int)) faultKind {
		return faultKind{kind: kind, draw: func(r *rand.Rand) injection {
			i := r.IntN(len(w.gateways))
			return injection{
				fault:  fault{gateway: i, hits: hits},
				inject: func() { inject(i) },
				repair: func() { repair(i) },
			}
		}}
	}
	start := func(i int) { w.gateways[i].Start() }
	all := []faultKind{
		one("gateway killed", gatewayKilled, func(i int) { w.gateways[i].Kill() }, start),
		one("gateway stopped", gatewayStopped, w.stop, start),
		one("configuration reloaded", gatewayReloaded, w.reload, func(int) {}),
	}
	if len(w.gateways) > 1 {
		all = append(all, faultKind{kind: "all gateways killed", draw: func(*rand.Rand) injection {
			return injection{
				fault: fault{gateway: everyGateway, hits: gatewayKilled},
				inject: func() {
					for _, g := range w.gateways {
						g.Kill()
					}
				},
				repair: func() {
					for _, g := range w.gateways {
						g.Start()
					}
				},
			}
		}})
	}
	return all
}

// stop asks a gateway to end, which must succeed.
func (w *world) stop(i int) {
	if err := w.gateways[i].Stop(); err != nil {
		w.tb.Errorf("gateway %d ended badly after SIGTERM: %v", i, err)
	}
}

func (w *world) reload(i int) {
	w.versions++
	if err := w.gateways[i].Reload(w.caddyfile(i)); err != nil {
		w.tb.Errorf("gateway %d: %v", i, err)
	}
}

// appFaults are the faults of the app as a whole.
func (w *world) appFaults() []faultKind {
	return []faultKind{{kind: "app refuses connections", draw: func(*rand.Rand) injection {
		return injection{
			fault:  fault{gateway: everyGateway, hits: appDown},
			inject: w.app.refuse,
			repair: w.app.listen,
		}
	}}}
}

func (w *world) logPath(gateway int) string {
	return filepath.Join(w.dir, fmt.Sprintf("gateway-%d.log", gateway))
}
