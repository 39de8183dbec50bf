package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// refusals are some requests that a guard refuses, one for each of its statuses,
// and one that its app fails.
func refusals(t *testing.T, base string) map[string]*http.Request {
	s := testbed.DocRouter()
	forger := s
	forger.Secret = "wrong"
	wrongMethod := s.Request(t, base, testbed.Event{})
	wrongMethod.Method = http.MethodPut
	return map[string]*http.Request{
		"401 signature_invalid":  forger.Request(t, base, testbed.Event{}),
		"403 timestamp_stale":    s.Request(t, base, aged(0, time.Hour)),
		"400 id_malformed":       s.RequestWith(t, base, []byte(`{"event_id":{}}`), testbed.Event{}),
		"413 body_too_large":     s.RequestWith(t, base, []byte(strings.Repeat(" ", 2000)), testbed.Event{}),
		"405 method_not_allowed": wrongMethod,
		"502 upstream_failed":    s.Request(t, base, testbed.Event{}),
	}
}

// An error page can report what happened, and doing so turns no refusal into a success.
func TestErrorRoutesGetStatusAndResult(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		app := testbed.StartApp(t, nil)
		g := site{store: store, routes: docRouterRoute("", proxy(app), "max_body 1000B") + `
	handle_errors {
		header X-Result {http.webhook_guard.result}
		header X-Provider {http.webhook_guard.provider}
		respond "{http.error.status_code} {http.webhook_guard.result}"
	}`}.start(t)
		app.Stop() // for the one that is genuine
		for expected, req := range refusals(t, g.URL("")) {
			t.Run(expected, func(t *testing.T) {
				resp := testbed.Do(t, req)
				status, result, _ := strings.Cut(expected, " ")
				want(t, resp, atoi(t, status), result)
				if string(resp.Body) != expected {
					t.Errorf("the error page is %q, want %q", resp.Body, expected)
				}
				if resp.Header.Get("X-Result") != result || resp.Header.Get("X-Provider") != "docrouter" {
					t.Errorf("the error route saw result %q and provider %q", resp.Header.Get("X-Result"), resp.Header.Get("X-Provider"))
				}
			})
		}
		wantCalls(t, app, 0)
	})
}

// The status changes only where the error route sets one. The app is not called in either case.
func TestErrorRoutesMayChooseTheStatus(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		app := testbed.StartApp(t, nil)
		g := site{store: store, routes: docRouterRoute("", proxy(app), "max_body 1000B") + `
	handle_errors 401 403 {
		respond "thanks" 200
	}
	handle_errors {
		respond {http.error.status_code}
	}`}.start(t)
		app.Stop()
		for expected, req := range refusals(t, g.URL("")) {
			status, result, _ := strings.Cut(expected, " ")
			number := atoi(t, status)
			if number == 401 || number == 403 {
				number = 200
			}
			want(t, testbed.Do(t, req), number, result)
		}
		wantCalls(t, app, 0)
	})
}

// An app behind an error route gets no headers of a verified request.
func TestErrorRoutesLeadToNoVerifiedRequest(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		app, fallback := testbed.StartApp(t, nil), testbed.StartApp(t, nil)
		g := site{store: store, routes: docRouterRoute("", proxy(app), "max_body 1000B") +
			"\thandle_errors {\n\t\treverse_proxy " + fallback.Addr() + "\n\t}\n"}.start(t)
		// The guard has not read the bodies of these: they can still be forwarded.
		for n, result := range []string{"405 method_not_allowed", "403 timestamp_stale"} {
			req := refusals(t, g.URL(""))[result]
			req.Header.Set("Webhook-Guard", "verified")
			req.Header.Set("Webhook-Guard-Id", "forged")
			testbed.Do(t, req)
			wantCalls(t, fallback, n+1)
			wantHeaders(t, last(t, fallback), nil)
		}
		wantCalls(t, app, 0)
		// It has read the body of this one, and its memory is in use again by the time of the error route.
		app.Stop()
		known := fallback.Count()
		resp, err := testbed.Try(testbed.DocRouter().Request(t, g.URL(""), testbed.Event{}))
		if err == nil && resp.Status/100 == 2 {
			t.Errorf("an event that only the fallback could have handled was answered %d", resp.Status)
		}
		for _, d := range fallback.Deliveries()[known:] {
			wantHeaders(t, d, nil)
			if d.BodyErr == nil {
				t.Errorf("the fallback got a body of %d bytes", len(d.Body))
			}
		}
	})
}

