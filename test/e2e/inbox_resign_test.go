package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// Each attempt has a signature of its own time, under one ID: an app that checks stamps
// takes a late one too.
func TestAnInboxSignsEachAttemptAnew(t *testing.T) {
	t.Parallel()
	const key = "0123456789abcdef0123456789abcdef"
	s, _ := inboxes(t, func(d testbed.Delivery) testbed.Answer {
		if d.Header.Get("Webhook-Guard-Attempt") == "1" {
			return testbed.Answer{Status: 500}
		}
		return testbed.Answer{}
	}, "retry 2s")
	s.guard = "resign whsec_" + base64.StdEncoding.EncodeToString([]byte(key))
	g := s.start(t)
	want(t, deliverTo(t, g, testbed.Event{}), 200, "accepted")
	s.app.WaitCount(2)
	var ids, stamps []string
	for _, d := range s.app.Deliveries() {
		id, stamp := d.Header.Get("Webhook-Id"), d.Header.Get("Webhook-Timestamp")
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write([]byte(id + "." + stamp + "." + string(d.Body)))
		if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); d.Header.Get("Webhook-Signature") != want {
			t.Errorf("the signature of attempt %s is not that of the specification", d.Header.Get("Webhook-Guard-Attempt"))
		}
		ids, stamps = append(ids, id), append(stamps, stamp)
	}
	if ids[0] == "" || ids[0] != ids[1] || atoi(t, stamps[1]) <= atoi(t, stamps[0]) {
		t.Errorf("the attempts have the IDs %q and the stamps %q", ids, stamps)
	}
}
