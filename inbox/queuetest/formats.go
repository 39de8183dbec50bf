package queuetest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// Kept is what an inbox of an earlier version has to know of an event, with the request that
// is in its envelope.
type Kept struct {
	inbox.Record
	Request inbox.Envelope
}

// keptFile is what Kept is written to, beside the store's own files.
const keptFile = "kept.json"

// FillEachState puts one event into each state, and returns when that was.
func FillEachState(t *testing.T, q inbox.Queue) time.Time {
	t.Helper()
	attempt := inbox.Attempt{
		Number: 1, At: time.UnixMilli(1_700_000_000_123), Took: 250 * time.Millisecond,
		Status: 503, Error: "the app is away", Head: []byte("try later"),
	}
	var token inbox.Token
	take := func(n byte) inbox.Key {
		put(t, q, n)
		batch, err := q.Take(t.Context(), 1, time.Hour)
		if err != nil || len(batch.Deliveries) != 1 {
			t.Fatalf("took %d events, %v", len(batch.Deliveries), err)
		}
		token = batch.Token
		return batch.Deliveries[0].Key
	}
	for n, s := range []inbox.Settlement{
		{Outcome: inbox.Success, Attempt: inbox.Attempt{Number: 1, At: attempt.At, Took: attempt.Took, Status: 204}},
		{Outcome: inbox.Retry, Delay: time.Hour, Attempt: attempt},
		{Outcome: inbox.GiveUp, Reason: "age", Attempt: attempt},
	} {
		k := take(byte(n + 1))
		if err := q.Settle(t.Context(), k, token, s); err != nil {
			t.Fatal(err)
		}
	}
	take(4)
	put(t, q, 5)
	status, err := q.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return status.Now
}

func put(t *testing.T, q inbox.Queue, n byte) {
	t.Helper()
	request := inbox.Envelope{
		Method: "POST", URI: "/webhooks/acme?n=1", Scheme: "https", Host: "hooks.example.com", RemoteAddr: "192.0.2.1:4711",
		Header: map[string][]string{"Content-Type": {"application/json"}, "X-Acme-Event": {"job.done", "job.paid"}},
		Body:   []byte(`{"id":"evt_` + string('0'+rune(n)) + `"}`),
	}
	event := inbox.Event{Key: inbox.Key{15: n}, Scope: "acme", ID: "evt_" + string('0'+rune(n)), Type: "job.done", Envelope: request.Encode()}
	if answer, err := q.Put(t.Context(), event); err != nil || answer != inbox.Accepted {
		t.Fatalf("%s, %v", answer, err)
	}
}

// WriteKept writes down all that an inbox has, at the time that it is there.
func WriteKept(t *testing.T, q inbox.Queue, dir string, at time.Time) {
	t.Helper()
	text, err := json.MarshalIndent(keptFormat{at.UTC(), kept(t, q)}, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, keptFile), append(text, '\n'), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

type keptFormat struct {
	Now    time.Time
	Events []Kept
}

// KeptAt is the time at which an inbox has what the file in dir says.
func KeptAt(t *testing.T, dir string) time.Time { return readKept(t, dir).Now }

func readKept(t *testing.T, dir string) (f keptFormat) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, keptFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &f); err != nil || len(f.Events) == 0 {
		t.Fatalf("%s holds %d events: %v", dir, len(f.Events), err)
	}
	return f
}

// CheckKept checks that an inbox has what the file in dir says, and that what waits can be
// taken and settled.
func CheckKept(t *testing.T, q inbox.Queue, dir string) {
	t.Helper()
	got, want := kept(t, q), readKept(t, dir).Events
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) {
			t.Fatalf("%s: the inbox has %d events, want %d", dir, len(got), len(want))
		}
		if g, w := encoded(t, got[i]), encoded(t, want[i]); g != w {
			t.Errorf("%s: the inbox has\n%s\nwant\n%s", dir, g, w)
		}
	}
}

// CheckDeliverable takes the one ready event of FillEachState and settles it.
func CheckDeliverable(t *testing.T, q inbox.Queue) {
	t.Helper()
	batch, err := q.Take(t.Context(), 10, time.Hour)
	if err != nil || len(batch.Deliveries) != 1 || batch.Deliveries[0].Key != (inbox.Key{15: 5}) {
		t.Fatalf("took %+v, %v, want the event that is ready", batch.Deliveries, err)
	}
	if _, err := inbox.DecodeEnvelope(batch.Deliveries[0].Envelope); err != nil {
		t.Error(err)
	}
	if err := q.Settle(t.Context(), batch.Deliveries[0].Key, batch.Token, inbox.Settlement{Outcome: inbox.Success}); err != nil {
		t.Error(err)
	}
	if replayed, err := q.Replay(t.Context(), []inbox.Key{{15: 3}}, 0, 0); err != nil || replayed != 1 {
		t.Errorf("%d dead events replayed, %v", replayed, err)
	}
}

// kept is all that an inbox has, in the order of its lists.
func kept(t *testing.T, q inbox.Queue) (all []Kept) {
	t.Helper()
	page, err := q.Page(t.Context(), inbox.Filter{}, "", 100)
	if err != nil || page.Next != "" {
		t.Fatalf("%v, next %q", err, page.Next)
	}
	for _, info := range page.Events {
		record, err := q.Get(t.Context(), info.Key)
		if err != nil {
			t.Fatal(err)
		}
		k := Kept{Record: record}
		if record.Envelope != nil {
			if k.Request, err = inbox.DecodeEnvelope(record.Envelope); err != nil {
				t.Fatal(err)
			}
		}
		for _, at := range []*time.Time{&k.Accepted, &k.Begun, &k.Due, &k.Settled} {
			*at = at.UTC()
		}
		for i := range k.Attempts {
			k.Attempts[i].At = k.Attempts[i].At.UTC()
		}
		all = append(all, k)
	}
	return all
}

func encoded(t *testing.T, k Kept) string {
	t.Helper()
	text, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
