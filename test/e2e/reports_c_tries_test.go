package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// upstreams are what a first upstream may do with a request, before the proxy tries the
// next one. Some need the proxy to look at its answer.
var upstreams = map[string]func(int, net.Conn, *http.Request) bool{
	"drops the connection at once":     nil,
	"drops it after the headers":       func(int, net.Conn, *http.Request) bool { return false },
	"drops it in the body":             func(_ int, _ net.Conn, r *http.Request) bool { readHalf(r); return false },
	"drops it after the body":          func(_ int, _ net.Conn, r *http.Request) bool { _, _ = io.Copy(io.Discard, r.Body); return false },
	"answers 503":                      saying("HTTP/1.1 503 Oh\r\nContent-Length: 0\r\n\r\n"),
	"answers 503 before it reads":      early("HTTP/1.1 503 Oh\r\nContent-Length: 0\r\n\r\n", true),
	"answers 503 in the body":          func(n int, conn net.Conn, r *http.Request) bool { readHalf(r); return early(oh, false)(n, conn, r) },
	"answers 503, and never reads":     early("HTTP/1.1 503 Oh\r\nContent-Length: 5\r\n\r\nsorry", false),
	"answers what is not HTTP":         early("SSH-2.0-OpenSSH\r\n", false),
	"breaks the headers of its answer": early("HTTP/1.1 200 OK\r\nContent-Le", false),
}

const oh = "HTTP/1.1 503 Oh\r\nContent-Length: 0\r\n\r\n"

func early(text string, keep bool) func(int, net.Conn, *http.Request) bool {
	return func(_ int, conn net.Conn, _ *http.Request) bool {
		_, err := io.WriteString(conn, text)
		return err == nil && keep
	}
}

func readHalf(r *http.Request) { _, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2) }

// tries is a proxy that goes on to the next upstream whatever the first one did. It does not
// come back to the first one while a test lasts.
func tries(first, second, more string) string {
	return fmt.Sprintf("reverse_proxy %s %s {\nlb_policy first\nlb_retries 1\nfail_duration 10m\nunhealthy_status 503\n"+
		"lb_retry_match {\nmethod POST PUT\n}\nlb_retry_match {\nexpression {rp.status_code} in [502, 503]\n}\n%s\n}", first, second, more)
}

// eachSize starts a gateway with a proxy for each size of an event, with a first upstream of
// its own: that is unhealthy afterwards.
func eachSize(t *testing.T, sizes []int, behind func() string, options ...testbed.Option) *testbed.Gateway {
	t.Helper()
	var routes strings.Builder
	for n := range sizes {
		routes.WriteString(route(prefixOf(n), "plain", behind(), "secret a-secret-of-the-plain-provider"))
	}
	return testbed.StartGateway(t, site{store: "memory", guards: anyMethod, routes: routes.String()}.caddyfile(), options...)
}

func prefixOf(n int) string { return fmt.Sprintf("/%d", n) }

// sendSized sends an event of the n-th size.
func sendSized(t *testing.T, g *testbed.Gateway, n, size int) (body []byte, resp testbed.Response) {
	t.Helper()
	body = pattern(size)
	req := plainRequest(t, g, "POST", fmt.Sprint(size), body)
	req.URL.Path = prefixOf(n) + req.URL.Path
	return body, testbed.Do(t, req)
}

// Each upstream that is called gets the whole event.
func TestTheNextUpstreamGetsTheWholeEvent(t *testing.T) {
	t.Parallel()
	wantWholeEvents(t, "")
}

