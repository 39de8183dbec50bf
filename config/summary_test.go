package config

import (
	"slices"
	"testing"
)

func TestSummaries(t *testing.T) {
	for _, tt := range []struct{ name, kind, place, algorithm, body, replay string }{
		{"stripe", KindHMAC, "Stripe-Signature", "sha256", "all", ReplayStamp},
		{"slack", KindHMAC, "X-Slack-Signature", "sha256", "all", ReplayStamp},
		{"linear", KindHMAC, "Linear-Signature", "sha256", "all", ReplayStamp},
		{"recharge", KindHMAC, "X-Recharge-Webhook-Signature", "sha256", "all", ReplayStamp},
		{"github", KindHMAC, "X-Hub-Signature-256", "sha256", "all", ReplayContent},
		{"struktr", KindHMAC, "X-Struktr-Signature", "sha256", "all", ReplayContentTime},
		{"docintell", KindHMAC, "X-DocIntell-Signature", "sha256", "all", ReplayIDTime},
		{"notion", KindHMAC, "X-Notion-Signature", "sha256", "all", ReplayID},
		{"line", KindHMAC, "x-line-signature", "sha256", "all", ReplayContent},
		{"dropbox", KindHMAC, "X-Dropbox-Signature", "sha256", "all", ReplayOpen},
		{"box", KindHMAC, "BOX-SIGNATURE-PRIMARY, BOX-SIGNATURE-SECONDARY", "sha256", "all", ReplayStamp},
		{"hubspot-v1", KindHMAC, "X-HubSpot-Signature", "plain-sha256", "all", ReplayContent},
		{"cloudinary", KindHMAC, "X-Cld-Signature", "plain-sha1, plain-sha256", "all", ReplayStamp},
		{"mailgun", KindHMAC, "body signature.signature", "sha256", "part", ReplayIDTime},
		{"adyen-standard", KindHMAC, "body NotificationRequestItem.additionalData.hmacSignature", "sha256", "part", ReplayContent},
		{"dropbox-sign", KindHMAC, "form_json json.event.event_hash", "sha256", "part", ReplayOpen},
		{"exact-online", KindHMAC, "body HashCode", "sha256", "part", ReplayContent},
		{"treezor", KindHMAC, "body object_payload_signature", "sha256", "part", ReplayContent},
		{"paymob", KindHMAC, "query hmac", "sha512", "part", ReplayContent},
		{"braintree", KindHMAC, "form bt_signature", "sha1", "part", ReplayContent},
		{"usps", KindHMAC, "X-HMAC", "sha256", "part", ReplayStamp},
		{"favro", KindHMAC, "X-Favro-Webhook", "sha1", "part", ReplayID},
		{"plivo-v2", KindHMAC, "X-Plivo-Signature-V2", "sha256", "none", ReplayID},
		{"monday", KindHMAC, "Authorization", "sha256", "none", ReplayOpen},
		{"livekit", KindHMAC, "Authorization", "sha256", "all", ReplayStamp},
		{"vonage", KindHMAC, "Authorization", "sha256", "all", ReplayStamp},
		{"contentful", KindHMAC, "x-contentful-signature", "sha256", "all", ReplayStamp},
		{"discord", KindAsymmetric, "X-Signature-Ed25519", "ed25519", "all", ReplayStamp},
		{"wise", KindAsymmetric, "X-Signature-SHA256", "rsa-sha256", "all", ReplayContent},
		{"wix", KindAsymmetric, "body", "rsa-sha256", "all", ReplayContent},
		{"telegram-bot", KindToken, "", "", "none", ReplayOpen},
		{"okrapdf", KindUnsigned, "", "", "none", ReplayOpen},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := Summarize(tt.name)
			if got := []string{s.Kind, s.SignatureHeader, s.Algorithm, s.BodySigned, s.Replay}; !slices.Equal(got, []string{tt.kind, tt.place, tt.algorithm, tt.body, tt.replay}) {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestASummaryHasTheTimesThatTheGuardGoesBy(t *testing.T) {
	s := Summarize("docintell")
	if s.RetrySpanSeconds != 65 || s.DedupeTTLSeconds != 72*3600 || s.MaxAgeSeconds != 365 {
		t.Errorf("got %+v", s)
	}
	if s := Summarize("github"); s.MaxAgeSeconds != 0 || s.DedupeTTLSeconds != 96*3600 || s.EventSigned {
		t.Errorf("got %+v", s)
	}
	if s := Summarize("tiktok-shop"); s.Signed != "{param.app_key}{body}" {
		t.Errorf("signed = %v", s.Signed)
	}
	if s := Summarize("nobody"); s.Name != "nobody" || s.Kind != "" {
		t.Errorf("of an unknown name: %+v", s)
	}
}

// Whatever is in the catalogue can be summed up.
func TestEveryEntryHasASummary(t *testing.T) {
	kinds := map[string]int{}
	for _, name := range Builtin().Names() {
		s, err := Builtin()[name].Summarize(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		kinds[s.Kind]++
		if s.Replay == "" || s.Kind == KindHMAC && (s.SignatureHeader == "" || s.Signed == "") {
			t.Errorf("%s: %+v", name, s)
		}
	}
	if kinds[KindHMAC] < 168 || kinds[KindToken] < 15 || kinds[KindAsymmetric] < 12 {
		t.Errorf("the catalogue has %v", kinds)
	}
	t.Log(kinds)
}
