package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

// settling are the tests of Commit, Lookup and Forget.
var settling = map[string]func(*testing.T, Bench){
	"commit makes copies duplicates, at any gateway": commitMakesDuplicates,
	"commit stands without any claim":                commitWithoutClaim,
	"commit overwrites anybody's claim":              commitOverwritesClaims,
	"commit is undone by nobody":                     commitIsNeverUndone,
	"commit keeps the first status and content":      commitKeepsTheFirst,
	"commit only lengthens the time to live":         commitOnlyLengthens,
	"commit ends with its time to live":              commitEnds,
	"duplicate by content does not mark its id":      duplicateByContentLeavesID,
	"conflict is other content under a known id":     conflicts,
	"forget frees id and content":                    forgetFreesBoth,
	"forget of what is in flight removes nothing":    forgetInFlight,
	"forget of the unknown is not an error":          forgetUnknown,
}

func commitMakesDuplicates(t *testing.T, b Bench) {
	here, there := b.gateway(t), b.gateway(t)
	for name, ev := range shapes() {
		tok := dedupe.NewToken()
		here.claimed(ev, tok, long)
		here.commit(ev, 204, long)
		want := dedupe.Answer{State: dedupe.Done, Status: 204, ByContent: !ev.Content.IsZero()}
		here.want(here.claim(ev, tok, long), want)
		there.want(there.claim(ev, dedupe.NewToken(), long), want)

		if k := ev.Content; !k.IsZero() {
			checkRecord(t, name+", content", there.lookup(k), dedupe.Record{State: dedupe.Done, Status: 204})
		}
		if k := ev.ID; !k.IsZero() {
			checkRecord(t, name+", id", there.lookup(k),
				dedupe.Record{State: dedupe.Done, Status: 204, Content: ev.Content})
		}
	}
}

func commitWithoutClaim(t *testing.T, b Bench) {
	g := b.gateway(t)
	for _, ev := range shapes() {
		g.commit(ev, 200, long)
		if a := g.claim(ev, dedupe.NewToken(), long); a.State != dedupe.Done {
			t.Fatalf("answer is %+v, want done", a)
		}
	}
}

func commitOverwritesClaims(t *testing.T, b Bench) {
	g := b.gateway(t)
	for _, ev := range shapes() {
		g.claimed(ev, dedupe.NewToken(), 5*long)
		g.commit(ev, 200, long)
		for _, k := range []dedupe.Key{ev.Content, ev.ID} {
			if rec := g.lookup(k); !k.IsZero() && (rec.State != dedupe.Done || rec.TTL > long) {
				t.Fatalf("record is %+v, want done for %s", rec, long)
			}
		}
	}

	// Two attempts hold a key each; either way both are finished.
	ev := event()
	g.claimed(dedupe.Event{Content: ev.Content}, dedupe.NewToken(), long)
	g.claimed(dedupe.Event{ID: ev.ID}, dedupe.NewToken(), long)
	g.commit(ev, 200, long)
	g.states(map[dedupe.Key]dedupe.State{ev.Content: dedupe.Done, ev.ID: dedupe.Done})
}

func commitIsNeverUndone(t *testing.T, b Bench) {
	g := b.gateway(t)
	for name, ev := range shapes() {
		tok := dedupe.NewToken()
		g.claimed(ev, tok, long)
		g.commit(ev, 200, 10*long)
		g.release(ev, tok)
		g.lost("renewing a finished event", ev, tok, b.Short)
		g.claim(ev, tok, b.Short)
		g.claim(ev, dedupe.NewToken(), b.Short)
		g.release(ev, tok)
		for _, k := range []dedupe.Key{ev.Content, ev.ID} {
			if rec := g.lookup(k); !k.IsZero() && (rec.State != dedupe.Done || rec.TTL <= 9*long) {
				t.Fatalf("%s: record is %+v, want done with its time to live", name, rec)
			}
		}
	}
}

func commitKeepsTheFirst(t *testing.T, b Bench) {
	g := b.gateway(t)
	ev := event()
	g.commit(ev, 201, long)
	other := dedupe.Event{Content: key("content"), ID: ev.ID}
	g.commit(other, 202, long)
	checkRecord(t, "the id", g.lookup(ev.ID), dedupe.Record{State: dedupe.Done, Status: 201, Content: ev.Content})
	checkRecord(t, "the new content", g.lookup(other.Content), dedupe.Record{State: dedupe.Done, Status: 202})
	g.commit(dedupe.Event{Content: ev.Content}, 203, long)
	checkRecord(t, "the old content", g.lookup(ev.Content), dedupe.Record{State: dedupe.Done, Status: 201})
}

func commitOnlyLengthens(t *testing.T, b Bench) {
	g := b.gateway(t)
	for name, ev := range shapes() {
		for _, step := range []struct{ ttl, over, upTo time.Duration }{
			{10 * long, 9 * long, 10 * long},
			{long, 9 * long, 10 * long},
			{30 * long, 29 * long, 30 * long},
		} {
			g.commit(ev, 200, step.ttl)
			for _, k := range []dedupe.Key{ev.Content, ev.ID} {
				if rec := g.lookup(k); !k.IsZero() && (rec.TTL <= step.over || rec.TTL > step.upTo) {
					t.Errorf("%s: %s left after a commit for %s, want over %s", name, rec.TTL, step.ttl, step.over)
				}
			}
		}
	}
}

