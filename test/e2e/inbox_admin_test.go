package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// inboxCommand runs a command about inboxes and returns what it printed.
func inboxCommand(t *testing.T, g *testbed.Gateway, args ...string) (string, error) {
	t.Helper()
	args = append([]string{"webhook-guard", "inbox"}, append(args, "--address", g.AdminAddr())...)
	return testbed.RunCaddy(t, nil, args...)
}

func TestDeadEventsAreListedShownAndReplayed(t *testing.T) {
	t.Parallel()
	onInboxStores(t, func(t *testing.T, inboxes func(func(testbed.Delivery) testbed.Answer, ...string) inboxSetup) {
		var healed atomic.Bool
		s := inboxes(func(testbed.Delivery) testbed.Answer {
			if healed.Load() {
				return testbed.Answer{}
			}
			return testbed.Answer{Status: 410, Body: []byte("this is no longer here")}
		}, "give_up 410")
		g := s.start(t)
		says := func(wanted string, args ...string) string {
			t.Helper()
			out, err := inboxCommand(t, g, args...)
			if err != nil || !strings.Contains(out, wanted) {
				t.Fatalf("inbox %q: %v, printed\n%s\nwant %q", args, err, out, wanted)
			}
			return out
		}
		refused := func(wanted string, args ...string) {
			t.Helper()
			if out, err := inboxCommand(t, g, args...); err == nil || !strings.Contains(out, wanted) {
				t.Errorf("inbox %q: %v, printed\n%s\nwant it to be refused with %q", args, err, out, wanted)
			}
		}
		const many = 5
		for range many {
			want(t, deliverTo(t, g, testbed.Event{}), 200, "accepted")
		}
		s.app.WaitCount(many)
		id := s.app.Deliveries()[0].Header.Get("Webhook-Guard-Id")
		testbed.Eventually(t, soon, func() bool {
			out, err := inboxCommand(t, g, "list")
			return err == nil && strings.Contains(strings.Join(strings.Fields(out), " "), fmt.Sprintf("docrouter 0 0 0 %d 0", many))
		}, "the dead to be listed")
		if out := says(id, "list", "docrouter", "--state", "dead", "--since", "1h"); strings.Count(out, "status 410") != many {
			t.Errorf("listed as\n%s", out)
		}
		says("this is no longer here", "show", "docrouter", id)
		var record struct {
			Request struct {
				Header http.Header `json:"header"`
				Body   []byte      `json:"body"`
			} `json:"request"`
		}
		if err := json.Unmarshal([]byte(says("request", "show", "docrouter", id, "--body")), &record); err != nil || string(record.Request.Body) != string(s.app.Deliveries()[0].Body) {
			t.Errorf("%v, shown with the body %q", err, record.Request.Body)
		}
		if out := says(id, "export", "docrouter", "--state", "dead"); strings.Count(out, "\n") != many {
			t.Errorf("exported\n%s", out)
		}

		refused("reason", "replay", "docrouter", id)
		refused("filter", "replay", "docrouter", "--reason", "all of them")
		refused("no inbox", "replay", "other", id, "--reason", "a slip")
		refused("did you mean docrouter?", "replay", "docruoter", id, "--reason", "a slip")
		refused("no event", "replay", "docrouter", "none", "--reason", "a slip")
		refused("not a state", "list", "docrouter", "--state", "gone")
		says("5 events match", "replay", "docrouter", "--state", "dead", "--dry-run")
		wantCalls(t, s.app, many)

		healed.Store(true)
		says("replay: 1 of 1", "replay", "docrouter", id, "--reason", "one first")
		s.app.WaitCount(many + 1)
		d := s.app.Deliveries()[many].Header
		if d.Get("Webhook-Guard-Replay") != "true" || d.Get("Webhook-Guard-Attempt") != "1" || d.Get("Webhook-Guard-Id") != id {
			t.Errorf("the replay is %v", d)
		}
		says("replay: 4 of 4", "replay", "docrouter", "--state", "dead", "--rate", "50/s", "--reason", "the rest")
		s.app.WaitCount(2 * many)
		g.WaitOutput(`"reason":"the rest"`)

		says("docrouter: would be paused", "pause", "docrouter", "--dry-run")
		refused("reason", "pause", "docrouter")
		says("docrouter: paused", "pause", "docrouter", "--reason", "maintenance")
		says("docrouter: paused already", "pause", "docrouter", "--dry-run")
		want(t, deliverTo(t, g, testbed.Event{}), 200, "accepted")
		says("paused", "list")
		says("delete: 1 of 1", "delete", "docrouter", "--state", "ready", "--reason", "a test")
		says("docrouter: resumed", "resume", "docrouter", "--reason", "over")
		e := testbed.Event{}.Fill()
		want(t, deliverTo(t, g, e), 200, "accepted")
		becomes(t, g, e, "duplicate")
		wantCalls(t, s.app, 2*many+1)
	})
}

