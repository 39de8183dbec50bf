package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// shadowSite is a live app with a guard in front of it, in a mode, and an enforcing guard of
// the same provider beside it: in the scope that the first one would have, where it does not
// enforce.
func shadowSite(store, app, mode string) string {
	s := testbed.Struktr()
	beside := "struktr"
	if mode == "enforce" {
		beside = "beside"
	}
	return fmt.Sprintf(`{
	admin 127.0.0.1:{$ADMIN}
	webhook_guard {
		store %s
	}
}
http://:{$PORT} {
	handle /webhooks/struktr {
		webhook_guard struktr {
			secret %s
			mode %s
			max_body 100KiB
		}
		reverse_proxy %s
	}
	handle /enforced/webhooks/struktr {
		webhook_guard struktr {
			secret %[2]s
			scope %[5]s
		}
		reverse_proxy %[4]s
	}
}
`, store, s.Secret, mode, app, beside)
}

// Whatever a request is, the app gets it as it was sent, and the sender the app's own
// answer. The result is in a header to the app, in the log and in the metrics.
func TestShadowForwardsEverything(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		app := testbed.StartApp(t, func(d testbed.Delivery) testbed.Answer {
			if strings.Contains(string(d.Body), "fails") {
				return testbed.Answer{Status: 500, Body: []byte("app failed")}
			}
			return testbed.Answer{Status: 202, Body: []byte("thank you")}
		})
		g := testbed.StartGateway(t, shadowSite(store, app.Addr(), "shadow"))
		s := testbed.Struktr()
		e := testbed.Event{}.Fill()
		forged := s.Request(t, g.URL(""), testbed.Event{})
		forged.Header.Set(s.SignatureHeader, "sha256="+strings.Repeat("0", 64))
		forged.Header.Set("Webhook-Guard", "verified")
		forged.Header.Set("Webhook-Guard-Shadow", "forwarded")
		large := s.RequestWith(t, g.URL(""), append(s.Body(testbed.Event{}.Fill()), bytes.Repeat([]byte(" "), 300<<10)...), testbed.Event{}.Fill())
		chunked := s.RequestWith(t, g.URL(""), append(s.Body(testbed.Event{}.Fill()), bytes.Repeat([]byte(" "), 300<<10)...), testbed.Event{}.Fill())
		chunked.ContentLength = -1
		get, err := http.NewRequest(http.MethodGet, g.URL("/webhooks/struktr?page=2"), nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, tt := range []struct {
			name     string
			req      *http.Request
			result   string
			status   int
			verified bool
		}{
			{"genuine", s.Request(t, g.URL(""), e), "forwarded", 202, true},
			{"a copy", s.Request(t, g.URL(""), e), "duplicate", 202, true},
			{"forged", forged, "signature_invalid", 202, false},
			{"old", s.Request(t, g.URL(""), testbed.Event{Sent: time.Now().Add(-time.Hour)}), "timestamp_stale", 202, false},
			{"too large", large, "body_too_large", 202, false},
			{"too large, in chunks", chunked, "body_too_large", 202, false},
			{"another method", get, "method_not_allowed", 202, false},
			{"one that the app fails", s.Request(t, g.URL(""), testbed.Event{Type: "fails"}), "forwarded", 500, true},
		} {
			sent := bodyOf(t, tt.req)
			resp := testbed.Do(t, tt.req)
			if resp.Status != tt.status || resp.Guard != "" {
				t.Errorf("%s: the sender got %v, want the app's %d and nothing of the guard's", tt.name, resp, tt.status)
			}
			app.WaitCount(i + 1)
			d := last(t, app)
			if got := d.Header.Get("Webhook-Guard-Shadow"); got != tt.result || len(d.Header.Values("Webhook-Guard-Shadow")) != 1 {
				t.Errorf("%s: the app got the result %q, want %s", tt.name, got, tt.result)
			}
			if got := d.Header.Get("Webhook-Guard"); (got == "verified") != tt.verified || got != "" && !tt.verified {
				t.Errorf("%s: the app got Webhook-Guard: %q", tt.name, got)
			}
			if tt.verified && d.Header.Get("Webhook-Guard-Scope") != "struktr" {
				t.Errorf("%s: the app got the scope %q, want the enforcing guard's", tt.name, d.Header.Get("Webhook-Guard-Scope"))
			}
			if !bytes.Equal(d.Body, sent) || d.Method != tt.req.Method {
				t.Errorf("%s: the app got %s with %d bytes, want %d", tt.name, d.Method, len(d.Body), len(sent))
			}
		}
		// An enforcing guard knows nothing of what shadow saw, though its scope is the one that
		// the guard in shadow mode will have.
		want(t, testbed.Do(t, s.Request(t, g.URL("/enforced"), e)), 202, "forwarded")
		want(t, testbed.Do(t, s.Request(t, g.URL("/enforced"), e)), 202, "duplicate")
		g.WaitOutput(`"mode":"shadow"`)
		testbed.Eventually(t, soon, func() bool {
			got := scrape(t, g)
			for result, n := range map[string]string{"forwarded": "1", "duplicate": "1", "signature_invalid": "1", "upstream_failed": "1", "body_too_large": "2"} {
				if got[`requests_total{provider="struktr",result="`+result+`",scope="shadow/struktr"}`] != n {
					return false
				}
			}
			return got[`requests_total{provider="struktr",result="signature_invalid",scope="struktr"}`] == "0"
		}, "the results of shadow to be counted in a scope of its own")
	})
}

