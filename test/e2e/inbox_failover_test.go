package e2e

import (
	"fmt"
	"net"
	"strconv"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// replicated is a Redis with a replica, as somebody runs it who fails over by hand: gateways know
// the master by an address that is given to the replica then.
type replicated struct {
	master, replica *testbed.Redis
	link            *cutter // from the replica to the master
	address         *cutter // from the gateways to the one that is the master
}

func startReplicated(t *testing.T) *replicated {
	t.Helper()
	// A replica that nothing reaches stays connected, as far as the two know.
	args := []string{"--repl-timeout", "3600", "--repl-diskless-sync-delay", "0"}
	p := &replicated{master: testbed.StartRedis(t, args...)}
	p.link, p.address = startCutter(t, p.master), startCutter(t, p.master)
	p.replica = testbed.StartRedis(t, append(args, "--replicaof", "127.0.0.1", strconv.Itoa(p.link.port))...)
	p.catchUp(t)
	return p
}

// role is what a server says of itself.
func role(t *testing.T, r *testbed.Redis) []string {
	t.Helper()
	role, err := r.Ask("ROLE") // master, offset, …; or slave, host, port, state, offset
	if err != nil {
		t.Fatal(err)
	}
	return role
}

// catchUp waits until the replica has all that the master has now.
func (p *replicated) catchUp(t *testing.T) {
	t.Helper()
	upTo := atoi(t, role(t, p.master)[1])
	testbed.Eventually(t, soon, func() bool {
		r := role(t, p.replica)
		return r[0] == "slave" && r[3] == "connected" && atoi(t, r[4]) >= upTo
	}, "the replica to have what the master has")
}

// part keeps all that comes from now on from the replica. Neither of the two notices.
func (p *replicated) part() { p.link.at(cutAt{reply: []byte{}}) }

// failOver ends the master, and has the replica take its place.
func (p *replicated) failOver(t *testing.T) {
	t.Helper()
	p.master.Stop()
	p.link.open()
	redisDo(t, p.replica, "REPLICAOF", "NO", "ONE")
	p.address.leadTo(p.replica)
}

// rejoin brings the old master back, as the replica of the new one.
func (p *replicated) rejoin(t *testing.T) {
	t.Helper()
	p.master.Start()
	host, port, err := net.SplitHostPort(p.replica.Addr())
	if err != nil {
		t.Fatal(err)
	}
	redisDo(t, p.master, "REPLICAOF", host, port)
}

func redisDo(t *testing.T, r *testbed.Redis, command ...string) {
	t.Helper()
	if _, err := r.Do(command...); err != nil {
		t.Fatalf("%v: %v", command, err)
	}
}

// change changes an inbox by the command line.
func change(t *testing.T, g *testbed.Gateway, what string) {
	t.Helper()
	if out, err := inboxCommand(t, g, what, "docrouter", "--reason", "a test"); err != nil {
		t.Fatal(err, out)
	}
}

// A master that fails takes along what its replica does not have yet. Without `durable` these
// are events whose senders had their 200: they are lost, and what the inbox has of those that
// were accepted tells how many. With it their senders had a 503.
func TestARedisThatLosesWhatItAcknowledged(t *testing.T) {
	t.Parallel()
	const many, late = 3, 5
	for name, durable := range map[string]bool{"as it is": false, "durable": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startReplicated(t)
			s := inboxSetup{store: testbed.RedisStore("redis://" + p.address.addr()), app: testbed.StartApp(t, nil)}
			if durable {
				s.lines = "durable" // and half of the store's timeout is for the replica
			}
			g := s.start(t)
			change(t, g, "pause") // what has been delivered cannot be lost
			kept := accepted(t, g, many)
			p.catchUp(t)
			p.part()
			var unsafe []testbed.Event
			var answered []<-chan reply
			for range late {
				e := testbed.Event{}.Fill()
				unsafe = append(unsafe, e)
				answered = append(answered, sendAsync(testbed.DocRouter().Request(t, g.URL(""), e)))
			}
			for _, resp := range waitAll(t, answered) {
				if durable {
					wantRefused(t, resp, 503, "store_unavailable")
				} else {
					want(t, resp, 200, "accepted")
				}
			}
			p.failOver(t)
			has := func(counts string) {
				t.Helper()
				testbed.Eventually(t, soon, func() bool { return inboxStands(t, g, counts) }, "the inbox to have "+counts)
			}
			has(fmt.Sprintf("%d 0 0 0 0", many)) // ready, delayed, leased, dead, done
			change(t, g, "resume")
			has(fmt.Sprintf("0 0 0 0 %d", many))
			wantCalls(t, s.app, many)
			for _, e := range kept {
				becomes(t, g, e, "duplicate")
			}
			acknowledged := metric(g, "webhook_guard_requests_total", "result", "accepted")
			delivered := metric(g, "webhook_guard_inbox_attempts_total", "outcome", "success")
			if lost := map[bool]float64{false: late, true: 0}[durable]; acknowledged-delivered != lost {
				t.Errorf("%v events were accepted, %v delivered and none waits, want %v lost", acknowledged, delivered, lost)
			}
			if durable {
				wantRefused(t, deliverTo(t, g, unsafe[0]), 503, "store_unavailable") // the new master has no replica yet
				p.rejoin(t)
			}
			// A lost event is a new one, if its sender sends it again.
			for _, e := range unsafe {
				becomes(t, g, e, "duplicate")
			}
			for _, e := range append(kept, unsafe...) {
				if n := len(deliveriesOf(s.app, e)); n != 1 {
					t.Errorf("an event was delivered %d times", n)
				}
			}
		})
	}
}

// What the replica does not have may be that an event was finished: then it is delivered
// again, as another attempt with the same ID. `durable` is about accepted events only.
func TestARedisThatLosesASuccessHasTheEventDeliveredAgain(t *testing.T) {
	t.Parallel()
	const many = 3
	p := startReplicated(t)
	s := inboxSetup{store: testbed.RedisStore("redis://" + p.address.addr()), app: testbed.StartApp(t, nil), lines: "durable"}
	g := s.start(t)
	change(t, g, "pause")
	events := accepted(t, g, many)
	p.catchUp(t)
	p.part()
	change(t, g, "resume")
	testbed.Eventually(t, soon, func() bool { return inboxStands(t, g, fmt.Sprintf("0 0 0 0 %d", many)) }, "the events to be finished")
	wantCalls(t, s.app, many)
	p.failOver(t)
	testbed.Eventually(t, soon, func() bool { return inboxStands(t, g, fmt.Sprintf("%d 0 0 0 0", many)) }, "the events to wait as before")
	change(t, g, "resume") // that was lost, too
	for _, e := range events {
		becomes(t, g, e, "duplicate")
		if n := len(deliveriesOf(s.app, e)); n != 2 {
			t.Errorf("an event was delivered %d times, want one on each master", n)
		}
	}
	wantCalls(t, s.app, 2*many)
}

// A durable inbox on a Redis that has no second place for its events says so when it is
// loaded, and not by 503s alone.
func TestADurableInboxWithoutASecondPlaceIsWarnedOf(t *testing.T) {
	t.Parallel()
	s := inboxSetup{store: testbed.RedisStore(testbed.StartRedis(t).URL()), app: testbed.StartApp(t, nil), lines: "durable"}
	g := s.start(t)
	g.WaitOutput("a durable inbox can acknowledge nothing")
	want(t, deliverTo(t, g, testbed.Event{}.Fill()), 503, "store_unavailable")
}