// The placeholders hold in the rest of the route, in the answer and in the access log.
func TestPlaceholdersHoldTheFacts(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		app := testbed.StartApp(t, nil)
		lines := proxy(app) + ` {
			header_up X-Provider {http.webhook_guard.provider}
			header_up X-Scope {http.webhook_guard.scope}
			header_up X-Id {http.webhook_guard.id}
			header_up X-Event {http.webhook_guard.event}
			header_up X-Age {http.webhook_guard.age}
			header_up X-Secret {http.webhook_guard.secret}
		}`
		s := testbed.Struktr()
		g := site{store: store, routes: "\tlog\n\theader >X-Result {http.webhook_guard.result}\n" +
			route("", s.Name, lines, "secret another-one", secretOf(s), "scope east")}.start(t)
		e := aged(90*time.Second, 0)
		resp := testbed.Do(t, s.Request(t, g.URL(""), e))
		want(t, resp, 200, "forwarded")
		if got := resp.Header.Get("X-Result"); got != "forwarded" {
			t.Errorf("the result is %q in the answer's headers, want forwarded", got)
		}
		wantCalls(t, app, 1)
		header := last(t, app).Header
		for name, expected := range map[string]string{
			"X-Provider": "struktr", "X-Scope": "east", "X-Id": "dlv_" + e.ID, "X-Event": "document.completed", "X-Secret": "1",
		} {
			if got := header.Get(name); got != expected {
				t.Errorf("%s is %q, want %q", name, got, expected)
			}
		}
		if age := atoi(t, header.Get("X-Age")); age < 89 || age > 120 {
			t.Errorf("the event is %d s old, want about 90", age)
		}
		resp = testbed.Do(t, s.Request(t, g.URL(""), e))
		want(t, resp, 200, "duplicate")
		if got := resp.Header.Get("X-Result"); got != "duplicate" {
			t.Errorf("the result is %q in the answer's headers, want duplicate", got)
		}
		for _, result := range []string{"forwarded", "duplicate"} {
			g.WaitOutput(`"webhook_guard":{"result":"` + result + `","provider":"struktr","scope":"east","id":"dlv_` + e.ID + `","event":"document.completed"}`)
		}
	})
}

// Routes match on verified facts, not on the sender's claims.
func TestEventsCanBeRoutedByTheirVerifiedType(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		completed, others := testbed.StartApp(t, nil), testbed.StartApp(t, nil)
		s := testbed.Struktr()
		g := site{store: store, routes: route("", s.Name,
			"@completed vars {http.webhook_guard.event} document.completed\n\t\treverse_proxy @completed "+completed.Addr()+
				"\n\t\t"+proxy(others), secretOf(s))}.start(t)
		one, two := testbed.Event{}.Fill(), testbed.Event{Type: "document.failed"}.Fill()
		want(t, testbed.Do(t, s.Request(t, g.URL(""), one)), 200, "forwarded")
		wantDelivered(t, completed, 1, s.Body(one))
		wantCalls(t, others, 0)
		req := s.Request(t, g.URL(""), two)
		req.Header.Set("X-Struktr-Event", "document.completed") // not signed
		want(t, testbed.Do(t, req), 200, "forwarded")
		wantDelivered(t, others, 1, s.Body(two))
		wantCalls(t, completed, 1)
	})
}
