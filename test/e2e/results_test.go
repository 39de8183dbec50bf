package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// secretOf is the line of a sender's secret.
func secretOf(s testbed.Sender) string { return "secret " + s.Secret }

// docRouterRoute is a route of DocRouter's, whose ID is signed.
func docRouterRoute(prefix, behind string, lines ...string) string {
	scope := "scope " + strings.TrimPrefix(prefix, "/")
	if prefix == "" {
		scope = "scope root"
	}
	return route(prefix, "docrouter", behind, append(lines, secretOf(testbed.DocRouter()), scope)...)
}

func TestOtherMethodsAreRefused(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		app := testbed.StartApp(t, nil)
		g := site{store: store, routes: docRouterRoute("", proxy(app)) +
			docRouterRoute("/two", proxy(app), "methods POST PUT")}.start(t)
		s := testbed.DocRouter()
		for _, method := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "post"} {
			for prefix, allow := range map[string]string{"": "POST", "/two": "POST, PUT"} {
				t.Run(method+" "+prefix, func(t *testing.T) {
					calls := app.Count()
					req := s.Request(t, g.URL(prefix), testbed.Event{})
					req.Method = method
					resp := testbed.Do(t, req)
					if method == "PUT" && prefix == "/two" {
						want(t, resp, 200, "forwarded")
						wantCalls(t, app, calls+1)
						return
					}
					wantRefused(t, resp, 405, "method_not_allowed")
					if got := resp.Header.Get("Allow"); got != allow {
						t.Errorf("Allow is %q, want %q", got, allow)
					}
					wantCalls(t, app, calls)
				})
			}
		}
	})
}

func TestBodyIsHeldToItsLimits(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		app := testbed.StartApp(t, nil)
		g := site{store: store, guards: "max_buffered 64KiB", routes: docRouterRoute("/small", proxy(app), "max_body 1000B") +
			docRouterRoute("/large", proxy(app))}.start(t)
		s := testbed.DocRouter()
		for name, c := range map[string]struct {
			prefix string
			size   int
			status int
			result string
		}{
			"up to max_body":              {"/small", 1000, 200, "forwarded"},
			"over max_body":               {"/small", 1001, 413, "body_too_large"},
			"far over max_body":           {"/small", 1 << 20, 413, "body_too_large"},
			"within max_buffered":         {"/large", 16 << 10, 200, "forwarded"},
			"over max_buffered":           {"/large", 65 << 10, 503, "overloaded"},
			"over the unverified's share": {"/large", 33 << 10, 503, "overloaded"},
		} {
			for how, send := range map[string]func(*http.Request) *http.Request{
				"announced": func(req *http.Request) *http.Request { return req },
				"in chunks": chunked,
			} {
				t.Run(name+", "+how, func(t *testing.T) {
					calls := app.Count()
					e := testbed.Event{}.Fill()
					body := s.Body(e)
					body = append(body, bytes.Repeat([]byte(" "), c.size-len(body))...)
					resp := sendUnread(t, send(s.RequestWith(t, g.URL(c.prefix), body, e)), body)
					if c.status == 200 {
						want(t, resp, 200, c.result)
						wantDelivered(t, app, calls+1, body)
						return
					}
					wantRefused(t, resp, c.status, c.result)
					wantCalls(t, app, calls)
					// A forgery of that size is refused for its size: it is not hashed.
					forger := s
					forger.Secret = "wrong"
					resp = sendUnread(t, send(forger.RequestWith(t, g.URL(c.prefix), body, e)), body)
					wantRefused(t, resp, c.status, c.result)
				})
			}
		}
		// All of it has been released.
		testbed.Eventually(t, soon, func() bool { return metric(g, "webhook_guard_buffered_bytes") == 0 }, "no bytes buffered")
	})
}

// sendUnread sends a request to a server that may answer before it has read the
// body, and may close the connection then: a client can fail over that.
func sendUnread(t *testing.T, req *http.Request, body []byte) testbed.Response {
	t.Helper()
	conn := dial(t, req)
	written := make(chan struct{})
	go func() {
		defer close(written)
		text := wire(req, "Content-Length: "+strconv.Itoa(len(body))) + string(body)
		if req.ContentLength < 0 {
			text = wire(req, "Transfer-Encoding: chunked") + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
		}
		_, _ = conn.Write([]byte(text)) // fails where the server has closed: that is the point
	}()
	resp := hear(t, conn)
	_ = conn.Close()
	<-written
	return resp
}

