package transport

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
)

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// recorder is an app that keeps what it gets, and answers 200.
type recorder struct {
	mu   sync.Mutex
	seen []string
}

func (rec *recorder) serve(conn net.Conn) {
	eachRequest(conn, func(r *http.Request, text string) bool {
		rec.mu.Lock()
		rec.seen = append(rec.seen, fmt.Sprintf("%s %s %s length %d te %q: %s", r.Method, r.URL, r.Host, r.ContentLength, r.TransferEncoding, text))
		rec.mu.Unlock()
		_, err := io.WriteString(conn, okAnswer)
		return err != nil
	})
}

func (rec *recorder) all() []string {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return append([]string(nil), rec.seen...)
}

// kept is long, so that a connection is still there for the next event of a test that stands
// still in between.
var kept = settings{"idle_timeout": "5m"}

// webhook are the settings of a proxy with this transport.
func webhook(transport settings, addresses ...string) settings {
	with := settings{"protocol": "webhook", "keep_alive": kept}
	for name, value := range transport {
		with[name] = value
	}
	return settings{"upstreams": upstreams(addresses...), "transport": with}
}

func (p *proxy) transport() *Transport { return p.handler.Transport.(*Transport) }

// idle is the number of connections that the transport's own way keeps.
func (p *proxy) idle() int {
	pool := &p.transport().pool
	pool.mu.Lock()
	defer pool.mu.Unlock()
	return pool.count
}

// wantOwnWay fails where an event went Caddy's way.
func (p *proxy) wantOwnWay(t *testing.T, own bool) {
	t.Helper()
	if got := p.idle() > 0; got != own {
		t.Errorf("went the own way: %t, want %t", got, own)
	}
}

func TestWhatGoesItsOwnWay(t *testing.T) {
	for name, tc := range map[string]struct {
		transport settings
		method    string
		text      string
		header    http.Header
		between   func(*http.Request)
		own       bool
		want      string // what the app gets, less its first words
	}{
		"an event":            {text: "event", own: true, want: "POST / app length 5 te []: event"},
		"no body":             {own: true, want: "POST / app length 0 te []: "},
		"GET":                 {method: "GET", own: true, want: "GET / app length 0 te []: "},
		"GET with a body":     {method: "GET", text: "event", own: true, want: "GET / app length 5 te []: event"},
		"DELETE":              {method: "DELETE", own: true, want: "DELETE / app length 0 te []: "},
		"HTTP/1.1 alone":      {transport: settings{"versions": []string{"1.1"}}, text: "event", own: true, want: "POST / app length 5 te []: event"},
		"no guard":            {between: func(r *http.Request) { *r = *r.WithContext(withoutGuard{r.Context()}) }, text: "event", want: "POST / app length 5 te []: event"},
		"expects 100":         {header: http.Header{"Expect": {"100-continue"}}, text: "event", want: "POST / app length 5 te []: event"},
		"an upgrade":          {header: http.Header{"Connection": {"Upgrade"}, "Upgrade": {"x"}}, text: "event", want: "POST / app length 5 te []: event"},
		"another body":        {between: func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("other")) }, text: "event", want: "POST / app length 5 te []: other"},
		"a body around it":    {between: func(r *http.Request) { r.Body = &upper{r.Body} }, text: "event", want: "POST / app length 5 te []: EVENT"},
		"a dropped body":      {between: func(r *http.Request) { r.Body, r.ContentLength = nil, 0 }, text: "event", own: true, want: "POST / app length 0 te []: "},
		"an emptied body":     {between: func(r *http.Request) { r.Body, r.ContentLength = http.NoBody, 0 }, text: "event", own: true, want: "POST / app length 0 te []: "},
		"an unknown length":   {between: func(r *http.Request) { r.ContentLength = -1 }, text: "event", want: `POST / app length -1 te ["chunked"]: event`},
		"trailers":            {between: func(r *http.Request) { r.Trailer = http.Header{"X-Sum": {"1"}} }, text: "event", want: `POST / app length -1 te ["chunked"]: event`},
		"a host of letters":   {between: func(r *http.Request) { r.Host = "münchen.example" }, text: "event", want: "POST / xn--mnchen-3ya.example length 5 te []: event"},
		"a rewritten query":   {between: func(r *http.Request) { r.URL.RawQuery = "a=b c" }, text: "event", want: ""},
		"a network proxy":     {transport: settings{"network_proxy": settings{"from": "none"}}, text: "event", own: true, want: "POST / app length 5 te []: event"},
		"a body read before":  {between: func(r *http.Request) { _, _ = io.ReadFull(r.Body, make([]byte, 2)) }, text: "event", own: true, want: "POST / app length 5 te []: event"},
		"a body closed early": {between: func(r *http.Request) { _ = r.Body.Close() }, text: "event", own: true, want: "POST / app length 5 te []: event"},
	} {
		t.Run(name, func(t *testing.T) {
			var rec recorder
			p := startProxy(t, webhook(tc.transport, startApp(t, rec.serve).address()))
			p.between = func(r *http.Request) {
				r.Host = "app"
				for name, values := range tc.header {
					r.Header[name] = values
				}
				if tc.between != nil {
					tc.between(r)
				}
			}
			method := tc.method
			if method == "" {
				method = http.MethodPost
			}
			_, text := p.do(t, method, "/", strings.NewReader(tc.text))
			seen := rec.all()
			if tc.want != "" && (len(seen) != 1 || seen[0] != tc.want) {
				t.Fatalf("the app got %q, want %q; the sender %s", seen, tc.want, text)
			}
			p.wantOwnWay(t, tc.own)
		})
	}
}

