package caddymodule

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/standard"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/inboxes"
	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/inbox"
	"github.com/webhookguard/caddy-webhook-guard/inbox/queuetest"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// gatherFor is how long the bench gathers commits.
const gatherFor = 10 * time.Millisecond

// keepingBench is a bench whose guard has an inbox.
func keepingBench(t *testing.T) *bench {
	t.Helper()
	b := newBench(t, nil)
	b.guard.app.store.inboxes = queuetest.NewModel(time.Now)
	b.guard.app.store.commits.gatherFor = gatherFor
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	deliver := caddyhttp.RouteList{{HandlersRaw: []json.RawMessage{json.RawMessage(`{"handler":"static_response"}`)}}}
	in, err := inboxes.New(ctx, &inboxes.Config{Name: "payments", Deliver: deliver}, inboxes.Guard{Metrics: inboxes.SharedMetrics()})
	if err != nil {
		t.Fatal(err)
	}
	b.guard.inbox = in
	return b
}

// gets has the guard take a request, whose result it returns.
func (b *bench) gets(id string) string {
	b.t.Helper()
	w, err := b.serve(b.request(event(id)), func(http.ResponseWriter, *http.Request) error {
		b.t.Error("the app was called")
		return nil
	})
	if err != nil || w.Code != http.StatusOK {
		b.t.Errorf("event %s: %d, %v", id, w.Code, err)
		return ""
	}
	return w.Header().Get(headerResult)
}

// The sender of an event that the inbox has does not wait for the commit. Copies know of it
// meanwhile, and commits that come together are carried out together.
func TestNobodyWaitsForTheCommitOfAKeptEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := keepingBench(t)
		for _, id := range []string{"1", "2", "3"} {
			if got := b.gets(id); got != "accepted" {
				t.Errorf("the event is %q", got)
			}
			if got := b.gets(id); got != "queued" {
				t.Errorf("its copy is %q", got)
			}
		}
		if n := b.store.count("commit"); n != 0 {
			t.Errorf("%d commits were not gathered", n)
		}
		time.Sleep(gatherFor)
		synctest.Wait()
		if n := b.store.count("commit"); n != 3 || b.store.count("claim") != 3 {
			t.Errorf("%d commits were carried out, want 3, after %d claims", n, b.store.count("claim"))
		}
		if got := b.gets("1"); got != "queued" || b.store.count("claim") != 4 {
			t.Errorf("a later copy is %q", got)
		}
		if !work.Wait(t.Context()) {
			t.Error("work is left")
		}
	})
}

// A commit of a kept event that fails is retried like any other.
func TestTheCommitOfAKeptEventIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := keepingBench(t)
		var back atomic.Bool
		b.store.commit = func(int, time.Duration) error {
			if !back.Load() {
				return errAway
			}
			return nil
		}
		for _, want := range []string{"accepted", "queued"} {
			if got := b.gets("1"); got != want {
				t.Errorf("it is %q, want %q", got, want)
			}
			time.Sleep(gatherFor + 2*retryPause)
		}
		synctest.Wait()
		if n := b.store.count("commit"); n != 5 || b.store.count("claim") != 1 {
			t.Errorf("%d commits after %d claims", n, b.store.count("claim"))
		}
		if b.logs.FilterMessageSnippet("could not be committed").Len() != 1 {
			t.Error("it was not logged once")
		}
		back.Store(true)
		time.Sleep(retryPause)
		synctest.Wait()
		if got := b.gets("1"); got != "queued" || b.store.count("claim") != 2 {
			t.Errorf("then a copy is %q", got)
		}
	})
}

// A store that lost an event in a failover, as it lost the commit, is not told that the event
// is done: its sender may bring it again.
func TestAnEventThatIsLostBeforeItsCommitIsNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := keepingBench(t)
		var away atomic.Bool
		b.store.commit = func(int, time.Duration) error {
			if away.Load() {
				return errAway
			}
			return nil
		}
		away.Store(true)
		key := inboxKey(b.exchange(event("1")).event.Keys)
		if got := b.gets("1"); got != "accepted" {
			t.Errorf("it is %q", got)
		}
		time.Sleep(gatherFor + retryPause/2)
		queue, err := b.guard.app.store.inboxes.Queue("payments", inbox.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if n, err := queue.Delete(t.Context(), []inbox.Key{key}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		away.Store(false)
		time.Sleep(retryPause)
		synctest.Wait()
		if got := b.gets("1"); got != "accepted" {
			t.Errorf("the sender brings it again, and it is %q", got)
		}
		time.Sleep(gatherFor)
	})
}

