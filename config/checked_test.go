package config

import (
	"strings"
	"testing"
)

// Lines that were wrong or missing once, and were checked against the source that the
// entry's line `checked` names. What a vector shows is not repeated here.
func TestLinesThatWereCheckedWithTheSender(t *testing.T) {
	for name, lines := range map[string][]string{
		"akeneo":               {"handshake akeneo"},
		"bitbucket-server":     {"handshake bitbucket-server"},
		"docker-registry":      {"answer_within 1s"},
		"gitea-forgejo":        {"retries none", "retry_span 168h", "answer_within 5s"},
		"gogs":                 {"retries none", "answer_within 15s"},
		"mastodon":             {"retry_span 52h", "final 400 402-407 409-428 430-499 501"},
		"miniflux":             {"retries none", "answer_within 10s"},
		"strapi":               {"retries none", "answer_within 10s"},
		"circle":               {"handshake head"},
		"circleci":             {"answer_within 10s"},
		"contentful":           {"id header X-Contentful-Idempotency-Key"},
		"daily":                {"handshake daily"},
		"intercom":             {"handshake head"},
		"microsoft-graph":      {"token body value.*.clientState"},
		"microsoft-sharepoint": {"token body value.*.clientState"},
		"okta-event-hooks":     {"id body eventId", "answer_within 3s", "final 4xx", "success 200 204"},
		"orb":                  {`signature X-Orb-Signature sha256 hex v1={signature} split " "`},
		"pandadoc":             {"id header X-PandaDoc-Webhook-Event-Id", "event body 0.event", "content off"},
		"ramp":                 {"id body id optional", "event body type", "answer_within 10s", "final 3xx 400-428 430-499"},
		"strava":               {"handshake strava"},
		"recurly":              {"timestamp signature unix_ms per_event", "retries 10s 74s 266s 778s 2058s 5130s 12298s 28682s 65546s 147466s"},
		"slack":                {"handshake slack"},
		"supabase-auth":        {"success 200 202 204", "answer remember", "answer_within 5s"},
		"vonage":               {"methods POST GET", "timestamp claim iat unix per_event"},
		"webflow":              {"timestamp header x-webflow-timestamp unix_ms per_event"},
		"wise":                 {"success 200", "answer 200"},
		"wix":                  {"success 200", "answer 200", "answer_within 1250ms", "retries 1m 10m 1h 2h 2h 2h 4h 4h 4h 8h 8h 12h"},
		"woocommerce":          {"answer_within 60s", "retries none"},
		"zendesk":              {"methods POST PUT PATCH DELETE GET"},
	} {
		_, text, err := EntryText(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range lines {
			if !strings.Contains("\n"+text, "\n"+line+"\n") {
				t.Errorf("%s has no line %s:\n%s", name, line, text)
			}
		}
	}
}

// Entries whose facts were checked with the sender's own library or sample say so.
func TestEntriesThatWereCheckedWithTheSendersCode(t *testing.T) {
	for _, name := range strings.Fields(`
		anthropic box buildkite clerk crisp docusign dropbox elevenlabs hookdeck lemonsqueezy mollie-next-gen monday pagerduty recurly retell
		sinch-conversation smartcar telnyx twitch webflow zoom`) {
		if got := Builtin()[name].Confidence; got != ConfidenceSDK {
			t.Errorf("%s: confidence %s", name, got)
		}
	}
}
