//go:build full

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// plainCaddyfile is the same guard without an inbox: what was in the block deliver is its
// route.
func (s inboxSetup) plainCaddyfile() string {
	text := s.caddyfile()
	before, rest, _ := strings.Cut(text, "inbox "+s.name+" {")
	_, after, _ := strings.Cut(rest, "error 500")
	return before + fmt.Sprintf("}\n\t\treverse_proxy %s {\n\t\t\ttransport webhook\n\t\t}", s.app.Addr()) + after
}

// A guard gets its inbox by a reload under load. Senders retry as they do, with copies among
// their requests, and each event is handled once.
func TestAGuardGetsAnInboxUnderLoad(t *testing.T) {
	t.Parallel()
	onInboxStores(t, func(t *testing.T, inboxes func(func(testbed.Delivery) testbed.Answer, ...string) inboxSetup) {
		s := inboxes(func(testbed.Delivery) testbed.Answer {
			return testbed.Answer{Wait: testbed.After(20 * time.Millisecond)}
		})
		s.name = "moved"
		g := testbed.StartGateway(t, s.plainCaddyfile())
		m := &migration{t: t, g: g, results: make(map[string]int), end: make(chan struct{})}
		var senders sync.WaitGroup
		for range 8 {
			senders.Go(m.send)
		}
		testbed.Eventually(t, soon, func() bool { return m.count("forwarded") >= 50 }, "events to be forwarded")
		if err := g.Reload(s.caddyfile()); err != nil {
			t.Fatal(err)
		}
		testbed.Eventually(t, soon, func() bool { return m.count("accepted") >= 50 }, "events to be accepted")
		close(m.end)
		senders.Wait()
		for _, e := range m.events {
			becomes(t, g, e, "duplicate")
		}
		handled := make(map[string]int)
		for _, d := range s.app.Deliveries() {
			handled[string(d.Body)]++
		}
		for _, e := range m.events {
			if n := handled[string(testbed.DocRouter().Body(e))]; n != 1 {
				t.Errorf("an event was handled %d times, want once", n)
			}
		}
		if len(handled) != len(m.events) {
			t.Errorf("%d events handled, %d sent", len(handled), len(m.events))
		}
	})
}

// migration is the load while a guard gets its inbox.
type migration struct {
	t   *testing.T
	g   *testbed.Gateway
	end chan struct{}

	mu      sync.Mutex
	events  []testbed.Event
	results map[string]int
}

func (m *migration) count(result string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.results[result]
}

// send is one sender: each of its events is sent until it is acknowledged, sometimes twice
// at once.
func (m *migration) send() {
	for n := 0; ; n++ {
		select {
		case <-m.end:
			return
		default:
		}
		e := testbed.Event{}.Fill()
		m.mu.Lock()
		m.events = append(m.events, e)
		m.mu.Unlock()
		var copies sync.WaitGroup
		if n%4 == 0 {
			copies.Go(func() { m.deliver(e) })
		}
		m.deliver(e)
		copies.Wait()
	}
}

var migrationResults = []string{"forwarded", "accepted", "queued", "duplicate"}

func (m *migration) deliver(e testbed.Event) {
	for deadline := time.Now().Add(soon); ; {
		resp, err := testbed.Try(testbed.DocRouter().Request(m.t, m.g.URL(""), e))
		if err == nil && resp.Status == 200 {
			if !slices.Contains(migrationResults, resp.Guard) {
				m.t.Errorf("an event got %s", resp)
			}
			m.mu.Lock()
			m.results[resp.Guard]++
			m.mu.Unlock()
			return
		}
		// The sender's next attempt. A reload may reset a connection that was just opened.
		if err == nil && resp.Status != 503 || time.Now().After(deadline) {
			m.t.Errorf("an event got %s, %v", resp, err)
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}
