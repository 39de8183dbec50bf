package inboxes

import (
	"context"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// During a rolling update gateways of two versions share an inbox. What the later one has
// written waits for it: it is neither given up nor counted as attempted.
func TestAnEventOfALaterVersionWaits(t *testing.T) {
	run(t, Config{}, answers(200), func(g *rig) {
		e := inbox.Envelope{Method: "POST", URI: "/hook", Scheme: "https", Host: "example.com", Body: []byte("{}")}
		later := e.Encode()
		later[0]++
		ev := inbox.Event{Key: inbox.Key(inbox.NewToken()), ID: "later", Envelope: later}
		if a, err := g.in.Put(context.Background(), g.store, ev); a != inbox.Accepted || err != nil {
			t.Fatal(a, err)
		}
		g.put(1)
		wait(5 * 24 * time.Hour) // longer than retry_for
		if s := g.status(); s.Waiting() != 1 || s.Dead != 0 || g.calls.Load() != 1 {
			t.Fatalf("%+v after %d calls, want one delivered and one waiting", s, g.calls.Load())
		}
		page, err := g.queue.Page(context.Background(), inbox.Filter{State: inbox.Delayed}, "", 10)
		if err != nil || len(page.Events) != 1 || page.Events[0].Reason != inbox.Newer || page.Events[0].Attempts != 0 {
			t.Errorf("%+v is listed, %v; want one that waits for a later version", page.Events, err)
		}
		if g.logs.FilterMessageSnippet("a later version of the gateway").Len() == 0 {
			t.Error("the log does not say why the event waits")
		}
	})
}