// A body is too large from its first byte over max_body on, in whatever pieces it comes.
func TestShadowJudgesBodiesAtTheLimit(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	g := testbed.StartGateway(t, shadowSite("memory", app.Addr(), "shadow"))
	s := testbed.Struktr()
	const limit = 100 << 10
	calls := 0
	for _, size := range []int{limit - 1, limit, limit + 1, limit + 10<<10, limit + 32<<10} {
		for _, inChunks := range []bool{false, true} {
			e := testbed.Event{}.Fill()
			body := s.Body(e)
			body = append(body, bytes.Repeat([]byte(" "), size-len(body))...)
			req := s.RequestWith(t, g.URL(""), body, e)
			if inChunks {
				req = chunked(req)
			}
			result := "forwarded"
			if size > limit {
				result = "body_too_large"
			}
			if resp := testbed.Do(t, req); resp.Status != 200 {
				t.Errorf("%d bytes, in chunks %t: the sender got %v", size, inChunks, resp)
			}
			calls++
			app.WaitCount(calls)
			d := last(t, app)
			if got := d.Header.Get("Webhook-Guard-Shadow"); got != result || !bytes.Equal(d.Body, body) {
				t.Errorf("%d bytes, in chunks %t: the app got %d bytes and %q, want %s", size, inChunks, len(d.Body), got, result)
			}
		}
	}
}

// No enforcing guard can be given a scope of shadow mode.
func TestAScopeOfShadowModeIsRefused(t *testing.T) {
	t.Parallel()
	out, err := validate(t, "Caddyfile", guarded("struktr", secret, "scope shadow/struktr"))
	if err == nil || !strings.Contains(out, "shadow mode: choose another one") {
		t.Errorf("%v\n%s", err, out)
	}
}

func bodyOf(t *testing.T, r *http.Request) []byte {
	t.Helper()
	if r.Body == nil {
		return nil
	}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(data))
	return data
}

// The store is away: shadow says so, and the app notices nothing.
func TestShadowWithoutAStore(t *testing.T) {
	t.Parallel()
	app, redis := testbed.StartApp(t, nil), testbed.StartRedis(t)
	g := testbed.StartGateway(t, shadowSite("redis "+redis.URL(), app.Addr(), "shadow"))
	redis.Stop()
	if resp := testbed.Do(t, testbed.Struktr().Request(t, g.URL(""), testbed.Event{})); resp.Status != 200 || resp.Guard != "" {
		t.Errorf("the sender got %v", resp)
	}
	if got := last(t, app).Header.Get("Webhook-Guard-Shadow"); got != "store_unavailable" {
		t.Errorf("the app got the result %q", got)
	}
}

