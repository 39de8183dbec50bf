package config

import (
	"slices"
	"testing"
)

func TestSummaries(t *testing.T) {
	for _, tt := range []struct{ name, kind, place, algorithm, body, open string }{
		{"stripe", KindHMAC, "Stripe-Signature", "sha256", "all", "nothing"},
		{"slack", KindHMAC, "X-Slack-Signature", "sha256", "all", "nothing"},
		{"linear", KindHMAC, "Linear-Signature", "sha256", "all", "nothing"},
		{"recharge", KindHMAC, "X-Recharge-Webhook-Signature", "sha256", "all", "nothing"},
		{"github", KindHMAC, "X-Hub-Signature-256", "sha256", "all", "a captured request after 96h"},
		{"struktr", KindHMAC, "X-Struktr-Signature", "sha256", "all", "a captured request without body timestamp after 72h"},
		{"docintell", KindHMAC, "X-DocIntell-Signature", "sha256", "all", "a captured request without body timestamp after 72h"},
		{"notion", KindHMAC, "X-Notion-Signature", "sha256", "all", "a captured request after 72h"},
		{"line", KindHMAC, "x-line-signature", "sha256", "all", "a captured request after 72h"},
		{"dropbox", KindHMAC, "X-Dropbox-Signature", "sha256", "all", "a captured request"},
		{"box", KindHMAC, "BOX-SIGNATURE-PRIMARY, BOX-SIGNATURE-SECONDARY", "sha256", "all", "nothing"},
		{"hubspot-v1", KindHMAC, "X-HubSpot-Signature", "plain-sha256", "all", "a captured request after 72h"},
		{"cloudinary", KindHMAC, "X-Cld-Signature", "plain-sha1, plain-sha256", "all", "nothing"},
		{"mailgun", KindHMAC, "body signature.signature", "sha256", "part", "another body beside a signature that has not arrived yet"},
		{"adyen-standard", KindHMAC, "body NotificationRequestItem.additionalData.hmacSignature", "sha256", "part", "a captured request after 72h; another body beside a signature that has not arrived yet; characters moved between the signed values, where that signature has not arrived yet"},
		{"dropbox-sign", KindHMAC, "form_json json.event.event_hash", "sha256", "part", "a captured request with another form json, for 72h; another body beside a signature that has not arrived yet"},
		{"exact-online", KindHMAC, "body HashCode", "sha256", "part", "a captured request after 72h; another body beside a signature that has not arrived yet"},
		{"treezor", KindHMAC, "body object_payload_signature", "sha256", "part", "a captured request after 72h; another body beside a signature that has not arrived yet"},
		{"paymob", KindHMAC, "query hmac", "sha512", "part", "a captured request after 72h; another body beside a signature that has not arrived yet; characters moved between the signed values, where that signature has not arrived yet"},
		{"braintree", KindHMAC, "form bt_signature", "sha1", "part", "a captured request after 72h; another body beside a signature that has not arrived yet"},
		{"usps", KindHMAC, "X-HMAC", "sha256", "part", "another body beside a signature that has not arrived yet"},
		{"favro", KindHMAC, "X-Favro-Webhook", "sha1", "part", "a captured request after 72h; another body beside a signature that has not arrived yet"},
		{"plivo-v2", KindHMAC, "X-Plivo-Signature-V2", "sha256", "none", "a captured request after 72h; another body beside a signature that has not arrived yet; characters moved between {path} and {id}, where that signature has not arrived yet"},
		{"monday", KindHMAC, "Authorization", "sha256", "none", "a captured request under another ID; whoever has a token of the sender can send any body with it"},
		{"livekit", KindHMAC, "Authorization", "sha256", "all", "nothing"},
		{"vonage", KindHMAC, "Authorization", "sha256", "all", "nothing"},
		{"contentful", KindHMAC, "x-contentful-signature", "sha256", "all", "nothing"},
		{"discord", KindAsymmetric, "X-Signature-Ed25519", "ed25519", "all", "nothing"},
		{"wise", KindAsymmetric, "X-Signature-SHA256", "rsa-sha256", "all", "a captured request after 394h9m10s"},
		{"wix", KindAsymmetric, "body", "rsa-sha256", "all", "a captured request after 72h"},
		{"telegram-bot", KindToken, "", "", "none", "whoever has the token can send anything"},
		{"okrapdf", KindUnsigned, "", "", "none", "anyone can send anything"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := summarize(t, tt.name)
			if got := []string{s.Kind, s.SignatureHeader, s.Algorithm, s.BodySigned, s.StaysOpen}; !slices.Equal(got, []string{tt.kind, tt.place, tt.algorithm, tt.body, tt.open}) {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestASummaryHasTheTimesThatTheGuardGoesBy(t *testing.T) {
	s := summarize(t, "docintell")
	if s.RetrySpanSeconds != 65 || s.DedupeTTLSeconds != 72*3600 || s.MaxAgeSeconds != 365 {
		t.Errorf("got %+v", s)
	}
	if s := summarize(t, "github"); s.MaxAgeSeconds != 0 || s.DedupeTTLSeconds != 96*3600 || s.EventSigned {
		t.Errorf("got %+v", s)
	}
	if s := summarize(t, "tiktok-shop"); s.Signed != "{param.app_key}{body}" {
		t.Errorf("signed = %v", s.Signed)
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
		if s.Retry == "" || s.Recognition.Replay == "" || s.StaysOpen == "" || s.Kind == KindHMAC && (s.SignatureHeader == "" || s.Signed == "") {
			t.Errorf("%s: %+v", name, s)
		}
	}
	if kinds[KindHMAC] < 168 || kinds[KindToken] < 15 || kinds[KindAsymmetric] < 12 {
		t.Errorf("the catalogue has %v", kinds)
	}
	t.Log(kinds)
}

func summarize(t *testing.T, name string) Summary {
	t.Helper()
	s, err := Builtin()[name].Summarize(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What is optional may be missing, and then it closes nothing.
func TestWhatIsOptionalClosesNothing(t *testing.T) {
	for lines, want := range map[string]string{
		"id body id\ncontent off":                              "a captured request after 72h",
		"id body id optional\ncontent off":                     "a captured request, where it has no body id",
		"id body id optional\nanswer remember":                 "a captured request, where it has no body id",
		"id body id optional":                                  "a captured request after 72h",
		"id body id\nevent_time body at":                       "nothing",
		"id body id\nevent_time body at optional":              "a captured request without body at after 72h",
		"id header X-Id\ncontent off\nevent_time body at unix": "a captured request under another ID, for 72h",
	} {
		rules := resolve(t, parse(t, "signature X-Sig\n"+lines))
		if got := rules.Recognition().StaysOpen; got != want {
			t.Errorf("%q: %s, want %s", lines, got, want)
		}
	}
}
