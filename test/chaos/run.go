package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// Config holds the options of a run.
type Config struct {
	// Topology is one of [Topologies].
	Topology string
	// Seed decides events, faults, targets and times.
	Seed uint64
	// Duration is how long there are faults. Repairs, the last retries and a final
	// sweep come on top.
	Duration time.Duration
	// Rate is how many new events there are each second, over all senders. Default: 100.
	Rate int
}

// Topologies returns the names of all topologies.
func Topologies() []string {
	var names []string
	for name := range topologies {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

const (
	defaultRate = 100
	// retryLimit is how long the last retries may take after the last fault. A lease
	// and the app's time limit are the longest delays that remain.
	retryLimit = 5 * time.Minute
)

// world is one run.
type world struct {
	traffic
	dir      string // of the gateways' logs
	topology topology
	inbox    bool          // every guard has one
	length   time.Duration // of the faults
	app      *app
	gateways []*testbed.Gateway
	versions int
	probing  sync.WaitGroup
	stalls   stalls
}

// traffic is what senders and attackers send.
type traffic struct {
	tb       testing.TB
	seed     uint64
	pause    time.Duration // of one sender between two events, on average
	rec      *record
	balancer *balancer
	captures chan *event // that attackers have seen on their way

	sending sync.WaitGroup
	givenUp context.Context // ends when nothing more is to be sent
	giveUp  context.CancelFunc
}

// Run starts everything, injects faults for a while, and judges the record. A violation
// fails the test, with the event's timeline.
func Run(tb testing.TB, c Config) Result {
	tb.Helper()
	setup, ok := topologies[c.Topology]
	if !ok {
		tb.Fatalf("there is no topology %q: choose one of %s", c.Topology, strings.Join(Topologies(), ", "))
	}
	if c.Rate == 0 {
		c.Rate = defaultRate
	}
	tb.Logf("topology %s, seed %d, faults for %v", c.Topology, c.Seed, c.Duration)
	w := &world{dir: tb.TempDir(), topology: setup.start(tb), inbox: setup.inbox, length: c.Duration, traffic: traffic{
		tb: tb, seed: c.Seed, captures: make(chan *event, 100),
		pause: time.Duration(len(testbed.Senders())) * time.Second / time.Duration(c.Rate),
	}}
	w.open()
	w.live(c.Duration)
	w.app.behave()
	w.drain()
	w.noteUnasked()
	// Within this time the gateways finish their retries in the background.
	time.Sleep(w.rec.lastFault() + recoverWithin - w.rec.now())
	inboxes{w}.takeStock(true)
	w.sweep()
	inboxes{w}.takeStock(false)
	w.idle()
	w.app.wait()
	w.noteUnasked()
	w.giveUp()
	w.probing.Wait()
	w.rec.faults = append(w.rec.faults, w.stalls.byThemselves(w.rec.faults)...)
	var remarks []remark
	for i := range w.gateways {
		remarks = append(remarks, readLog(tb, w.logPath(i), i, w.rec)...)
	}
	w.rec.overloaded(remarks)
	w.rec.remember(remarks)
	v := judge(w.rec, rulesOf(c.Topology))
	v.print(tb, w.rec)
	return v.result(c, w.rec)
}

// open starts the app and the gateways.
func (w *world) open() {
	w.rec = newRecord()
	w.app = startApp(w.tb, w.rec, w.seed, w.inbox)
	var urls []string
	for i := range w.topology.gateways() {
		g := testbed.StartGateway(w.tb, w.caddyfile(i))
		w.gateways, urls = append(w.gateways, g), append(urls, g.URL(""))
	}
	w.balancer = newBalancer(urls)
	w.rec.begun = time.Now()
}

// live runs senders and attackers while the schedule is played.
func (w *world) live(length time.Duration) {
	w.givenUp, w.giveUp = context.WithCancel(context.Background())
	load, endLoad := context.WithCancel(context.Background())
	w.tb.Cleanup(func() { // also where a fault could not be repaired
		endLoad()
		w.giveUp()
		w.sending.Wait()
		w.probing.Wait()
	})
	for i, s := range testbed.Senders() {
		w.sending.Go(func() { w.emit(load, s, uint64(i)) })
	}
	w.sending.Go(func() { w.attack(load) })
	for i := range w.gateways {
		w.probing.Go(func() { w.probe(w.givenUp, i) })
	}
	w.play(plan(w.seed, length, w.lanes()))
	time.Sleep(length - w.rec.now())
	endLoad()
}

func (w *world) lanes() []lane {
	gateway, store, app := w.gatewayFaults(), w.topology.faultKinds(), w.appFaults()
	if w.inbox {
		more := inboxFaults{w}
		gateway, store, app = append(gateway, more.freezes()...), append(store, more.fullStores()...), append(app, more.longAppFaults()...)
	}
	return []lane{
		{gateway, span(200*time.Millisecond, 3*time.Second), span(500*time.Millisecond, 3*time.Second)},
		{store, span(300*time.Millisecond, 5*time.Second), span(500*time.Millisecond, 3*time.Second)},
		{app, span(200*time.Millisecond, 1500*time.Millisecond), span(4*time.Second, 12*time.Second)},
	}
}

func span(least, most time.Duration) [2]time.Duration { return [2]time.Duration{least, most} }

// drain waits until every sender has been answered. The check finds events without an
// answer.
func (w *world) drain() {
	defer time.AfterFunc(retryLimit, w.giveUp).Stop()
	w.sending.Wait()
}

// sweep sends every event once more. All are finished, so none may reach the app,
// unless a fault has made the store forget it. An inbox revives its dead ones.
func (w *world) sweep() {
	defer time.AfterFunc(retryLimit, w.giveUp).Stop()
	events := make(chan *event)
	for i := range 16 {
		w.sending.Go(func() {
			r := rand.New(rand.NewPCG(w.seed, uint64(i)))
			for e := range events {
				w.insist(e, swept, r)
			}
		})
	}
	for _, e := range w.rec.events { // nobody else is left
		events <- e
	}
	close(events)
	w.sending.Wait()
}

// idle waits until the gateways hold no claims and no bodies.
func (w *world) idle() {
	for i, g := range w.gateways {
		for _, name := range []string{"webhook_guard_in_flight", "webhook_guard_buffered_bytes"} {
			testbed.Eventually(w.tb, retryLimit, func() bool {
				value, _ := g.Metric(name)
				return value == 0
			}, fmt.Sprintf("%s of gateway %d back at 0", name, i))
		}
	}
}
