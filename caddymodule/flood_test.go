package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/flood"
	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// A flood of refusals is written a hundred times a second. The next line says how many were
// held back, and lines of another kind are not among them.
func TestFloodOfRefusalsIsSampled(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	now := time.Now().Truncate(time.Second)
	x := b.exchange(event("1"))
	b.guard.now = func() time.Time { return now }
	b.logs.TakeAll() // those of the load
	refuse := func(result webhook.Result, times int) []observer.LoggedEntry {
		t.Helper()
		for range times {
			_ = x.refuse(webhook.Refuse(result, "because"))
		}
		return b.logs.TakeAll()
	}
	if got := refuse(webhook.SignatureInvalid, 250); len(got) != flood.LinesPerSecond || got[0].ContextMap()["held_back"] != nil {
		t.Fatalf("%d lines of 250, the first with %v", len(got), got[0].ContextMap())
	}
	if got := refuse(webhook.TimestampStale, 1); len(got) != 1 || got[0].ContextMap()["held_back"] != nil {
		t.Fatalf("a refusal of another kind in the same second: %v", got)
	}
	now = now.Add(time.Second)
	got := refuse(webhook.SignatureInvalid, 2)
	if len(got) != 2 || got[0].ContextMap()["held_back"] != int64(150) || got[1].ContextMap()["held_back"] != nil {
		t.Fatalf("in the next second: %v", got)
	}
}

// Whatever fails for each event while it lasts, an app, a route or a store, floods no log.
func TestNoFailureFloodsTheLog(t *testing.T) {
	t.Parallel()
	errStore := errors.New("the store is away")
	silent := func(http.ResponseWriter, *http.Request) error { return nil }
	for message, c := range map[string]struct {
		app             caddyhttp.HandlerFunc
		forward         bool
		claims, settles bool // fail
	}{
		"app failed": {app: says(500, "")},
		"nothing behind the guard answered: put a reverse_proxy after webhook_guard in the same route": {app: silent},
		"a handler behind the guard panicked":                                        {app: func(http.ResponseWriter, *http.Request) error { panic("oops") }},
		"forwarding without dedupe: the store does not answer":                       {app: says(200, ""), forward: true, claims: true, settles: true},
		"the event succeeded but could not be committed; retrying in the background": {app: says(200, ""), settles: true},
		"the claim on a failed event could not be released; its lease ends it":       {app: says(500, ""), settles: true},
		"refused": {app: says(200, ""), claims: true},
	} {
		t.Run(message, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, func(g *Guard) {
				if c.forward {
					g.OnStoreError = storeErrorForward
				}
			})
			var now atomic.Int64
			now.Store(time.Now().Unix())
			b.guard.now = func() time.Time { return time.Unix(now.Load(), 0) }
			var away atomic.Bool
			away.Store(true)
			t.Cleanup(func() { away.Store(false) }) // ends what is retried
			fails := func(fail bool) error {
				if fail && away.Load() {
					return errStore
				}
				return nil
			}
			if c.claims {
				b.store.claim = func() (dedupe.Answer, error) { return dedupe.Answer{State: dedupe.Claimed}, fails(true) }
			}
			b.store.commit = func(int, time.Duration) error { return fails(c.settles) }
			b.store.release = func(context.Context) error { return fails(c.settles) }
			events := 0
			send := func(n int) (lines []observer.LoggedEntry) {
				for range n {
					events++
					_, _ = b.serve(b.request(event(strconv.Itoa(events))), c.app)
				}
				for _, entry := range b.logs.FilterMessage(message).All() {
					if entry.Level > zapcore.DebugLevel {
						lines = append(lines, entry)
					}
				}
				b.logs.TakeAll()
				return lines
			}
			if got := send(flood.LinesPerSecond + 50); len(got) != flood.LinesPerSecond {
				t.Errorf("%d lines of a flood in one second, want %d", len(got), flood.LinesPerSecond)
			}
			now.Add(1)
			if got := send(1); len(got) != 1 || got[0].ContextMap()["held_back"] != int64(50) {
				t.Errorf("in the next second: %v, want a line that says that 50 were held back", got)
			}
		})
	}
}
