//go:build full

package browser

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// An operator is given an ID by a sender's support, and wants to know whether the app has it.
func TestFindFilterOpen(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.filled()
	p := open(t)
	p.visit(r.url("/"))
	p.title("Inboxes")
	p.sees("payments", "delivering")
	p.click("link", "Deliveries")
	p.title("Deliveries")
	p.fill("Event ID", "ev-done-04")
	p.click("button", "Search")
	p.at("id=ev-done-04")
	p.sees("ev-done-04", "document.uploaded")
	p.hasNot("link", "ev-done-05")
	p.click("link", "ev-done-04")
	p.title("Delivery")
	p.sees("done", "Attempts", "200", "Headers")
	p.click("link", "Show the body")
	p.sees(`"document_name": "a.pdf"`)

	p.visit(r.url("/deliveries?inbox=payments"))
	p.click("DisclosureTriangle", "More filters")
	p.fill("Event type", "document.deleted")
	p.click("button", "Search")
	p.at("type=document.deleted")
	p.sees("ev-done-02", "ev-done-05", "ev-done-08", "ev-done-11")
	p.hasNot("link", "ev-done-01")
	p.visit(r.url("/deliveries?inbox=payments"))
	p.click("link", "dead 3")
	p.at("state=dead")
	p.sees("ev-doomed-0", "ev-doomed-1", "ev-doomed-2", "status 410")
	p.hasNot("link", "ev-done-01")
	p.visit(r.url("/deliveries?inbox=payments&since=1h&until=30m"))
	p.sees("No event matches.")
	p.allow("status of 400")
	p.visit(r.url("/deliveries?inbox=payments&since=yesterday"))
	p.sees("write a time such as")
}

func TestReplayOne(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.send("1", "doomed")
	event := r.wait("dead", 1)[0]
	r.healed.Store(true)
	p := open(t)
	p.visit(r.delivery(event))
	p.title("Delivery")
	p.sees("dead", "410", "no such <b>document</b>")
	p.fill("Reason", "the document is there now")
	p.click("button", "Replay")
	r.app.WaitCount(2)
	if got := r.app.Deliveries()[1].Header; got.Get("Webhook-Guard-Replay") != "true" || got.Get("Webhook-Guard-Attempt") != "1" {
		t.Errorf("the app got the headers %v", got)
	}
	r.wait("done", 1)
	p.until("the page says so", func(context.Context, *chromedp.Target) error { return r.logged("the document is there now") })
}

// Many events died of one fault of the app. The operator looks at how many there are, and
// replays them.
func TestReplayAllDead(t *testing.T) {
	t.Parallel()
	r := start(t)
	for n := range 5 {
		r.send(fmt.Sprint(n), "doomed")
	}
	r.send("fine", "llm.completed")
	r.wait("dead", 5)
	r.wait("done", 1)
	p := open(t)
	p.visit(r.url("/dead"))
	p.title("Dead letters")
	p.sees("status 410", "5 dead events")
	p.click("link", "Replay all dead…")
	p.title("Replay 5 events")
	p.sees("5 events will be delivered again")
	p.click("link", "Cancel")
	p.title("Inboxes")
	if n := r.app.Count(); n != 6 {
		t.Fatalf("looking has delivered something: the app got %d requests", n)
	}
	r.healed.Store(true)
	p.visit(r.url("/dead"))
	p.click("link", "Replay all dead…")
	p.fill("Reason", "the app is mended")
	p.click("button", "Replay 5 events")
	r.app.WaitCount(11)
	r.wait("done", 6)
	p.sees("5 events")
}

