package explain

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// mostCommon are twenty of the senders that most requests come from.
var mostCommon = []string{
	"standard-webhooks", "svix", "github", "stripe", "shopify", "slack", "twilio", "meta-facebook-whatsapp-instagram", "gitlab-signing-token",
	"square", "hubspot-v3", "zoom", "linear", "woocommerce", "intercom", "typeform", "calendly", "gitea-forgejo", "zendesk", "paddle",
	"gitlab-secret-token", "telegram-bot", "mailgun", "trello",
}

// sentBy is a request of a sender with all of its headers.
func sentBy(t *testing.T, name, secret string) signature.Request {
	t.Helper()
	p := builtin(t, name)
	r := aRequest([]byte(`{"a":"` + canary + `","signature":{"timestamp":"1764000000","token":"t1"},"webhookTimestamp":1764000000000,"action":{"id":"a1"}}`))
	r.Header = maps.Clone(r.Header)
	if name == "twilio" {
		r.Body, r.Header["Content-Type"] = []byte("MessageSid=SM1&SmsStatus="+canary), []string{"application/x-www-form-urlencoded"}
	}
	sources := append(slices.Clone(p.ID), p.Event)
	if token, err := config.ParseToken(p.Token); err == nil {
		r.Header[token.Source.Name] = []string{secret}
	}
	for _, s := range sources {
		if s.Kind == signature.SourceHeader && r.Header[s.Name] == nil {
			r.Header[s.Name] = []string{"x1"}
		}
	}
	if p.Token != "" {
		return r
	}
	return signedBy(t, p, secret, r)
}

// A request of one sender that is explained as another's names the one that sent it, the
// likeliest first, whether or not the secret is the right one.
func TestOtherSendersAreNamed(t *testing.T) {
	secret := secretFor(builtin(t, "svix"))
	for _, sender := range mostCommon {
		r := sentBy(t, sender, secret)
		for _, named := range mostCommon {
			if named == sender {
				continue
			}
			p := builtin(t, named)
			report := explain(t, Input{Name: named, Provider: p, Secret: secret, Request: r})
			if report.Verified {
				continue // they sign alike
			}
			if len(report.Senders) == 0 || report.Senders[0] != sender || !report.Named("other_sender") {
				t.Errorf("%s explained as %s: %q %q", sender, named, report.Senders, report.Causes)
			}
			if sender == "mailgun" || named == "mailgun" {
				continue // its signature is in the body
			}
			report = explain(t, Input{Name: named, Provider: p, Secret: "another-" + secret, Request: r})
			switch state(report, "headers") {
			case Failed + " signature_missing":
			default:
				continue // it has this sender's headers too
			}
			if !slices.Equal(codes(report), []string{"looks_like"}) || !strings.Contains(report.Causes[0].Why, "the headers of "+sender) {
				t.Errorf("%s explained as %s with another secret: %+v", sender, named, report.Causes)
			}
			if report.Tried > 2*len(config.Builtin()) {
				t.Errorf("%s explained as %s: %d readings were tried", sender, named, report.Tried)
			}
		}
	}
}

// The generic entry is named before those who send what it describes.
func TestGenericEntriesAreNamedFirst(t *testing.T) {
	for sender, want := range map[string]string{"clerk": "svix", "brex": "svix", "openai": "standard-webhooks", "flexport": "meta-facebook-whatsapp-instagram"} {
		secret := secretFor(builtin(t, sender))
		report := explain(t, Input{Name: "stripe", Provider: builtin(t, "stripe"), Secret: secret, Request: sentBy(t, sender, secret)})
		if len(report.Senders) == 0 || report.Senders[0] != want || !slices.Contains(report.Senders, sender) {
			t.Errorf("%s: %q, want %s first", sender, report.Senders, want)
		}
	}
}

