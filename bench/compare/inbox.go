//go:build linux

package compare

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/bench/app"
	"github.com/webhookguard/caddy-webhook-guard/bench/load"
	"github.com/webhookguard/caddy-webhook-guard/bench/report"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// inboxKind is whether a variant has an inbox, and what is measured of it.
type inboxKind int

const (
	noInbox inboxKind = iota
	// accepting is an inbox that delivers nothing meanwhile: the app is away.
	accepting
	// delivering is one whose events count when the app has had them.
	delivering
)

// concurrency is how many events the app gets at once: the default.
const concurrency = 16

func inboxVariants() []Variant {
	var all []Variant
	accepted := load.Want{Status: http.StatusOK, Guard: "accepted"}
	for _, store := range []string{"disk", "redis"} {
		all = append(all,
			Variant{Variant: report.Variant{Name: "inbox-" + store, Title: "guard, inbox on `" + store + "`, accepting"}, want: accepted, inbox: accepting, store: store, start: caddyInbox(store)},
			Variant{Variant: report.Variant{Name: "through-" + store, Title: "guard, inbox on `" + store + "`, until the app has had them"}, want: accepted, inbox: delivering, store: store, forwards: true, start: caddyInbox(store)},
		)
	}
	return all
}

// caddyInbox is [caddy] with an inbox that holds all that a run may come to.
func caddyInbox(store string) func(testing.TB, *env) target {
	return func(tb testing.TB, e *env) target {
		tb.Helper()
		guard := func(s testbed.Sender) string {
			return strings.TrimSuffix(guarding(s), "}") + fmt.Sprintf(`	inbox {
				deliver {
					reverse_proxy %s {
						transport webhook {
							keepalive_idle_conns_per_host 1024
						}
					}
				}
				concurrency %d
				max_events 10000000
				max_bytes 100GiB
			}
		}`, e.app.addr, concurrency)
		}
		return caddy(store, guard, own)(tb, e)
	}
}

// boxed is a measured variant with an inbox.
type boxed struct{ *measured }

// pause stops the delivery of the inbox, or lets it go on.
func (m boxed) pause(paused bool) {
	m.tb.Helper()
	path := "/webhook_guard/inbox/resume"
	if paused {
		path = "/webhook_guard/inbox/pause"
	}
	text := fmt.Sprintf(`{"inbox": %q, "reason": "to be measured"}`, m.sender.Name)
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, m.target.gateway.AdminURL()+path, strings.NewReader(text))
	if err != nil {
		m.tb.Fatal(err)
	}
	if resp := testbed.Do(m.tb, req); resp.Status != http.StatusOK {
		m.tb.Fatalf("%s: %s", path, resp)
	}
}

// deliveryLimit is how long an inbox may take to deliver what a run has left in it.
const deliveryLimit = 20 * time.Minute

// waitDelivered waits until the app has had all events of an inbox, and returns how long
// that took.
func (m boxed) waitDelivered() time.Duration {
	m.tb.Helper()
	begun := time.Now()
	m.waitPosts(m.taken)
	return time.Since(begun)
}

// waitPosts waits until the app has had so many events since the variant was started.
func (m boxed) waitPosts(n int) app.Work {
	m.tb.Helper()
	var done app.Work
	testbed.Eventually(m.tb, deliveryLimit, func() bool {
		done = m.env.app.done(m.tb)
		return done.Posts-m.posts >= n
	}, fmt.Sprintf("%d events to be delivered", n))
	return done
}

// inboxUses measures what waiting events take, and how they are delivered.
func (p Plan) inboxUses(tb testing.TB, e *env, results *report.Results) {
	tb.Helper()
	for _, v := range p.Variants {
		if v.inbox != delivering {
			continue
		}
		p.scoped(tb, func(tb testing.TB) {
			e.redis.reset(tb)
			m := boxed{newMeasured(tb, e, v, report.Cell{Name: report.InboxUses, Sender: "stripe", Size: kilobyte, Conns: p.Conns})}
			m.warmUp(p.Length.WarmUp)
			m.waitDelivered()
			use := report.InboxUse{Variant: v.Name, Store: v.store, Waiting: p.Sweep.Waiting}
			use.Answered, use.Called = m.idle(min(300, use.Waiting))
			m.outage(&use)
			use.AtOnce = m.atOnce(max(use.Waiting/10, 20*concurrency))
			results.InboxUses = append(results.InboxUses, use)
			p.Log("inbox  %s: %d waited, %.0f/s after the outage, %.2f of concurrency at a slow app", v.Name, use.Waiting, use.Drained, use.AtOnce)
		})
	}
}

