package e2e

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

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
		"tracing":         {"tracing {\nspan hooks\n}", "", "@is expression `{http.request.body}.contains('event_id')`\nreverse_proxy @is " + app.Addr(), ""},
		"tracing, base64": {"tracing {\nspan hooks\n}", "", "request_header X-Copy {http.request.body_base64}\n" + proxy(app), "base64"},
		"vars":            {"", "", "vars copy {http.request.body}\n" + proxy(app) + " {\nheader_up X-Copy {vars.copy}\n}", "body"},
	} {
		t.Run(name, func(t *testing.T) {
			secret, scope := secretOf(s), "scope a"
			if c.guard != "" {
				secret, scope = "secret {key} per_request", "scope {tenant}"
			}
			g := testbed.StartGateway(t, site{store: "memory", routes: "\tlog\n\t" + c.site + "\n" +
				route("", s.Name, "route {\n"+c.behind+"\n}", secret, scope)}.caddyfile(), testbed.WithEnv("OTEL_TRACES_EXPORTER=none"))
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

// An answer without a body by definition is whole, whatever length it states.
func TestAnswersWithoutABodyAreWhole(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method, answer string
		status         int
		result         string
	}{
		"204, as Django under gunicorn": {"POST", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", 204, "forwarded"},
		"204 with a length":             {"POST", "HTTP/1.1 204 No Content\r\nContent-Length: 12\r\n\r\n", 204, "forwarded"},
		"204 that closes":               {"POST", "HTTP/1.1 204 No Content\r\nContent-Length: 12\r\nConnection: close\r\n\r\n", 204, "forwarded"},
		"204 of HTTP/1.0":               {"POST", "HTTP/1.0 204 No Content\r\nContent-Length: 5\r\nConnection: close\r\n\r\n", 204, "forwarded"},
		"205":                           {"POST", "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", 205, "forwarded"},
		"205 with a length":             {"POST", "HTTP/1.1 205 Reset Content\r\nContent-Length: 5\r\nConnection: close\r\n\r\n", 205, "forwarded"},
		"304 with a length":             {"POST", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, "upstream_failed"},
		"after a 103":                   {"POST", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", 204, "forwarded"},
		"HEAD":                          {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", 200, "forwarded"},
		"HEAD, a failure":               {"HEAD", "HTTP/1.1 500 Oh\r\nContent-Length: 500\r\n\r\n", 500, "upstream_failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := startWire(t, saying(c.answer))
			g := site{store: "memory", guards: anyMethod, routes: plainRoute("reverse_proxy " + app.addr)}.start(t)
			body := []byte("an event")
			if c.method == "HEAD" {
				body = nil
			}
			want(t, testbed.Do(t, plainRequest(t, g, c.method, "1", body)), c.status, c.result)
			if c.result == "forwarded" {
				want(t, testbed.Do(t, plainRequest(t, g, c.method, "1", body)), c.status, "duplicate")
			}
		})
	}
}

func TestAnswersOfFastCGIWithoutABodyAreWhole(t *testing.T) {
	t.Parallel()
	for status, result := range map[int]string{204: "forwarded", 205: "forwarded", 304: "upstream_failed"} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			app := startFastCGI(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "7")
				w.WriteHeader(status)
			})
			for n, behind := range []string{
				"reverse_proxy " + app + " {\ntransport fastcgi\n}",
				"php_fastcgi " + app + " {\ntry_files index.php\n}",
			} {
				g := site{store: "memory", guards: anyMethod, routes: plainRoute(behind)}.start(t)
				want(t, testbed.Do(t, plainRequest(t, g, "POST", fmt.Sprint(n), []byte("an event"))), status, result)
			}
		})
	}
}

