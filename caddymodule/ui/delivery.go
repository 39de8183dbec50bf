package ui

import (
	"net/http"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/inboxes"
	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/adminapi"
	"github.com/webhookguard/caddy-webhook-guard/caddymodule/recent"
)

// delivery is what the screen of one event shows.
type delivery struct {
	Inbox  string
	Event  adminapi.InboxRecord
	Method string
	URL    string
	Remote string
	Fields []field
	Curl   string
	Size   int64
	Kept   bool // the request is
	Body   *shownBody
}

// Replayable reports whether the event can be replayed: not while it is ready or with the app.
func (d delivery) Replayable() bool {
	switch d.Event.State {
	case "dead", "delayed":
		return true
	case "done":
		return d.Kept
	}
	return false
}

func showDelivery(v *visit) error {
	query := v.r.URL.Query()
	d := delivery{Inbox: query.Get("inbox")}
	err := v.gateway.Inboxes(func(m inboxes.Manager) (err error) {
		d.Event, err = m.Record(v.r.Context(), d.Inbox, query.Get("event"), true)
		return err
	})
	if err != nil {
		return err
	}
	if r := d.Event.Request; r != nil {
		m := maskOf(guardOf(v, d.Inbox))
		d.Kept, d.Method, d.URL, d.Remote, d.Size = true, r.Method, r.Scheme+"://"+r.Host+m.uri(r.URI), r.RemoteAddr, int64(len(r.Body))
		d.Fields, d.Curl = m.fields(r.Header), m.curl(d.Event.Key, r)
		if query.Get("body") == "1" {
			shown := m.present(r.Body, http.Header(r.Header).Get("Content-Type"))
			d.Body = &shown
			logSeen(v, "a body was shown", d.Inbox, d.Event.InboxEvent)
		}
	}
	// What still changes is live; a body that is read is not taken away.
	waits := d.Event.State != "dead" && d.Event.State != "done"
	v.render(http.StatusOK, "delivery", page{Title: "Delivery", Live: waits && d.Body == nil, Message: doneMessage(query), Data: d})
	return nil
}

// guardOf is the guard whose events an inbox keeps, or a zero one.
func guardOf(v *visit, inbox string) recent.Guard {
	if v.watched.Guards != nil {
		for _, g := range v.watched.Guards() {
			if g.Inbox == inbox {
				return g
			}
		}
	}
	return recent.Guard{}
}

func maskOf(g recent.Guard) mask { return newMask(g.Carries) }
