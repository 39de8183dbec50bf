package chaos

import (
	"context"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	// stalled is the fault that nobody injected: a gateway that stood still, as the machine
	// gave it no processor. Probes tell it.
	stalled = "gateway stood still, by itself"
	// probeEvery is the pause between two probes of a gateway.
	probeEvery = 100 * time.Millisecond
	// stallLeast is the shortest that matters: less than a claim can lapse in.
	stallLeast = lease / 3
)

// probe asks a gateway again and again, and records the times at which it answered late, or
// broke off a probe that it had had for that long.
func (w *world) probe(ctx context.Context, gateway int) {
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for sleep(ctx, probeEvery) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.gateways[gateway].URL("/probe"), nil)
		if err != nil {
			w.tb.Errorf("probing gateway %d: %v", gateway, err)
			return
		}
		begun := w.rec.now()
		if resp, err := client.Do(req); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		if now := w.rec.now(); now-begun >= stallLeast {
			w.stalls.add(gateway, begun, now)
		}
	}
}

// stalls are the times at which gateways stood still.
type stalls struct {
	mu  sync.Mutex
	all []*fault
}

func (s *stalls) add(gateway int, start, end moment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, &fault{kind: stalled, gateway: gateway, hits: gatewayFrozen, start: start, struck: start, end: end})
}

// byThemselves are those that no injected fault made.
func (s *stalls) byThemselves(injected []*fault) (found []*fault) {
	for _, stall := range s.all {
		if !slices.ContainsFunc(injected, func(f *fault) bool {
			return f.hits == gatewayFrozen && f.concerns(stall.gateway) && f.lasted(stall.start, stall.end)
		}) {
			found = append(found, stall)
		}
	}
	return found
}

// unlessStill is when the gateway of a call has settled it at the latest, if it lives and the
// store answers: so long after the app's answer, not counting the time for which it stood still.
func unlessStill(c *call, within time.Duration, faults []*fault) moment {
	at := c.ended + within
	for _, f := range faults {
		if f.hits == gatewayFrozen && f.concerns(c.gateway) && f.lasted(c.begun, at) {
			at = max(at, f.end+within)
		}
	}
	return at
}
