package e2e

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// A master fails under load: senders get a 503 at worst, and every event is handled. An
// event is handled twice only if Redis lost its record, which happens where the master
// failed before it replicated the write.
func TestFailoverOfRedisLosesNoEvent(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T, testbed.RedisSet) failingOver{
		"sentinel": func(t *testing.T, set testbed.RedisSet) failingOver {
			s := testbed.StartSentinels(t, set)
			return failingOver{
				store:  "redis " + strings.Join(s.URLs(), " ") + " {\n\t\t\tsentinel " + testbed.MasterName + "\n\t\t}",
				master: func(int) *testbed.Redis { return s.Master() },
				over:   func(gone *testbed.Redis) { s.WaitFailover(gone) },
				well:   s.WaitOK,
				epoch:  s.Epoch,
			}
		},
		"cluster": func(t *testing.T, set testbed.RedisSet) failingOver {
			c := testbed.StartCluster(t, set)
			return failingOver{
				store:  "redis " + strings.Join(c.URLs(), " "),
				master: func(n int) *testbed.Redis { return c.Masters()[n%3] },
				over:   func(gone *testbed.Redis) { c.WaitFailover(gone) },
				well:   c.WaitOK,
				epoch:  c.Epoch,
			}
		},
	} {
		for _, way := range failoverOutages[name] {
			t.Run(name+", "+way, func(t *testing.T) {
				t.Parallel()
				outage := outages[way]
				r := start(t, testbed.RedisSet{Args: []string{"--appendonly", "yes"}, DownAfter: testbed.DownSoon})
				app := testbed.StartApp(t, nil)
				conf := setup{store: r.store, app: app}
				seen := epochSeen{at: time.Now(), epoch: r.epoch()}
				senders := startSenders(t, conf.start(t), conf.start(t))
				for n := range failovers {
					senders.goOn()
					lost := r.master(n)
					begun := time.Now()
					if r.epoch() != seen.epoch {
						begun = seen.at // of a busy machine, whose servers had too long no answer
					}
					outage.begin(lost)
					r.over(lost)
					senders.goOn() // without a restart, and before the old master is back
					outage.end(lost)
					r.well()
					senders.goOn()
					seen = epochSeen{at: time.Now(), epoch: r.epoch()}
					senders.isUnsafe(begun)
					senders.goOn()
				}
				senders.finish()
				if r.epoch() != seen.epoch {
					senders.isUnsafe(seen.at)
				}
				senders.judge(app)
			})
		}
	}
}

// failingOver is a Redis with replicas.
type failingOver struct {
	store  string // what follows `store`
	master func(n int) *testbed.Redis
	over   func(gone *testbed.Redis) // waits until another is in its place
	well   func()                    // waits until all is well
	epoch  func() int                // which each failover makes greater
}

// epochSeen is what an epoch was at a time: a failover came later if it is another one now.
type epochSeen struct {
	at    time.Time
	epoch int
}

type span struct{ from, to time.Time }

// senders send events until each is acknowledged, by one gateway, and then a copy of it
// by the other one.
type senders struct {
	t        *testing.T
	gateways []*testbed.Gateway
	unsafe   []span // when Redis may have lost a record
	stop     context.CancelFunc
	all      sync.WaitGroup

	mu     sync.Mutex
	acked  int
	events map[string]*sent // by body
	got    map[string]int   // answers
}

// sent holds the times and outcomes of an event.
type sent struct {
	first, second span // from the first attempt to the acknowledgement
}

func startSenders(t *testing.T, gateways ...*testbed.Gateway) *senders {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	s := &senders{t: t, gateways: gateways, stop: stop, events: make(map[string]*sent), got: make(map[string]int)}
	for n := range 6 {
		s.all.Go(func() {
			for i := n; ctx.Err() == nil; i++ {
				s.event(i)
			}
		})
	}
	t.Cleanup(s.finish)
	return s
}

// event sends one event and a copy, until both are acknowledged.
func (s *senders) event(i int) {
	e := testbed.Event{}.Fill()
	here, there := s.gateways[i%2], s.gateways[(i+1)%2]
	sender, again := testbed.DocRouter(), sameRequest(testbed.DocRouter())
	if i%3 > 0 {
		sender, again = testbed.Struktr(), otherDeliveryID
	}
	first := s.untilAcked(func() *http.Request { return sender.Request(s.t, here.URL(""), e) })
	second := s.untilAcked(func() *http.Request { return again(s.t, there.URL(""), e, 1) })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events[string(sender.Body(e))] = &sent{first, second}
	s.acked++
}

// untilAcked sends a request until it is acknowledged, as a sender with very short
// delays does. It ignores contexts: every event is acknowledged in the end.
func (s *senders) untilAcked(request func() *http.Request) span {
	begun := time.Now()
	for end := begun.Add(2 * soon); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		resp, err := testbed.Try(request())
		if err != nil {
			s.t.Errorf("a gateway gave no answer: %v", err)
			break
		}
		s.mu.Lock()
		s.got[http.StatusText(resp.Status)+" "+resp.Guard]++
		s.mu.Unlock()
		if resp.Status/100 == 2 {
			return span{begun, time.Now()}
		}
		if resp.Status != http.StatusServiceUnavailable {
			s.t.Errorf("a sender was answered %v, want a 2xx or a 503", resp)
		}
	}
	s.t.Error("an event was never acknowledged")
	return span{begun, time.Now()}
}

// goOn waits until further events are acknowledged.
func (s *senders) goOn() {
	s.t.Helper()
	count := func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.acked
	}
	enough := count() + 20
	testbed.Eventually(s.t, soon, func() bool { return count() >= enough }, "more events acknowledged")
}

// isUnsafe says that a master has been replaced since then. What reached it last may not have
// reached its replica.
func (s *senders) isUnsafe(since time.Time) {
	s.unsafe = append(s.unsafe, span{since.Add(-time.Second), time.Now()})
}

// finish stops the senders.
func (s *senders) finish() {
	s.stop()
	s.all.Wait()
}

// judge compares the app's deliveries with the events sent.
func (s *senders) judge(app *testbed.App) {
	s.t.Helper()
	handled := make(map[string]int)
	for _, d := range app.Deliveries() {
		handled[string(d.Body)]++
	}
	twice := 0
	for body, e := range s.events {
		switch n := handled[body]; {
		case n == 1:
		case n == 0:
			s.t.Errorf("acknowledged at %s, and never handled: %s", e.first.to.Format(time.StampMilli), body)
		case n == 2 && s.explained(e):
			twice++
		default:
			s.t.Errorf("handled %d times, and no loss of Redis explains it: sent %s to %s, its copy %s to %s", n,
				e.first.from.Format(time.StampMilli), e.first.to.Format(time.StampMilli),
				e.second.from.Format(time.StampMilli), e.second.to.Format(time.StampMilli))
		}
	}
	s.t.Logf("%d events handled, %d of them twice after a loss of Redis; answers %v", len(s.events), twice, s.got)
}

// explained reports whether Redis may have lost the event's record before its copy came.
func (s *senders) explained(e *sent) bool {
	for _, u := range s.unsafe {
		if e.first.from.Before(u.to) && e.second.to.After(u.from) {
			return true
		}
	}
	return false
}
