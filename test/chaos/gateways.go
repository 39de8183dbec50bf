package chaos

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
)

// gatewayMishaps are what can happen to gateways. At most one has a fault at a time,
// but for the one that hits them all.
func (w *world) gatewayMishaps() []mishap {
	one := func(kind string, hits part, strike func(i int), mend func(i int)) mishap {
		return mishap{kind, func(r *rand.Rand) breakage {
			i := r.IntN(len(w.gateways))
			return breakage{
				fault:  fault{gateway: i, hits: hits},
				strike: func() { strike(i) },
				mend:   func() { mend(i) },
			}
		}}
	}
	start := func(i int) { w.gateways[i].Start() }
	all := []mishap{
		one("gateway killed", gatewayKilled, func(i int) { w.gateways[i].Kill() }, start),
		one("gateway stopped", gatewayStopped, w.stop, start),
		one("configuration reloaded", gatewayReloaded, w.reload, func(int) {}),
	}
	if len(w.gateways) > 1 {
		all = append(all, mishap{"all gateways killed", func(*rand.Rand) breakage {
			return breakage{
				fault: fault{gateway: everyGateway, hits: gatewayKilled},
				strike: func() {
					for _, g := range w.gateways {
						g.Kill()
					}
				},
				mend: func() {
					for _, g := range w.gateways {
						g.Start()
					}
				},
			}
		}})
	}
	return all
}

// stop asks a gateway to end; it must do so well.
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

// appMishaps are what can happen to the app as a whole.
func (w *world) appMishaps() []mishap {
	return []mishap{{"app refuses connections", func(*rand.Rand) breakage {
		return breakage{
			fault:  fault{gateway: everyGateway, hits: appDown},
			strike: w.app.refuse,
			mend:   w.app.listen,
		}
	}}}
}

func (w *world) logPath(gateway int) string {
	return filepath.Join(w.dir, fmt.Sprintf("gateway-%d.log", gateway))
}
