package caddymodule

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"go.uber.org/zap/zaptest/observer"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

// named is a bench whose events are the same where their X-Content is, whatever their ID.
func named(t *testing.T) *bench {
	t.Helper()
	content := "{header.X-Content}"
	return newBench(t, func(g *Guard) { g.Content = content })
}

func (b *bench) named(id, content string) *http.Request {
	r := b.request(event(id))
	r.Header.Set("X-Content", content)
	return r
}

// matchedIDs returns the IDs that the duplicates' log lines name.
func matchedIDs(logs *observer.ObservedLogs) (ids []string) {
	for _, entry := range logs.FilterMessage("duplicate").TakeAll() {
		id, _ := entry.ContextMap()["matched_id"].(string)
		ids = append(ids, id)
	}
	return ids
}

// A duplicate's line names the event that it matched, whoever handled that, however long
// ago, and whatever came in between.
func TestADuplicateNamesTheIDThatItMatched(t *testing.T) {
	b := named(t)
	for n := range 6000 {
		if _, err := b.serve(b.named(fmt.Sprint("evt-", n), fmt.Sprint(n)), says(200, "")); err != nil {
			t.Fatal(err)
		}
	}
	other := named(t)
	other.guard.app.store = newSharedStore(b.store.Store, "fake", other.guard.metrics)
	for _, gateway := range []*bench{b, other} {
		for range 2 {
			if _, err := gateway.serve(gateway.named("copy", "1"), says(500, "")); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := gateway.serve(gateway.named("evt-1", "else"), says(500, "")); err != nil {
			t.Fatal(err)
		}
		if ids := matchedIDs(gateway.logs); fmt.Sprint(ids) != "[evt-1 evt-1 ]" {
			t.Errorf("the duplicates name %q", ids)
		}
	}
}

// Copies that wait for the first one learn its ID without the store.
func TestACopyThatWaitedNamesTheIDThatItMatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := named(t)
		for _, id := range []string{"first", "copy"} {
			go func() {
				if _, err := b.serve(b.named(id, "same"), func(w http.ResponseWriter, r *http.Request) error {
					time.Sleep(time.Second)
					return says(200, "")(w, r)
				}); err != nil {
					t.Error(err)
				}
			}()
			synctest.Wait()
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if ids := matchedIDs(b.logs); fmt.Sprint(ids) != "[first]" || b.store.count("claim") != 1 {
			t.Errorf("the duplicates name %q", ids)
		}
	})
}

func TestALongIDIsCutInTheStore(t *testing.T) {
	for id, want := range map[string]string{
		"evt-1":                  "evt-1",
		strings.Repeat("x", 128): strings.Repeat("x", 128),
		strings.Repeat("x", 129): strings.Repeat("x", 125) + "…",
		strings.Repeat("ü", 200): strings.Repeat("ü", 62) + "…",
	} {
		got := shortID([]string{id})
		if got != want || len(got) > dedupe.MaxIDText || !utf8.ValidString(got) {
			t.Errorf("%.20s… is kept as %q", id, got)
		}
	}
	if got := shortID([]string{"a:b", "c"}); got != "a%3Ab:c" {
		t.Errorf("parts are kept as %q", got)
	}
	if got := shortID(nil); got != "" {
		t.Errorf("no ID is kept as %q", got)
	}
}
