//go:build linux

// Package traffic makes signed events ready to be sent: unique, of a given size,
// as their senders write and sign them, with nothing of the code that is measured.
package traffic

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/bench/load"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// Senders are all whose events can be made: the five, Stripe and GitHub.
func Senders() []testbed.Sender {
	return append(testbed.Senders(), testbed.Stripe(), testbed.GitHub())
}

// Forger signs as the sender does, with a secret that it does not have.
func Forger(s testbed.Sender) testbed.Sender {
	s.Secret = "whsec_forged" + testbed.NewID()
	return s
}

// Aged makes events that were sent, and happened, so long ago.
func Aged(age time.Duration) testbed.Event {
	then := time.Now().Add(-age)
	return testbed.Event{Time: then, Sent: then}
}

// Make makes n events of about size bytes each, all different, sent to
// /webhooks/<the sender's name>. The event gives their times; see [Aged].
func Make(tb testing.TB, s testbed.Sender, size, n int, event testbed.Event) []load.Request {
	tb.Helper()
	requests := make([]load.Request, n)
	// Signing 4 MB takes milliseconds, so all CPUs share it.
	workers := min(runtime.GOMAXPROCS(0), n)
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			m := maker{tb: tb, sender: s, size: size, tails: make(map[int][]byte)}
			for i := worker; i < n; i += workers {
				requests[i] = m.request(event)
			}
		})
	}
	group.Wait()
	return requests
}

// maker makes requests that share the end of their bodies: a thousand of 4 MB
// would not fit into memory otherwise.
type maker struct {
	tb     testing.TB
	sender testbed.Sender
	size   int
	tails  map[int][]byte // by length
	body   []byte
}

func (m *maker) request(event testbed.Event) load.Request {
	event = event.Fill()
	// The sender's own fields come first, as they do in most senders' events, and
	// what makes it large after them.
	front := bytes.TrimSuffix(m.sender.Body(event), []byte("}"))
	front = append(front, `,"lines":[`...)
	tail := m.tail(max(m.size-len(front), 0))
	m.body = append(append(m.body[:0], front...), tail...)
	req := m.sender.RequestWith(m.tb, "http://gateway", m.body, event)
	return load.Request{Head: append(head(req), front...), Tail: tail}
}

// row is a line of a document, as a processing service reports it. A body of one long
// string would be too easy to parse.
const row = `{"page":1,"line":12,"text":"Total amount due within 30 days","confidence":0.9871},`

// tail ends a body with rows of a list, n bytes long; it has at least the length of a
// valid ending.
func (m *maker) tail(n int) []byte {
	if tail, ok := m.tails[n]; ok {
		return tail
	}
	const end = `{}]}`
	rows := max(n-len(end), 0) / len(row)
	padding := max(n-len(end)-rows*len(row), 0)
	tail := []byte(strings.Repeat(row, rows) + strings.Repeat(" ", padding) + end)
	m.tails[n] = tail
	return tail
}

// head returns a request's head as sent.
func head(req *http.Request) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: webhooks/1.0\r\nAccept: */*\r\nContent-Length: %d\r\n",
		req.Method, req.URL.RequestURI(), req.URL.Host, req.ContentLength)
	for _, name := range slices.Sorted(maps.Keys(req.Header)) {
		fmt.Fprintf(&b, "%s: %s\r\n", name, req.Header.Get(name))
	}
	b.WriteString("\r\n")
	return b.Bytes()
}