func commitEnds(t *testing.T, b Bench) {
	g := b.gateway(t)
	for _, ev := range shapes() {
		g.commit(ev, 200, b.Short)
		b.Lapse(t, ev.Content, ev.ID)
		g.claimed(ev, dedupe.NewToken(), long)
	}
}

func duplicateByContentLeavesID(t *testing.T, b Bench) {
	g := b.gateway(t)
	first := event()
	g.commit(first, 200, long)
	replay := dedupe.Event{Content: first.Content, ID: key("id")}
	g.want(g.claim(replay, dedupe.NewToken(), long), dedupe.Answer{State: dedupe.Done, Status: 200, ByContent: true})
	// A new event that has this ID is not held up by the replay.
	g.claimed(dedupe.Event{Content: key("content"), ID: replay.ID}, dedupe.NewToken(), long)
}

func conflicts(t *testing.T, b Bench) {
	g := b.gateway(t)
	x, y, none := key("content"), key("content"), dedupe.Key{}
	for name, c := range map[string]struct {
		first, second dedupe.Key
		want          dedupe.Answer
	}{
		"other content":         {x, y, dedupe.Answer{State: dedupe.Done, Status: 200, Conflict: true}},
		"same content":          {x, x, dedupe.Answer{State: dedupe.Done, Status: 200, ByContent: true}},
		"content only at first": {x, none, dedupe.Answer{State: dedupe.Done, Status: 200}},
		"content only later":    {none, y, dedupe.Answer{State: dedupe.Done, Status: 200}},
		"no content":            {none, none, dedupe.Answer{State: dedupe.Done, Status: 200}},
	} {
		id := key("id")
		g.commit(dedupe.Event{Content: c.first, ID: id}, 200, long)
		if got := g.claim(dedupe.Event{Content: c.second, ID: id}, dedupe.NewToken(), long); got != c.want {
			t.Errorf("%s: claim answered %+v, want %+v", name, got, c.want)
		}
	}

	// Where the content key is gone, the ID decides, and its record has the same content.
	ev := event()
	g.commit(ev, 200, long)
	if _, err := g.Forget(t.Context(), ev.Content); err != nil {
		t.Fatalf("forgetting the content: %v", err)
	}
	g.want(g.claim(ev, dedupe.NewToken(), long), dedupe.Answer{State: dedupe.Done, Status: 200})
}

func forgetFreesBoth(t *testing.T, b Bench) {
	g := b.gateway(t)
	for name, ev := range map[string]dedupe.Event{"id and content": event(), "id only": {ID: key("id")}} {
		g.commit(ev, 202, long)
		rec, err := g.Forget(t.Context(), ev.ID)
		if err != nil {
			t.Fatalf("forget: %v", err)
		}
		checkRecord(t, name, rec, dedupe.Record{State: dedupe.Done, Status: 202, Content: ev.Content})
		g.claimed(ev, dedupe.NewToken(), long)
	}

	// The content is gone already: the ID is freed anyway.
	ev := event()
	g.commit(ev, 200, long)
	for range 2 {
		if _, err := g.Forget(t.Context(), ev.Content); err != nil {
			t.Fatalf("forgetting a content key: %v", err)
		}
	}
	if rec, err := g.Forget(t.Context(), ev.ID); err != nil || rec.State != dedupe.Done {
		t.Fatalf("forget: %+v, %v; want done", rec, err)
	}
	g.claimed(ev, dedupe.NewToken(), long)
}

func forgetInFlight(t *testing.T, b Bench) {
	g := b.gateway(t)
	ev := event()
	g.claimed(ev, dedupe.NewToken(), long)
	if _, err := g.Forget(t.Context(), ev.ID); !errors.Is(err, dedupe.ErrInFlight) {
		t.Fatalf("forgetting an event in flight: %v, want ErrInFlight", err)
	}
	g.states(map[dedupe.Key]dedupe.State{ev.Content: dedupe.InFlight, ev.ID: dedupe.InFlight})

	// The ID is finished, but its content is being handled again under another one:
	// to free the ID alone would not let the event through.
	done := event()
	g.commit(done, 200, long)
	if _, err := g.Forget(t.Context(), done.Content); err != nil {
		t.Fatalf("forgetting a content key: %v", err)
	}
	g.claimed(dedupe.Event{Content: done.Content, ID: key("id")}, dedupe.NewToken(), long)
	if _, err := g.Forget(t.Context(), done.ID); !errors.Is(err, dedupe.ErrInFlight) {
		t.Fatalf("forgetting content in flight: %v, want ErrInFlight", err)
	}
	g.states(map[dedupe.Key]dedupe.State{done.Content: dedupe.InFlight, done.ID: dedupe.Done})
}

func forgetUnknown(t *testing.T, b Bench) {
	g := b.gateway(t)
	rec, err := g.Forget(t.Context(), key("id"))
	if err != nil || rec != (dedupe.Record{State: dedupe.Absent}) {
		t.Fatalf("forget: %+v, %v; want absent", rec, err)
	}
}

// checkRecord compares all but the time, which must be what is left of long.
func checkRecord(t *testing.T, name string, got, want dedupe.Record) {
	t.Helper()
	if got.TTL <= long/2 || got.TTL > long {
		t.Errorf("%s: %s left, want about %s", name, got.TTL, long)
	}
	got.TTL = 0
	if got != want {
		t.Errorf("%s: record is %+v, want %+v", name, got, want)
	}
}
