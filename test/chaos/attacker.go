package chaos

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// captured lets the attackers see an event of a sender that leaves its ID or its
// stamp unsigned.
func (t *traffic) captured(e *event) {
	if e.from.Name != "struktr" && e.from.Name != "docintell" {
		return
	}
	select {
	case t.captures <- e:
	default: // they have enough
	}
}

// attack sends forgeries and replays until the load ends.
func (t *traffic) attack(load context.Context) {
	r := rand.New(rand.NewPCG(t.seed, 0xa77ac4))
	for sleep(load, within(r, 0, 4*t.pause)) {
		gateway := t.balancer.choose(r)
		select {
		case e := <-t.captures:
			if r.IntN(2) == 0 {
				t.replayed(e, gateway)
				continue
			}
		default:
		}
		req := pick(r, forgeries)(t.tb, pick(r, testbed.Senders()), t.balancer.urls[gateway])
		t.send(t.rec.begin(nil, forgery, gateway), req, hangUp{})
	}
}

// replayed sends a captured request under what the sender does not sign. It is no new
// event, so it may be answered, but it must not reach the app.
func (t *traffic) replayed(e *event, gateway int) {
	req := t.request(e, gateway)
	switch e.from.Name {
	case "struktr":
		req.Header.Set("X-Struktr-Delivery", "dlv_"+testbed.NewID())
	case "docintell":
		req.Header.Set("X-DocIntell-Timestamp", strconv.FormatInt(time.Now().Unix(), 10))
	}
	t.send(t.rec.begin(e, replay, gateway), req, hangUp{})
}

// forgeries make requests that their sender never made, or not now.
var forgeries = []func(tb testing.TB, s testbed.Sender, base string) *http.Request{wrongKey, changedBody, stale}

func wrongKey(tb testing.TB, s testbed.Sender, base string) *http.Request {
	s.Secret += "x"
	return s.Request(tb, base, testbed.Event{})
}

// changedBody flips a bit, where the sender signs the body.
func changedBody(tb testing.TB, s testbed.Sender, base string) *http.Request {
	if s.SignatureHeader == "" {
		return wrongKey(tb, s, base)
	}
	e := testbed.Event{}.Fill()
	req, body := s.Request(tb, base, e), s.Body(e)
	body[len(body)/2] ^= 1
	req.Body, req.GetBody = io.NopCloser(bytes.NewReader(body)), nil
	return req
}

// stale is genuine, and an hour old.
func stale(tb testing.TB, s testbed.Sender, base string) *http.Request {
	old := time.Now().Add(-time.Hour)
	return s.Request(tb, base, testbed.Event{Time: old, Sent: old})
}
