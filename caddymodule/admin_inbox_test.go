package caddymodule

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/adminapi"
	"github.com/webhookguard/caddy-webhook-guard/inbox"
	"github.com/webhookguard/caddy-webhook-guard/inbox/queuetest"
)

// Caddy ends the admin API's requests after 10 seconds, and whoever asks may go away before: a
// change of many events is made to its end all the same.
func TestAChangeOutlivesItsRequest(t *testing.T) {
	for path, want := range map[string]inbox.Status{adminapi.InboxReplayPath: {Ready: 3}, adminapi.InboxDeletePath: {}, adminapi.InboxPausePath: {Dead: 3, Paused: true}} {
		app := newBench(t, func(g *Guard) { g.Scope = "change-outlives" }).guard.app
		app.pages.app, app.MaxBuffered, app.logger = app, defaultMaxBuffered, zap.NewNop()
		store := queuetest.NewModel(time.Now)
		app.store.inboxes = store
		inForce.add(app)
		t.Cleanup(func() { inForce.remove(app) })
		q, err := store.Queue("payments", inbox.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for n := range 3 {
			if _, err := q.Put(t.Context(), inbox.Event{Key: inbox.Key{byte(n), 1}, Envelope: []byte("event")}); err != nil {
				t.Fatal(err)
			}
		}
		batch, err := q.Take(t.Context(), 3, time.Minute)
		if err != nil || len(batch.Deliveries) != 3 {
			t.Fatal(batch, err)
		}
		for _, d := range batch.Deliveries {
			if err := q.Settle(t.Context(), d.Key, batch.Token, inbox.Settlement{Outcome: inbox.GiveUp, Reason: "age"}); err != nil {
				t.Fatal(err)
			}
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(`{"inbox":"payments","filter":{"state":"dead"},"reason":"a test"}`)).WithContext(gone)
		for _, route := range new(adminInboxes).Routes() {
			if route.Pattern == path {
				if err := route.Handler.ServeHTTP(httptest.NewRecorder(), r); err != nil {
					t.Errorf("%s: %v", path, err)
				}
			}
		}
		if s, err := q.Status(t.Context()); err != nil || s.Ready != want.Ready || s.Dead != want.Dead || s.Paused != want.Paused {
			t.Errorf("%s: %+v, %v", path, s, err)
		}
	}
}
