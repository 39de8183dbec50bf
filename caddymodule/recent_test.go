package caddymodule

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

func TestOnlyTheLatestIDsAreKept(t *testing.T) {
	numbered := func(i int) (key dedupe.Key) {
		binary.BigEndian.PutUint32(key[:], uint32(i+1))
		return key
	}
	var ids recentIDs
	if got := ids.of(numbered(0)); got != "" {
		t.Errorf("an ID before any event: %q", got)
	}
	for i := range mostRecent + 10 {
		ids.remember(numbered(i), "first")
		ids.remember(numbered(i), "id")
	}
	for i, want := range map[int]string{0: "", 9: "", 10: "id", mostRecent + 9: "id"} {
		if got := ids.of(numbered(i)); got != want {
			t.Errorf("event %d has the ID %q, want %q", i, got, want)
		}
	}
	if len(ids.byKey) != mostRecent {
		t.Errorf("%d IDs are kept", len(ids.byKey))
	}
	ids.remember(numbered(1), strings.Repeat("x", longestRecent+1))
	ids.remember(dedupe.Key{}, "id")
	if ids.of(numbered(1)) != "" || ids.of(dedupe.Key{}) != "" {
		t.Error("an ID that is too long, or that of no event, is kept")
	}
}
