//go:build full

package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// A gateway that was frozen for longer than its lease has lost its attempt. A failure that it
// learns afterwards changes nothing; a success stands.
func TestAFrozenGatewayUndoesNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first, second int
		result        string // of a copy, while the second attempt is under way
	}{
		"it fails, the other succeeds": {500, 200, "queued"},
		"it succeeds, the other fails": {200, 500, "duplicate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one, two := newGate(t), newGate(t)
			s, _ := inboxes(t, func(d testbed.Delivery) testbed.Answer {
				if d.N == 1 {
					return testbed.Answer{Status: c.first, Wait: one.c}
				}
				return testbed.Answer{Status: c.second, Wait: two.c}
			}, "retry 10m")
			frozen := s.start(t)
			e := testbed.Event{}.Fill()
			want(t, deliverTo(t, frozen, e), 200, "accepted")
			s.app.WaitCount(1)
			frozen.Freeze()
			other := s.start(t)
			testbed.Eventually(t, 2*soon, func() bool { return s.app.Count() == 2 }, "another gateway to deliver it, as the lease is over")
			frozen.Thaw()
			one.open()
			if c.first == 500 {
				frozen.WaitOutput("the attempt was over before it was settled")
			}
			becomes(t, other, e, c.result)
			two.open()
			if c.second == 500 {
				other.WaitOutput("the attempt was over before it was settled")
			}
			becomes(t, frozen, e, "duplicate")
			wantCalls(t, s.app, 2)
			if got := last(t, s.app).Header.Get("Webhook-Guard-Attempt"); got != "2" {
				t.Errorf("the other gateway's attempt is %s, want 2", got)
			}
		})
	}
}

// The one gateway of a disk is frozen while the app succeeds. Afterwards the event is done:
// the app gets it twice at most, as its lease was over.
func TestAFrozenGatewayWithADiskGoesOn(t *testing.T) {
	t.Parallel()
	hold := newGate(t)
	s := inboxSetup{store: "disk " + t.TempDir(), app: testbed.StartApp(t, func(testbed.Delivery) testbed.Answer { return testbed.Answer{Wait: hold.c} })}
	g := s.start(t)
	e := testbed.Event{}.Fill()
	want(t, deliverTo(t, g, e), 200, "accepted")
	s.app.WaitCount(1)
	g.Freeze()
	<-testbed.After(31 * time.Second) // longer than the lease; nothing shows from outside that it is over
	hold.open()
	g.Thaw()
	becomes(t, g, e, "duplicate")
	if n := s.app.Count(); n > 2 {
		t.Errorf("the app got the event %d times", n)
	}
}

// A Redis that is full refuses new events, with a 503, and keeps no half of one. What it has
// is delivered, so that there is room again.
func TestARedisThatIsFullRefusesAndDelivers(t *testing.T) {
	t.Parallel()
	s, redis := inboxes(t, nil, "retry 100ms")
	s.app.Stop()
	g := s.start(t)
	events := accepted(t, g, 5)
	set := func(memory string) {
		t.Helper()
		if _, err := redis.Do("CONFIG", "SET", "maxmemory", memory); err != nil {
			t.Fatal(err)
		}
	}
	set("1mb") // less than an empty server takes
	keys, err := redis.Do("DBSIZE")
	if err != nil {
		t.Fatal(err)
	}
	refused := testbed.Event{}.Fill()
	resp := deliverTo(t, g, refused)
	want(t, resp, 503, "store_unavailable")
	if resp.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	if now, err := redis.Do("DBSIZE"); err != nil || now != keys {
		t.Errorf("a refused event has left keys: %s, were %s, %v", now, keys, err)
	}
	s.app.Start()
	testbed.Eventually(t, 2*soon, func() bool { return s.app.Count() == len(events) }, "a full Redis to deliver what it has")
	testbed.Eventually(t, soon, func() bool {
		out, err := inboxCommand(t, g, "list")
		return err == nil && strings.Contains(strings.Join(strings.Fields(out), " "), "docrouter 0 0 0 0 5")
	}, "all of them to be finished")
	set("0")
	want(t, deliverTo(t, g, refused), 200, "accepted")
	becomes(t, g, refused, "duplicate")
	wantCalls(t, s.app, len(events)+1)
}

