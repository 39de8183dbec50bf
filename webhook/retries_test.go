package webhook

import (
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/config"
)

// Orb writes its stamp as Python's isoformat() does, in UTC and without a zone, and several
// signatures with spaces between them.
func TestOrbsStampHasNoZone(t *testing.T) {
	s, tenant := builtin(t, "orb")
	now := time.Now()
	for _, layout := range []string{"2006-01-02T15:04:05.000", "2006-01-02T15:04:05"} {
		stamp := now.UTC().Format(layout)
		body := `{"id":"o7mnBcQLHBnC","type":"customer.created"}`
		r := post(body, "X-Orb-Timestamp", stamp,
			"X-Orb-Signature", "v1=00ff v1="+hex.EncodeToString(mac256("v1:"+stamp+":"+body)))
		if _, refused := s.Judge(r, r.Body, tenant, now); refused != nil {
			t.Errorf("%s: %v", stamp, refused)
		}
	}
}

// Linear's retries repeat the signed body, with the time of the first one in it.
func TestLinearsRetriesCarryTheFirstStamp(t *testing.T) {
	s, tenant := builtin(t, "linear")
	now := time.Now()
	body := `{"action":"update","type":"Issue","webhookTimestamp":` + strconv.FormatInt(now.UnixMilli(), 10) + `}`
	r := post(body, "Linear-Signature", hex.EncodeToString(mac256(body)), "Linear-Delivery", "d1")
	var first Event
	for _, after := range []time.Duration{0, time.Minute, time.Hour + time.Minute, 7*time.Hour + time.Minute} {
		event, refused := s.Judge(r, r.Body, tenant, now.Add(after))
		if refused != nil {
			t.Fatalf("after %s: %v", after, refused)
		}
		if after == 0 {
			first = event
		}
		if event.Keys != first.Keys {
			t.Errorf("after %s it is another event", after)
		}
	}
	if _, refused := s.Judge(r, r.Body, tenant, now.Add(9*time.Hour)); refused == nil {
		t.Error("an old request passes")
	}
}

// renewsStamp are the senders that are known to sign each attempt anew, by their documents, or
// because they sign as Standard Webhooks says: its timestamp is the attempt's. Plaid retries for
// 24 hours and tells its customers to refuse what is older than 5 minutes. Whatever the
// entries of the others say, their retries may carry the first attempt's stamp.
var renewsStamp = strings.Fields(`
	anthropic azure-event-grid-entra brex clerk docrouter ghost google-pubsub gitlab-signing-token google-gemini-dynamic google-gemini-static hubspot-v3 lithic loops openai plaid polar recall-ai
	render replicate resend revolut shipbob slack standard-webhooks standard-webhooks-v1a stripe struktr supabase-auth svix telnyx twitch
`)

// A sender's retries are never refused as stale: not the last of them, with the first one's
// stamp where retries may keep it, and with a new one elsewhere. Beyond that an old request is.
func TestNoRetryIsStale(t *testing.T) {
	first := time.Now().Truncate(time.Second)
	late := 0
	for _, name := range config.Builtin().Names() {
		p := config.Builtin()[name]
		if p.Timestamp == nil {
			continue
		}
		if !p.Timestamp.PerEvent && !slices.Contains(renewsStamp, name) {
			t.Errorf("%s: no evidence is known that its stamp is the attempt's: state per_event, or name it in renewsStamp", name)
		}
		t.Run(name, func(t *testing.T) {
			keeps := send(t, name, first)
			judge := func(s sent, at time.Time) *Refusal {
				if s.sender.Rules.Token != nil {
					s.putToken(t, "s3cret")
				}
				_, refused := s.judge(at)
				return refused
			}
			for _, after := range attempts(p) {
				s := keeps
				if slices.Contains(renewsStamp, name) {
					s = send(t, name, first.Add(after))
				}
				if refused := judge(s, first.Add(after)); refused != nil {
					t.Errorf("the retry after %s: %v", after, refused)
				}
				late++
			}
			window := keeps.sender.Rules.Window
			refused := judge(keeps, first.Add(window.MaxAge+window.MaxSkew+time.Second))
			if refused == nil || refused.Result.Status() != http.StatusForbidden {
				t.Errorf("beyond the window: %v", refused)
			}
		})
	}
	if late < 150 {
		t.Errorf("%d retries were judged", late)
	}
}

// attempts are when a sender's attempts arrive after the first one: each later than the delays
// say, as the attempts before took as long as the sender waits for an answer.
func attempts(p config.Provider) []time.Duration {
	after := []time.Duration{0}
	for _, delay := range p.Retries {
		after = append(after, after[len(after)-1]+time.Duration(p.AnswerWithin)+time.Duration(delay))
	}
	if p.RetrySpan > 0 && !p.NeverRetries {
		after = append(after, time.Duration(p.RetrySpan)/2, time.Duration(p.RetrySpan))
	}
	return after
}