// wantWholeEvents checks what the second upstream gets of a proxy with these lines, whatever
// the first has done.
func wantWholeEvents(t *testing.T, lines string) {
	t.Helper()
	for name, answer := range upstreams {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := testbed.StartApp(t, nil)
			var firsts []*wireApp
			sizes := []int{1, 1000, 100_000, 9_000_000}
			g := eachSize(t, sizes, func() string {
				first := startWire(t, answer)
				firsts = append(firsts, first)
				return tries(first.addr, app.Addr(), lines)
			})
			for n, size := range sizes {
				body, resp := sendSized(t, g, n, size)
				want(t, resp, 200, "forwarded")
				wantDelivered(t, app, n+1, body)
				if called := firsts[n].count(); answer != nil && called != 1 {
					t.Errorf("the first upstream was called %d times, want once", called)
				}
			}
		})
	}
}

func TestTheNextUpstreamGetsTheWholeEventWithBuffers(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"drops the connection at once", "drops it in the body", "answers 503"} {
		for _, buffers := range []string{"1KiB", "64KiB", "20MiB"} {
			t.Run(name+", "+buffers, func(t *testing.T) {
				t.Parallel()
				app, sizes := testbed.StartApp(t, nil), []int{500, 100_000}
				g := eachSize(t, sizes, func() string {
					return tries(startWire(t, upstreams[name]).addr, app.Addr(), "request_buffers "+buffers)
				})
				for n, size := range sizes {
					// A proxy that holds a part of the body may fail here, but never pass on a part.
					body, resp := sendSized(t, g, n, size)
					for _, d := range app.Deliveries() {
						if d.BodyErr != nil || !bytes.Equal(d.Body, pattern(len(d.Body))) || int64(len(d.Body)) != d.ContentLength {
							t.Errorf("the next upstream got %d of %d bytes, %v", len(d.Body), d.ContentLength, d.BodyErr)
						}
					}
					if resp.Status == 200 {
						wantDelivered(t, app, app.Count(), body)
					}
				}
			})
		}
	}
}

// A proxy behind a proxy is another try, too.
func TestAProxyForTheAnswersOfAnotherGetsTheWholeEvent(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"answers 503", "answers 503 before it reads"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, app := startWire(t, upstreams[name]), testbed.StartApp(t, nil)
			g := site{store: "memory", guards: anyMethod, routes: plainRoute(fmt.Sprintf(
				"reverse_proxy %s {\n@bad status 5xx\nhandle_response @bad {\nreverse_proxy %s\n}\n}", first.addr, app.Addr()))}.start(t)
			for n, size := range []int{1, 1000, 100_000, 9_000_000} {
				want(t, testbed.Do(t, plainRequest(t, g, "POST", fmt.Sprint(size), pattern(size))), 200, "forwarded")
				wantDelivered(t, app, n+1, pattern(size))
			}
		})
	}
}

func TestTheNextUpstreamOfFastCGIGetsTheWholeEvent(t *testing.T) {
	t.Parallel()
	got := make(chan []byte, 10)
	app := startFastCGI(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got <- body
		w.WriteHeader(http.StatusOK)
	})
	for name, start := range map[string]func() string{
		"drops the connection": func() string { return startWire(t, nil).addr },
		"answers 503": func() string {
			return startFastCGI(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			sizes := []int{1, 1000, 100_000}
			g := eachSize(t, sizes, func() string { return tries(start(), app, "transport fastcgi") })
			for n, size := range sizes {
				sent, resp := sendSized(t, g, n, size)
				select {
				case body := <-got:
					if !bytes.Equal(body, sent) {
						t.Errorf("the next upstream got %d bytes of %d", len(body), size)
					}
					want(t, resp, 200, "forwarded")
				default:
					want(t, resp, 502, "upstream_failed") // it broke off where nobody knows whether all was read
				}
			}
		})
	}
}

