package e2e

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// aged is an event that happened, or was sent, this long ago.
func aged(happened, sent time.Duration) testbed.Event {
	now := time.Now()
	return testbed.Event{Time: now.Add(-happened), Sent: now.Add(-sent)}.Fill()
}

func TestRequestIsHeldToItsAge(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	cases := []struct {
		sender         testbed.Sender
		happened, sent time.Duration // ago
		refused        string        // empty: forwarded
	}{
		// The attempt's own stamp: five minutes, whatever the event's age.
		{testbed.Struktr(), 0, 290 * time.Second, ""},
		{testbed.Struktr(), 0, 360 * time.Second, "timestamp_stale"},
		{testbed.Struktr(), 0, -30 * time.Second, ""},
		{testbed.Struktr(), 0, -10 * time.Minute, "timestamp_future"},
		{testbed.Struktr(), -10 * time.Minute, 0, "timestamp_future"},
		{testbed.DocRouter(), 0, 290 * time.Second, ""},
		{testbed.DocRouter(), 0, 360 * time.Second, "timestamp_stale"},
		{testbed.DocRouter(), 0, -30 * time.Second, ""},
		{testbed.DocRouter(), 0, -10 * time.Minute, "timestamp_future"},
		{testbed.DocRouter(), 44 * time.Minute, 0, ""},

		// The event's stamp: five minutes and the retries.
		{testbed.OkraPDF(), 6 * time.Minute, 0, ""}, // its last retry
		{testbed.OkraPDF(), 12 * time.Minute, 0, ""},
		{testbed.OkraPDF(), 13 * time.Minute, 0, "timestamp_stale"},
		{testbed.OkraPDF(), -10 * time.Minute, 0, "timestamp_future"},
		{testbed.DocIntell(), 290 * time.Second, 0, ""},
		{testbed.DocIntell(), 6 * time.Minute, 0, ""},
		{testbed.DocIntell(), 10 * time.Minute, 0, "timestamp_stale"},
		{testbed.DocIntell(), -10 * time.Minute, 0, "timestamp_future"},
		{testbed.Ocriva(), 290 * time.Second, 0, ""},
		{testbed.Ocriva(), 360 * time.Second, 0, "timestamp_stale"},
		{testbed.Ocriva(), 10 * time.Minute, 0, "timestamp_stale"},
		{testbed.Ocriva(), -10 * time.Minute, 0, "timestamp_future"},

		// Struktr's body is old on a late retry, and too old once it is forgotten.
		{testbed.Struktr(), 12*time.Hour + 36*time.Minute, 0, ""},
		{testbed.Struktr(), 3*day - time.Minute, 0, ""},
		{testbed.Struktr(), 3*day + time.Minute, 0, "event_expired"},
		{testbed.Struktr(), 9 * day, 0, "event_expired"},
	}
	onEachStore(t, func(t *testing.T, store string) {
		app := testbed.StartApp(t, nil)
		g := setup{store: store, app: app}.start(t)
		for _, c := range cases {
			t.Run(fmt.Sprintf("%s, %v old, sent %v ago", c.sender.Name, c.happened, c.sent), func(t *testing.T) {
				calls := app.Count()
				e := aged(c.happened, c.sent)
				resp := testbed.Do(t, c.sender.Request(t, g.URL(""), e))
				if c.refused != "" {
					wantRefused(t, resp, 403, c.refused)
					wantCalls(t, app, calls)
					return
				}
				want(t, resp, 200, "forwarded")
				wantDelivered(t, app, calls+1, c.sender.Body(e))
			})
		}
	})
}

