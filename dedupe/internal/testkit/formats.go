package testkit

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

// Known is what a store of an earlier version has to know of a key. It is zero where a field
// was not there yet.
type Known struct {
	Key     string
	Status  int
	Content string        `json:",omitempty"`
	IDText  string        `json:",omitempty"`
	Reply   *dedupe.Reply `json:",omitempty"`
	TTL     string
}

// knownFile is what Known is written to, beside the store's own files.
const knownFile = "known.json"

// FinishEachKind finishes events of every kind that a store may write in another way, and
// returns their keys. Events of different rounds have different keys.
func FinishEachKind(t *testing.T, s dedupe.Store, round int) (keys []dedupe.Key) {
	t.Helper()
	reply := dedupe.Reply{ContentType: "text/xml", Body: "<Response/>"}
	single := dedupe.Event{ID: Numbered(round).ID}
	for n, event := range []struct {
		event   dedupe.Event
		success dedupe.Success
	}{
		{single, dedupe.Success{Status: 204}},
		{Numbered(round + 1), dedupe.Success{Status: 200}},
		{Numbered(round + 2), dedupe.Success{Status: 201, Reply: reply}},
		{Numbered(round + 3), dedupe.Success{Status: 202, IDText: "evt_3"}},
		{Numbered(round + 4), dedupe.Success{Status: 200, IDText: "evt_4", Reply: reply}},
		{dedupe.Event{Content: Numbered(round + 5).Content}, dedupe.Success{Status: 200, Reply: reply}},
	} {
		if err := s.Commit(t.Context(), event.event, event.success, TTL+time.Duration(n)*time.Minute); err != nil {
			t.Fatal(err)
		}
		for k := range event.event.Keys() {
			keys = append(keys, k)
		}
	}
	return keys
}

// WriteKnown writes down what a store knows of the keys.
func WriteKnown(t *testing.T, s dedupe.Store, dir string, keys []dedupe.Key) {
	t.Helper()
	var all []Known
	for _, k := range keys {
		all = append(all, knownOf(k, WantState(t, s, k, dedupe.Done)))
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, knownFile), append(text, '\n'), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func knownOf(k dedupe.Key, rec dedupe.Record) Known {
	known := Known{Key: k.String(), Status: rec.Status, IDText: rec.IDText, TTL: rec.TTL.Round(time.Second).String()}
	if !rec.Content.IsZero() {
		known.Content = rec.Content.String()
	}
	if rec.Reply != (dedupe.Reply{}) {
		known.Reply = &rec.Reply
	}
	return known
}

// CheckKnown checks that a store knows what the file in dir says. Times to live may be
// shorter by slack.
func CheckKnown(t *testing.T, s dedupe.Store, dir string, slack time.Duration) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, knownFile))
	if err != nil {
		t.Fatal(err)
	}
	var all []Known
	if err := json.Unmarshal(text, &all); err != nil || len(all) == 0 {
		t.Fatalf("%s holds %d keys: %v", dir, len(all), err)
	}
	for _, want := range all {
		key, err := base64.RawURLEncoding.DecodeString(want.Key)
		if err != nil || len(key) != len(dedupe.Key{}) {
			t.Fatalf("%s: %q is no key: %v", dir, want.Key, err)
		}
		rec := WantState(t, s, dedupe.Key(key), dedupe.Done)
		ttl, err := time.ParseDuration(want.TTL)
		if err != nil {
			t.Fatal(err)
		}
		if rec.TTL > ttl || rec.TTL < ttl-slack {
			t.Errorf("%s: %s is kept for %s, want %s", dir, want.Key, rec.TTL, ttl)
		}
		rec.TTL = ttl
		got := knownOf(dedupe.Key(key), rec)
		if g, w := encoded(t, got), encoded(t, want); g != w {
			t.Errorf("%s: the store knows\n%s\nwant\n%s", dir, g, w)
		}
	}
}

func encoded(t *testing.T, known Known) string {
	t.Helper()
	text, err := json.Marshal(known)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
