package inboxes

import (
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/adminapi"
	"github.com/webhookguard/caddy-webhook-guard/inbox"
	"github.com/webhookguard/caddy-webhook-guard/inbox/queuetest"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// Tenants of one inbox may give their events the same ID. Nothing happens to the event of the one
// where that of the other is meant.
func TestAnIDOfSeveralTenantsNamesNoEvent(t *testing.T) {
	store := queuetest.NewModel(time.Now)
	queue, err := store.Queue("all", inbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	put := func(scope, id string) inbox.Key {
		t.Helper()
		key := inbox.Key(webhook.IDKey(scope, webhook.ParseID(id)))
		if a, err := queue.Put(t.Context(), inbox.Event{Key: key, Scope: scope, ID: id, Envelope: []byte("an event")}); err != nil || a != inbox.Accepted {
			t.Fatal(a, err)
		}
		return key
	}
	a, b := put("tenant-a", "1"), put("tenant-b", "1")
	put("tenant-a", "2")
	m := Manager{Set: new(Set), Store: store, Logger: zap.NewNop()}

	refused := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, ErrAsked) {
			t.Fatalf("%s: %v", what, err)
		}
		for _, part := range []string{a.String() + ` of the scope "tenant-a"`, b.String() + ` of the scope "tenant-b"`} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %v, without %s", what, err, part)
			}
		}
	}
	_, err = m.Delete(t.Context(), adminapi.InboxChange{Inbox: "all", Events: []string{"2", "1"}, Reason: "a test"})
	refused("delete", err)
	_, err = m.Replay(t.Context(), adminapi.InboxChange{Inbox: "all", Events: []string{"1"}, Reason: "a test"})
	refused("replay", err)
	_, err = m.Record(t.Context(), "all", "1", false)
	refused("show", err)

	for name, change := range map[string]adminapi.InboxChange{
		"the key":   {Events: []string{a.String()}},
		"the scope": {Filter: adminapi.InboxFilter{ID: "1", Scope: "tenant-b"}},
		"the ID":    {Events: []string{"2"}},
	} {
		change.Inbox, change.Reason = "all", "a test"
		if changed, err := m.Delete(t.Context(), change); err != nil || changed.Changed != 1 {
			t.Errorf("%s: %+v, %v", name, changed, err)
		}
	}
}