// A sender that stalls or breaks off gets a status that asks for a retry, whatever it claimed.
func TestBrokenUploadGetsARetryableStatus(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		app := testbed.StartApp(t, nil)
		s := testbed.DocRouter()
		both := func(prefix, timeout string) string {
			return route(prefix, s.Name, proxy(app), secretOf(s), "body_timeout "+timeout)
		}
		g := site{store: store, routes: both("", "1m") + both("/short", "1s")}.start(t)
		for name, c := range map[string]struct {
			head    string
			body    func(body string) string
			hangUp  bool
			outcome string
		}{
			"stalls in the middle":          {"Content-Length: %d", func(b string) string { return b[:len(b)/2] }, false, "body_timeout"},
			"stalls before the first byte":  {"Content-Length: %d", func(string) string { return "" }, false, "body_timeout"},
			"stalls before the last byte":   {"Content-Length: %d", func(b string) string { return b[:len(b)-1] }, false, "body_timeout"},
			"stalls between chunks":         {"Transfer-Encoding: chunked", func(b string) string { return chunk(b) }, false, "body_timeout"},
			"breaks off":                    {"Content-Length: %d", func(b string) string { return b[:len(b)/2] }, true, "body_unreadable"},
			"breaks off before the body":    {"Content-Length: %d", func(string) string { return "" }, true, "body_unreadable"},
			"breaks off between chunks":     {"Transfer-Encoding: chunked", func(b string) string { return chunk(b) }, true, "body_unreadable"},
			"breaks off in a chunk":         {"Transfer-Encoding: chunked", func(b string) string { return chunk(b)[:20] }, true, "body_unreadable"},
			"sends no chunk where one is":   {"Transfer-Encoding: chunked", func(b string) string { return chunk(b) + "zz\r\n" }, false, "body_unreadable"},
			"sends a chunk of another size": {"Transfer-Encoding: chunked", func(b string) string { return "5\r\n" + b }, false, "body_unreadable"},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				e := testbed.Event{}.Fill()
				body := string(s.Body(e))
				prefix := ""
				if c.outcome == "body_timeout" {
					prefix = "/short"
				}
				req := s.Request(t, g.URL(prefix), e)
				conn := dial(t, req)
				head := c.head
				if strings.Contains(head, "%d") {
					head = fmt.Sprintf(head, len(body))
				}
				say(t, conn, wire(req, head)+c.body(body))
				if c.hangUp {
					if err := conn.CloseWrite(); err != nil {
						t.Fatal(err)
					}
				}
				wantRefused(t, hear(t, conn), 503, c.outcome)
				for _, d := range app.Deliveries() {
					if d.Header.Get("Webhook-Guard-Id") == "ev-"+e.ID {
						t.Errorf("part of the event reached the app: %q", d.Body)
					}
				}
				want(t, testbed.Do(t, s.Request(t, g.URL(""), e)), 200, "forwarded")
			})
		}
	})
}

func chunk(text string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(text), text) }

func TestMalformedIDIsRefused(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		app := testbed.StartApp(t, nil)
		g := setup{store: store, app: app}.start(t)
		s := testbed.DocRouter()
		for name, id := range map[string]string{
			"an object": `{"a":1}`, "an empty object": `{}`, "an array": `["a"]`, "a boolean": `true`,
			"2 KiB": `"` + strings.Repeat("x", 2<<10) + `"`, "1 KiB and a byte": `"` + strings.Repeat("x", 1<<10+1) + `"`,
		} {
			t.Run("docrouter, "+name, func(t *testing.T) {
				body := []byte(`{"event_id":` + id + `,"event_type":"llm.completed"}`)
				wantRefused(t, testbed.Do(t, s.RequestWith(t, g.URL(""), body, testbed.Event{})), 400, "id_malformed")
				wantCalls(t, app, 0)
			})
		}
		for name, ids := range map[string][]string{
			"doubled": {"dlv_1", "dlv_1"}, "two": {"dlv_1", "dlv_2"}, "one of two empty": {"", "dlv_1"},
			"2 KiB": {strings.Repeat("x", 2<<10)},
		} {
			t.Run("struktr, "+name, func(t *testing.T) {
				req := testbed.Struktr().Request(t, g.URL(""), testbed.Event{})
				req.Header["X-Struktr-Delivery"] = ids
				wantRefused(t, testbed.Do(t, req), 400, "id_malformed")
				wantCalls(t, app, 0)
			})
		}
	})
}

