package caddymodule

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/internal/body"
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
		"landed":    func(fs *flights, f *flight, event dedupe.Event) { fs.finish(f, event, dedupe.Success{Status: 202}) },
		"concluded": func(fs *flights, f *flight, event dedupe.Event) { fs.conclude(f, event, dedupe.Success{Status: 202}) },
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
						if err := fs.follow(t.Context(), other); err != nil || lead || !other.answers(event) || other.success.Status != 202 {
							t.Errorf("lead %v, status %d, %v", lead, other.success.Status, err)
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
	fs.conclude(f, event, dedupe.Success{Status: 200})
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
	fs.finish(next, dedupe.Event{}, dedupe.Success{})
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
						fs.conclude(f, finished, dedupe.Success{Status: 200}) // stays: so every copy meets it
						return
					}
					fs.finish(f, finished, dedupe.Success{})
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
				fs.finish(f, dedupe.Event{}, dedupe.Success{})
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

// A copy needs neither time nor room to wait where the outcome is known.
func TestAKnownOutcomeIsMetWithoutWaiting(t *testing.T) {
	var fs flights
	f, _ := fs.join(idOnly("1"), nil)
	fs.conclude(f, f.event, dedupe.Success{Status: 200})
	fs.waiting = maxWaiting
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 50 { // a select would choose by chance
		if err := fs.follow(ended, f); err != nil {
			t.Fatal(err)
		}
	}
}

func newBody(t *testing.T, b *body.Budget, text string) *body.Body {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/in", strings.NewReader(text))
	made, err := body.Read(httptest.NewRecorder(), r, 1<<20, time.Minute, b)
	if err != nil {
		t.Fatal(err)
	}
	made.MarkVerified()
	return made
}

func wantHeld(t *testing.T, b *body.Budget, want int64) {
	t.Helper()
	if got := b.Bytes(); got != want {
		t.Errorf("%d bytes of bodies are counted, want %d", got, want)
	}
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
			budget := body.NewBudget(1 << 40)
			leaders := newBody(t, budget, "12345")
			f, _ := fs.join(idOnly("1"), leaders)
			one := budget.Bytes()
			own := newBody(t, budget, tc.own)
			both := budget.Bytes()
			got := fs.sameBody(f, own)
			if (got == leaders) != tc.shared || (got == own) == tc.shared || string(got.Bytes()) != tc.own {
				t.Errorf("got %q", got.Bytes())
			}
			want := one
			if !tc.shared {
				want = both
			}
			wantHeld(t, budget, want)
			got.Drop()
			leaders.Drop()
			wantHeld(t, budget, 0)
		})
	}
}

func TestAFinishedFlightLendsNoBody(t *testing.T) {
	var fs flights
	budget := body.NewBudget(1 << 40)
	leaders := newBody(t, budget, "12345")
	f, _ := fs.join(idOnly("1"), leaders)
	if got := fs.sameBody(f, leaders); got != leaders {
		t.Error("the leader's own body was exchanged")
	}
	fs.conclude(f, dedupe.Event{}, dedupe.Success{})
	leaders.Drop()
	wantHeld(t, budget, 0) // it was not shared with itself
	own := newBody(t, budget, "12345")
	if got := fs.sameBody(f, own); got != own {
		t.Error("a copy was given a body that is no longer held")
	}
	own.Drop()
	wantHeld(t, budget, 0)
}

func TestSharingRacesWithFinishing(t *testing.T) {
	budget := body.NewBudget(1 << 40)
	for range 50 {
		var fs flights
		leaders := newBody(t, budget, "12345")
		f, _ := fs.join(idOnly("1"), leaders)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				got := fs.sameBody(f, newBody(t, budget, "12345"))
				if text := string(got.Bytes()); text != "12345" {
					t.Errorf("got %q", text)
				}
				got.Drop()
			})
		}
		wg.Go(func() {
			fs.finish(f, dedupe.Event{}, dedupe.Success{})
			leaders.Drop()
		})
		wg.Wait()
		wantHeld(t, budget, 0)
	}
}
