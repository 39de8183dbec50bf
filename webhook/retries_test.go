package webhook

import (
	"encoding/hex"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// Orb writes its stamp as Python's isoformat() does, in UTC and without a zone, and several
// signatures with spaces between them.
func TestOrbsStampHasNoZone(t *testing.T) {
	s, err := New("orb", config.Builtin()["orb"])
	if err != nil {
		t.Fatal(err)
	}
	key, err := s.NewKey(copySecret)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for _, layout := range []string{"2006-01-02T15:04:05.000", "2006-01-02T15:04:05"} {
		stamp := now.UTC().Format(layout)
		body := `{"id":"o7mnBcQLHBnC","type":"customer.created"}`
		r := post(body, "X-Orb-Timestamp", stamp,
			"X-Orb-Signature", "v1=00ff v1="+hex.EncodeToString(mac256("v1:"+stamp+":"+body)))
		if _, refused := s.Judge(r, r.Body, Fixed{[]signature.Secret{{Key: key}}, "scope"}, now); refused != nil {
			t.Errorf("%s: %v", stamp, refused)
		}
	}
}
