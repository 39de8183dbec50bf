package queuetest

import (
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// paging are the tests of Page.
var paging = map[string]func(*testing.T, Bench){
	"pages have every event once, at any size":  pagesHaveAll,
	"pages begin with what is newest":           pagesInOrder,
	"pages hold what matches a filter":          pagesFilter,
	"what is rare is found at once":             pagesFindRare,
	"pages say how many events they looked at":  pagesCount,
	"lists of a filter follow every change":     pagesFollow,
	"a walk misses nothing while others change": pagesUnderChange,
	"a cursor that is none is refused":          pagesRefuse,
}

// walk returns all events that match, by their keys. Between two pages it calls between.
func (g view) walk(f inbox.Filter, limit int, between func()) map[inbox.Key]inbox.Info {
	g.t.Helper()
	found := make(map[inbox.Key]inbox.Info)
	pages := 0
	for cursor := ""; ; {
		p, err := g.Page(g.t.Context(), f, cursor, limit)
		g.must("page", err)
		if len(p.Events) > limit {
			g.t.Fatalf("a page has %d events, want %d at most", len(p.Events), limit)
		}
		for _, info := range p.Events {
			if between == nil && found[info.Key].Key != (inbox.Key{}) {
				g.t.Fatalf("an event is met twice: %+v", info)
			}
			if !f.Match(info) {
				g.t.Fatalf("%+v does not match %+v", info, f)
			}
			found[info.Key] = info
		}
		if pages++; pages > 10_000 {
			g.t.Fatal("the walk does not end")
		}
		if cursor = p.Next; cursor == "" {
			return found
		}
		if between != nil {
			between()
		}
	}
}

// mixed makes n events of each state.
func (g gateway) mixed(n int) (all map[inbox.Key]inbox.State) {
	g.t.Helper()
	all = make(map[inbox.Key]inbox.State)
	for range n {
		all[g.done().Key] = inbox.Done
		all[g.dead("age").Key] = inbox.Dead
		ev := g.accepted()
		g.settle(ev.Key, g.taken(ev), retry(lease))
		all[ev.Key] = inbox.Delayed
	}
	for range n {
		all[g.accepted().Key] = inbox.Leased
	}
	g.take(n)
	for range n {
		all[g.accepted().Key] = inbox.Ready
	}
	return all
}

func pagesHaveAll(t *testing.T, b Bench) {
	g := b.gateway(t, inbox.Options{})
	if got := g.walk(inbox.Filter{}, 10, nil); len(got) != 0 {
		t.Fatalf("an empty inbox lists %d events", len(got))
	}
	all := g.mixed(5)
	for _, limit := range []int{1, 3, 5, 100} {
		got := g.walk(inbox.Filter{}, limit, nil)
		if len(got) != len(all) {
			t.Fatalf("pages of %d have %d events, want %d", limit, len(got), len(all))
		}
		for k, info := range got {
			if info.State != all[k] || info != g.get(k).Info {
				t.Fatalf("%+v is listed, want %+v", info, g.get(k).Info)
			}
		}
	}
	// Leases that have ended are among the ready.
	g.advance(lease)
	if got := g.walk(inbox.Filter{State: inbox.Ready}, 3, nil); len(got) != 15 {
		t.Fatalf("%d events are ready, want 15", len(got))
	}
}

// Whoever reads a short page is told how far it has come.
func pagesCount(t *testing.T, b Bench) {
	g := b.gateway(t, inbox.Options{})
	all := len(g.mixed(5))
	for name, c := range map[string]struct {
		f    inbox.Filter
		want int
	}{
		"every event is listed":       {inbox.Filter{}, all},
		"none is":                     {inbox.Filter{Scope: "nobody's"}, all},
		"a state, and none of it is":  {inbox.Filter{State: inbox.Dead, Scope: "nobody's"}, 5},
		"what is looked up, but none": {inbox.Filter{ID: "nobody's"}, 0},
	} {
		looked := 0
		for cursor, pages := "", 0; ; pages++ {
			p, err := g.Page(t.Context(), c.f, cursor, 2)
			g.must("page", err)
			looked += p.Looked
			if cursor = p.Next; cursor == "" {
				break
			}
			if pages > all {
				t.Fatalf("%s: the walk does not end", name)
			}
		}
		if looked != c.want {
			t.Errorf("%s: %d events were looked at, want %d", name, looked, c.want)
		}
	}
}

func pagesInOrder(t *testing.T, b Bench) {
	g := b.gateway(t, inbox.Options{})
	var dead, done, ready []inbox.Key
	for range 4 {
		dead, done = append(dead, g.dead("age").Key), append(done, g.done().Key)
		g.advance(time.Millisecond)
	}
	for range 4 {
		ready = append(ready, g.accepted().Key)
		g.advance(time.Millisecond)
	}
	for state, want := range map[inbox.State][]inbox.Key{inbox.Dead: dead, inbox.Done: done, inbox.Ready: ready} {
		cursor := ""
		for n := len(want); n > 0; {
			p, err := g.Page(t.Context(), inbox.Filter{State: state}, cursor, 2)
			g.must("page", err)
			for _, info := range p.Events {
				if n--; info.Key != want[n] {
					t.Fatalf("%s: the events are not listed newest first", state)
				}
			}
			if cursor = p.Next; cursor == "" && n > 0 {
				t.Fatalf("%s: %d events are missing", state, n)
			}
		}
	}
}

func pagesFilter(t *testing.T, b Bench) {
	g := b.gateway(t, inbox.Options{})
	old := g.accepted()
	g.advance(unit)
	since := g.status().Now
	other := b.event(10)
	other.Type, other.Scope = "job.failed", "umbrella"
	g.put(other, inbox.Accepted)
	g.advance(unit)
	until := g.status().Now
	young := g.accepted()
	dead := g.accepted()
	g.take(4)
	tokens := inbox.NewToken()
	g.settle(young.Key, tokens, success())
	g.advance(lease)
	batch := g.take(10)
	for _, d := range batch.Deliveries {
		switch d.Key {
		case dead.Key:
			g.settle(d.Key, batch.Token, giveUp("status 410"))
		default:
			g.settle(d.Key, batch.Token, retry(0))
		}
	}
	for name, c := range map[string]struct {
		f    inbox.Filter
		want []inbox.Event
	}{
		"all":             {inbox.Filter{}, []inbox.Event{old, other, young, dead}},
		"state":           {inbox.Filter{State: inbox.Ready}, []inbox.Event{old, other}},
		"done":            {inbox.Filter{State: inbox.Done}, []inbox.Event{young}},
		"id":              {inbox.Filter{ID: young.ID}, []inbox.Event{young}},
		"no such id":      {inbox.Filter{ID: young.ID[1:]}, nil},
		"type":            {inbox.Filter{Type: "job.failed"}, []inbox.Event{other}},
		"scope":           {inbox.Filter{Scope: "umbrella"}, []inbox.Event{other}},
		"scope and state": {inbox.Filter{Scope: "acme", State: inbox.Ready}, []inbox.Event{old}},
		"type and state":  {inbox.Filter{Type: "job.done", State: inbox.Dead}, []inbox.Event{dead}},
		"reason":          {inbox.Filter{Reason: "status 410"}, []inbox.Event{dead}},
		"reason, type":    {inbox.Filter{Reason: "status 410", Type: "job.failed"}, nil},
		"reason, alive":   {inbox.Filter{Reason: "status 410", State: inbox.Ready}, nil},
		"since":           {inbox.Filter{Since: since}, []inbox.Event{other, young, dead}},
		"until":           {inbox.Filter{Until: until}, []inbox.Event{old, other}},
		"between":         {inbox.Filter{Since: since, Until: until}, []inbox.Event{other}},
	} {
		got := g.walk(c.f, 2, nil)
		for _, ev := range c.want {
			if _, ok := got[ev.Key]; !ok {
				t.Errorf("%s: an event that matches is missing", name)
			}
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: %d events match, want %d", name, len(got), len(c.want))
		}
	}
}

// first returns the IDs on the first page.
func (g view) first(f inbox.Filter, limit int) (ids []string) {
	g.t.Helper()
	p, err := g.Page(g.t.Context(), f, "", limit)
	g.must("page", err)
	for _, info := range p.Events {
		if !f.Match(info) {
			g.t.Fatalf("%+v does not match %+v", info, f)
		}
		ids = append(ids, info.ID)
	}
	return ids
}

// One event among many others is on the first page: none of the others is looked at.
func pagesFindRare(t *testing.T, b Bench) {
	g := b.gateway(t, inbox.Options{})
	crowd := func() {
		for range 30 {
			g.done()
			g.dead("age")
		}
	}
	crowd()
	since := g.status().Now
	other := b.event(10)
	other.Type, other.ID = "job.failed", "rare"
	g.put(other, inbox.Accepted)
	token := g.taken(other)
	g.advance(unit)
	until := g.status().Now
	crowd()
	g.settle(other.Key, token, success())
	dying := b.event(10)
	dying.Type, dying.ID = "job.failed", "dead"
	g.put(dying, inbox.Accepted)
	g.settle(dying.Key, g.taken(dying), giveUp("status 410"))
	crowd()
	waits := b.event(10)
	waits.Type, waits.ID = "job.failed", "waits"
	g.put(waits, inbox.Accepted)
	for name, c := range map[string]struct {
		f    inbox.Filter
		want string
	}{
		"ID":                   {inbox.Filter{ID: "rare"}, "[rare]"},
		"ID of one that waits": {inbox.Filter{ID: "waits"}, "[waits]"},
		"ID and another state": {inbox.Filter{ID: "rare", State: inbox.Dead}, "[]"},
		"type":                 {inbox.Filter{Type: "job.failed"}, "[waits dead]"},
		"type and state":       {inbox.Filter{Type: "job.failed", State: inbox.Done}, "[rare]"},
		"reason":               {inbox.Filter{Reason: "status 410"}, "[dead]"},
		"time":                 {inbox.Filter{Since: since, Until: until, State: inbox.Done}, "[rare]"},
		"type and time":        {inbox.Filter{Type: "job.failed", Since: until, State: inbox.Dead}, "[dead]"},
		"type and late":        {inbox.Filter{Type: "job.failed", Since: until, State: inbox.Done}, "[]"},
	} {
		if got := fmt.Sprint(g.first(c.f, 2)); got != c.want {
			t.Errorf("%s: %s is on the first page, want %s", name, got, c.want)
		}
	}
}

// Whatever an event's state, the lists by type, reason and time have it where it belongs,
// once.
func pagesFollow(t *testing.T, b Bench) {
	g := b.gateway(t, inbox.Options{KeepBodies: true, Keep: 100 * unit, KeepDead: 100 * unit})
	ev := b.event(10)
	ev.ID, ev.Type = "one", "job.failed"
	where := func(what string, state inbox.State, reason string) {
		t.Helper()
		for _, s := range []inbox.State{inbox.Dead, inbox.Done} {
			want := "[]"
			if s == state {
				want = "[one]"
			}
			for _, f := range []inbox.Filter{{State: s, Type: "job.failed"}, {State: s, Since: time.UnixMilli(1)}} {
				if got := fmt.Sprint(g.first(f, 5)); got != want {
					t.Errorf("%s: %s with %+v, want %s", what, got, f, want)
				}
			}
		}
		for _, r := range []string{"age", "status 410"} {
			want := "[]"
			if r == reason {
				want = "[one]"
			}
			if got := fmt.Sprint(g.first(inbox.Filter{Reason: r}, 5)); got != want {
				t.Errorf("%s: %s has the reason %q, want %s", what, got, r, want)
			}
		}
		known := "[one]"
		if state == inbox.Any {
			known = "[]"
		}
		if got := fmt.Sprint(g.first(inbox.Filter{ID: "one"}, 5)); got != known {
			t.Errorf("%s: %s has the ID, want %s", what, got, known)
		}
	}
	g.put(ev, inbox.Accepted)
	where("accepted", inbox.Ready, "")
	g.settle(ev.Key, g.taken(ev), giveUp("age"))
	where("dead", inbox.Dead, "age")
	g.revive(ev.Key, inbox.Revived)
	where("revived", inbox.Ready, "")
	g.settle(ev.Key, g.taken(ev), giveUp("status 410"))
	where("dead again", inbox.Dead, "status 410")
	g.settle(ev.Key, inbox.NewToken(), success())
	where("done, as a late gateway says", inbox.Done, "")
	if n, err := g.Replay(t.Context(), []inbox.Key{ev.Key}, 0, 0); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	where("replayed", inbox.Ready, "")
	g.settle(ev.Key, g.taken(ev), success())
	where("done again", inbox.Done, "")
	g.advance(200 * unit)
	g.nothing()
	where("over", inbox.Any, "")
	g.put(ev, inbox.Accepted)
	g.settle(ev.Key, g.taken(ev), giveUp("age"))
	where("dead once more", inbox.Dead, "age")
	if n, err := g.Delete(t.Context(), []inbox.Key{ev.Key}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	where("deleted", inbox.Any, "")
}

func pagesUnderChange(t *testing.T, b Bench) {
	g := b.gateway(t, inbox.Options{})
	// Others come and go in all states, at the same times as those that stay.
	var others []inbox.Event
	for range 6 {
		others = append(others, g.dead("age"), g.done())
	}
	still := g.mixed(6)
	between := func() {
		ev := b.event(10)
		g.put(ev, inbox.Accepted)
		g.settle(ev.Key, inbox.NewToken(), success())
		if len(others) > 0 {
			if _, err := g.Delete(t.Context(), []inbox.Key{others[0].Key}); err != nil {
				t.Fatal(err)
			}
			others = others[1:]
		}
	}
	found := make(map[inbox.Key]int)
	budget := 20 // else what is added behind the cursor would keep the walk going
	for cursor := ""; ; {
		p, err := g.Page(t.Context(), inbox.Filter{}, cursor, 3)
		g.must("page", err)
		for _, info := range p.Events {
			found[info.Key]++
		}
		if cursor = p.Next; cursor == "" {
			break
		}
		if budget--; budget > 0 {
			between()
		}
	}
	for k := range maps.Keys(still) {
		if found[k] != 1 {
			t.Fatalf("an event that did not change was met %d times", found[k])
		}
	}
}

func pagesRefuse(t *testing.T, b Bench) {
	g := b.gateway(t, inbox.Options{})
	g.mixed(2)
	for _, cursor := range []string{"x", "\x00", "AAAA", "!!", "99999999999999999999"} {
		if _, err := g.Page(t.Context(), inbox.Filter{}, cursor, 10); !errors.Is(err, inbox.ErrCursor) {
			t.Errorf("the cursor %q: %v, want ErrCursor", cursor, err)
		}
	}
}