// claimsIn counts the keys of events that are in flight, as a server has them.
func claimsIn(t *testing.T, server *testbed.Redis) (n int) {
	t.Helper()
	keys, err := server.Ask("KEYS", "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if strings.Contains(key, "inbox") {
			continue
		}
		if value, err := server.Ask("GET", key); err == nil && len(value) == 1 && strings.HasPrefix(value[0], "*") {
			n++
		}
	}
	return n
}

// In a Cluster the claim and the inbox are on different masters. A gateway is killed when some
// events are claimed and not yet put, as one master hangs: their senders bring them again, and
// each event is delivered once.
func TestAClusterThatHangsBetweenClaimAndPut(t *testing.T) {
	t.Parallel()
	cluster := testbed.StartCluster(t, testbed.RedisSet{})
	app := testbed.StartApp(t, nil)
	app.Stop() // so that no delivery is under way when the gateway is killed
	s := inboxSetup{store: "redis " + strings.Join(cluster.URLs(), " "), app: app, guard: "lease 3s", lines: "retry 100ms"}
	g := s.start(t)
	masters := cluster.Masters()
	claims := func() (n int) { // that are held, on the masters that answer
		for _, master := range masters[1:] {
			n += claimsIn(t, master)
		}
		return n
	}
	hung := masters[0]
	hung.Freeze()
	const many = 40
	var events []testbed.Event
	var answered []<-chan reply
	for range many {
		e := testbed.Event{}.Fill()
		events = append(events, e)
		answered = append(answered, sendAsync(testbed.DocRouter().Request(t, g.URL(""), e)))
	}
	testbed.Eventually(t, soon, func() bool { return claims() > 0 }, "an event that is claimed, and whose put hangs")
	g.Kill()
	hung.Thaw()
	acknowledged := 0
	for _, one := range answered {
		if r := <-one; r.err == nil && r.Status == 200 {
			acknowledged++
		}
	}
	if acknowledged == many {
		t.Fatal("nothing was cut: every event was acknowledged")
	}
	cluster.WaitOK()
	g.Start()
	for _, e := range events {
		testbed.Eventually(t, soon, func() bool {
			again := e
			again.Sent = time.Now()
			return deliverTo(t, g, again).Status == 200
		}, "the sender to have its 200")
	}
	app.Start()
	for _, e := range events {
		testbed.Eventually(t, 3*soon, func() bool { return deliverTo(t, g, e).Guard == "duplicate" }, "the event to be delivered")
		if n := len(deliveriesOf(app, e)); n != 1 {
			t.Errorf("an event was delivered %d times", n)
		}
	}
}

// A request that is damaged on the disk is not delivered, and does not hold up others: it is
// among the dead, and its sender's copy takes its place.
func TestADamagedRequestIsDeadAndReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var well atomic.Bool
	app := testbed.StartApp(t, func(testbed.Delivery) testbed.Answer {
		return testbed.Answer{Status: map[bool]int{false: 500, true: 200}[well.Load()]}
	})
	s := inboxSetup{store: "disk " + dir, app: app, lines: "retry 1s"}
	g := s.start(t)
	e, other := testbed.Event{}.Fill(), testbed.Event{}.Fill()
	want(t, deliverTo(t, g, e), 200, "accepted")
	app.WaitCount(1)
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	segments, err := filepath.Glob(filepath.Join(dir, "inbox", "*.segment"))
	if err != nil || len(segments) == 0 {
		t.Fatal(segments, err)
	}
	data, err := os.ReadFile(segments[0])
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(data, []byte("POST")) // the request begins with it
	if at < 0 {
		t.Fatal("there is no request in the segment")
	}
	data[at] ^= 0xff
	if err := os.WriteFile(segments[0], data, 0o600); err != nil {
		t.Fatal(err)
	}
	well.Store(true)
	g.Start()
	want(t, deliverTo(t, g, other), 200, "accepted")
	becomes(t, g, other, "duplicate")
	testbed.Eventually(t, soon, func() bool {
		out, err := inboxCommand(t, g, "list", "docrouter", "--state", "dead")
		return err == nil && strings.Contains(out, "damaged") && strings.Contains(out, "ev-"+e.ID)
	}, "the damaged event to be listed among the dead")
	if out, err := testbed.RunCaddy(t, nil, "webhook-guard", "forget", "docrouter", "ev-"+e.ID, "--address", g.AdminAddr()); err != nil {
		t.Fatal(err, out)
	}
	want(t, deliverTo(t, g, e), 200, "revived")
	becomes(t, g, e, "duplicate")
	if n := len(deliveriesOf(app, e)); n != 2 {
		t.Errorf("the app got the event %d times, want one failure and one success", n)
	}
}