// A process that exits does not gather: it commits what there is.
func TestAnExitCommitsWhatIsGathered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := keepingBench(t)
		x := b.exchange(event("1"))
		a := x.claim()
		if a.standing != claimed {
			t.Fatal(a)
		}
		f := a.claim.finishes(dedupe.Success{Status: 200})
		b.guard.app.store.flights.conclude(a.claim.flight, a.claim.keys, f.success)
		b.guard.app.store.commits.gathered = []finishing{f}
		exiting, exit := context.WithCancel(t.Context())
		exit()
		start := time.Now()
		b.guard.app.store.commits.carryOut(exiting)
		if b.store.count("commit") != 1 || time.Since(start) != 0 {
			t.Errorf("%d commits after %s", b.store.count("commit"), time.Since(start))
		}
	})
}

// An event that was delivered long after it was accepted is remembered from its delivery on, by
// the ID that it has in the inbox, and that is retried like any other commit.
func TestADeliveredEventIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := keepingBench(t)
		var away atomic.Bool
		var ttl atomic.Int64
		b.store.commit = func(_ int, left time.Duration) error {
			ttl.Store(int64(left))
			if away.Load() {
				return errAway
			}
			return nil
		}
		away.Store(true)
		rememberDelivered(b.guard, inboxKey(b.exchange(event("1")).event.Keys), nil)
		time.Sleep(retryPause / 2)
		away.Store(false)
		time.Sleep(retryPause)
		synctest.Wait()
		if n := b.store.count("commit"); n != 2 || time.Duration(ttl.Load()) < 72*time.Hour {
			t.Errorf("%d commits for %s", n, time.Duration(ttl.Load()))
		}
		if a := b.exchange(event("1")).claim(); a.standing != done {
			t.Errorf("a copy is %+v", a)
		}
	})
}

// A captured request of a sender whose IDs are not signed is recognised under a made-up ID by what
// is signed, for as long after the delivery as by its own ID.
func TestADeliveredEventIsRememberedByWhatIsSigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := keepingBench(t)
		b.guard.app.store.commits.gatherFor = 0
		b.guard.inbox.RetryFor = caddy.Duration(5 * 24 * time.Hour)
		x := b.exchange(event("1"))
		x.event.ID = []string{"made-up"}
		x.event.Keys = dedupe.Event{ID: dedupe.NewKey("id", []byte("1")), Content: dedupe.NewKey("replay", []byte("signed"))}
		if err := (keeping{x}).keep(x.claim()); err != nil {
			t.Fatal(err)
		}
		marks := (keeping{x}).envelope().Header[inboxes.HeaderContent]
		until := func(when string, least time.Duration) {
			record, err := b.store.Lookup(t.Context(), x.event.Keys.Content)
			if err != nil || record.State != dedupe.Done || record.IDText != "made-up" || record.TTL < least {
				t.Errorf("%s: %+v, %v; want it for %s", when, record, err, least)
			}
		}
		until("accepted", (3+5)*24*time.Hour)
		time.Sleep(10 * 24 * time.Hour)
		rememberDelivered(b.guard, inboxKey(x.event.Keys), marks)
		until("delivered", 3*24*time.Hour)
		if rec, err := b.store.Lookup(t.Context(), x.event.Keys.ID); err != nil || rec.Content != x.event.Keys.Content {
			t.Errorf("the ID is known with the content %v, %v", rec.Content, err)
		}
	})
}

// An ID that is too long to be kept whole is still the event's own in the inbox.
func TestACopyWithALongIDRevivesItsEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := keepingBench(t)
		b.guard.app.store.commits.gatherFor = 0
		long := strings.Repeat("0123456789", 30)
		same := func() *exchange {
			x := b.exchange(event(long))
			x.event.Keys.Content = dedupe.NewKey("replay", []byte("signed"))
			return x
		}
		for i, want := range []webhook.Result{webhook.Accepted, webhook.Queued} {
			x := same()
			if err := (keeping{x}).keep(x.claim()); err != nil || x.result != want {
				t.Errorf("copy %d: %s, %v; want %s", i, x.result, err, want)
			}
		}
	})
}