// withoutGuard hides that a guard forwards a request.
type withoutGuard struct{ context.Context }

func (w withoutGuard) Value(key any) any {
	if f, ok := w.Context.(forwarded); ok {
		return f.Context.Value(key)
	}
	return w.Context.Value(key)
}

// upper is a body that looks like one that only embeds another.
type upper struct{ io.ReadCloser }

func (u *upper) Read(p []byte) (int, error) {
	n, err := u.ReadCloser.Read(p)
	copy(p, strings.ToUpper(string(p[:n])))
	return n, err
}

// A rewrite in the proxy itself holds: a GET takes no body along.
func TestARewriteInTheProxyHolds(t *testing.T) {
	var rec recorder
	config := webhook(nil, startApp(t, rec.serve).address())
	config["rewrite"] = settings{"method": "GET", "uri": "/x?y"}
	p := startProxy(t, config)
	p.post(t, "event")
	if got := rec.all(); len(got) != 1 || !strings.HasPrefix(got[0], "GET /x?y ") || !strings.HasSuffix(got[0], " length 0 te []: ") {
		t.Errorf("the app got %q", got)
	}
	p.wantOwnWay(t, true)
}

// A header that must not be sent as it is is not: neither transport sends the event.
func TestAHeaderCannotAddAnother(t *testing.T) {
	for _, way := range ways {
		for name, header := range map[string]http.Header{
			"a line feed":            {"X-One": {"a\nX-Two: b"}},
			"a carriage return":      {"X-One": {"a\r\nX-Two: b"}},
			"a NUL":                  {"X-One": {"a\x00"}},
			"a name with a colon":    {"X-One: a\r\nX-Two": {"b"}},
			"a name with a space":    {"X One": {"b"}},
			"an empty name":          {"": {"b"}},
			"a length of its own":    {"Content-Length": {"3"}},
			"an encoding of its own": {"Transfer-Encoding": {"chunked"}},
			"a trailer of its own":   {"Trailer": {"X-Sum"}},
			"a host of its own":      {"Host": {"other"}},
		} {
			t.Run(way+"/"+name, func(t *testing.T) {
				var rec recorder
				p := startProxy(t, settings{"upstreams": upstreams(startApp(t, rec.serve).address()), "transport": settings{"protocol": way}})
				p.between = func(r *http.Request) {
					r.Host = "app"
					for name, values := range header {
						r.Header[name] = values
					}
				}
				status, _ := p.post(t, "event")
				got := rec.all()
				switch {
				case status == 502 && len(got) == 0:
				case status == 200 && len(got) == 1 && got[0] == "POST / app length 5 te []: event":
				default:
					t.Errorf("the sender got %d, the app %q", status, got)
				}
			})
		}
	}
}

// The proxy's own settings and the transport's default for TLS hold.
func TestHeaderSettingsHold(t *testing.T) {
	var rec recorder
	config := webhook(nil, startApp(t, rec.serve).address())
	config["headers"] = headers.Handler{Request: &headers.HeaderOps{Set: http.Header{"Host": {"set.example"}}}}
	p := startProxy(t, config)
	p.post(t, "event")
	if got := rec.all(); len(got) != 1 || !strings.Contains(got[0], " set.example ") {
		t.Errorf("the app got %q", got)
	}
	p.wantOwnWay(t, true)
}

// A User-Agent that the proxy takes away is not made up for.
func TestNoUserAgentIsNone(t *testing.T) {
	got := make(chan []string, 1)
	a := startApp(t, func(conn net.Conn) {
		eachRequest(conn, func(r *http.Request, _ string) bool {
			got <- r.Header["User-Agent"]
			return !says(okAnswer)(conn)
		})
	})
	config := webhook(nil, a.address())
	config["headers"] = headers.Handler{Request: &headers.HeaderOps{Delete: []string{"User-Agent"}}}
	startProxy(t, config).post(t, "event")
	if agent := <-got; agent != nil {
		t.Errorf("the app got %q", agent)
	}
}