// A stamp that is missing, empty, repeated or not a time does not count.
func TestRequestWithoutAClearTimeIsRefused(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		app := testbed.StartApp(t, nil)
		g := setup{store: store, app: app}.start(t)
		headers := map[string]string{
			"struktr": "X-Struktr-Timestamp", "docintell": "X-Docintell-Timestamp", "docrouter": "X-Docrouter-Timestamp",
		}
		now := strconv.FormatInt(time.Now().Unix(), 10)
		stamps := map[string]struct {
			values []string
			result string
		}{
			"missing":  {nil, "timestamp_missing"},
			"empty":    {[]string{""}, "timestamp_missing"},
			"no time":  {[]string{"yesterday"}, "timestamp_malformed"},
			"negative": {[]string{"-1"}, "timestamp_malformed"},
			"exponent": {[]string{"1e10"}, "timestamp_malformed"},
			"doubled":  {[]string{now, now}, "timestamp_malformed"},
			"a list":   {[]string{now + ", " + now}, "timestamp_malformed"},
			"endless":  {[]string{"99999999999999999999999999"}, "timestamp_malformed"},
		}
		for _, s := range testbed.Senders() {
			for name, c := range stamps {
				if headers[s.Name] == "" {
					continue
				}
				t.Run(s.Name+", "+name, func(t *testing.T) {
					req := s.Request(t, g.URL(""), testbed.Event{})
					delete(req.Header, headers[s.Name])
					delete(req.Header, http.CanonicalHeaderKey(headers[s.Name]))
					if c.values != nil {
						req.Header[headers[s.Name]] = c.values
					}
					wantRefused(t, testbed.Do(t, req), 403, c.result)
					wantCalls(t, app, 0)
				})
			}
		}
		for body, result := range map[string]string{
			`{"eventId":"1","eventType":"x"}`:                         "timestamp_missing",
			`{"eventId":"1","eventType":"x","timestamp":null}`:        "timestamp_missing",
			`{"eventId":"1","eventType":"x","timestamp":"soon"}`:      "timestamp_malformed",
			`{"eventId":"1","eventType":"x","timestamp":true}`:        "timestamp_malformed",
			`{"eventId":"1","eventType":"x","timestamp":{}}`:          "timestamp_malformed",
			`{"eventId":"1","eventType":"x","timestamp":` + now + `}`: "timestamp_malformed",
			`not JSON`: "timestamp_missing",
			``:         "timestamp_missing",
		} {
			t.Run("ocriva, "+body, func(t *testing.T) {
				req := testbed.Ocriva().RequestWith(t, g.URL(""), []byte(body), testbed.Event{})
				wantRefused(t, testbed.Do(t, req), 403, result)
				wantCalls(t, app, 0)
			})
		}
	})
}

// replay changes what is not signed of a captured request.
func replay(t *testing.T, s testbed.Sender, base string, captured testbed.Event, headers map[string]string) *http.Request {
	t.Helper()
	req := s.Request(t, base, captured)
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	return req
}

func TestCapturedRequestIsADuplicateUnderWhateverIsNotSigned(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		app := testbed.StartApp(t, nil)
		g := setup{store: store, app: app}.start(t)
		now := strconv.FormatInt(time.Now().Unix(), 10)
		for name, c := range map[string]struct {
			sender testbed.Sender
			fresh  map[string]string
		}{
			"struktr, new delivery ID and stamp": {testbed.Struktr(), map[string]string{
				"X-Struktr-Delivery": "dlv_" + testbed.NewID(), "X-Struktr-Timestamp": now,
			}},
			"struktr, no delivery ID": {testbed.Struktr(), map[string]string{"X-Struktr-Delivery": ""}},
			"struktr, other event type": {testbed.Struktr(), map[string]string{
				"X-Struktr-Delivery": "dlv_" + testbed.NewID(), "X-Struktr-Event": "document.failed",
			}},
			"docintell, new stamp": {testbed.DocIntell(), map[string]string{"X-DocIntell-Timestamp": now}},
			"docintell, other event type": {testbed.DocIntell(), map[string]string{
				"X-DocIntell-Event": "document.uploaded", "X-DocIntell-Timestamp": now,
			}},
			"ocriva, other event type":   {testbed.Ocriva(), map[string]string{"X-Webhook-Event": "document.failed"}},
			"docrouter, other event":     {testbed.DocRouter(), map[string]string{"X-DocRouter-Event": "llm.error"}},
			"docrouter, other header ID": {testbed.DocRouter(), map[string]string{"X-DocRouter-Event-Id": testbed.NewID()}},
		} {
			t.Run(name, func(t *testing.T) {
				calls := app.Count()
				captured := aged(4*time.Minute, 4*time.Minute)
				want(t, testbed.Do(t, c.sender.Request(t, g.URL(""), captured)), 200, "forwarded")
				want(t, testbed.Do(t, replay(t, c.sender, g.URL(""), captured, c.fresh)), 200, "duplicate")
				wantDelivered(t, app, calls+1, c.sender.Body(captured))
			})
		}
	})
}

