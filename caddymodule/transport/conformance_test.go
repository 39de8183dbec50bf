package transport

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// outcome is what a client learns of an answer.
type outcome struct {
	status        int
	header        string
	body          string
	broken        bool
	trailer       string
	informational string
	next          string // what the next event gets
}

// own is what the next events get where they get their own answers.
const own = "200ok;200ok;"

func (o outcome) String() string {
	return fmt.Sprintf("status %d\nheader %s\nbody %.200q, %d bytes, broken %t\ntrailer %s\ninformational %s\nnext %s",
		o.status, o.header, o.body, len(o.body), o.broken, o.trailer, o.informational, o.next)
}

// Each answer of an app comes to the same through Caddy's transport and through ours, in a
// proxy that is otherwise the same. A case that is to differ says how and why. Afterwards
// the next event gets its own answer.
func TestAnswersComeToTheSame(t *testing.T) {
	for _, tc := range answers() {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if !tc.stalls {
				if wrong := tc.compare(t, 30*time.Second); wrong != "" {
					t.Error(wrong)
				}
				return
			}
			// The app has to be slower than the limit, and all else faster. Where something
			// else has stood still too, the limit is longer the next time.
			wrong := "no limit was tried"
			for _, limit := range []time.Duration{400 * time.Millisecond, 3 * time.Second, 20 * time.Second} {
				if wrong = tc.compare(t, limit); wrong == "" {
					return
				}
			}
			t.Error(wrong)
		})
	}
}

// compare returns what is wrong where both transports have this limit for the app.
func (tc answer) compare(t *testing.T, limit time.Duration) string {
	t.Helper()
	theirs, ours := tc.run(t, "http", limit), tc.run(t, "webhook", limit)
	if tc.differs != nil {
		return tc.differs(theirs, ours)
	}
	if ours.next == own {
		theirs.next = own // net/http may not have seen yet that its connection has ended
	}
	if theirs != ours {
		return fmt.Sprintf("through transport http:\n%s\nthrough transport webhook:\n%s", theirs, ours)
	}
	if want := tc.status; want != 0 && ours.status != want {
		return fmt.Sprintf("status %d, want %d", ours.status, want)
	}
	return ""
}

func (tc answer) run(t *testing.T, way string, limit time.Duration) outcome {
	t.Helper()
	var first sync.Once
	var over atomic.Bool  // the app has done all that it does with the event
	var left atomic.Int64 // connections
	answered := make(chan struct{})
	a := startApp(t, func(conn net.Conn) {
		defer left.Add(1)
		if tc.early != nil {
			first.Do(func() {
				if !tc.early(conn) {
					<-answered // or else the answer may be lost with the connection
					_ = conn.Close()
				}
			})
		}
		tc.serve(conn, func() { over.Store(true) })
	})
	transport := settings{
		"protocol": way, "keep_alive": kept, "max_response_header_size": 64 << 10,
		"response_header_timeout": limit.String(), "read_timeout": (limit * 3 / 2).String(),
	}
	maps.Copy(transport, tc.transport)
	p := startProxy(t, settings{"upstreams": upstreams(a.address()), "transport": transport})

	var informational []string
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
		informational = append(informational, fmt.Sprint(code, flatten(http.Header(header))))
		return nil
	}}
	ctx, cancel := context.WithTimeout(httptrace.WithClientTrace(t.Context(), trace), time.Minute)
	defer cancel()
	method, text := tc.method, "an event"
	if method == "" {
		method = http.MethodPost
	}
	if tc.size > 0 {
		text = strings.Repeat("x", tc.size)
	}
	req, err := http.NewRequestWithContext(ctx, method, p.URL+"/case", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(req.Header, tc.header)
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	var got outcome
	resp, err := client.Do(req)
	if err != nil {
		got.broken = true
	} else {
		data, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		resp.Header.Del("Date")
		resp.Header.Del("Error") // its words are each transport's own
		if len(data) == 0 && method != http.MethodHead {
			resp.Header.Del("Content-Length") // the proxy flushes an empty answer or does not, by chance
		}
		got = outcome{status: resp.StatusCode, header: flatten(resp.Header), body: string(data), broken: err != nil, trailer: flatten(resp.Trailer)}
	}
	got.informational = strings.Join(informational, ", ")
	close(answered)
	// An event that is sent just before the app closes the connection is lost, as ever.
	until(t, "the proxy and the app have done with the event", func() bool {
		return p.ended.Load() == 1 && (over.Load() || left.Load() == a.connections.Load())
	})
	if tc.closes && way == "webhook" {
		p.waitForNews(t)
	}
	for range 2 { // over what is kept, and over what that leaves
		status, text := p.post(t, "the next event")
		if status != http.StatusOK {
			text = ""
		}
		got.next += fmt.Sprint(status, text, ";")
	}
	return got
}

func flatten(header http.Header) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(header)) {
		fmt.Fprintf(&b, "%s=%q ", name, header[name])
	}
	return b.String()
}

// serve answers the case once, and any other event with 200. It calls over when it has
// answered the case, and has closed the connection where that is a part of the answer.
func (tc answer) serve(conn net.Conn, over func()) {
	eachRequest(conn, func(r *http.Request, _ string) (last bool) {
		if r.URL.Path != "/case" {
			_, err := io.WriteString(conn, okAnswer)
			return err != nil
		}
		defer over()
		if tc.stalls {
			over() // the proxy gives up first
		}
		for _, s := range tc.steps {
			if !s(conn) {
				_ = conn.Close()
				return true
			}
		}
		return false
	})
}

// A step is one thing that an app does. It is the last one where it returns false.
type action = func(net.Conn) bool

func says(text string) action {
	return func(conn net.Conn) bool {
		_, err := io.WriteString(conn, text)
		return err == nil
	}
}

// drips says a text byte by byte.
func drips(text string) action {
	return func(conn net.Conn) bool {
		for i := range len(text) {
			if _, err := io.WriteString(conn, text[i:i+1]); err != nil {
				return false
			}
			time.Sleep(200 * time.Microsecond)
		}
		return true
	}
}

func closes(net.Conn) bool { return false }

func resets(conn net.Conn) bool {
	_ = conn.(*net.TCPConn).SetLinger(0)
	return false
}

// halfCloses ends what the app says. It reads on until the other side ends too.
func halfCloses(conn net.Conn) bool {
	_ = conn.(*net.TCPConn).CloseWrite()
	return true
}

// stalls says nothing more until the other side gives up.
func stalls(conn net.Conn) bool {
	_, _ = io.Copy(io.Discard, conn)
	return false
}
