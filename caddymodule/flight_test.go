package caddymodule

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

// both is an event with both keys.
func both(content, id string) dedupe.Event {
	return dedupe.Event{Content: key("content " + content), ID: key("id " + id)}
}

func contentOnly(name string) dedupe.Event { return dedupe.Event{Content: both(name, "").Content} }
func idOnly(name string) dedupe.Event      { return dedupe.Event{ID: both("", name).ID} }

func TestEventsThatShareAKeyFollowOneLeader(t *testing.T) {
	first := both("a", "1")
	for name, tc := range map[string]struct {
		event dedupe.Event
		leads bool
	}{
		"a copy":               {first, false},
		"the same content":     {both("a", "2"), false},
		"the same ID":          {both("b", "1"), false},
		"the same content, ID": {contentOnly("a"), false},
		"the ID alone":         {idOnly("1"), false},
		"another event":        {both("b", "2"), true},
		"no ID":                {contentOnly("b"), true},
		"no content":           {idOnly("2"), true},
		// A key is one of a content or of an ID, not a place in the event.
		"keys the other way round": {dedupe.Event{Content: key("content x"), ID: key("id x")}, true},
	} {
		t.Run(name, func(t *testing.T) {
			var fs flights
			leader, lead := fs.join(first, nil)
			if !lead {
				t.Fatal("nobody leads")
			}
			got, lead := fs.join(tc.event, nil)
			if lead != tc.leads || lead == (got == leader) {
				t.Errorf("leads %v, want %v", lead, tc.leads)
			}
		})
	}
}

func TestAnOutcomeAnswersOnlyForFinishedKeys(t *testing.T) {
	for name, tc := range map[string]struct {
		finished, asked dedupe.Event
		want            bool
	}{
		"both":                         {both("a", "1"), both("a", "1"), true},
		"the content":                  {contentOnly("a"), both("a", "2"), true},
		"the ID":                       {idOnly("1"), both("b", "1"), true},
		"the content, asked by the ID": {contentOnly("a"), both("b", "1"), false},
		"the ID, asked by the content": {idOnly("1"), both("a", "2"), false},
		"a failure":                    {dedupe.Event{}, both("a", "1"), false},
		"a failure, no ID":             {dedupe.Event{}, contentOnly("a"), false},
		"no ID on either side":         {contentOnly("a"), contentOnly("b"), false},
	} {
		f := &flight{event: both("a", "1"), finished: tc.finished}
		if got := f.answers(tc.asked); got != tc.want {
			t.Errorf("%s: answers %v", name, got)
		}
	}
}

func TestFollowersGetTheOutcome(t *testing.T) {
	for name, end := range map[string]func(*flights, *flight, dedupe.Event){
		"landed":    func(fs *flights, f *flight, event dedupe.Event) { fs.land(f, event, 202) },
		"concluded": func(fs *flights, f *flight, event dedupe.Event) { fs.conclude(f, event, 202) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var fs flights
				event := both("a", "1")
				f, _ := fs.join(event, nil)
				var woken atomic.Int32
				for range 100 {
					go func() {
						other, lead := fs.join(event, nil)
						if err := fs.follow(t.Context(), other); err != nil || lead || !other.answers(event) || other.status != 202 {
							t.Errorf("lead %v, status %d, %v", lead, other.status, err)
						}
						woken.Add(1)
					}()
				}
				synctest.Wait()
				if n := woken.Load(); n > 0 {
					t.Errorf("%d woke before the outcome", n)
				}
				end(&fs, f, event)
				synctest.Wait()
				if n := woken.Load(); n != 100 || fs.waiting != 0 {
					t.Errorf("%d of 100 woke, %d wait", n, fs.waiting)
				}
			})
		})
	}
}

func TestAConcludedFlightStaysUntilItIsRemoved(t *testing.T) {
	var fs flights
	event := both("a", "1")
	f, _ := fs.join(event, nil)
	fs.conclude(f, event, 200)
	if other, lead := fs.join(contentOnly("a"), nil); lead || other != f || fs.follow(t.Context(), other) != nil {
		t.Error("a copy did not meet the outcome")
	}
	fs.remove(f)
	next, lead := fs.join(event, nil)
	if !lead {
		t.Error("a copy cannot lead after the flight's end")
	}
	fs.remove(f) // again: another's flight stays
	if other, lead := fs.join(event, nil); lead || other != next {
		t.Error("removing a flight twice removed its successor")
	}
	fs.land(next, dedupe.Event{}, 0)
	if len(fs.byKey) != 0 {
		t.Errorf("%d keys are left behind", len(fs.byKey))
	}
}

func TestAfterAFailureExactlyOneTakesOver(t *testing.T) {
	var fs flights
	event := both("a", "1")
	const copies, failures = 200, 5
	var leaders, inside, answered atomic.Int32
	var wg sync.WaitGroup
	for range copies {
		wg.Go(func() {
			for {
				f, lead := fs.join(event, nil)
				if lead {
					if inside.Add(1) != 1 {
						t.Error("two lead at once")
					}
					finished := dedupe.Event{}
					if leaders.Add(1) > failures {
						finished = event
					}
					inside.Add(-1)
					if finished == event {
						fs.conclude(f, finished, 200) // stays: so every copy meets it
						return
					}
					fs.land(f, finished, 0)
					continue
				}
				if err := fs.follow(t.Context(), f); err != nil {
					t.Error(err)
					return
				}
				if f.answers(event) {
					answered.Add(1)
					return
				}
			}
		})
	}
	wg.Wait()
	if leaders.Load() != failures+1 || answered.Load() != copies-1 {
		t.Errorf("%d led, %d of %d were answered", leaders.Load(), answered.Load(), copies)
	}
}