// An error is a failure whatever status it has.
func TestAnErrorIsNoSuccess(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, func(testbed.Delivery) testbed.Answer { return testbed.Answer{Status: 500} })
	for _, status := range []int{100, 103, 200, 202, 204, 299} {
		for name, behind := range map[string]string{
			"error":           fmt.Sprintf("error \"x\" %d", status),
			"handle_response": fmt.Sprintf("%s {\n@bad status 5xx\nhandle_response @bad {\nerror \"x\" %d\n}\n}", proxy(app), status),
		} {
			for routes, errors := range map[string]string{"": "", ", with error routes": "\n\thandle_errors {\n\t\trespond {http.error.status_code}\n\t}\n"} {
				t.Run(fmt.Sprintf("%s %d%s", name, status, routes), func(t *testing.T) {
					t.Parallel()
					g := site{store: "memory", guards: anyMethod, routes: plainRoute(behind) + errors}.start(t)
					for range 2 {
						want(t, testbed.Do(t, plainRequest(t, g, "POST", "1", []byte("x"))), 502, "upstream_failed")
					}
				})
			}
		}
	}
}

// What a handler says beside its error reaches the sender, and nothing of an answer that
// took no effect does.
func TestHeadersBesideAnErrorAreKept(t *testing.T) {
	t.Parallel()
	cut := testbed.StartApp(t, func(testbed.Delivery) testbed.Answer {
		return testbed.Answer{Cut: true, Header: http.Header{"Set-Cookie": {"a=of-the-answer"}, "Etag": {`"x"`}}, Body: []byte("half")}
	})
	lenient := testbed.StartApp(t, func(testbed.Delivery) testbed.Answer {
		return testbed.Answer{Header: http.Header{"Set-Cookie": {"a=of-the-answer"}}, Body: []byte("whole")}
	})
	for name, c := range map[string]struct {
		behind string
		lines  []string
		status int
		header http.Header
		result string
	}{
		"a rate limit":     {"header Retry-After 7\nheader +Set-Cookie a=1\nheader +Set-Cookie b=2\nerror 429", nil, 429, http.Header{"Retry-After": {"7"}, "Set-Cookie": {"a=1", "b=2"}}, "upstream_failed"},
		"an overload":      {"header Retry-After 120\nerror 503", nil, 503, http.Header{"Retry-After": {"120"}}, "upstream_failed"},
		"basic_auth":       {"basic_auth {\nbob $2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG\n}\nrespond ok", nil, 401, http.Header{"Www-Authenticate": {`Basic realm="restricted"`}}, "upstream_failed"},
		"another method":   {"root /etc\nrewrite * /hosts\nfile_server", nil, 405, http.Header{"Allow": {"GET, HEAD"}}, "upstream_failed"},
		"no success":       {"header Retry-After 7\nerror \"x\" 200", nil, 502, http.Header{"Retry-After": {"7"}}, "upstream_failed"},
		"the guard's name": {"header Webhook-Guard duplicate\nheader Webhook-Guard-Id 5\nheader Content-Length 500\nerror 500", nil, 500, http.Header{"Webhook-Guard-Id": nil}, "upstream_failed"},
		"a broken answer":  {proxy(cut), nil, 502, http.Header{"Set-Cookie": nil, "Etag": nil}, "upstream_failed"},
		"another success":  {proxy(lenient), []string{"success 202"}, 502, http.Header{"Set-Cookie": nil}, "upstream_failed"},
		"nothing answers":  {"header Retry-After 7", nil, 503, http.Header{"Retry-After": {"1"}}, "misconfigured"},
	} {
		for routes, errors := range map[string]string{"": "", ", with error routes": "\n\thandle_errors {\n\t\trespond page\n\t}\n"} {
			t.Run(name+routes, func(t *testing.T) {
				t.Parallel()
				g := site{store: "memory", guards: anyMethod, routes: plainRoute("route {\n"+c.behind+"\n}", c.lines...) + errors}.start(t)
				resp := testbed.Do(t, plainRequest(t, g, "POST", "1", []byte("x")))
				want(t, resp, c.status, c.result)
				for header, values := range c.header {
					if got := resp.Header[header]; !slices.Equal(got, values) {
						t.Errorf("%s is %q, want %q", header, got, values)
					}
				}
				if n := len(resp.Header["Webhook-Guard"]); n != 1 {
					t.Errorf("the result is named %d times", n)
				}
				if page := string(resp.Body); errors != "" && page != "page" || errors == "" && page != "" {
					t.Errorf("the page is %q", page)
				}
			})
		}
	}
}