// Gitea sends the headers of GitHub and Gogs beside its own.
func TestGiteaIsNotTakenForGitHub(t *testing.T) {
	r := sentBy(t, "gitea-forgejo", canarySecret)
	mac := r.Header["X-Gitea-Signature"][0]
	for name, value := range map[string]string{
		"X-Github-Delivery": "x1", "X-Github-Event": "push", "X-Gogs-Delivery": "x1", "X-Gogs-Event": "push", "X-Gogs-Signature": mac,
		"X-Hub-Signature-256": "sha256=" + mac, "X-Hub-Signature": "sha1=" + mac[:40],
	} {
		r.Header[name] = []string{value}
	}
	for _, secret := range []string{canarySecret, "another-secret-01"} {
		report := explain(t, Input{Name: "stripe", Provider: builtin(t, "stripe"), Secret: secret, Request: r})
		if len(report.Causes) != 1 || !strings.Contains(report.Causes[0].Do, "webhook_guard gitea-forgejo`") {
			t.Errorf("%+v", report.Causes)
		}
	}
}

// Headers with names like a signature's do not make a request signed.
func TestNoSignatureBesideOtherHeaders(t *testing.T) {
	for header, value := range map[string]string{
		"Authorization": "Basic dXNlcjpwYXNzd29yZA==", "X-Csrf-Token": "abc", "X-Machine-Id": "7", "Content-Digest": "sha-256=:abc:",
	} {
		p := builtin(t, "stripe")
		r := aRequest(aBody)
		r.Header = map[string][]string{"Content-Type": {"application/json"}, header: {value}}
		wantCauses(t, explain(t, Input{Name: "stripe", Provider: p, Secret: canarySecret, Request: r}), "no_signature")
	}
}

// A request without a signature is told from one with the wrong signature, before
// anything is tried.
func TestNoSignatureAtAll(t *testing.T) {
	for _, name := range config.Builtin().Names() {
		p := builtin(t, name).WithParams()
		rules, err := p.Resolve()
		if err != nil {
			t.Fatal(err)
		}
		r := aRequest(aBody)
		if len(rules.Methods) > 0 {
			r.Method = rules.Methods[0]
		}
		if !rules.Scheme.Signed() && rules.Token == nil || len(p.Handshake) > 0 {
			continue
		}
		for _, secret := range []string{secretFor(p), ""} {
			if _, err := rules.Scheme.NewKey(secret); err != nil && secret != "" {
				continue
			}
			if rules.Scheme.Asymmetric() && secret != "" || rules.Token != nil && secret == "" {
				continue
			}
			report, err := Explain(Input{Name: name, Provider: p, Secret: secret, Request: r, Now: now, Senders: config.Builtin()})
			if err != nil && secret == "" {
				continue // the signature is in the body, and so needs the secret first
			}
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			want := "no_signature"
			if rules.Token != nil {
				want = "no_token"
			}
			if !report.Named(want) || report.Tried > 2*len(config.Builtin()) {
				t.Errorf("%s: %q after %d readings: %+v", name, codes(report), report.Tried, report.Steps)
			}
		}
	}
}

// What senders without a secret write into the header.
func TestEmptySignature(t *testing.T) {
	for _, c := range []struct{ name, header, value string }{
		{"github", "X-Hub-Signature-256", ""},
		{"github", "X-Hub-Signature-256", "sha256="},
		{"github", "X-Hub-Signature-256", " "},
		{"gitea-forgejo", "X-Gitea-Signature", ""},
		{"stripe", "Stripe-Signature", "t=1764000000,v1="},
		{"stripe", "Stripe-Signature", ""},
		{"standard-webhooks", "Webhook-Signature", "v1,"},
		{"slack", "X-Slack-Signature", "v0="},
		{"shopify", "X-Shopify-Hmac-Sha256", ""},
		{"twilio", "X-Twilio-Signature", ""},
	} {
		p := builtin(t, c.name)
		r := aRequest(aBody)
		r.Header = maps.Clone(r.Header)
		r.Header["Webhook-Id"], r.Header["Webhook-Timestamp"], r.Header["X-Slack-Request-Timestamp"] = []string{"m1"}, []string{"1764000000"}, []string{"1764000000"}
		r.Header[c.header] = []string{c.value}
		report := explain(t, Input{Name: c.name, Provider: p, Secret: secretFor(p), Request: r})
		wantCauses(t, report, "signature_empty")
		if report.Tried > 0 {
			t.Errorf("%s: %d readings were tried", c.name, report.Tried)
		}
	}
}