// HTTP/2 takes the same way.
func TestTheNextUpstreamOfHTTP2GetsTheWholeEvent(t *testing.T) {
	t.Parallel()
	breaks := func(_ http.ResponseWriter, r *http.Request) {
		readHalf(r)
		panic(http.ErrAbortHandler)
	}
	got := make(chan []byte, 10)
	second := startH2C(t, func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got <- body
	})
	// Caddy's proxy itself races here: its bodyNopCloserIfNotRead is read and closed by two
	// goroutines of its HTTP/2 transport.
	sizes := []int{1, 1000, 100_000, 3_000_000}
	g := eachSize(t, sizes, func() string { return tries("h2c://"+startH2C(t, breaks), "h2c://"+second, "") }, testbed.WithoutRaceDetector())
	for n, size := range sizes {
		sent, resp := sendSized(t, g, n, size)
		want(t, resp, 200, "forwarded")
		if body := <-got; !bytes.Equal(body, sent) {
			t.Errorf("the next upstream got %d bytes of %d", len(body), size)
		}
	}
}

// Where a kept connection breaks, nothing is sent a second time by itself.
func TestAnEventIsSentOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method string
		header http.Header
		body   []byte
	}{
		"GET":                        {"GET", nil, nil},
		"GET with a body":            {"GET", nil, []byte("body")},
		"HEAD":                       {"HEAD", nil, nil},
		"OPTIONS":                    {"OPTIONS", nil, nil},
		"POST":                       {"POST", nil, nil},
		"POST, Idempotency-Key":      {"POST", http.Header{"Idempotency-Key": {"1"}}, nil},
		"PUT, X-Idempotency-Key":     {"PUT", http.Header{"X-Idempotency-Key": {"1"}}, nil},
		"POST with a body and a key": {"POST", http.Header{"Idempotency-Key": {"1"}}, []byte("body")},
	} {
		for how, more := range map[string]string{"": "", ", lb_try_duration": " {\nlb_try_duration 1s\nlb_try_interval 50ms\n}"} {
			t.Run(name+how, func(t *testing.T) {
				t.Parallel()
				// The second request finds a connection that is kept open.
				app := startWire(t, func(n int, conn net.Conn, r *http.Request) bool {
					_, _ = io.Copy(io.Discard, r.Body)
					if n > 1 && n < 8 {
						return false
					}
					_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
					return err == nil
				})
				g := site{store: "memory", guards: anyMethod, routes: plainRoute("reverse_proxy " + app.addr + more)}.start(t)
				send := func(id string) testbed.Response {
					req := plainRequest(t, g, c.method, id, c.body)
					for name, values := range c.header {
						req.Header[name] = values
					}
					return testbed.Do(t, req)
				}
				want(t, send("1"), 200, "forwarded")
				for calls := 2; calls < 8; calls++ {
					want(t, send("2"), 502, "upstream_failed")
					if n := app.count(); n != calls {
						t.Fatalf("the app was called %d times, want %d", n, calls)
					}
				}
				want(t, send("2"), 200, "forwarded")
				want(t, send("2"), 200, "duplicate")
			})
		}
	}
}

// An upstream that cannot be reached has not got the event, so the next one may.
func TestAnEventGoesToAnUpstreamThatCanBeReached(t *testing.T) {
	t.Parallel()
	down, app, auth := testbed.StartApp(t, nil), testbed.StartApp(t, nil), testbed.StartApp(t, nil)
	down.Stop()
	g := site{store: "memory", guards: anyMethod, routes: plainRoute(fmt.Sprintf(
		"route {\nforward_auth %s {\nuri /auth\n}\nreverse_proxy %s %s {\nlb_policy first\nlb_try_duration 1m\nfail_duration 10m\n}\n}", auth.Addr(), down.Addr(), app.Addr()))}.start(t)
	for n, c := range []struct {
		method string
		body   []byte
	}{{"GET", nil}, {"POST", nil}, {"POST", []byte("body")}, {"GET", []byte("body")}, {"GET", nil}} {
		want(t, testbed.Do(t, plainRequest(t, g, c.method, fmt.Sprint(n), c.body)), 200, "forwarded")
		wantCalls(t, app, n+1)
		wantCalls(t, auth, n+1)
		if d := last(t, app); !bytes.Equal(d.Body, c.body) {
			t.Errorf("the app got %q", d.Body)
		}
	}
}
