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
			got := make(map[string]outcome, len(ways))
			for _, way := range ways {
				got[way] = tc.run(t, way)
			}
			if tc.differs != nil {
				tc.differs(t, got["http"], got["webhook"])
				return
			}
			theirs := got["http"]
			if got["webhook"].next == own {
				theirs.next = own // net/http may not have seen yet that its connection has ended
			}
			if theirs != got["webhook"] {
				t.Errorf("through transport http:\n%s\nthrough transport webhook:\n%s", theirs, got["webhook"])
			}
			if want := tc.status; want != 0 && got["webhook"].status != want {
				t.Errorf("status %d, want %d", got["webhook"].status, want)
			}
		})
	}
}

func (tc answer) run(t *testing.T, way string) outcome {
	t.Helper()
	var first, last sync.Once
	over := make(chan struct{}) // the app has done all that it does with the event
	a := startApp(t, func(conn net.Conn) {
		if tc.early != nil {
			first.Do(func() { tc.early(conn) })
		}
		tc.serve(conn, func() { last.Do(func() { close(over) }) })
	})
	transport := settings{"protocol": way, "response_header_timeout": "400ms", "read_timeout": "600ms", "max_response_header_size": 64 << 10}
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
	// An event that is sent just before the app closes the connection is lost, as ever.
	select {
	case <-over:
	case <-time.After(time.Second): // the app waits for the other side
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

// halfCloses ends what the app says, and waits for the other side to end too.
func halfCloses(conn net.Conn) bool {
	_ = conn.(*net.TCPConn).CloseWrite()
	_, _ = io.Copy(io.Discard, conn)
	return false
}

// stalls says nothing more until the other side gives up.
func stalls(conn net.Conn) bool {
	_, _ = io.Copy(io.Discard, conn)
	return false
}
