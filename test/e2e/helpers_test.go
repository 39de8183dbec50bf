package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// site is a configuration of a test's own routes; setup is the one for all five
// senders.
type site struct {
	store  string // what follows `store`
	global string // lines of the global options
	guards string // lines of the global webhook_guard block
	routes string // of the one server
}

// start runs a gateway with the configuration.
func (s site) start(t *testing.T) *testbed.Gateway {
	t.Helper()
	return testbed.StartGateway(t, s.caddyfile())
}

func (s site) caddyfile() string {
	return fmt.Sprintf(
		"{\n\tadmin 127.0.0.1:{$ADMIN}\n\t%s\n\twebhook_guard {\n\t\tstore %s\n\t\t%s\n\t}\n}\nhttp://:{$PORT} {\n%s\n}\n",
		s.global, s.store, s.guards, s.routes)
}

// route is a guard and what stands behind it, at <prefix>/webhooks/<provider>. Guards of
// one provider share its default scope, unless the lines name another one.
func route(prefix, provider, behind string, lines ...string) string {
	if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, "scope ") }) {
		lines = append(slices.Clone(lines), "scope "+provider)
	}
	return fmt.Sprintf("\thandle %s/webhooks/%s {\n\t\twebhook_guard %s {\n\t\t\t%s\n\t\t}\n\t\t%s\n\t}\n",
		prefix, provider, provider, withSteadyLease(strings.Join(lines, "\n\t\t\t")), behind)
}

// proxy is the directive that leads to the app.
func proxy(app *testbed.App) string { return "reverse_proxy " + app.Addr() }

// last is the latest delivery to the app.
func last(t *testing.T, app *testbed.App) testbed.Delivery {
	t.Helper()
	all := app.Deliveries()
	if len(all) == 0 {
		t.Fatal("nothing has reached the app")
	}
	return all[len(all)-1]
}

// wantDelivered fails the test unless the app was called exactly this often and
// the last call brought exactly this body, with its length.
func wantDelivered(t *testing.T, app *testbed.App, calls int, body []byte) testbed.Delivery {
	t.Helper()
	wantCalls(t, app, calls)
	d := last(t, app)
	if d.BodyErr != nil || !bytes.Equal(d.Body, body) {
		t.Fatalf("the app got %d bytes (%v) that are not the %d that were sent", len(d.Body), d.BodyErr, len(body))
	}
	if d.ContentLength != int64(len(body)) || d.TransferEncoding != nil {
		t.Fatalf("the app got Content-Length %d and Transfer-Encoding %q, want %d and none",
			d.ContentLength, d.TransferEncoding, len(body))
	}
	return d
}

// wantForwardedOnce fails the test unless the event is forwarded now, as the app's call
// of that number, and a copy of it is a duplicate.
func wantForwardedOnce(t *testing.T, g *testbed.Gateway, app *testbed.App, s testbed.Sender, e testbed.Event, call int) {
	t.Helper()
	want(t, testbed.Do(t, s.Request(t, g.URL(""), e)), 200, "forwarded")
	wantDelivered(t, app, call, s.Body(e))
	want(t, testbed.Do(t, s.Request(t, g.URL(""), e)), 200, "duplicate")
	wantCalls(t, app, call)
}

// wantRefused fails the test unless the answer is this refusal of the guard, with
// the headers that belong to its status.
func wantRefused(t *testing.T, resp testbed.Response, status int, result string) {
	t.Helper()
	want(t, resp, status, result)
	retryAfter := ""
	if status == http.StatusServiceUnavailable {
		retryAfter = "1"
	}
	if got := resp.Header.Get("Retry-After"); got != retryAfter {
		t.Errorf("%s has Retry-After %q, want %q", result, got, retryAfter)
	}
	if len(resp.Header.Values("Webhook-Guard")) != 1 {
		t.Errorf("%s is named %q, want it once", result, resp.Header.Values("Webhook-Guard"))
	}
}

// wantHeaders fails the test unless the app got exactly these of the guard's
// headers, in any spelling of their names.
func wantHeaders(t *testing.T, d testbed.Delivery, expected map[string]string) {
	t.Helper()
	got := make(map[string]string)
	for name, values := range d.Header {
		folded := strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(name))
		if strings.HasPrefix(folded, "webhook-guard") {
			got[name] = strings.Join(values, " AND ")
		}
	}
	if !maps.Equal(got, expected) {
		t.Errorf("the app got\n%v, want\n%v", got, expected)
	}
}

// answers changes an app's answer while it runs. It is for one request at a time.
type answers struct{ next chan testbed.Answer }

func newAnswers() *answers { return &answers{next: make(chan testbed.Answer, 16)} }

// then sets what the app answers next, in turn; after that it answers 200.
func (a *answers) then(more ...testbed.Answer) {
	for _, answer := range more {
		a.next <- answer
	}
}

func (a *answers) give(testbed.Delivery) testbed.Answer {
	select {
	case answer := <-a.next:
		return answer
	default:
		return testbed.Answer{}
	}
}

// startAnswering starts an app whose answers change, and a gateway before it.
func startAnswering(t *testing.T, store string) (*answers, *testbed.App, *testbed.Gateway) {
	t.Helper()
	next := newAnswers()
	app := testbed.StartApp(t, next.give)
	return next, app, setup{store: store, app: app}.start(t)
}

// withBody gives a signed request another body.
func withBody(req *http.Request, body []byte) *http.Request {
	req.Body = io.NopCloser(bytes.NewReader(body))
	req.ContentLength = int64(len(body))
	req.GetBody = nil
	return req
}

// chunked makes a request one without a Content-Length.
func chunked(req *http.Request) *http.Request {
	req.Body = io.NopCloser(struct{ io.Reader }{req.Body})
	req.ContentLength = -1
	req.GetBody = nil
	return req
}

// wire returns a request's head as sent, with further header lines verbatim and the
// final empty line. Neither the length nor the body is in it.
func wire(req *http.Request, lines ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", req.Method, req.URL.RequestURI(), req.URL.Host)
	for _, name := range slices.Sorted(maps.Keys(req.Header)) {
		for _, value := range req.Header[name] {
			fmt.Fprintf(&b, "%s: %s\r\n", name, value)
		}
	}
	for _, line := range lines {
		b.WriteString(line + "\r\n")
	}
	return b.String() + "\r\n"
}

// dial opens a connection to a request's host, for requests that no HTTP client would
// send.
func dial(t *testing.T, req *http.Request) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", req.URL.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(soon)); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// http2Client returns a client that speaks HTTP/2 without TLS.
func http2Client(t *testing.T) *http.Client {
	t.Helper()
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: &http.Transport{Protocols: &protocols}, Timeout: soon}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

// say writes text to a connection verbatim.
func say(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

// hear reads the answer from a connection.
func hear(t *testing.T, conn net.Conn) testbed.Response {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("the answer breaks off: %v", err)
	}
	return testbed.Response{Status: resp.StatusCode, Header: resp.Header, Body: body, Guard: resp.Header.Get("Webhook-Guard")}
}

// atoi parses a number.
func atoi(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
