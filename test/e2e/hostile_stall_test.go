package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

const (
	// A sixteenth of the defaults of max_body and max_buffered: what counts is their proportion.
	largest, most = 640 << 10, 16 * mebibyte
	stalled       = largest - 8<<10
	large         = 64 << 10
)

// stallers are senders that send nearly all of a body of the largest size and then
// nothing, and start again when they are refused.
type stallers struct {
	begun   atomic.Int64 // uploads
	stalled atomic.Int64 // those that have sent what they ever will
	mu      sync.Mutex
	answers map[string]int
	ended   chan struct{}
	wg      sync.WaitGroup
}

// startStallers keeps n uploads stalled, until the test or stop ends them.
func startStallers(t *testing.T, n int, request func() *http.Request) *stallers {
	t.Helper()
	st := &stallers{answers: make(map[string]int), ended: make(chan struct{})}
	filler := bytes.Repeat([]byte("x"), stalled)
	for range n {
		head := wire(request(), fmt.Sprintf("Content-Length: %d", largest))
		addr := request().URL.Host
		st.wg.Go(func() {
			for !st.over() {
				st.upload(addr, head, filler)
			}
		})
	}
	t.Cleanup(st.stop)
	return st
}

func (st *stallers) over() bool {
	select {
	case <-st.ended:
		return true
	default:
		return false
	}
}

func (st *stallers) stop() {
	if !st.over() {
		close(st.ended)
	}
	st.wg.Wait()
}

// upload makes one such upload and returns at the gateway's answer.
func (st *stallers) upload(addr, head string, body []byte) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-st.ended:
			_ = conn.Close()
		case <-done:
		}
	}()
	st.begun.Add(1)
	if _, err := io.WriteString(conn, head); err != nil {
		return
	}
	if _, err := conn.Write(body); err == nil {
		st.stalled.Add(1)
	}
	answer, _ := io.ReadAll(conn)
	result := "none"
	for line := range strings.SplitSeq(string(answer), "\r\n") {
		if value, ok := strings.CutPrefix(line, "Webhook-Guard: "); ok {
			result = value
		}
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.answers[result]++
}

// Uploads that stall, and are renewed for as long as the test lasts, together with
// copies of one large event that wait for the app: every sender's events are still
// forwarded.
func TestStalledUploadsStarveNobody(t *testing.T) {
	t.Parallel()
	hold := newGate(t)
	app := testbed.StartApp(t, func(d testbed.Delivery) testbed.Answer {
		if len(d.Body) > large {
			return testbed.Answer{Wait: hold.c}
		}
		return testbed.Answer{}
	})
	g := testbed.StartGateway(t, setup{
		store: fmt.Sprintf("memory\n\t\tmax_buffered %d", most), app: app, lines: fmt.Sprintf("in_flight wait 1m\n\t\t\tmax_body %d", largest),
	}.caddyfile(), testbed.WithoutRaceDetector())

	docrouter := testbed.DocRouter()
	e := testbed.Event{}.Fill()
	body := docrouter.Body(e)
	body = append(body, bytes.Repeat([]byte(" "), largest-len(body))...)
	var copies sync.WaitGroup
	answers := make(chan testbed.Response, 26)
	for range 26 {
		req := docrouter.RequestWith(t, g.URL(""), body, e)
		copies.Go(func() {
			resp, err := testbed.Try(req)
			if err != nil { // refused while it was still being sent, and read too late
				t.Logf("a copy of the large event: %v", err)
			}
			answers <- resp
		})
	}
	app.WaitCount(1)
	forger := testbed.Struktr()
	st := startStallers(t, 26, func() *http.Request { return forger.Request(t, g.URL(""), testbed.Event{}) })
	testbed.Eventually(t, soon, func() bool { return st.stalled.Load() >= 8 }, "the uploads stall")

	// An event takes the room of an upload that has been given up. Where that gives its room
	// back late, since somebody stands still, the event is asked for again.
	events, again := 0, 0
	evicted := func() float64 {
		return metric(g, "webhook_guard_requests_total", "result", "body_timeout", "provider", "struktr")
	}
	gets := func(request func() *http.Request) {
		t.Helper()
		events++
		for end := time.Now().Add(soon); ; again++ {
			before := evicted()
			resp := testbed.Do(t, request())
			if resp.Guard != "overloaded" || time.Now().After(end) {
				want(t, resp, 200, "forwarded")
				return
			}
			testbed.Eventually(t, soon, func() bool { return evicted() > before }, "an upload that stalls has made room")
		}
	}
	// Long enough for every upload to be renewed several times.
	rounds := 0
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end) || st.begun.Load() < 3*26; rounds++ {
		for _, s := range testbed.Senders() {
			gets(func() *http.Request { return s.Request(t, g.URL(""), testbed.Event{}) })
		}
	}
	for _, s := range testbed.Senders() { // no body of theirs is too large to get through
		big := testbed.Event{}.Fill()
		body := s.Body(big)
		body = append(body, bytes.Repeat([]byte(" "), large-len(body))...)
		gets(func() *http.Request { return s.RequestWith(t, g.URL(""), body, big) })
	}
	st.stop()
	t.Logf("%d rounds of all senders beside %d stalled uploads, whose answers were %v; %d of %d events were asked for again", rounds, st.begun.Load(), st.answers, again, events)
	if st.answers["body_timeout"] == 0 {
		t.Errorf("no stalled upload was aborted: %v", st.answers)
	}
	hold.open()
	copies.Wait()
	close(answers)
	results := make(map[string]int)
	for a := range answers {
		results[fmt.Sprintf("%d %s", a.Status, a.Guard)]++
	}
	if results["200 forwarded"] != 1 {
		t.Errorf("the copies of the large event got %v", results)
	}
	if again > 3+events/10 {
		t.Errorf("%d of %d events of other senders were refused as overloaded", again, events)
	}
	counted, _ := g.Metric("webhook_guard_requests_total", "result", "body_timeout", "provider", "struktr")
	if counted == 0 {
		t.Error("the aborted uploads are not counted")
	}
}
