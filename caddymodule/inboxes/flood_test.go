package inboxes

import (
	"net/http"
	"testing"
	"time"

	"go.uber.org/zap/zaptest/observer"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/flood"
)

// An app that fails all events of a long queue floods no log.
func TestAnAppThatFailsAllEventsFloodsNoLog(t *testing.T) {
	for message, app := range map[string]func(http.ResponseWriter, *http.Request) error{
		"the app failed; it gets the event again":     answers(500),
		"gave an event up; it is kept among the dead": answers(410),
	} {
		t.Run(message, func(t *testing.T) {
			run(t, Config{GiveUp: []string{"410"}}, app, func(g *rig) {
				lines := func(events int) []observer.LoggedEntry {
					g.put(events)
					wait(0) // the bubble's second does not pass
					lines := g.logs.FilterMessage(message).All()
					g.logs.TakeAll()
					return lines
				}
				if got := len(lines(flood.LinesPerSecond + 50)); got != flood.LinesPerSecond {
					t.Errorf("%d lines of a flood in one second, want %d", got, flood.LinesPerSecond)
				}
				time.Sleep(time.Second)
				got := lines(1)
				if len(got) != 1 || got[0].ContextMap()["held_back"] != int64(50) {
					t.Errorf("%d lines in the next second, want one that says that 50 were held back", len(got))
				}
			})
		})
	}
}
