package e2e

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

func TestFailureOfTheAppIsPassedOnAndTheRetryForwarded(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		next, app, g := startAnswering(t, store)
		for _, status := range []int{500, 502, 503, 507, 400, 401, 404, 409, 410, 422, 429, 301, 303, 308} {
			for _, s := range testbed.Senders() {
				t.Run(fmt.Sprintf("%s, %d", s.Name, status), func(t *testing.T) {
					calls := app.Count()
					answer := testbed.Answer{
						Status: status, Body: []byte("out of paper"),
						Header: http.Header{"X-App": {"one", "two"}, "Retry-After": {"77"}, "Content-Type": {"text/x-app"}},
					}
					next.then(answer)
					e := testbed.Event{}.Fill()
					resp := testbed.Do(t, s.Request(t, g.URL(""), e))
					want(t, resp, status, "upstream_failed")
					if !bytes.Equal(resp.Body, answer.Body) || !slices.Equal(resp.Header["X-App"], answer.Header["X-App"]) ||
						resp.Header.Get("Retry-After") != "77" || resp.Header.Get("Content-Type") != "text/x-app" {
						t.Errorf("the sender got %v %v, not the app's answer", resp, resp.Header)
					}
					wantForwardedOnce(t, g, app, s, e, calls+2)
				})
			}
		}
	})
}

func TestEventIsRetriedAfterTheAppWasDown(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		app := testbed.StartApp(t, nil)
		g := setup{store: store, app: app}.start(t)
		events := make(map[string]testbed.Event)
		app.Stop()
		for _, s := range testbed.Senders() {
			events[s.Name] = testbed.Event{}.Fill()
			for range 2 {
				want(t, testbed.Do(t, s.Request(t, g.URL(""), events[s.Name])), 502, "upstream_failed")
			}
		}
		app.Start()
		for n, s := range testbed.Senders() {
			wantForwardedOnce(t, g, app, s, events[s.Name], n+1)
		}
	})
}

func TestDuplicateGetsTheStatusOfTheFirstSuccess(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		next, app, g := startAnswering(t, store)
		for _, status := range []int{200, 201, 202, 204, 299} {
			for _, s := range testbed.Senders() {
				calls := app.Count()
				next.then(testbed.Answer{Status: status})
				e := testbed.Event{}.Fill()
				want(t, testbed.Do(t, s.Request(t, g.URL(""), e)), status, "forwarded")
				want(t, testbed.Do(t, s.Request(t, g.URL(""), e)), status, "duplicate")
				wantCalls(t, app, calls+1)
			}
		}
	})
}

func TestSuccessAndAnswerLines(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		next := newAnswers()
		app := testbed.StartApp(t, next.give)
		g := site{store: store, routes: docRouterRoute("/only202", proxy(app), "success 202") +
			docRouterRoute("/lenient", proxy(app), "success 2xx 404 409-410") +
			docRouterRoute("/answer", proxy(app), `answer 200 "[accepted]"`) +
			docRouterRoute("/answer-status", proxy(app), `answer 204`)}.start(t)
		s := testbed.DocRouter()
		for _, c := range []struct {
			prefix    string
			app       int    // the status of its answer
			first     int    // what its sender gets
			result    string // what it means
			duplicate int    // what the next copy gets, and with which body
			body      string
		}{
			{"/only202", 202, 202, "forwarded", 202, ""},
			{"/only202", 200, 502, "upstream_failed", 0, ""},
			{"/only202", 204, 502, "upstream_failed", 0, ""},
			{"/lenient", 404, 404, "forwarded", 404, ""},
			{"/lenient", 410, 410, "forwarded", 410, ""},
			{"/lenient", 201, 201, "forwarded", 201, ""},
			{"/lenient", 400, 400, "upstream_failed", 0, ""},
			{"/answer", 202, 202, "forwarded", 200, "[accepted]"},
			{"/answer", 500, 500, "upstream_failed", 0, ""},
			{"/answer-status", 200, 200, "forwarded", 204, ""},
		} {
			t.Run(fmt.Sprintf("%s, %d", c.prefix[1:], c.app), func(t *testing.T) {
				calls := app.Count()
				next.then(testbed.Answer{Status: c.app})
				e := testbed.Event{}.Fill()
				want(t, testbed.Do(t, s.Request(t, g.URL(c.prefix), e)), c.first, c.result)
				if c.result != "forwarded" {
					next.then(testbed.Answer{Status: 202})
					want(t, testbed.Do(t, s.Request(t, g.URL(c.prefix), e)), 202, "forwarded")
					wantDelivered(t, app, calls+2, s.Body(e))
					return
				}
				resp := testbed.Do(t, s.Request(t, g.URL(c.prefix), e))
				want(t, resp, c.duplicate, "duplicate")
				if string(resp.Body) != c.body {
					t.Errorf("the duplicate got the body %q, want %q", resp.Body, c.body)
				}
				wantCalls(t, app, calls+1)
			})
		}
	})
}

