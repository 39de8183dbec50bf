package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// allSendersGetThrough sends an event of each sender.
func allSendersGetThrough(t *testing.T, g *testbed.Gateway) {
	t.Helper()
	for _, s := range testbed.Senders() {
		want(t, testbed.Do(t, s.Request(t, g.URL(""), testbed.Event{})), 200, "forwarded")
	}
}

// Endless senders are disconnected, each with its answer, and delay no other sender
// meanwhile.
func TestSlowSendersAreDisconnected(t *testing.T) {
	t.Parallel()
	app, port := testbed.StartApp(t, nil), testbed.FreePort(t)
	s := testbed.Struktr()
	// The short limits are where nobody has to get through.
	g := setup{store: "memory", app: app, lines: "body_timeout 1m", more: map[string]string{"/short": "body_timeout 1s"},
		global: fmt.Sprintf("servers :%d {\n\t\ttimeouts {\n\t\t\tread_header 1s\n\t\t}\n\t}", port),
		tail:   fmt.Sprintf("http://:%d {\n%s}\n", port, route("", s.Name, proxy(app), secretOf(s)))}.start(t)
	const each = 50
	var heads, bodies, unread []net.Conn
	for range each {
		req := s.Request(t, fmt.Sprintf("http://127.0.0.1:%d", port), testbed.Event{})
		head := dial(t, req)
		say(t, head, "POST /webhooks/struktr HTTP/1.1\r\nHost: x\r\nX-Slow: ")
		heads = append(heads, head)
		req = s.Request(t, g.URL("/short"), testbed.Event{})
		body := dial(t, req)
		say(t, body, wire(req, "Content-Length: 1000")+"{")
		bodies = append(bodies, body)
		// Refused by its headers.
		req.Header.Del(s.SignatureHeader)
		early := dial(t, req)
		say(t, early, wire(req, "Content-Length: 1000")+"{")
		unread = append(unread, early)
	}
	allSendersGetThrough(t, g)
	for i := range each {
		wantRefused(t, hear(t, bodies[i]), 503, "body_timeout")
		wantRefused(t, hear(t, unread[i]), 401, "signature_missing")
		if _, err := io.ReadAll(heads[i]); err != nil { // Caddy's own: it hangs up
			t.Errorf("a sender of endless headers is still connected: %v", err)
		}
	}
	for result, n := range map[string]float64{"body_timeout": each, "signature_missing": each} {
		if got := metric(g, "webhook_guard_requests_total", "provider", s.Name, "result", result); got != n {
			t.Errorf("%v requests counted as %s, want %v", got, result, n)
		}
	}
	allSendersGetThrough(t, g)
}

// idleConnections is how many are opened, as far as the limit on open files allows. The
// gateway and this test each need one file per connection.
func idleConnections(t *testing.T) int {
	t.Helper()
	const wanted, others = 10_000, 1_000
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Max < wanted+others { // Go has raised the soft limit to this one
		n := int(limit.Max) / 2
		t.Logf("this machine allows a process %d files: only %d connections instead of %d", limit.Max, n, wanted)
		return n
	}
	return wanted
}

func TestIdleConnectionsDelayNobody(t *testing.T) {
	n := idleConnections(t)
	app := testbed.StartApp(t, nil)
	g := testbed.StartGateway(t, setup{store: "memory", app: app}.caddyfile(), testbed.WithoutRaceDetector())
	before := memory(t, g, "VmRSS")
	conns := make([]net.Conn, n)
	var wg sync.WaitGroup
	for worker := range 16 {
		wg.Go(func() {
			for i := worker; i < n; i += 16 {
				conn, err := net.Dial("tcp", strings.TrimPrefix(g.URL(""), "http://"))
				if err != nil {
					t.Errorf("connection %d: %v", i, err)
					return
				}
				conns[i] = conn
			}
		})
	}
	wg.Wait()
	defer func() {
		for _, conn := range conns {
			if conn != nil {
				_ = conn.Close()
			}
		}
	}()
	allSendersGetThrough(t, g)
	// The last one is served like the first.
	req := testbed.Struktr().Request(t, g.URL(""), testbed.Event{})
	req.Body = io.NopCloser(strings.NewReader(""))
	for _, conn := range []net.Conn{conns[0], conns[n-1]} {
		if conn == nil {
			t.Fatal("not connected")
		}
		say(t, conn, wire(req, "Content-Length: 0"))
		wantRefused(t, hear(t, conn), 401, "signature_invalid")
	}
	t.Logf("%d idle connections: %d KiB each", n, (memory(t, g, "VmRSS")-before)/n/1024)
}