// Whatever keys overlap, nobody is ever in flight beside another with one of its
// keys, nobody waits for ever, and nothing is left behind.
func TestOverlappingKeysNeverFlyTogether(t *testing.T) {
	var fs flights
	var mu sync.Mutex
	flying := make(map[dedupe.Key]bool)
	set := func(event dedupe.Event, to bool) {
		mu.Lock()
		defer mu.Unlock()
		for _, key := range []dedupe.Key{event.Content, event.ID} {
			if key.IsZero() {
				continue
			}
			if flying[key] == to {
				t.Error("two attempts share a key")
			}
			flying[key] = to
		}
	}
	names := []string{"a", "b", "c", "d"}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for i := range 200 {
				event := both(names[rand.IntN(4)], names[rand.IntN(4)])
				switch i % 5 {
				case 0:
					event.ID = dedupe.Key{}
				case 1:
					event.Content = dedupe.Key{}
				}
				f, lead := fs.join(event, nil)
				for !lead {
					if err := fs.follow(t.Context(), f); err != nil {
						t.Error(err)
						return
					}
					f, lead = fs.join(event, nil)
				}
				set(event, true)
				set(event, false)
				fs.land(f, dedupe.Event{}, 0)
			}
		})
	}
	wg.Wait()
	if len(fs.byKey) != 0 || fs.waiting != 0 {
		t.Errorf("%d keys and %d waiting are left behind", len(fs.byKey), fs.waiting)
	}
}

func TestWaitingCopiesAreBounded(t *testing.T) {
	var fs flights
	f, _ := fs.join(idOnly("1"), nil)
	fs.waiting = maxWaiting - 1
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := fs.follow(ended, f); !errors.Is(err, context.Canceled) {
		t.Errorf("the last place: %v", err)
	}
	if fs.waiting != maxWaiting-1 {
		t.Errorf("%d wait after one gave up", fs.waiting)
	}
	fs.waiting = maxWaiting
	if err := fs.follow(t.Context(), f); !errors.Is(err, errTooManyWaiting) {
		t.Errorf("beyond the last place: %v", err)
	}
	if fs.waiting != maxWaiting {
		t.Errorf("%d wait after one was turned away", fs.waiting)
	}
}

// Where the outcome is known nobody needs time or room to wait for it.
func TestAKnownOutcomeIsMetWithoutWaiting(t *testing.T) {
	var fs flights
	f, _ := fs.join(idOnly("1"), nil)
	fs.conclude(f, f.event, 200)
	fs.waiting = maxWaiting
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 50 { // a select would choose by chance
		if err := fs.follow(ended, f); err != nil {
			t.Fatal(err)
		}
	}
}

func newBody(b *budget, text string) *body {
	size := int64(len(text))
	if err := b.begin(nil, time.Now()).take(size); err != nil {
		panic(err)
	}
	made := &body{data: []byte(text), budget: b, users: 1, counted: size}
	made.markVerified()
	return made
}

func TestCopiesShareOneBody(t *testing.T) {
	for name, tc := range map[string]struct {
		own    string
		shared bool
	}{
		"the same bytes": {"12345", true},
		"other bytes":    {"12346", false},
		"another length": {"1234", false},
	} {
		t.Run(name, func(t *testing.T) {
			var fs flights
			budget := &budget{limit: unlimited}
			leaders := newBody(budget, "12345")
			f, _ := fs.join(idOnly("1"), leaders)
			own := newBody(budget, tc.own)
			got := fs.sameBody(f, own)
			if (got == leaders) != tc.shared || (got == own) == tc.shared || string(got.data) != tc.own {
				t.Errorf("got %q", got.data)
			}
			want := int64(5)
			if !tc.shared {
				want += int64(len(tc.own))
			}
			wantBudget(t, budget, want, 0)
			got.drop()
			leaders.drop()
			wantBudget(t, budget, 0, 0)
		})
	}
}

func TestALandedFlightLendsNoBody(t *testing.T) {
	var fs flights
	budget := &budget{limit: unlimited}
	leaders := newBody(budget, "12345")
	f, _ := fs.join(idOnly("1"), leaders)
	if got := fs.sameBody(f, leaders); got != leaders || leaders.users != 1 {
		t.Errorf("a body was shared with itself: %d users", leaders.users)
	}
	fs.conclude(f, dedupe.Event{}, 0)
	leaders.drop()
	own := newBody(budget, "12345")
	if got := fs.sameBody(f, own); got != own {
		t.Error("a copy was given a body that is no longer held")
	}
	own.drop()
	wantBudget(t, budget, 0, 0)
}

func TestSharingRacesWithLanding(t *testing.T) {
	budget := &budget{limit: unlimited}
	for range 50 {
		var fs flights
		leaders := newBody(budget, "12345")
		f, _ := fs.join(idOnly("1"), leaders)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				got := fs.sameBody(f, newBody(budget, "12345"))
				if string(got.data) != "12345" {
					t.Errorf("got %q", got.data)
				}
				got.drop()
			})
		}
		wg.Go(func() {
			fs.land(f, dedupe.Event{}, 0)
			leaders.drop()
		})
		wg.Wait()
		wantBudget(t, budget, 0, 0)
	}
}