// An ID of the maximum length and a number are valid IDs.
func TestUnusualIDIsAnID(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		app := testbed.StartApp(t, nil)
		g := setup{store: store, app: app}.start(t)
		s := testbed.DocRouter()
		for id, shown := range map[string]string{
			`"` + strings.Repeat("x", 1<<10) + `"`: strings.Repeat("x", 1<<10),
			`12345678901234567890`:                 "12345678901234567890",
			`"a:b\r\nWebhook-Guard: x"`:            "a:b%0D%0AWebhook-Guard: x",
			`"ü 100%"`:                             "%C3%BC 100%25",
		} {
			calls := app.Count()
			body := []byte(`{"event_id":` + id + `,"event_type":"llm.completed"}`)
			for _, result := range []string{"forwarded", "duplicate"} {
				want(t, testbed.Do(t, s.RequestWith(t, g.URL(""), body, testbed.Event{})), 200, result)
				wantDelivered(t, app, calls+1, body)
			}
			if got := last(t, app).Header.Values("Webhook-Guard-Id"); len(got) != 1 || got[0] != shown {
				t.Errorf("the app got the ID %q, want %q", got, shown)
			}
		}
	})
}

// Without a handler behind the guard nobody handles the event, so Caddy's empty 200
// would lose it.
func TestGuardWithNothingBehindItNeverSucceeds(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		app := testbed.StartApp(t, nil)
		g := site{store: store, routes: docRouterRoute("/nothing", "") +
			docRouterRoute("/unmatched", "@no path /elsewhere\n\t\treverse_proxy @no "+app.Addr()) +
			docRouterRoute("/header", "header X-Seen yes")}.start(t)
		s := testbed.DocRouter()
		for _, prefix := range []string{"/nothing", "/unmatched", "/header"} {
			e := testbed.Event{}.Fill()
			for range 2 { // the second is no duplicate: nothing has succeeded
				wantRefused(t, testbed.Do(t, s.Request(t, g.URL(prefix), e)), 503, "misconfigured")
			}
		}
		wantCalls(t, app, 0)
		g.WaitOutput("reverse_proxy after webhook_guard")
	})
}

func TestSecondGuardIsAMisconfiguration(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		app := testbed.StartApp(t, nil)
		second := fmt.Sprintf("webhook_guard docrouter {\n\t\t\t%s\n\t\t\tscope second\n\t\t}\n\t\t", secretOf(testbed.DocRouter()))
		g := site{store: store, routes: docRouterRoute("/twice", second+proxy(app)) +
			fmt.Sprintf("\thandle /nested/* {\n\t\troute {\n\t\t\t%s\n\t\t\thandle {\n\t\t\t\t%s\n\t\t\t}\n\t\t}\n\t}\n", second, second+proxy(app))}.start(t)
		s := testbed.DocRouter()
		for _, prefix := range []string{"/twice", "/nested"} {
			e := testbed.Event{}.Fill()
			for range 2 {
				wantRefused(t, testbed.Do(t, s.Request(t, g.URL(prefix), e)), 503, "misconfigured")
			}
		}
		wantCalls(t, app, 0)
	})
}

// A full store refuses new events, and accepts them again once there is room.
func TestFullMemoryStoreTakesNoNewEvents(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	g := setup{store: "memory {\n\t\t\tmax_entries 2\n\t\t}", app: app, lines: "on_store_error forward"}.start(t)
	s := testbed.DocRouter()
	known := testbed.Event{}.Fill()
	want(t, testbed.Do(t, s.Request(t, g.URL(""), known)), 200, "forwarded")
	want(t, testbed.Do(t, s.Request(t, g.URL(""), testbed.Event{})), 200, "forwarded")
	for range 2 {
		wantRefused(t, testbed.Do(t, s.Request(t, g.URL(""), testbed.Event{})), 503, "store_unavailable")
	}
	want(t, testbed.Do(t, s.Request(t, g.URL(""), known)), 200, "duplicate")
	wantCalls(t, app, 2)
}