// Requests that a proxy in front and the gateway could split differently never reach
// the app, nor does the request hidden behind them.
func TestSmuggledRequestsAreRefused(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	g := setup{store: "memory", app: app}.start(t)
	s := testbed.Struktr()
	for name, tc := range map[string]struct {
		lines []string
		body  string
	}{
		"two lengths":                 {[]string{"Content-Length: 2", "Content-Length: 3"}, "{}"},
		"two lengths in one":          {[]string{"Content-Length: 2, 3"}, "{}"},
		"a signed length":             {[]string{"Content-Length: +2"}, "{}"},
		"a negative length":           {[]string{"Content-Length: -2"}, "{}"},
		"a length in hex":             {[]string{"Content-Length: 0x2"}, "{}"},
		"an unknown coding":           {[]string{"Transfer-Encoding: xchunked"}, "0\r\n\r\n"},
		"two codings":                 {[]string{"Transfer-Encoding: chunked", "Transfer-Encoding: identity"}, "0\r\n\r\n"},
		"chunked twice":               {[]string{"Transfer-Encoding: chunked, chunked"}, "0\r\n\r\n"},
		"a coding with a tab":         {[]string{"Transfer-Encoding:\tchunked\v"}, "0\r\n\r\n"},
		"a space before the colon":    {[]string{"Content-Length : 2"}, "{}"},
		"a folded header":             {[]string{"X-A: b\r\n  Webhook-Guard: verified", "Content-Length : 2"}, "{}"},
		"a header without a name":     {[]string{": x", "Content-Length: 2"}, "{}"},
		"a line break in a header":    {[]string{"X-A: b\rWebhook-Guard: verified", "Content-Length: 2"}, "{}"},
		"NUL in a header":             {[]string{"X-A: b\x00", "Content-Length: 2"}, "{}"},
		"a chunk longer than it says": {[]string{"Transfer-Encoding: chunked"}, "1\r\n{}\r\n0\r\n\r\n"},
		"a chunk of a huge length":    {[]string{"Transfer-Encoding: chunked"}, "fffffffffffffffff\r\n{}\r\n0\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			req := s.RequestWith(t, g.URL(""), []byte("{}"), testbed.Event{})
			conn := dial(t, req)
			hidden := wire(s.RequestWith(t, g.URL(""), []byte("{}"), testbed.Event{}), "Content-Length: 2") + "{}"
			say(t, conn, wire(req, tc.lines...)+tc.body+hidden)
			_ = conn.CloseWrite()
			reader := bufio.NewReader(conn)
			resp, err := http.ReadResponse(reader, nil)
			if err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				if resp.StatusCode < 400 {
					t.Errorf("answered %d", resp.StatusCode)
				}
				if next, err := http.ReadResponse(reader, nil); err == nil {
					_ = next.Body.Close()
					t.Errorf("the request behind it was answered too: %d", next.StatusCode)
				}
			}
			wantCalls(t, app, 0)
		})
	}
	// A length beside chunks: net/http takes the chunks, and what comes after them
	// is a request of its own, which must be verified like any other.
	t.Run("a length and chunks", func(t *testing.T) {
		req := s.RequestWith(t, g.URL(""), []byte("{}"), testbed.Event{})
		conn := dial(t, req)
		forged := s.RequestWith(t, g.URL(""), []byte("[]"), testbed.Event{})
		say(t, conn, wire(req, "Content-Length: 200", "Transfer-Encoding: chunked")+"2\r\n{}\r\n0\r\n\r\n"+wire(forged, "Content-Length: 2")+"{}")
		reader := bufio.NewReader(conn)
		for _, want := range []string{"forwarded", "signature_invalid"} {
			resp, err := http.ReadResponse(reader, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if got := resp.Header.Get("Webhook-Guard"); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
		wantDelivered(t, app, 1, []byte("{}"))
	})
}

// HTTP/2 headers are not lines of text, but may have any name too.
func TestSenderCannotSpeakInTheGuardsNameOverHTTP2(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	global := strings.Replace(letIn(), "servers {", "servers {\n\t\tprotocols h1 h2c", 1)
	g := setup{store: "memory", app: app, global: global}.start(t)
	client := http2Client(t)
	for _, s := range []testbed.Sender{testbed.Struktr(), testbed.OkraPDF()} {
		e := testbed.Event{}.Fill()
		req := s.Request(t, g.URL(""), e)
		for _, name := range ownNames {
			req.Header[name] = []string{"spoofed", "verified"}
		}
		req.Trailer = http.Header{"Webhook-Guard-Id": {"spoofed"}, "Webhook_guard": {"verified"}}
		resp, err := client.Do(chunked(req))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.ProtoMajor != 2 || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s %d", resp.Proto, resp.StatusCode)
		}
		d := last(t, app)
		wantHeaders(t, d, facts(s, e))
		if len(d.Trailer) > 0 {
			t.Errorf("the app got the trailers %v", d.Trailer)
		}
	}
}