func TestUnixSocket(t *testing.T) {
	wantConnections(t, 1, func() int64 {
		var rec recorder
		path := filepath.Join(t.TempDir(), "app.sock")
		a := listen(t, "unix", path, rec.serve)
		p := startProxy(t, webhook(nil, "unix/"+path))
		for _, size := range []int{300 << 10, 300 << 10, 5} {
			if status, text := p.post(t, strings.Repeat("x", size)); status != 200 {
				t.Fatal(status, text)
			}
		}
		p.wantOwnWay(t, true)
		return a.connections.Load()
	})
}

// A proxy that tries again gives each app the whole event, and each try once.
func TestEachTryGetsTheWholeEvent(t *testing.T) {
	for _, size := range []int{5, 40 << 10, 8 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			var rec recorder
			tries := make(chan struct{}, 10)
			breaks := startApp(t, func(conn net.Conn) {
				tries <- struct{}{}
				_, _ = conn.Read(make([]byte, 100)) // a part, and then it is gone
			})
			works := startApp(t, rec.serve)
			config := webhook(nil, breaks.address(), works.address())
			config["load_balancing"] = settings{"retries": 3, "selection_policy": settings{"policy": "round_robin"}, "retry_match": []settings{{"method": []string{"POST"}}}}
			p := startProxy(t, config)
			text := strings.Repeat("x", size)
			for range 4 {
				if status, answer := p.post(t, text); status != 200 {
					t.Fatal(status, answer)
				}
			}
			for _, got := range rec.all() {
				if !strings.HasSuffix(got, fmt.Sprintf(" length %d te []: %s", size, text)) {
					t.Errorf("the app got %.100q, %d bytes", got, len(got))
				}
			}
			if len(rec.all()) != 4 || len(tries) == 0 {
				t.Errorf("%d events arrived, %d broken tries", len(rec.all()), len(tries))
			}
		})
	}
}

// An app that refuses connections is the proxy's to retry, as with Caddy's transport.
func TestADialErrorIsOne(t *testing.T) {
	var rec recorder
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	config := webhook(nil, closed.Addr().String(), startApp(t, rec.serve).address())
	config["load_balancing"] = settings{"retries": 1, "selection_policy": settings{"policy": "first"}}
	config["health_checks"] = settings{"passive": settings{"fail_duration": "5m"}}
	p := startProxy(t, config)
	if status, text := p.post(t, "event"); status != 200 {
		t.Error(status, text)
	}
}

// Nothing is sent twice by the transport itself, a GET least of all.
func TestARequestIsSentOnce(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodHead} {
		t.Run(method, func(t *testing.T) {
			var mu sync.Mutex
			var got int
			a := startApp(t, func(conn net.Conn) {
				first := true
				eachRequest(conn, func(*http.Request, string) bool {
					mu.Lock()
					got++
					mu.Unlock()
					if first { // later ones are read, and the connection breaks
						first = false
						_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
						return false
					}
					return true
				})
			})
			p := startProxy(t, webhook(nil, a.address()))
			for i, want := range []int{200, 502} {
				if status, text := p.do(t, method, "/", http.NoBody); status != want {
					t.Fatal(i, status, text)
				}
			}
			if mu.Lock(); got != 2 {
				t.Errorf("the app got %d requests, want 2", got)
			}
			mu.Unlock()
		})
	}
}

// The request ends with its context, at any point of the way.
func TestACancelledRequestEnds(t *testing.T) {
	for name, tc := range map[string]struct {
		serve func(net.Conn)
		size  int
	}{
		"while the app works":       {func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }, 5},
		"while the app reads":       {func(conn net.Conn) { _, _ = conn.Read(make([]byte, 10)); time.Sleep(time.Minute) }, 16 << 20},
		"while the answer comes":    {func(conn net.Conn) { says(length5 + "he")(conn); _, _ = io.Copy(io.Discard, conn) }, 5},
		"while the headers come":    {func(conn net.Conn) { says(ok)(conn); _, _ = io.Copy(io.Discard, conn) }, 5},
		"an answer without an end":  {func(conn net.Conn) { says(ok + "\r\nhello")(conn); _, _ = io.Copy(io.Discard, conn) }, 5},
		"answered before it's read": {func(conn net.Conn) { says(chunked)(conn); time.Sleep(time.Minute) }, 16 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			p := startProxy(t, webhook(nil, startApp(t, tc.serve).address()))
			begun := make(chan struct{})
			p.between = func(r *http.Request) {
				ctx, cancel := context.WithCancel(r.Context())
				*r = *r.WithContext(ctx)
				time.AfterFunc(50*time.Millisecond, cancel)
				close(begun)
			}
			start := time.Now()
			status, _ := p.post(t, strings.Repeat("x", tc.size))
			<-begun
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("ended after %s with %d", took, status)
			}
			if p.idle() != 0 {
				t.Error("its connection was kept")
			}
		})
	}
}