// The log says what the app did, and the configuration is not at fault.
func TestAnAppThatSwitchesProtocols(t *testing.T) {
	t.Parallel()
	for name, upgrade := range map[string]string{"asked for": "websocket", "not asked for": "", "another one": "h2c"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := startWire(t, saying("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"))
			g := site{store: "memory", guards: anyMethod, routes: plainRoute("reverse_proxy " + app.addr)}.start(t)
			req := plainRequest(t, g, "POST", "1", []byte("x"))
			if upgrade != "" {
				req.Header.Set("Connection", "Upgrade")
				req.Header.Set("Upgrade", upgrade)
			}
			want(t, testbed.Do(t, req), 502, "upstream_failed")
			g.WaitOutput("the app answered 101")
			if strings.Contains(g.Output(), "put a reverse_proxy") {
				t.Error("the log blames the configuration")
			}
		})
	}
}

// A sender that waits for permission to send its body is refused at once.
func TestARefusalDoesNotWaitForABodyThatNobodyAskedFor(t *testing.T) {
	t.Parallel()
	app, fallback := testbed.StartApp(t, nil), testbed.StartApp(t, nil)
	g := site{store: "memory", routes: "\tlog\n" + docRouterRoute("", proxy(app), "body_timeout 20s", "max_body 1MiB") +
		docRouterRoute("/fallback", proxy(app), "body_timeout 20s") + "\n\thandle_errors {\n\t\t@fallback path /fallback/*\n\t\treverse_proxy @fallback " + fallback.Addr() + "\n\t}\n"}.start(t)
	s := testbed.DocRouter()
	for name, edit := range map[string]func(*http.Request) *http.Request{
		"405": func(r *http.Request) *http.Request { r.Method = "PUT"; return r },
		"401": func(r *http.Request) *http.Request { r.Header.Del(s.SignatureHeader); return r },
		"403": func(r *http.Request) *http.Request { r.Header.Set("X-DocRouter-Timestamp", "1000000000"); return r },
		"413": func(r *http.Request) *http.Request { return r },
	} {
		for length, line := range map[string]string{"short": "Content-Length: 100", "long": "Content-Length: 1000000", "in chunks": "Transfer-Encoding: chunked"} {
			if name == "413" {
				if length == "in chunks" {
					continue // its size is not known before it is read
				}
				line = "Content-Length: 1100000"
			}
			t.Run(name+", "+length, func(t *testing.T) {
				t.Parallel()
				req := edit(s.Request(t, g.URL(""), testbed.Event{}))
				conn := dial(t, req)
				start := time.Now()
				say(t, conn, wire(req, "Expect: 100-continue", line))
				all, err := io.ReadAll(conn) // until the connection is closed
				if err != nil || !strings.HasPrefix(string(all), "HTTP/1.1 "+name) {
					t.Errorf("the sender got %.40q, %v", all, err)
				}
				if took := time.Since(start); took > 15*time.Second {
					t.Errorf("the sender waited for %v", took)
				}
			})
		}
	}
	t.Run("an error route asks", func(t *testing.T) {
		t.Parallel()
		req := s.Request(t, g.URL("/fallback"), testbed.Event{})
		req.Header.Del(s.SignatureHeader)
		conn := dial(t, req)
		say(t, conn, wire(req, "Expect: 100-continue", "Content-Length: 4"))
		answers := bufio.NewReader(conn)
		statuses := []int{}
		for len(statuses) == 0 || statuses[len(statuses)-1] == http.StatusContinue { // the fallback's own among them
			resp, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatalf("no answer after %d: %v", statuses, err)
			}
			_ = resp.Body.Close()
			if statuses = append(statuses, resp.StatusCode); len(statuses) == 1 {
				say(t, conn, "body")
			}
		}
		if statuses[0] != http.StatusContinue || statuses[len(statuses)-1] != http.StatusOK {
			t.Errorf("the sender got %d, want to be asked and then 200", statuses)
		}
		wantDelivered(t, fallback, 1, []byte("body"))
	})
	t.Cleanup(func() { wantCalls(t, app, 0) })
}