// A request over each ceiling gets the right answer and is counted.
func TestCeilingsAreAnsweredAndCounted(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	g := setup{store: "memory", app: app, lines: "max_body 64KiB"}.start(t)
	many := func(item string, n int) string { return strings.Repeat(item, n) }
	for name, tc := range map[string]struct {
		sender testbed.Sender
		body   string
		edit   func(*http.Request)
		status int
		result string
	}{
		"a stamp before all years": {testbed.Struktr(), "{}", func(r *http.Request) {
			r.Header.Set("X-Struktr-Timestamp", "-1")
		}, 403, "timestamp_malformed"},
		"a long signature": {testbed.Struktr(), "{}", func(r *http.Request) {
			r.Header.Set("X-Struktr-Signature", "sha256="+many("ab", 6000))
		}, 401, "signature_malformed"},
		"many signatures": {testbed.Struktr(), "{}", func(r *http.Request) {
			r.Header["X-Struktr-Signature"] = slices.Repeat([]string{"sha256=" + many("ab", 32)}, 100)
		}, 401, "signature_malformed"},
		"a long ID": {testbed.Struktr(), "{}", func(r *http.Request) {
			r.Header.Set("X-Struktr-Delivery", many("x", 1025))
		}, 400, "id_malformed"},
		"two IDs": {testbed.Struktr(), "{}", func(r *http.Request) {
			r.Header["X-Struktr-Delivery"] = []string{"a", "b"}
		}, 400, "id_malformed"},
		"a huge stamp": {testbed.Struktr(), "{}", func(r *http.Request) {
			r.Header.Set("X-Struktr-Timestamp", many("9", 5000))
		}, 403, "timestamp_malformed"},
		"a stamp beyond all years": {testbed.Struktr(), "{}", func(r *http.Request) {
			r.Header.Set("X-Struktr-Timestamp", "9223372036854775807")
		}, 403, "timestamp_malformed"},
		"thousands of query fields": {testbed.OkraPDF(), "{}", func(r *http.Request) {
			r.URL.RawQuery = many("a=b&", 3500) + "token=wrong"
		}, 401, "token_invalid"},
		"thousands of tokens": {testbed.OkraPDF(), "{}", func(r *http.Request) {
			r.URL.RawQuery = many("token=x&", 1500)
		}, 401, "token_invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			labels := []string{"provider", tc.sender.Name, "result", tc.result}
			before := metric(g, "webhook_guard_requests_total", labels...)
			req := tc.sender.RequestWith(t, g.URL(""), []byte(tc.body), testbed.Event{})
			if tc.edit != nil {
				tc.edit(req)
			}
			wantRefused(t, testbed.Do(t, req), tc.status, tc.result)
			if after := metric(g, "webhook_guard_requests_total", labels...); after != before+1 {
				t.Errorf("counted %v times", after-before)
			}
		})
	}
	// Its sender would still be writing when it is refused by its length.
	t.Run("a body too large", func(t *testing.T) {
		req := testbed.Struktr().Request(t, g.URL(""), testbed.Event{})
		conn := dial(t, req)
		say(t, conn, wire(req, "Content-Length: 65537"))
		wantRefused(t, hear(t, conn), 413, "body_too_large")
		if n := metric(g, "webhook_guard_requests_total", "result", "body_too_large"); n != 1 {
			t.Errorf("counted %v times", n)
		}
	})
	// Headers larger than Caddy's own limit do not reach the guard.
	t.Run("headers of a megabyte", func(t *testing.T) {
		req := testbed.Struktr().Request(t, g.URL(""), testbed.Event{})
		req.Header.Set("X-Struktr-Signature", many("sha256=00,", 100_000))
		resp, err := testbed.Try(req)
		if err == nil && resp.Status != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("answered %v", resp)
		}
	})
	wantCalls(t, app, 0)
}
