package e2e

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/fcgi"
	"strings"
	"sync"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// anyMethod is a provider of events of any method and any body, an empty one too.
const anyMethod = `provider plain {
			signature X-Signature sha256 hex {signature}
			signed {id}.{body}
			id header X-Id
			methods POST PUT GET HEAD OPTIONS
		}`

// plainRoute is a route for events of anyMethod.
func plainRoute(behind string, lines ...string) string {
	return route("", "plain", behind, append(lines, "secret a-secret-of-the-plain-provider")...)
}

func plainRequest(t *testing.T, g *testbed.Gateway, method, id string, body []byte) *http.Request {
	t.Helper()
	mac := hmac.New(sha256.New, []byte("a-secret-of-the-plain-provider"))
	mac.Write([]byte(id + "."))
	mac.Write(body)
	req, err := http.NewRequest(method, g.URL("/webhooks/plain"), strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Id", id)
	req.Header.Set("X-Signature", hex.EncodeToString(mac.Sum(nil)))
	return req
}

// wireApp is an app that speaks HTTP as no library does.
type wireApp struct {
	addr string
	mu   sync.Mutex
	head []string // of each request, when it had arrived
}

// startWire starts one. It calls answer with the number of each request, from 1; the
// connection is closed where that returns false. With a nil answer it is closed at once.
func startWire(t *testing.T, answer func(n int, conn net.Conn, r *http.Request) bool) *wireApp {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	a := &wireApp{addr: listener.Addr().String()}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go a.serve(conn, answer)
		}
	}()
	return a
}

func (a *wireApp) serve(conn net.Conn, answer func(n int, conn net.Conn, r *http.Request) bool) {
	defer func() { _ = conn.Close() }()
	reader := bufio.NewReader(conn)
	for answer != nil {
		r, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		a.mu.Lock()
		a.head = append(a.head, r.Method)
		n := len(a.head)
		a.mu.Unlock()
		if !answer(n, conn, r) {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
	}
}

func (a *wireApp) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.head)
}

// saying answers every request with the same text, when it has been read.
func saying(text string) func(int, net.Conn, *http.Request) bool {
	return func(_ int, conn net.Conn, r *http.Request) bool {
		_, _ = io.Copy(io.Discard, r.Body)
		_, err := io.WriteString(conn, text)
		return err == nil && !strings.Contains(text, "Connection: close")
	}
}

// startFastCGI starts a FastCGI app.
func startFastCGI(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() { _ = fcgi.Serve(listener, handler) }()
	return listener.Addr().String()
}

// Whatever reads the body in a placeholder, the app gets the whole of it.
func TestPlaceholdersReadTheBodyAndTheAppGetsIt(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	s := testbed.DocRouter()
	for name, c := range map[string]struct {
		site   string // before the guard
		guard  string
		behind string
		copied string // X-Copy, as the app gets it; "body" and "base64" stand for those
	}{
		"a CEL matcher":               {"", "", "@is expression `{http.request.body}.contains('event_id')`\n" + "reverse_proxy @is " + app.Addr(), ""},
		"a CEL matcher of the site":   {"@is expression `{http.request.body}.contains('event_id')`\nrequest_header @is X-Copy yes", "", proxy(app), "yes"},
		"vars_regexp":                 {"", "", "@is vars_regexp {http.request.body} event_id\n" + "reverse_proxy @is " + app.Addr(), ""},
		"vars_regexp twice":           {"", "", "@no vars_regexp {http.request.body} nothing\nrespond @no 500\n@is vars_regexp {http.request.body} event_id\n" + "reverse_proxy @is " + app.Addr(), ""},
		"request_header":              {"", "", "request_header X-Copy {http.request.body}\n" + proxy(app), "body"},
		"request_header of the site":  {"request_header X-Copy {http.request.body_base64}", "", proxy(app), "base64"},
		"header_up":                   {"", "", proxy(app) + " {\nheader_up X-Copy {http.request.body}\n}", "body"},
		"header_up, base64":           {"", "", proxy(app) + " {\nheader_up X-Copy {http.request.body_base64}\n}", "base64"},
		"log_append":                  {"log_append late {http.request.body}", "", proxy(app), ""},
		"log_append at the beginning": {"log_append <early {http.request.body}", "", proxy(app), ""},
		"log_append behind the guard": {"", "", "log_append inner {http.request.body}\n" + proxy(app), ""},
		"a map":                       {"map {http.request.body} {kind} {\n~event_id event\ndefault none\n}", "", proxy(app) + " {\nheader_up X-Copy {kind}\n}", "event"},
		"a map that knows the secret": {
			"map {http.request.body} {tenant} {key} {\n~org-1 one " + s.Secret + "\n}",
			"per_request", proxy(app), "",
		},
		"handle_response": {"", "", proxy(app) + " {\n@ok status 200\nhandle_response @ok {\nheader X-Copy {http.request.body}\ncopy_response\n}\n}", ""},
		"vars":            {"", "", "vars copy {http.request.body}\n" + proxy(app) + " {\nheader_up X-Copy {vars.copy}\n}", "body"},
	} {
		t.Run(name, func(t *testing.T) {
			secret, scope := secretOf(s), "scope a"
			if c.guard != "" {
				secret, scope = "secret {key} per_request", "scope {tenant}"
			}
			g := site{store: "memory", routes: "\tlog\n\t" + c.site + "\n" +
				route("", s.Name, "route {\n"+c.behind+"\n}", secret, scope)}.start(t)
			calls := app.Count()
			e := testbed.Event{}.Fill()
			body := s.Body(e)
			resp := testbed.Do(t, s.Request(t, g.URL(""), e))
			want(t, resp, 200, "forwarded")
			d := wantDelivered(t, app, calls+1, body)
			expected := map[string]string{"body": string(body), "base64": base64.StdEncoding.EncodeToString(body)}[c.copied]
			if expected == "" {
				expected = c.copied
			}
			if got := d.Header.Get("X-Copy"); got != expected {
				t.Errorf("the placeholder held %q, want %q", got, expected)
			}
			switch name {
			case "handle_response":
				if got := resp.Header.Get("X-Copy"); got != string(body) {
					t.Errorf("after the app's answer the placeholder held %q", got)
				}
			case "log_append":
				g.WaitOutput(`"late":""`) // the memory is another body's by then
			case "log_append at the beginning":
				g.WaitOutput(`"early":"{\"document\":`)
			case "log_append behind the guard":
				g.WaitOutput(`"inner":"{\"document\":`)
			}
			want(t, testbed.Do(t, s.Request(t, g.URL(""), e)), 200, "duplicate")
			large := testbed.Event{}.Fill()
			if expected == string(body) || c.copied == "base64" || name == "handle_response" {
				return // too large for a header
			}
			long := fmt.Appendf(nil, `{"organization_id":"org-1","event_id":"%s","x":"%s"}`, large.ID, strings.Repeat("y", 600_000))
			want(t, testbed.Do(t, s.RequestWith(t, g.URL(""), long, large)), 200, "forwarded")
			wantDelivered(t, app, calls+2, long)
		})
	}
}
