package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// ask runs `caddy webhook-guard` against a gateway and returns what it prints.
func ask(t *testing.T, g *testbed.Gateway, verb string, args ...string) (printed string, ok bool) {
	t.Helper()
	address := g.AdminAddr()
	cmd := testbed.Command(t, append([]string{"webhook-guard", verb, "--address", address}, args...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

func wantSaid(t *testing.T, g *testbed.Gateway, says, verb string, args ...string) {
	t.Helper()
	if printed, ok := ask(t, g, verb, args...); !ok || !strings.HasPrefix(printed, says) {
		t.Errorf("%s %q printed %q (exit status 0: %t), want it to begin with %q", verb, args, printed, ok, says)
	}
}

func TestAnEventIsLookedUpAndLetThroughAgain(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		hold := newGate(t)
		app := testbed.StartApp(t, func(d testbed.Delivery) testbed.Answer {
			if d.N == 1 {
				return testbed.Answer{Status: 202, Wait: hold.c}
			}
			return testbed.Answer{Status: 201}
		})
		g := setup{store: store, app: app}.start(t)
		e := testbed.Event{}.Fill()
		attempt := func() testbed.Response { return testbed.Do(t, testbed.Struktr().Request(t, g.URL(""), e)) }
		id := []string{"struktr", "dlv_" + e.ID}

		wantSaid(t, g, "not known", "lookup", id...)
		wantSaid(t, g, "not known", "forget", id...)
		first := sendAsync(testbed.Struktr().Request(t, g.URL(""), e))
		app.WaitCount(1)
		wantSaid(t, g, "in flight", "lookup", id...)
		if printed, ok := ask(t, g, "forget", id...); ok || !strings.Contains(printed, "in flight") {
			t.Errorf("an event in flight was forgotten: %q", printed)
		}
		hold.open()
		want(t, wait(t, first), 202, "forwarded")
		wantSaid(t, g, "done: the app answered 202; remembered for another 72h", "lookup", id...)
		want(t, attempt(), 202, "duplicate")
		wantCalls(t, app, 1)

		// Struktr's ID is not signed, so the content key must go as well.
		wantSaid(t, g, "forgotten: the app had answered 202", "forget", id...)
		g.WaitOutput("forgot an event")
		want(t, attempt(), 201, "forwarded")
		want(t, attempt(), 201, "duplicate")
		wantCalls(t, app, 2)
	})
}

// A composite ID is found as its parts, and as logs show it: joined by colons, with the
// colons inside a part escaped. The header Webhook-Guard-Id does not escape them.
func TestCompositeIDsAreFoundAsTheyAreShown(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	g := setup{store: "memory", app: app}.start(t)
	for _, s := range []testbed.Sender{testbed.DocIntell(), testbed.DocRouter()} {
		e := testbed.Event{}.Fill()
		want(t, testbed.Do(t, s.Request(t, g.URL(""), e)), 200, "forwarded")
		shown := last(t, app).Header.Get("Webhook-Guard-Id")
		wantSaid(t, g, "done", "lookup", s.Name, shown)
		wantSaid(t, g, "not known", "lookup", s.Name, shown+"x")
		if printed, ok := ask(t, g, "lookup", "other", shown); ok || !strings.Contains(printed, "no guard of the running configuration has the scope") {
			t.Errorf("a scope that does not exist: %q", printed)
		}
	}
	e := testbed.Event{}.Fill()
	want(t, testbed.Do(t, testbed.OkraPDF().Request(t, g.URL(""), e)), 200, "forwarded")
	parts := []string{"document.completed", "doc-" + e.ID, e.Time.UTC().Format(time.RFC3339)}
	if shown := last(t, app).Header.Get("Webhook-Guard-Id"); shown != strings.Join(parts, ":") {
		t.Errorf("the app sees the ID %s", shown)
	}
	logged := strings.Join(parts[:2], ":") + ":" + strings.ReplaceAll(parts[2], ":", "%3A")
	wantSaid(t, g, "done", "lookup", append([]string{"okrapdf"}, parts...)...)
	wantSaid(t, g, "done", "lookup", "okrapdf", logged)
	wantSaid(t, g, "not known: its next copy is forwarded\nA colon inside a part", "lookup", "okrapdf", strings.Join(parts, ":"))
	wantSaid(t, g, "forgotten", "forget", "okrapdf", logged)
	g.WaitOutput(logged)
	want(t, testbed.Do(t, testbed.OkraPDF().Request(t, g.URL(""), e)), 200, "forwarded")
}

// The commands of docs/operations.md work as written.
func TestTheDocumentedCommandsForOneEvent(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	g := setup{store: "memory", app: app}.start(t)
	want(t, testbed.Do(t, testbed.DocRouter().Request(t, g.URL(""), testbed.Event{ID: "123"})), 200, "forwarded")
	says := map[string]string{"lookup": "done", "forget": "forgotten"}
	for _, text := range sectionBlocks(t, "operations.md", "Look an event up, or let it through again", "sh") {
		for line := range strings.Lines(text) {
			words := strings.Fields(line)
			if len(words) > 3 && words[1] == "webhook-guard" && says[words[2]] != "" {
				wantSaid(t, g, says[words[2]], words[2], words[3:]...)
				delete(says, words[2])
			}
		}
	}
	if len(says) > 0 {
		t.Errorf("the document does not show %v", says)
	}
}

func TestEventsAreNotLookedUpWhereThereIsNoStore(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	redis := testbed.StartRedis(t)
	down := setup{store: "redis " + redis.URL(), app: app}.start(t)
	redis.Stop()
	none := testbed.StartGateway(t, "http://:{$PORT} {\n\trespond ok\n}\n")
	for says, g := range map[string]*testbed.Gateway{"HTTP 503": down, "no webhook_guard": none} {
		for _, verb := range []string{"lookup", "forget"} {
			if printed, ok := ask(t, g, verb, "struktr", "dlv_1"); ok || !strings.Contains(printed, says) {
				t.Errorf("%s printed %q (exit status 0: %t), want a failure with %q", verb, printed, ok, says)
			}
		}
	}
	req, err := http.NewRequest(http.MethodGet, none.AdminURL()+"/webhook_guard/event", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := testbed.Try(req)
	if err != nil || resp.Status != http.StatusBadRequest || !strings.Contains(string(resp.Body), "name the event") {
		t.Errorf("without an event the answer is %d, %s (%v)", resp.Status, resp.Body, err)
	}
}
