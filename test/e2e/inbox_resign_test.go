package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// Each attempt has a signature of its own time, under one ID: an app that checks stamps
// takes a late one too. It is made with the secret of that time, though no request has come
// since that has changed.
func TestAnInboxSignsEachAttemptAnew(t *testing.T) {
	t.Parallel()
	keys := map[string]string{"1": "0123456789abcdef0123456789abcdef", "2": "fedcba9876543210fedcba9876543210"}
	file := filepath.Join(t.TempDir(), "resign")
	write := func(key string) {
		if err := os.WriteFile(file+".new", []byte("whsec_"+base64.StdEncoding.EncodeToString([]byte(key))), 0o600); err != nil {
			t.Error(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Error(err)
		}
	}
	write(keys["1"])
	s, _ := inboxes(t, func(d testbed.Delivery) testbed.Answer {
		if d.Header.Get("Webhook-Guard-Attempt") == "1" {
			write(keys["2"])
			return testbed.Answer{Status: 500}
		}
		return testbed.Answer{}
	}, "retry 2s")
	s.guard = "resign {file." + file + "}"
	g := s.start(t)
	want(t, deliverTo(t, g, testbed.Event{}), 200, "accepted")
	s.app.WaitCount(2)
	var ids, stamps []string
	for _, d := range s.app.Deliveries() {
		id, stamp := d.Header.Get("Webhook-Id"), d.Header.Get("Webhook-Timestamp")
		mac := hmac.New(sha256.New, []byte(keys[d.Header.Get("Webhook-Guard-Attempt")]))
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
