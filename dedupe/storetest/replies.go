package storetest

import (
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

// replies are the tests of what an app said with its success.
var replies = map[string]func(*testing.T, Bench){
	"reply is remembered under either key":        replyIsRemembered,
	"reply of any bytes comes back as it was":     replyIsExact,
	"reply of the first success stays":            replyOfTheFirst,
	"reply is not made up later":                  replyIsNotMadeUp,
	"reply is forgotten with its event":           replyIsForgotten,
	"reply ends with its time to live":            replyEnds,
	"reply that is too long is refused":           replyIsBounded,
	"reply of one event is not that of another's": replyIsItsOwn,
}

var twiml = dedupe.Reply{ContentType: "text/xml; charset=utf-8", Body: "<Response><Say>wgb1</Say></Response>"}

// wantReply checks what every key of ev says.
func (g gateway) wantReply(ev dedupe.Event, status int, want dedupe.Reply) {
	g.t.Helper()
	for k := range ev.Keys() {
		if rec := g.lookup(k); rec.State != dedupe.Done || rec.Status != status || rec.Reply != want {
			g.t.Errorf("record is %s %d with %.60q, want %d with %.60q", rec.State, rec.Status, rec.Reply, status, want)
		}
		one := dedupe.Event{ID: k}
		if k == ev.Content {
			one = dedupe.Event{Content: k}
		}
		if a := g.claim(one, dedupe.NewToken(), long); a.State != dedupe.Done || a.Status != status || a.Reply != want {
			g.t.Errorf("answer is %s %d with %.60q, want %d with %.60q", a.State, a.Status, a.Reply, status, want)
		}
	}
}

func replyIsRemembered(t *testing.T, b Bench) {
	here, there := b.gateway(t), b.gateway(t)
	for _, ev := range shapes() {
		here.claimed(ev, dedupe.NewToken(), long)
		here.remember(ev, 201, twiml, long)
		here.wantReply(ev, 201, twiml)
		there.wantReply(ev, 201, twiml)
	}
}

func replyIsExact(t *testing.T, b Bench) {
	g := b.gateway(t)
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for _, reply := range []dedupe.Reply{
		{Body: "no type"}, {ContentType: "text/plain"}, {Body: "\x00"}, {ContentType: "a", Body: "b"}, {ContentType: "*"},
		{ContentType: "application/octet-stream", Body: string(every)},
		{ContentType: "application/json", Body: strings.Repeat("{}wg\x00wgb1", 400)},
		{ContentType: "text/xml", Body: strings.Repeat("x", dedupe.MaxReply-len("text/xml"))},
	} {
		for _, ev := range shapes() {
			g.remember(ev, 200, reply, long)
			g.wantReply(ev, 200, reply)
		}
	}
}

func replyOfTheFirst(t *testing.T, b Bench) {
	g := b.gateway(t)
	for _, ev := range shapes() {
		g.remember(ev, 200, twiml, long)
		g.remember(ev, 202, dedupe.Reply{Body: "other"}, 2*long)
		g.commit(ev, 203, 3*long)
		g.wantReply(ev, 200, twiml)
	}
}

func replyIsNotMadeUp(t *testing.T, b Bench) {
	g := b.gateway(t)
	for _, ev := range shapes() {
		g.commit(ev, 200, long)
		g.remember(ev, 200, twiml, 2*long)
		g.wantReply(ev, 200, dedupe.Reply{})
	}
}

func replyIsForgotten(t *testing.T, b Bench) {
	g := b.gateway(t)
	for _, ev := range []dedupe.Event{event(), {ID: key("id")}} {
		g.remember(ev, 200, twiml, long)
		rec, err := g.Forget(t.Context(), ev.ID)
		if err != nil || rec.State != dedupe.Done {
			t.Fatalf("forget: %+v, %v", rec, err)
		}
		g.claimed(ev, dedupe.NewToken(), long)
		g.commit(ev, 204, long)
		g.wantReply(ev, 204, dedupe.Reply{})
	}
}

func replyEnds(t *testing.T, b Bench) {
	g := b.gateway(t)
	for _, ev := range shapes() {
		g.remember(ev, 200, twiml, b.Short)
		b.Lapse(t, ev.Content, ev.ID)
		g.commit(ev, 204, long)
		g.wantReply(ev, 204, dedupe.Reply{})
	}
}

func replyIsBounded(t *testing.T, b Bench) {
	g := b.gateway(t)
	ev := event()
	long := dedupe.Success{Status: 200, Reply: dedupe.Reply{Body: strings.Repeat("x", dedupe.MaxReply+1)}}
	if err := g.Commit(t.Context(), ev, long, b.Short); err == nil {
		t.Error("a reply of any length is taken")
	}
	g.states(map[dedupe.Key]dedupe.State{ev.Content: dedupe.Absent, ev.ID: dedupe.Absent})
}

func replyIsItsOwn(t *testing.T, b Bench) {
	g := b.gateway(t)
	with, without, other := event(), event(), event()
	g.remember(with, 200, twiml, long)
	g.commit(without, 200, long)
	g.remember(other, 200, dedupe.Reply{Body: "other"}, long)
	g.wantReply(with, 200, twiml)
	g.wantReply(without, 200, dedupe.Reply{})
	g.wantReply(other, 200, dedupe.Reply{Body: "other"})
}
