package caddymodule

import (
	"testing"
	"time"

	"go.uber.org/zap/zaptest/observer"

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
	if got := refuse(webhook.SignatureInvalid, 250); len(got) != linesPerSecond || got[0].ContextMap()["held_back"] != nil {
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