// lookup and forget know of the inbox: only there is known what the app did, and a forgotten
// event's next copy is delivered, as they say.
func TestLookupAndForgetKnowOfTheInbox(t *testing.T) {
	t.Parallel()
	onInboxStores(t, func(t *testing.T, inboxes func(func(testbed.Delivery) testbed.Answer, ...string) inboxSetup) {
		hold := newGate(t)
		var status atomic.Int64
		status.Store(204)
		s := inboxes(func(testbed.Delivery) testbed.Answer {
			return testbed.Answer{Wait: hold.c, Status: int(status.Load())}
		}, "give_up 410")
		g := s.start(t)
		e := testbed.Event{}.Fill()
		say := func(exit int, says, verb string) {
			t.Helper()
			cli{}.wantRun(t, exit, says, verb, "docrouter", "ev-"+e.ID, "--address", g.AdminAddr())
		}
		stands := func(says string) {
			t.Helper()
			testbed.Eventually(t, soon, func() bool {
				out, _ := testbed.RunCaddy(t, nil, "webhook-guard", "lookup", "docrouter", "ev-"+e.ID, "--address", g.AdminAddr())
				return strings.Contains(out, says)
			}, says)
		}

		say(0, "not known: its next copy is accepted", "lookup")
		want(t, deliverTo(t, g, e), 200, "accepted")
		s.app.WaitCount(1)
		say(0, "it waits in the inbox docrouter (leased, 1 attempt)", "lookup")
		say(1, "the event waits in its inbox", "forget")
		hold.open()
		stands("delivered from the inbox docrouter: the app answered 204; copies are duplicates")
		want(t, deliverTo(t, g, e), 200, "duplicate")
		say(0, "the app had answered 204; the next copy is accepted", "forget")
		say(0, "not known: its next copy is accepted", "lookup")
		status.Store(410)
		want(t, deliverTo(t, g, e), 200, "accepted")
		stands("given up in the inbox docrouter after 1 attempt")
		say(0, "the next copy has it delivered again", "forget")
		say(0, "its next copy has it delivered again", "lookup")
		status.Store(200)
		want(t, deliverTo(t, g, e), 200, "revived")
		stands("delivered from the inbox docrouter: the app answered 200")
		if n := len(deliveriesOf(s.app, e)); n != 3 {
			t.Errorf("the app got the event %d times, want once and once for each time it was forgotten", n)
		}
	})
}

// What lookup and forget say of copies holds where the guard has an inbox that it had not when
// the event came, or has none any more.
func TestLookupKnowsThatInboxesComeAndGo(t *testing.T) {
	t.Parallel()
	s, _ := inboxes(t, func(d testbed.Delivery) testbed.Answer {
		if d.Header.Get("Webhook-Guard-Attempt") != "" {
			return testbed.Answer{Status: 410}
		}
		return testbed.Answer{Status: 202}
	}, "give_up 410")
	sender := testbed.DocRouter()
	without := site{store: s.store, routes: route("", sender.Name, proxy(s.app), "secret "+sender.Secret)}.caddyfile()
	s.guard = "scope " + sender.Name
	g := testbed.StartGateway(t, without)
	reload := func(caddyfile string) {
		t.Helper()
		if err := g.Reload(caddyfile); err != nil {
			t.Fatal(err)
		}
	}
	address := []string{"--address", g.AdminAddr()}
	run := func(says string, args ...string) {
		t.Helper()
		cli{}.wantRun(t, 0, says, append(args, address...)...)
	}
	asked := func(e testbed.Event, verb, says string) {
		t.Helper()
		run(says, verb, sender.Name, "ev-"+e.ID)
	}
	before, dead, waits := testbed.Event{}.Fill(), testbed.Event{}.Fill(), testbed.Event{}.Fill()

	want(t, deliverTo(t, g, before), 202, "forwarded")
	reload(s.caddyfile())
	asked(before, "lookup", "or answered 202 by the app before there was an inbox")
	want(t, deliverTo(t, g, before), 202, "duplicate")
	want(t, deliverTo(t, g, dead), 200, "accepted")
	testbed.Eventually(t, soon, func() bool { return inboxStands(t, g, "0 0 0 1 0") }, "the event to be given up")
	run("paused", "inbox", "pause", sender.Name, "--reason", "a test")
	want(t, deliverTo(t, g, waits), 200, "accepted")

	reload(without)
	asked(dead, "lookup", "which no guard of the scope has: it stays there until one does, and copies are duplicates")
	want(t, deliverTo(t, g, dead), 200, "duplicate")
	asked(waits, "lookup", "(ready, 0 attempts), which no guard of the scope has: it stays there until one does, and copies are duplicates")
	want(t, deliverTo(t, g, waits), 200, "duplicate")
	asked(dead, "forget", "which no guard of the scope has, has given it up and keeps it")
	want(t, deliverTo(t, g, dead), 202, "forwarded")
}

// inboxStands reports whether the inbox has so many events that are ready, delayed, leased,
// dead and done.
func inboxStands(t *testing.T, g *testbed.Gateway, counts string) bool {
	t.Helper()
	out, err := inboxCommand(t, g, "list")
	return err == nil && strings.Contains(strings.Join(strings.Fields(out), " "), "docrouter "+counts)
}