// sizes of answers, around the 64 KiB that are held until the event is settled.
var sizes = map[string]int{"empty": 0, "short": 10, "64 KiB": 64 << 10, "64 KiB and a byte": 64<<10 + 1, "1 MiB": 1 << 20}

func TestAnswerArrivesWholeAndIsCommitted(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		next, app, g := startAnswering(t, store)
		s := testbed.Struktr()
		for name, size := range sizes {
			for how, answer := range map[string]testbed.Answer{
				"with its length": {},
				"in chunks":       {Chunked: true},
				"with a trailer":  {Chunked: true, Trailer: http.Header{"X-Checksum": {"abc"}, "X-Other": {"1", "2"}}},
			} {
				t.Run(name+", "+how, func(t *testing.T) {
					calls := app.Count()
					answer.Body = pattern(size)
					answer.Header = http.Header{"X-App": {"one"}}
					next.then(answer)
					e := testbed.Event{}.Fill()
					resp := testbed.Do(t, s.Request(t, g.URL(""), e))
					if resp.Status != 200 || resp.Guard != "forwarded" || !bytes.Equal(resp.Body, answer.Body) {
						t.Errorf("the sender got %d %q and %d bytes, want 200, forwarded and the app's %d",
							resp.Status, resp.Guard, len(resp.Body), size)
					}
					if resp.Header.Get("X-App") != "one" {
						t.Errorf("the app's header is missing: %v", resp.Header)
					}
					if !maps.EqualFunc(resp.Trailer, answer.Trailer, slices.Equal) {
						t.Errorf("the sender got the trailers %v, want %v", resp.Trailer, answer.Trailer)
					}
					want(t, testbed.Do(t, s.Request(t, g.URL(""), e)), 200, "duplicate")
					wantCalls(t, app, calls+1)
				})
			}
		}
	})
}

func pattern(size int) []byte { return bytes.Repeat([]byte("0123456789abcdef-"), size/17+1)[:size] }

// The app has not answered success before its whole answer has arrived.
func TestEventIsRetriedAfterTheAppDiedInItsAnswer(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		next, app, g := startAnswering(t, store)
		for name, c := range map[string]struct {
			answer testbed.Answer
			broken bool // part of it went out before the end
		}{
			"without a word":                   {testbed.Answer{Drop: true}, false},
			"announced":                        {testbed.Answer{Cut: true, Body: pattern(100)}, false},
			"announced, before its body":       {testbed.Answer{Cut: true}, false},
			"announced, 60 of 120 KiB":         {testbed.Answer{Cut: true, Body: pattern(120 << 10)}, false},
			"announced, 1 of 2 MiB":            {testbed.Answer{Cut: true, Body: pattern(2 << 20)}, true},
			"in chunks":                        {testbed.Answer{Cut: true, Chunked: true, Body: pattern(100)}, false},
			"in chunks, 60 of 120 KiB":         {testbed.Answer{Cut: true, Chunked: true, Body: pattern(120 << 10)}, false},
			"in chunks, 1 of 2 MiB":            {testbed.Answer{Cut: true, Chunked: true, Body: pattern(2 << 20)}, true},
			"a failure, announced":             {testbed.Answer{Cut: true, Status: 500, Body: pattern(100)}, false},
			"a failure, in chunks, 1 of 2 MiB": {testbed.Answer{Cut: true, Chunked: true, Status: 500, Body: pattern(2 << 20)}, true},
		} {
			for _, s := range []testbed.Sender{testbed.Struktr(), testbed.DocRouter()} {
				t.Run(name+", "+s.Name, func(t *testing.T) {
					calls := app.Count()
					next.then(c.answer)
					e := testbed.Event{}.Fill()
					resp, err := testbed.Try(s.Request(t, g.URL(""), e))
					switch {
					case c.broken && err == nil:
						t.Fatalf("an answer that the app broke off arrived as a whole one of %d bytes", len(resp.Body))
					case !c.broken && err != nil:
						t.Fatalf("no answer: %v", err)
					case !c.broken:
						want(t, resp, 502, "upstream_failed")
					}
					wantForwardedOnce(t, g, app, s, e, calls+2)
				})
			}
		}
	})
}

// Headers that the app sets under the guard's names do not reach the sender.
func TestAppCannotAnswerInTheGuardsName(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		next, _, g := startAnswering(t, store)
		for status, result := range map[int]string{200: "forwarded", 500: "upstream_failed"} {
			next.then(testbed.Answer{Status: status, Header: http.Header{"Webhook-Guard": {"duplicate", "verified"}}})
			resp := testbed.Do(t, testbed.DocRouter().Request(t, g.URL(""), testbed.Event{}))
			if got := strings.Join(resp.Header.Values("Webhook-Guard"), ", "); got != result {
				t.Errorf("the answer to a %d says %q, want %q", status, got, result)
			}
		}
	})
}
