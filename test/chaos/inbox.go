package chaos

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// emptyLimit is how long inboxes may take to deliver what waits, once the app behaves: a
// hold of a minute and the lease of a gateway that was killed are the longest delays.
const emptyLimit = 10 * time.Minute

// inboxes asks the inboxes of a run what has become of the events.
type inboxes struct{ *world }

// takeStock waits until nothing waits in any inbox, and records what has become of the
// events. first: none of them has been sent again since the faults.
func (w inboxes) takeStock(first bool) {
	if !w.inbox {
		return
	}
	testbed.Eventually(w.tb, emptyLimit, func() bool { return w.waiting() == 0 }, "the inboxes to be empty")
	w.app.wait()
	dead := make(map[string]bool)
	for _, s := range testbed.Senders() {
		w.listDead(s.Name, dead)
	}
	w.rec.update(func() {
		for _, e := range w.rec.events {
			e.dead = dead[e.made.ID]
			if first {
				e.missing = e.acknowledged() && !e.dead && !e.handled(w.rec.now())
			}
		}
	})
}

// waiting is how many events wait in all inboxes.
func (w inboxes) waiting() (sum int64) {
	var states []struct{ Ready, Delayed, Leased int64 }
	if !w.ask("/webhook_guard/inboxes", nil, &states) {
		return -1
	}
	for _, s := range states {
		sum += s.Ready + s.Delayed + s.Leased
	}
	return sum
}

// listDead adds the IDs of the dead of an inbox.
func (w inboxes) listDead(inbox string, to map[string]bool) {
	q := url.Values{"inbox": {inbox}, "state": {"dead"}, "limit": {"1000"}}
	for {
		var page struct {
			Events []struct{ ID string }
			Next   string
		}
		if !w.ask("/webhook_guard/inbox/events", q, &page) {
			w.tb.Errorf("the dead of the inbox %s cannot be listed", inbox)
			return
		}
		for _, e := range page.Events {
			for _, part := range partsOfID(e.ID) {
				to[part] = true
			}
		}
		if page.Next == "" {
			return
		}
		q.Set("cursor", page.Next)
	}
}

// partsOfID are the parts of an ID in a gateway's words, of which one is that of the event.
func partsOfID(id string) []string {
	return strings.FieldsFunc(id, func(c rune) bool { return strings.ContainsRune(":-_", c) })
}

// ask reads from the admin API of the first gateway.
func (w inboxes) ask(path string, q url.Values, to any) bool {
	w.tb.Helper()
	req, err := http.NewRequestWithContext(w.tb.Context(), http.MethodGet, fmt.Sprintf("%s%s?%s", w.gateways[0].AdminURL(), path, q.Encode()), nil)
	if err != nil {
		w.tb.Fatal(err)
	}
	resp, err := testbed.Try(req)
	return err == nil && resp.Status == http.StatusOK && json.Unmarshal(resp.Body, to) == nil
}