// A replay that takes long does not leave the operator before an empty page: it says how far it
// is, and how many events it was in the end.
func TestALongReplay(t *testing.T) {
	t.Parallel()
	redis := testbed.StartRedis(t, "--appendonly", "yes")
	r := startOn(t, "redis "+redis.URL()+" {\n\t\t\ttimeout 2m\n\t\t}")
	for n := range 3 {
		r.send(fmt.Sprint(n), "doomed")
	}
	r.wait("dead", 3)
	r.healed.Store(true)
	axe := axeCore(t)
	p := open(t)
	p.visit(r.url("/change?do=replay&inbox=payments&state=dead"))
	p.title("Replay 3 events")
	p.fill("Reason", "the app is mended")
	redis.Freeze()
	p.click("button", "Replay 3 events")
	p.sees("Looking for what matches: 0 events so far.", "also when you leave")
	p.shot("progress")
	redis.Thaw()
	p.sees("Replayed 3 events.")
	r.app.WaitCount(6)
	p.accessible("progress", axe)
	p.click("link", "See the events")
	p.title("Dead letters")
	p.sees("0 dead events")
}

func TestDeleteOne(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.send("1", "doomed")
	r.send("2", "doomed")
	event := r.wait("dead", 2)[0]
	p := open(t)
	p.visit(r.delivery(event))
	p.click("link", "Delete…")
	p.title("Delete 1 event")
	p.click("button", "Delete 1 event") // the browser asks for the reason first
	p.fill("Reason", "a test of ours")
	p.click("button", "Delete 1 event")
	r.wait("dead", 1)
	if left := r.events(url.Values{"id": {event.ID}}); len(left) > 0 {
		t.Errorf("%+v is left", left)
	}
}

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.send("before", "llm.completed")
	r.wait("done", 1)
	p := open(t)
	p.visit(r.url("/"))
	p.click("link", "Pause*")
	p.fill("Reason", "a deploy")
	p.click("button", "Pause this inbox")
	p.title("Inboxes")
	p.sees("paused")
	r.send("meanwhile", "llm.completed")
	p.visit(r.url("/deliveries?inbox=payments&state=ready"))
	p.sees("ev-meanwhile")
	if n := r.app.Count(); n != 1 {
		t.Errorf("a paused inbox has delivered: the app got %d requests", n)
	}
	p.visit(r.url("/"))
	p.click("link", "Resume*")
	p.fill("Reason", "it is over")
	p.click("button", "Resume this inbox")
	p.sees("delivering")
	r.app.WaitCount(2)
}

// The screens follow what happens, without a reload of the page.
func TestLiveUpdate(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.send("1", "llm.completed")
	r.wait("done", 1)
	p := open(t)
	p.visit(r.url("/deliveries?inbox=payments"))
	p.sees("ev-1")
	eval[bool](p, `window.loadedOnce = true`)
	r.send("2", "llm.completed")
	p.sees("ev-2")
	if !eval[bool](p, `window.loadedOnce === true`) {
		t.Error("the page was loaded anew")
	}
	p.click("link", "Stop live updates")
	p.sees("Resume live updates")
	if eval[int](p, `document.querySelectorAll("[hx-trigger]").length`) != 0 {
		t.Error("it goes on to ask")
	}
}

// A forgotten event is let through again; what is refused is listed without its body.
func TestGuardsAndRefused(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.filled()
	p := open(t)
	p.visit(r.url("/refused"))
	p.title("Refused")
	p.sees("signature_invalid", "timestamp_stale", "docrouter", "/webhooks/docrouter")
	p.click("link", "timestamp_stale 1")
	p.until("only these are listed", func(context.Context, *chromedp.Target) error {
		if strings.Contains(p.table(), "signature_invalid") {
			return errStill
		}
		return nil
	})
	p.visit(r.url("/guards"))
	p.title("Guards")
	p.sees("docrouter", "struktr", "number 0, since", "requests")
	p.visit(r.url("/recent"))
	p.title("This process")
	p.sees("forwarded", "struktr", "accepted")

	sent := testbed.Event{ID: "again"}.Fill()
	for _, want := range []string{"forwarded", "duplicate"} {
		if got := testbed.Do(t, testbed.Struktr().Request(t, r.gateway.URL(""), sent)); got.Guard != want {
			t.Fatalf("%s, want %s", got, want)
		}
	}
	p.visit(r.url("/event?scope=struktr&id=dlv_again"))
	p.sees("done, with status 200")
	p.click("link", "Forget…")
	p.fill("Reason", "the app lost it")
	p.click("button", "Forget this event")
	p.sees("not known")
}