// An ID that a replayer made up does not block a later, genuine event.
func TestReplayDoesNotUseUpTheIDItCameWith(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		app := testbed.StartApp(t, nil)
		g := setup{store: store, app: app}.start(t)
		s := testbed.Struktr()
		captured, later := testbed.Event{}.Fill(), testbed.Event{}.Fill()
		want(t, testbed.Do(t, s.Request(t, g.URL(""), captured)), 200, "forwarded")
		stolen := map[string]string{"X-Struktr-Delivery": "dlv_" + later.ID}
		want(t, testbed.Do(t, replay(t, s, g.URL(""), captured, stolen)), 200, "duplicate")
		want(t, testbed.Do(t, s.Request(t, g.URL(""), later)), 200, "forwarded")
		wantDelivered(t, app, 2, s.Body(later))
	})
}

// The ID decides, even where it is not signed.
func TestKnownIDWithOtherContentIsACountedDuplicate(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		app := testbed.StartApp(t, nil)
		g := setup{store: store, app: app}.start(t)
		s := testbed.Struktr()
		first, second := testbed.Event{}.Fill(), testbed.Event{}.Fill()
		want(t, testbed.Do(t, s.Request(t, g.URL(""), first)), 200, "forwarded")
		same := map[string]string{"X-Struktr-Delivery": "dlv_" + first.ID}
		want(t, testbed.Do(t, replay(t, s, g.URL(""), second, same)), 200, "duplicate")
		wantCalls(t, app, 1)
		if got := metric(g, "webhook_guard_id_conflicts_total", "provider", "struktr"); got != 1 {
			t.Errorf("%v conflicts counted, want 1", got)
		}
		// That content has not been sent under its own ID yet.
		want(t, testbed.Do(t, s.Request(t, g.URL(""), second)), 200, "forwarded")
		wantDelivered(t, app, 2, s.Body(second))
	})
}

// A retry is signed anew and may be late. It is still the same event, and is forwarded
// as long as none of its attempts has succeeded.
func TestRetryIsForwardedUntilTheEventSucceeds(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		next, app, g := startAnswering(t, store)
		for _, c := range []struct {
			sender testbed.Sender
			age    time.Duration // of the event on the last attempt
		}{
			{testbed.Struktr(), 12*time.Hour + 36*time.Minute},
			{testbed.DocRouter(), 45 * time.Minute},
			{testbed.OkraPDF(), 6 * time.Minute},
			{testbed.DocIntell(), 15 * time.Second},
			{testbed.Ocriva(), 4 * time.Minute},
		} {
			t.Run(c.sender.Name, func(t *testing.T) {
				calls := app.Count()
				e := aged(c.age, 4*time.Minute)
				next.then(testbed.Answer{Status: 500}, testbed.Answer{Status: 503})
				for n, answer := range []struct {
					status int
					result string
				}{{500, "upstream_failed"}, {503, "upstream_failed"}, {200, "forwarded"}} {
					e.Sent = time.Now().Add(time.Duration(n-3) * time.Minute)
					want(t, testbed.Do(t, c.sender.Request(t, g.URL(""), e)), answer.status, answer.result)
					wantDelivered(t, app, calls+n+1, c.sender.Body(e))
				}
				e.Sent = time.Now() // signed anew once more, where the stamp is signed
				want(t, testbed.Do(t, c.sender.Request(t, g.URL(""), e)), 200, "duplicate")
				wantCalls(t, app, calls+3)
			})
		}
	})
}

// A different body is another event, even about the same document and job.
func TestEventsOfOneDocumentAreAllForwarded(t *testing.T) {
	t.Parallel()
	types := map[string][]string{
		"docintell": {"document.uploaded", "document.processing.completed"},
		"okrapdf":   {"document.started", "document.completed"},
	}
	onEachStore(t, func(t *testing.T, store string) {
		app := testbed.StartApp(t, nil)
		g := setup{store: store, app: app}.start(t)
		for _, s := range testbed.Senders() {
			e := testbed.Event{}.Fill()
			for n, kind := range types[s.Name] {
				e.Type = kind
				calls := app.Count()
				want(t, testbed.Do(t, s.Request(t, g.URL(""), e)), 200, "forwarded")
				if d := wantDelivered(t, app, calls+1, s.Body(e)); d.Header.Get("Webhook-Guard-Event") != kind {
					t.Errorf("%s, event %d: the app got %q, want %q", s.Name, n, d.Header.Get("Webhook-Guard-Event"), kind)
				}
				want(t, testbed.Do(t, s.Request(t, g.URL(""), e)), 200, "duplicate")
				wantCalls(t, app, calls+1)
			}
		}
	})
}