// idle sends events one by one, and returns how long their senders waited for the answer,
// and how long it took from that answer until the app had the event.
func (m boxed) idle(n int) (answered, called []time.Duration) {
	m.tb.Helper()
	for range n {
		req := m.sender.Request(m.tb, "http://"+m.target.addr, testbed.Event{})
		begun := time.Now()
		resp := testbed.Do(m.tb, req)
		end := time.Now()
		if resp.Guard != m.variant.want.Guard {
			m.tb.Fatalf("%s: %s", m.variant.Name, resp)
		}
		m.taken++
		answered = append(answered, end.Sub(begun))
		called = append(called, max(0, m.waitPosts(m.taken).Last.Sub(end.Round(0))))
	}
	return answered, called
}

// outage keeps events while nothing is delivered, and then delivers them.
func (m boxed) outage(use *report.InboxUse) {
	m.tb.Helper()
	n := float64(use.Waiting)
	m.pause(true)
	before := m.held()
	resident := m.read().memory.Resident
	m.fill(use.Waiting, crowd)
	m.requireWaiting(use)
	waiting := m.held()
	use.Heap, use.Resident = waiting.heap-before.heap, float64(m.read().memory.Resident-resident)
	use.Redis, use.Files = (waiting.redis-before.redis)/n, (waiting.disk-before.disk)/n
	cpu, begun := m.cpu(m.target.pid), time.Now()
	m.pause(false)
	m.waitDelivered()
	use.Drained = n / time.Since(begun).Seconds()
	use.DrainCPU = float64(m.cpu(m.target.pid)-cpu) / float64(time.Microsecond) / n
	m.waitSettled()
	use.Finished = (m.held().redis - before.redis) / n
}

// standing is how the inbox stands.
func (m boxed) standing() (waiting int, bytes float64) {
	m.tb.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, m.target.gateway.AdminURL()+"/webhook_guard/inboxes", nil)
	if err != nil {
		m.tb.Fatal(err)
	}
	var states []struct {
		Name                   string
		Ready, Delayed, Leased int
		Bytes                  float64
	}
	resp := testbed.Do(m.tb, req)
	if err := json.Unmarshal(resp.Body, &states); err != nil {
		m.tb.Fatalf("%s: %v", resp, err)
	}
	for _, s := range states {
		if s.Name == m.sender.Name {
			waiting, bytes = s.Ready+s.Delayed+s.Leased, s.Bytes
		}
	}
	return waiting, bytes
}

func (m boxed) requireWaiting(use *report.InboxUse) {
	m.tb.Helper()
	waiting, bytes := m.standing()
	if waiting != use.Waiting {
		m.tb.Fatalf("%s: %d events wait, want %d", m.variant.Name, waiting, use.Waiting)
	}
	use.Envelope = bytes / float64(waiting)
}

// waitSettled waits until what the app has had is settled.
func (m boxed) waitSettled() {
	m.tb.Helper()
	testbed.Eventually(m.tb, deliveryLimit, func() bool { n, _ := m.standing(); return n == 0 }, "the events to be settled")
}

// slowWork is how long a slow app works on an event.
const slowWork = 20 * time.Millisecond

// atOnce is how many events a slow app works on at once, on average, while the inbox has
// many of them, as a share of what it may get.
func (m boxed) atOnce(n int) float64 {
	m.tb.Helper()
	m.pause(true)
	m.fill(n, m.cell.Conns)
	if err := app.Takes(m.env.app.addr, slowWork); err != nil {
		m.tb.Fatal(err)
	}
	first := m.taken - n
	m.pause(false)
	from := m.waitPosts(first + n/10)
	begun := time.Now()
	to := m.waitPosts(first + n*9/10)
	took := time.Since(begun)
	if err := app.Takes(m.env.app.addr, 0); err != nil {
		m.tb.Fatal(err)
	}
	m.waitDelivered()
	return float64(to.Busy-from.Busy) / float64(took) / concurrency
}
