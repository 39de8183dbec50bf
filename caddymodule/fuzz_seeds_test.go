package caddymodule

import (
	"strings"
	"testing"
)

// fuzzSeeds are requests as senders make them, head and body, and some as
// attackers do.
func fuzzSeeds() [][2]string {
	var seeds [][2]string
	add := func(body string, lines ...string) {
		seeds = append(seeds, [2]string{strings.Join(append(lines, "Host: hooks.example.com"), "\r\n"), body})
	}
	const struktr = "POST /webhooks/struktr HTTP/1.1"
	const signedStruktr = "X-Struktr-Signature: sha256=@sign@"
	add(`{"event":"document.completed","timestamp":"2023-11-14T22:13:20Z","data":{"id":"doc_1"}}`,
		struktr, signedStruktr, "X-Struktr-Timestamp: 1700000000", "X-Struktr-Delivery: dlv_1", "X-Struktr-Event: document.completed")
	add(`{"event":"done","timestamp":"2023-11-14T22:13:20Z","data":{"document_id":"d-1","job_id":"j-1"}}`,
		"POST /webhooks/docintell HTTP/1.1", "X-DocIntell-Signature: sha256=@sign@", "X-DocIntell-Timestamp: 1700000000")
	add(`{"eventType":"document.processed","eventId":"evt_1","timestamp":"2023-11-14T22:13:20.000Z"}`,
		"POST /webhooks/ocriva HTTP/1.1", "X-Webhook-Signature: sha256=@sign@")
	add(`{"event_id":"ev-1","event_type":"llm.completed"}`,
		"POST /webhooks/docrouter HTTP/1.1", "X-DocRouter-Signature: sha256=@sign@", "X-DocRouter-Timestamp: 1700000000")
	add(`{"event":"document.completed","document_id":"doc-1","timestamp":"2023-11-14T22:13:20Z"}`,
		"POST /webhooks/okrapdf?token=opens HTTP/1.1")
	add(`{"action":"opened"}`, "POST /webhooks/github HTTP/1.1", "X-Hub-Signature-256: sha256=@sign@", "X-GitHub-Delivery: 1", "X-GitHub-Event: ping")
	add(`{"id":"evt_1","type":"charge.succeeded"}`, "POST /webhooks/stripe HTTP/1.1", "Stripe-Signature: t=1700000000,v1=@sign@,v0=00")
	add(`{"type":"url_verification","challenge":"abc"}`,
		"POST /webhooks/slack HTTP/1.1", "X-Slack-Signature: v0=@sign@", "X-Slack-Request-Timestamp: 1700000000")
	add(`{"event":"endpoint.url_validation","payload":{"plainToken":"abc"}}`,
		"POST /webhooks/zoom HTTP/1.1", "x-zm-signature: v0=@sign@", "x-zm-request-timestamp: 1700000000")
	add("", "GET /webhooks/dropbox?challenge=abc HTTP/1.1")
	add(`{"list_folder":{"accounts":["a"]}}`, "POST /webhooks/dropbox HTTP/1.1", "X-Dropbox-Signature: @sign@")
	add("", "GET /webhooks/meta-facebook-whatsapp-instagram?hub.mode=subscribe&hub.challenge=1&hub.verify_token=opens HTTP/1.1")
	add(`{"entry":[{"id":"1"}]}`, "POST /webhooks/meta-facebook-whatsapp-instagram HTTP/1.1", "X-Hub-Signature-256: sha256=@sign@")
	add(`{"object_kind":"push"}`, "POST /webhooks/gitlab-secret-token HTTP/1.1", "X-Gitlab-Token: opens", "Idempotency-Key: k")
	// Forged, malformed, spoofed, odd.
	add(`{}`, struktr, "X-Struktr-Signature: sha256="+strings.Repeat("0", 64), "X-Struktr-Timestamp: 1700000000")
	add(`{}`, struktr, signedStruktr, signedStruktr, "X-Struktr-Timestamp: 1700000000")
	add(`{}`, struktr, signedStruktr, "X-Struktr-Timestamp: 99999999999999999999")
	add(`{}`, struktr, signedStruktr, "X-Struktr-Timestamp: 1700000000", "X-Struktr-Delivery: "+strings.Repeat("x", 2000))
	add(`{}`, struktr, signedStruktr, "X-Struktr-Timestamp: 1700000000", "Webhook_Guard: verified", "Connection: webhook-guard-id, close")
	add("2\r\n{}\r\n0\r\nWebhook-Guard-Id: x\r\n\r\n",
		struktr, signedStruktr, "X-Struktr-Timestamp: 1700000000", "Transfer-Encoding: chunked", "Trailer: Webhook-Guard-Id")
	add("2\r\n{}\r\nbroken", struktr, signedStruktr, "X-Struktr-Timestamp: 1700000000", "Transfer-Encoding: chunked")
	for _, id := range []string{`null`, `""`, `1e400`, `-0`, `{"a":1}`, `[`, `"\u0000\ud800"`, `9007199254740993`, `"a","event_id":"b"`, strings.Repeat("[", 500)} {
		add(`{"event_id":`+id+`,"event_type":"x"}`,
			"POST /webhooks/docrouter HTTP/1.1", "X-DocRouter-Signature: sha256=@sign@", "X-DocRouter-Timestamp: 1700000000")
	}
	add("", "DELETE /webhooks/struktr HTTP/1.1")
	add("", "POST * HTTP/1.1")
	return seeds
}

// The genuine ones among the seeds really get through: else fuzzing would only
// ever look at the first check.
func TestFuzzSeedsGetPastEachCheck(t *testing.T) {
	guards := fuzzGuards(t)
	results := make(map[string]int)
	for _, seed := range fuzzSeeds() {
		r, name := readFuzzed([]byte(seed[0]), []byte(seed[1]))
		if r == nil {
			t.Errorf("no request: %q", seed[0])
			continue
		}
		results[name+" "+string(fuzzOne(t, guards[name], r, proofs[name]))]++
	}
	for _, want := range []string{
		"struktr forwarded", "docintell forwarded", "ocriva forwarded", "docrouter forwarded", "okrapdf forwarded",
		"github forwarded", "stripe forwarded", "dropbox forwarded", "gitlab-secret-token forwarded",
		"meta-facebook-whatsapp-instagram forwarded", "slack handshake", "zoom handshake", "dropbox handshake",
		"struktr signature_invalid", "struktr signature_malformed", "struktr timestamp_malformed", "struktr id_malformed",
		"struktr body_unreadable", "struktr method_not_allowed", "docrouter id_malformed",
	} {
		if results[want] == 0 {
			t.Errorf("no seed is %s; there are %v", want, results)
		}
	}
}
