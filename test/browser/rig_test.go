//go:build full

package browser

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// rig is a gateway with an inbox and a page, and the app behind it.
type rig struct {
	t       *testing.T
	gateway *testbed.Gateway
	app     *testbed.App
	page    int // its port
	healed  atomic.Bool
}

const caddyfile = `
{
	webhook_guard {
		store {$STORE}
	}
}
http://127.0.0.1:{$PORT} {
	handle /webhooks/docrouter {
		webhook_guard docrouter {
			secret {env.DOCROUTER_SECRET}
			inbox payments {
				deliver {
					reverse_proxy {$APP} {
						transport webhook
					}
				}
				retry 1h
				give_up 410
				keep 24h bodies
			}
			max_body 20MB
		}
	}
	handle /webhooks/struktr {
		webhook_guard struktr {
			secret {env.STRUKTR_SECRET}
		}
		reverse_proxy {$APP} {
			transport webhook
		}
	}
}
http://127.0.0.1:{$PAGE} {
	route {
		webhook_guard_ui {$OPTIONS}
	}
}
`

// start runs a gateway. Its app gives events of the type doomed up, until it is healed, and
// fails those of the type away.
func start(t *testing.T, options ...string) *rig {
	t.Helper()
	return startOn(t, "disk "+t.TempDir(), options...)
}

// startOn runs a gateway on a store.
func startOn(t *testing.T, store string, options ...string) *rig {
	t.Helper()
	r := &rig{t: t, page: testbed.FreePort(t)}
	r.app = testbed.StartApp(t, func(d testbed.Delivery) testbed.Answer {
		var event struct {
			Type string `json:"event_type"`
		}
		_ = json.Unmarshal(d.Body, &event) // of another sender
		switch {
		case r.healed.Load():
		case event.Type == "doomed":
			return testbed.Answer{Status: http.StatusGone, Body: []byte("no such <b>document</b>")}
		case event.Type == "away":
			return testbed.Answer{Status: http.StatusInternalServerError, Body: []byte("out of order")}
		}
		return testbed.Answer{Body: []byte("ok")}
	})
	block := ""
	if len(options) > 0 {
		block = "{\n" + options[0] + "\n}"
	}
	r.gateway = testbed.StartGateway(t, caddyfile, testbed.WithEnv(append(testbed.SecretEnv(),
		"STORE="+store, "APP="+r.app.Addr(), "PAGE="+strconv.Itoa(r.page), "OPTIONS="+block)...))
	return r
}

// url is the address of a screen.
func (r *rig) url(path string) string { return fmt.Sprintf("http://127.0.0.1:%d%s", r.page, path) }

// send has the sender of the inbox send an event of a type.
func (r *rig) send(id, kind string) {
	r.t.Helper()
	r.sendBody(testbed.DocRouter().Body(testbed.Event{ID: id, Type: kind}.Fill()))
}

func (r *rig) sendBody(body []byte) {
	r.t.Helper()
	if got := testbed.Do(r.t, testbed.DocRouter().RequestWith(r.t, r.gateway.URL(""), body, testbed.Event{})); got.Guard != "accepted" {
		r.t.Fatalf("the sender got %s", got)
	}
}

// forge sends what the guard refuses.
func (r *rig) forge() {
	r.t.Helper()
	request := testbed.DocRouter().Request(r.t, r.gateway.URL(""), testbed.Event{})
	request.Header.Set("X-DocRouter-Signature", "sha256="+strings.Repeat("0", 64))
	if got := testbed.Do(r.t, request); got.Status != http.StatusUnauthorized {
		r.t.Fatalf("a forgery got %s", got)
	}
}

// listed is an event as the admin API lists it.
type listed struct {
	Key, ID, State string
	Attempts       int
}

// events lists the events that match a query.
func (r *rig) events(query url.Values) []listed {
	r.t.Helper()
	query.Set("inbox", "payments")
	request, err := http.NewRequest(http.MethodGet, r.gateway.AdminURL()+"/webhook_guard/inbox/events?"+query.Encode(), nil)
	if err != nil {
		r.t.Fatal(err)
	}
	var page struct{ Events []listed }
	if got := testbed.Do(r.t, request); json.Unmarshal(got.Body, &page) != nil {
		r.t.Fatalf("the admin API says %s", got)
	}
	return page.Events
}

// wait waits until n events are in a state.
func (r *rig) wait(state string, n int) []listed {
	r.t.Helper()
	var events []listed
	testbed.Eventually(r.t, patience, func() bool {
		events = r.events(url.Values{"state": {state}})
		return len(events) == n
	}, fmt.Sprintf("%d events are to be %s", n, state))
	return events
}

// filled has events in every state, refusals, and deliveries past the inbox.
func (r *rig) filled() {
	r.t.Helper()
	r.filledBeside(0, 0)
}

// filledBeside is filled where some events are done and dead already.
func (r *rig) filledBeside(done, dead int) {
	r.t.Helper()
	for n := range 12 {
		r.send(fmt.Sprintf("done-%02d", n), []string{"llm.completed", "document.uploaded", "document.deleted"}[n%3])
	}
	for n := range 3 {
		r.send(fmt.Sprintf("doomed-%d", n), "doomed")
	}
	r.send("away-1", "away")
	r.wait("done", done+12)
	r.wait("dead", dead+3)
	r.wait("delayed", 1)
	for range 3 {
		r.forge()
	}
	stale := testbed.DocRouter().Request(r.t, r.gateway.URL(""), testbed.Event{Sent: time.Now().Add(-time.Hour)})
	testbed.Do(r.t, stale)
	for range 2 {
		if got := testbed.Do(r.t, testbed.Struktr().Request(r.t, r.gateway.URL(""), testbed.Event{})); got.Guard != "forwarded" {
			r.t.Fatalf("the sender got %s", got)
		}
	}
}

// delivery is the address of the screen of one event.
func (r *rig) delivery(e listed) string {
	return r.url("/delivery?" + url.Values{"inbox": {"payments"}, "event": {e.Key}}.Encode())
}

// logged waits for a line of the gateway's log.
func (r *rig) logged(text string) error {
	if !strings.Contains(r.gateway.Output(), text) {
		return errStill
	}
	return nil
}