// From shadow to enforce while events come: each reaches the app once.
func TestFromShadowToEnforceUnderLoad(t *testing.T) {
	t.Parallel()
	onEachStore(t, fromShadowToEnforce)
}

func fromShadowToEnforce(t *testing.T, store string) {
	app := testbed.StartApp(t, nil)
	g := testbed.StartGateway(t, shadowSite(store, app.Addr(), "shadow"))
	s := testbed.Struktr()
	var sent atomic.Int64
	stop := make(chan struct{})
	var senders sync.WaitGroup
	for range 8 {
		senders.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				req := s.Request(t, g.URL(""), testbed.Event{})
				for {
					resp, err := testbed.Try(req)
					if err == nil && resp.Status == 200 {
						break
					}
					if err == nil {
						t.Errorf("an event got %v", resp)
						return
					}
					req.Body, _ = req.GetBody() // a connection that the reload reset is tried again, as senders do
				}
				sent.Add(1)
			}
		})
	}
	many := func(more int64) {
		before := sent.Load()
		testbed.Eventually(t, soon, func() bool { return sent.Load() >= before+more }, "events to be sent")
	}
	many(100)
	if err := g.Reload(shadowSite(store, app.Addr(), "enforce")); err != nil {
		t.Fatal(err)
	}
	many(100)
	close(stop)
	senders.Wait()
	forged := s.Request(t, g.URL(""), testbed.Event{})
	forged.Header.Set(s.SignatureHeader, "sha256="+strings.Repeat("0", 64))
	want(t, testbed.Do(t, forged), 401, "signature_invalid")
	// What came after the reload is remembered.
	e := testbed.Event{}.Fill()
	want(t, testbed.Do(t, s.Request(t, g.URL(""), e)), 200, "forwarded")
	want(t, testbed.Do(t, s.Request(t, g.URL(""), e)), 200, "duplicate")
	sent.Add(1)
	ids := make(map[string]int)
	for _, d := range app.Deliveries() {
		ids[d.Header.Get("Webhook-Guard-Id")]++
	}
	if int64(len(ids)) != sent.Load() || len(app.Deliveries()) != len(ids) {
		t.Errorf("%d events were sent, the app got %d in %d deliveries", sent.Load(), len(ids), len(app.Deliveries()))
	}
}

// Other settings may be tried in front of a guard that enforces. It goes on as before: in its
// answers, in placeholders and in the access log.
func TestShadowInFrontOfAGuardThatEnforces(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	s := testbed.Struktr()
	g := testbed.StartGateway(t, fmt.Sprintf(`{
	admin 127.0.0.1:{$ADMIN}
}
http://:{$PORT} {
	log
	log_append seen {http.webhook_guard.scope}
	handle {
		webhook_guard struktr {
			secret another-%[1]s
			scope tried
			mode shadow
		}
		webhook_guard struktr {
			secret %[1]s
			scope live
		}
		reverse_proxy %[2]s {
			header_up X-Seen "{http.webhook_guard.result} {http.webhook_guard.scope}"
		}
	}
}
`, s.Secret, app.Addr()))
	e := testbed.Event{}.Fill()
	for i, result := range []string{"forwarded", "duplicate"} {
		want(t, testbed.Do(t, s.Request(t, g.URL(""), e)), 200, result)
		entry := waitLogged(t, g, "handled request", i+1)
		wantFields(t, entry, map[string]any{"seen": "live"})
		if own, _ := entry["webhook_guard"].(map[string]any); own["result"] != result || own["scope"] != "live" {
			t.Errorf("the access log has %v", entry["webhook_guard"])
		}
	}
	wantCalls(t, app, 1)
	if d := last(t, app); d.Header.Get("X-Seen") != "forwarded live" || d.Header.Get("Webhook-Guard-Shadow") != "" {
		t.Errorf("the app got %v", d.Header)
	}
	if got := metric(g, "webhook_guard_requests_total", "scope", "shadow/tried", "result", "signature_invalid"); got != 2 {
		t.Errorf("shadow has counted %v requests", got)
	}
}
