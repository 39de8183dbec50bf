package storetest

import (
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

// idTexts are the tests of the ID that a duplicate matched.
var idTexts = map[string]func(*testing.T, Bench){
	"id's text is found by the content, at any gateway": idTextIsFound,
	"id's text of any bytes comes back as it was":       idTextIsExact,
	"id's text of the first success stays":              idTextOfTheFirst,
	"id's text is not made up later":                    idTextIsNotMadeUp,
	"id's text is forgotten with its event":             idTextIsForgotten,
	"id's text ends with its time to live":              idTextEnds,
	"id's text that is too long is refused":             idTextIsBounded,
	"id's text is kept among many others":               idTextAmongMany,
}

// named commits ev with the text of its ID, and perhaps a reply.
func (g gateway) named(ev dedupe.Event, text string, reply dedupe.Reply) {
	g.t.Helper()
	if err := g.Commit(g.t.Context(), ev, dedupe.Success{Status: 200, Reply: reply, IDText: text}, long); err != nil {
		g.t.Fatalf("commit: %v", err)
	}
}

// wantIDText checks that a copy of ev which comes with another ID learns of the text, and
// that nobody else does.
func (g gateway) wantIDText(ev dedupe.Event, text string, reply dedupe.Reply) {
	g.t.Helper()
	if k := ev.Content; !k.IsZero() {
		if rec := g.lookup(k); rec.State != dedupe.Done || rec.IDText != text || rec.Reply != reply || !rec.Content.IsZero() {
			g.t.Errorf("record of the content is %+v, want the ID %q", rec, text)
		}
		copied := dedupe.Event{Content: k, ID: key("id")}
		g.want(g.claim(copied, dedupe.NewToken(), long),
			dedupe.Answer{State: dedupe.Done, Status: 200, Reply: reply, ByContent: true, IDText: text})
	}
	if k := ev.ID; !k.IsZero() {
		if rec := g.lookup(k); rec.State != dedupe.Done || rec.IDText != "" || rec.Reply != reply || rec.Content != ev.Content {
			g.t.Errorf("record of the ID is %+v, want no text of an ID", rec)
		}
		g.want(g.claim(dedupe.Event{ID: k}, dedupe.NewToken(), long),
			dedupe.Answer{State: dedupe.Done, Status: 200, Reply: reply})
	}
}

func idTextIsFound(t *testing.T, b Bench) {
	here, there := b.gateway(t), b.gateway(t)
	for _, reply := range []dedupe.Reply{{}, twiml} {
		for _, ev := range shapes() {
			here.claimed(ev, dedupe.NewToken(), long)
			here.named(ev, "evt-1", reply)
			here.wantIDText(ev, "evt-1", reply)
			there.wantIDText(ev, "evt-1", reply)
		}
	}
}

func idTextIsExact(t *testing.T, b Bench) {
	g := b.gateway(t)
	for _, text := range []string{
		"1", "200", "*", "=", "\x00", "wg", "wgb1", "wgb3\x00w", "g", "\xff\xfe", "document.completed:d-1:j%3A1", "zürich…",
		strings.Repeat("x", 16), strings.Repeat("x", 17), strings.Repeat("x", 31), strings.Repeat("x", 32), strings.Repeat("x", 33),
		strings.Repeat("wg", dedupe.MaxIDText/2), strings.Repeat("\x00", dedupe.MaxIDText), strings.Repeat("g", 103) + "wgb1",
	} {
		for _, reply := range []dedupe.Reply{{}, {Body: "g"}, twiml, {ContentType: strings.Repeat("w", 119), Body: "w"}} {
			ev := event()
			g.named(ev, text, reply)
			g.wantIDText(ev, text, reply)
		}
	}
}

func idTextOfTheFirst(t *testing.T, b Bench) {
	g := b.gateway(t)
	for _, ev := range shapes() {
		g.named(ev, "first", dedupe.Reply{})
		g.named(ev, "second", twiml)
		g.commit(ev, 202, 2*long)
		g.wantIDText(ev, "first", dedupe.Reply{})
	}
}

func idTextIsNotMadeUp(t *testing.T, b Bench) {
	g := b.gateway(t)
	ev := event()
	g.commit(ev, 200, long)
	g.named(ev, "later", dedupe.Reply{})
	g.wantIDText(ev, "", dedupe.Reply{})
}

func idTextIsForgotten(t *testing.T, b Bench) {
	g := b.gateway(t)
	ev := event()
	for _, k := range []dedupe.Key{ev.ID, ev.Content} {
		g.named(ev, "first", dedupe.Reply{})
		if rec, err := g.Forget(t.Context(), k); err != nil || rec.State != dedupe.Done || (rec.IDText == "first") != (k == ev.Content) {
			t.Fatalf("forget: %+v, %v", rec, err)
		}
		if _, err := g.Forget(t.Context(), ev.ID); err != nil {
			t.Fatalf("forget: %v", err)
		}
		g.claimed(ev, dedupe.NewToken(), long)
		g.commit(ev, 200, long)
		g.wantIDText(ev, "", dedupe.Reply{})
		if _, err := g.Forget(t.Context(), ev.ID); err != nil {
			t.Fatalf("forget: %v", err)
		}
	}
}

func idTextEnds(t *testing.T, b Bench) {
	g := b.gateway(t)
	for _, ev := range shapes() {
		if err := g.Commit(t.Context(), ev, dedupe.Success{Status: 200, IDText: "first"}, b.Short); err != nil {
			t.Fatalf("commit: %v", err)
		}
		b.Lapse(t, ev.Content, ev.ID)
		g.commit(ev, 200, long)
		g.wantIDText(ev, "", dedupe.Reply{})
	}
}

func idTextIsBounded(t *testing.T, b Bench) {
	g := b.gateway(t)
	ev := event()
	long := dedupe.Success{Status: 200, IDText: strings.Repeat("x", dedupe.MaxIDText+1)}
	if err := g.Commit(t.Context(), ev, long, b.Short); err == nil {
		t.Error("an ID's text of any length is taken")
	}
	g.states(map[dedupe.Key]dedupe.State{ev.Content: dedupe.Absent, ev.ID: dedupe.Absent})
}

// idTextAmongMany forgets some of many events, so that their room is used again.
func idTextAmongMany(t *testing.T, b Bench) {
	g := b.gateway(t)
	text := func(n, round int) string {
		return strings.Repeat(string(rune('a'+n%26)), 1+(n*37+round*11)%dedupe.MaxIDText)
	}
	events := make([]dedupe.Event, 60)
	for n := range events {
		events[n] = event()
		g.named(events[n], text(n, 0), dedupe.Reply{})
	}
	for n := 0; n < len(events); n += 3 {
		if _, err := g.Forget(t.Context(), events[n].ID); err != nil {
			t.Fatalf("forget: %v", err)
		}
		g.named(events[n], text(n, 1), dedupe.Reply{})
	}
	for n, ev := range events {
		round := 0
		if n%3 == 0 {
			round = 1
		}
		g.wantIDText(ev, text(n, round), dedupe.Reply{})
	}
}
