package testbed

import (
	"net/http"
	"strconv"
	"time"
)

// Stripe signs its stamp and the body, both in one header.
func Stripe() Sender {
	return Sender{
		Name: "stripe", Secret: "whsec_canarystripe", SignatureHeader: "Stripe-Signature",
		body: func(e Event) any {
			return map[string]any{
				"id": "evt_" + e.ID, "object": "event", "api_version": "2024-06-20", "created": e.Time.Unix(),
				"type": or(e.Type, "payment_intent.succeeded"), "livemode": true, "pending_webhooks": 1,
				"data": map[string]any{"object": map[string]any{
					"id": "pi_" + e.ID, "object": "payment_intent", "amount": 1099, "currency": "eur", "status": "succeeded",
				}},
			}
		},
		headers: func(s Sender, h http.Header, body []byte, e Event) {
			stamp := strconv.FormatInt(e.Sent.Unix(), 10)
			h.Set(s.SignatureHeader, "t="+stamp+",v1="+s.mac([]byte(stamp+"."), body))
		},
	}
}

// GitHub signs the body; it sends no stamp, and its delivery ID is not signed.
func GitHub() Sender {
	return Sender{
		Name: "github", Secret: "canary-github-secret", SignatureHeader: "X-Hub-Signature-256",
		body: func(e Event) any {
			return map[string]any{
				"action": "opened", "number": 7,
				"issue": map[string]any{
					"node_id": "I_" + e.ID, "number": 7, "title": "It works", "created_at": e.Time.UTC().Format(time.RFC3339),
				},
				"repository": map[string]any{"full_name": "octo-org/octo-repo", "private": true},
				"sender":     map[string]any{"login": "octocat"},
			}
		},
		headers: func(s Sender, h http.Header, body []byte, e Event) {
			h.Set(s.SignatureHeader, "sha256="+s.mac(body))
			h.Set("X-GitHub-Event", or(e.Type, "issues"))
			h.Set("X-GitHub-Delivery", e.ID)
		},
	}
}