// A bulk replay while the app is away waits like everything else, and is delivered once when
// the app is back.
func TestABulkReplayWhileTheAppIsAway(t *testing.T) {
	t.Parallel()
	onInboxStores(t, func(t *testing.T, inboxes func(func(testbed.Delivery) testbed.Answer, ...string) inboxSetup) {
		var well atomic.Bool
		s := inboxes(func(testbed.Delivery) testbed.Answer {
			return testbed.Answer{Status: map[bool]int{false: 410, true: 200}[well.Load()]}
		}, "give_up 410", "retry 100ms")
		g := s.start(t)
		const many = 30
		events := accepted(t, g, many)
		listed := func(counts string) {
			t.Helper()
			testbed.Eventually(t, 2*soon, func() bool { return inboxStands(t, g, counts) }, counts)
		}
		listed(fmt.Sprintf("0 0 0 %d 0", many))
		s.app.Stop()
		well.Store(true)
		out, err := inboxCommand(t, g, "replay", "docrouter", "--state", "dead", "--rate", "100/s", "--reason", "the bug is fixed")
		if err != nil || !strings.Contains(out, fmt.Sprintf("replay: %d of %d", many, many)) {
			t.Fatal(err, out)
		}
		g.WaitOutput("the app is away; the inbox is held")
		s.app.Start()
		for _, e := range events {
			testbed.Eventually(t, 2*soon, func() bool { return deliverTo(t, g, e).Guard == "duplicate" }, "the event to be delivered")
			of := deliveriesOf(s.app, e)
			if len(of) != 2 || of[1].Header.Get("Webhook-Guard-Replay") != "true" {
				t.Errorf("the event was delivered %d times, want once before and once as a replay", len(of))
			}
		}
		listed(fmt.Sprintf("0 0 0 0 %d", many))
	})
}

// max_bytes is what waits, and each success makes room.
func TestAnInboxWhoseBytesAreUsedUpIsA503(t *testing.T) {
	t.Parallel()
	onInboxStores(t, func(t *testing.T, inboxes func(func(testbed.Delivery) testbed.Answer, ...string) inboxSetup) {
		hold := newGate(t)
		s := inboxes(func(testbed.Delivery) testbed.Answer { return testbed.Answer{Wait: hold.c} }, "max_bytes 4KiB")
		g := s.start(t)
		var accepted []testbed.Event
		var refused testbed.Event
		var resp testbed.Response
		for range 100 {
			e := testbed.Event{}.Fill()
			if resp = deliverTo(t, g, e); resp.Status != http.StatusOK {
				refused = e
				break
			}
			accepted = append(accepted, e)
		}
		want(t, resp, 503, "overloaded")
		if len(accepted) < 2 || resp.Header.Get("Retry-After") == "" {
			t.Errorf("%d events were accepted, then %v", len(accepted), resp.Header)
		}
		want(t, deliverTo(t, g, accepted[0]), 200, "queued")
		want(t, deliverTo(t, g, refused), 503, "overloaded")
		if n := metric(g, "webhook_guard_inbox_refused_total", "inbox", "docrouter", "reason", "full"); n < 2 {
			t.Errorf("%v refused events are counted", n)
		}
		hold.open()
		for _, e := range accepted {
			becomes(t, g, e, "duplicate")
		}
		want(t, deliverTo(t, g, refused), 200, "accepted")
		becomes(t, g, refused, "duplicate")
		wantCalls(t, s.app, len(accepted)+1)
	})
}
