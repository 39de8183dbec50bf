package e2e

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// Requests that are shaped anew under a MAC that stays as it is. They are signed here, as
// the senders' documentation says.

const shapeSecret = "a-secret-of-some-length"

// shapes is a gateway with guards of some senders, one at each path.
func shapes(t *testing.T, providers ...string) (*testbed.App, *testbed.Gateway) {
	t.Helper()
	app := testbed.StartApp(t, nil)
	routes := ""
	for _, provider := range providers {
		secret := shapeSecret
		if strings.HasPrefix(provider, "adyen") {
			secret = hex.EncodeToString([]byte(shapeSecret))
		}
		if provider == "supabase-auth" { // as its dashboard shows it
			secret = "v1,whsec_" + base64.StdEncoding.EncodeToString([]byte(shapeSecret))
		}
		routes += fmt.Sprintf("\thandle /%s* {\n\t\twebhook_guard %s {\n\t\t\tsecret %s\n\t\t}\n\t\t%s\n\t}\n", provider, provider, secret, proxy(app))
	}
	return app, site{store: "memory", routes: routes}.start(t)
}

// take sends requests in turn, and wants their results.
func take(t *testing.T, g *testbed.Gateway, app *testbed.App, steps []step) {
	t.Helper()
	calls := app.Count()
	for i, s := range steps {
		if resp := s.request.send(t, g); resp.Guard != s.result {
			t.Errorf("request %d, %.80s: %d %s, want %s", i, s.request.body, resp.Status, resp.Guard, s.result)
		}
		if s.result == "forwarded" {
			calls++
		}
	}
	wantCalls(t, app, calls)
}

func base64MAC(text string) string {
	return base64.StdEncoding.EncodeToString(hmac256(shapeSecret, text))
}

func TestAttackMovedBorders(t *testing.T) {
	t.Parallel()
	app, g := shapes(t, "twitch", "plivo-v2", "zendesk", "zerohash", "square", "favro")
	now := time.Now().UTC()
	iso, ms := now.Format(time.RFC3339), fmt.Sprint(now.UnixMilli())
	twitch := func(id, stamp, body, text string) reported {
		return reported{"/twitch", body, []string{"Twitch-Eventsub-Message-Signature", "sha256=" + hex.EncodeToString(hmac256(shapeSecret, text)),
			"Twitch-Eventsub-Message-Id", id, "Twitch-Eventsub-Message-Timestamp", stamp}}
	}
	message := `{"subscription":{"type":"x"},"event":{"at":"` + iso + `"}}`
	twitchText := "id-1" + iso + message
	plivo := func(path, nonce, text string) reported {
		return reported{path, "", []string{"X-Plivo-Signature-V2", base64MAC(text), "X-Plivo-Signature-V2-Nonce", nonce}}
	}
	plivoText := g.URL("/plivo-v2/1") + "2345"
	zendesk := func(stamp, id, body, text string) reported {
		return reported{"/zendesk", body, []string{"X-Zendesk-Webhook-Signature", base64MAC(text),
			"X-Zendesk-Webhook-Signature-Timestamp", stamp, "X-Zendesk-Webhook-Invocation-Id", id}}
	}
	zerohash := func(body, stamp, id, text string) reported {
		return reported{"/zerohash", body, []string{"x-zh-hook-signature", hex.EncodeToString(hmac256(shapeSecret, text)),
			"x-zh-hook-timestamp", stamp, "x-zh-hook-notification-id", id, "x-zh-hook-payload-type", "t"}}
	}
	square := func(path, body, text string) reported {
		return reported{path, body, []string{"x-square-hmacsha256-signature", base64MAC(text)}}
	}
	squareText := g.URL("/square?a=1") + `{"event_id":"e1","type":"t"}`
	cut := message[strings.Index(message, iso)+len(iso):]
	for name, steps := range map[string][]step{
		"an ID that takes the stamp in": {
			{twitch("id-1", iso, message, twitchText), "forwarded"},
			{twitch("id-1"+iso+strings.TrimSuffix(message, iso+cut), iso, cut, twitchText), "signature_malformed"},
			{twitch("id-", "1"+iso, message, twitchText), "timestamp_malformed"},
		},
		"a path that takes the nonce in": {
			{plivo("/plivo-v2/1", "2345", plivoText), "forwarded"},
			{plivo("/plivo-v2/12", "345", plivoText), "duplicate"},
			{plivo("/plivo-v2/", "12345", plivoText), "duplicate"},
		},
		"a stamp's last letter": {
			{zendesk(iso, "i1", "2 tickets", iso+"2 tickets"), "forwarded"},
			{zendesk(strings.TrimSuffix(iso, "Z"), "i2", "Z2 tickets", iso+"2 tickets"), "signature_malformed"},
		},
		"an amount's last digit": {
			{zerohash("amount=1000", ms, "n1", "amount=1000"+ms), "forwarded"},
			{zerohash("amount=100", "0"+ms, "n2", "amount=1000"+ms), "signature_malformed"},
		},
		"an amount before it arrives": {
			{zerohash("amount=20", "0"+ms, "n3", "amount=200"+ms), "signature_malformed"},
		},
		"a URL that gives to the body": {
			{square("/square?a=1", `{"event_id":"e1","type":"t"}`, squareText), "forwarded"},
			{square("/square?a=", `1{"event_id":"e1","type":"t"}`, squareText), "signature_malformed"},
			{square("/square?a", `=1{"event_id":"e1","type":"t"}`, squareText), "signature_malformed"},
		},
	} {
		t.Run(name, func(t *testing.T) { take(t, g, app, steps) })
	}
}

func TestAttackListsOfElementsSignedOneByOne(t *testing.T) {
	t.Parallel()
	app, g := shapes(t, "adyen-standard")
	item := func(reference string) string {
		text := reference + "::Shop:order:1130:EUR:AUTHORISATION:true"
		return `{"NotificationRequestItem":{"additionalData":{"hmacSignature":"` + base64MAC(text) + `"},"amount":{"value":1130,"currency":"EUR"},"pspReference":"` + reference +
			`","originalReference":"","eventCode":"AUTHORISATION","merchantAccountCode":"Shop","merchantReference":"order","success":"true"}}`
	}
	list := func(items ...string) reported {
		return reported{"/adyen-standard", `{"live":"false","notificationItems":[` + strings.Join(items, ",") + `]}`, nil}
	}
	a, b := item("A"), item("B")
	take(t, g, app, []step{
		{list(a), "forwarded"},
		{list(a), "duplicate"},
		{list(a, a), "signature_malformed"},
		{list(b, a), "signature_malformed"},
		{list(a, b), "signature_malformed"},
		{list(b, strings.Replace(a, "order", "other", 1)), "signature_malformed"},
		{list(), "signature_missing"},
		{list(strings.Replace(a, "hmacSignature", "none", 1)), "signature_missing"},
		{list(b), "forwarded"},
		{list(strings.Replace(b, `"NotificationRequestItem":{`, `"NotificationRequestItem":{"reason":"x",`, 1)), "duplicate"},
	})
	// With a colon in a value, the borders can be moved: all readings are one event.
	text := "C::Shop:a:b:1130:EUR:AUTHORISATION:true"
	shop := func(account, reference string) reported {
		r := strings.NewReplacer(`"merchantAccountCode":"Shop"`, `"merchantAccountCode":"`+account+`"`, `"merchantReference":"order"`, `"merchantReference":"`+reference+`"`).Replace(item("C"))
		return list(strings.Replace(r, base64MAC("C::Shop:order:1130:EUR:AUTHORISATION:true"), base64MAC(text), 1))
	}
	take(t, g, app, []step{{shop("Shop", "a:b"), "forwarded"}, {shop("Shop:a", "b"), "duplicate"}, {shop("Shop", "a:b"), "duplicate"}})
}

func TestAttackTokenOfAnotherPurpose(t *testing.T) {
	t.Parallel()
	app, g := shapes(t, "livekit")
	token := func(body, claims string) reported {
		part := base64.RawURLEncoding.EncodeToString
		now := time.Now().Unix()
		text := part([]byte(`{"alg":"HS256"}`)) + "." + part(fmt.Appendf(nil, `{"iss":"key","sub":"guest","nbf":%d,"exp":%d%s}`, now, now+60, claims))
		return reported{"/livekit", body, []string{"Authorization", text + "." + part(hmac256(shapeSecret, text)), "Content-Type", "application/webhook+json"}}
	}
	const event = `{"id":"EV_1","event":"room_started"}`
	sum := sha256.Sum256([]byte(event))
	digest := `,"sha256":"` + base64.StdEncoding.EncodeToString(sum[:]) + `"`
	room := `,"video":{"room":"r","roomJoin":true}`
	take(t, g, app, []step{
		{token("", room), "signature_malformed"},
		{token(event, room), "signature_malformed"},
		{token(event, digest), "forwarded"},
		{token("", digest), "signature_invalid"},
		{token(strings.Replace(event, "EV_1", "EV_2", 1), digest), "signature_invalid"},
	})
}

func TestAttackKeysThatEverybodyHas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string { return inFile(t, dir, name, text) }
	guard := func(provider, lines string) string {
		return "http://a.test {\nwebhook_guard " + provider + " {\n" + lines + "\n}\nrespond ok\n}\n"
	}
	for name, config := range map[string]string{
		"zero bytes in base64": guard("svix", "secret whsec_AAAA"),
		"spaces in base64":     guard("svix", "secret whsec_ICAg"),
		"a prefix":             guard("svix", `secret "whsec_  "`),
		"a prefix, used whole": guard("stripe", "secret whsec_"),
		"zero bytes in hex":    guard("adyen-standard", "secret 00000000"),
		"a space":              guard("github", `secret "  "`),
		"a blank file":         guard("github", "secret "+file("blank", "\n\n")),
		"a mark in a file":     guard("github", "secret "+file("mark", "\ufeff\n")),
		"zero bytes in a file": guard("github", "secret "+file("zeros", strings.Repeat("\x00", 64))),
		"a bearer of nothing":  guard("okrapdf", "token bearer\nsecret \"Bearer \""),
		"no user, no password": guard("chargebee", "secret :"),
		"a point of order one": guard("discord", "public_key 01"+strings.Repeat("00", 31)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if out, err := validate(t, "Caddyfile", config); err == nil {
				t.Errorf("it is valid: %s", out)
			}
		})
	}
	// A file that becomes blank changes nothing.
	app := testbed.StartApp(t, nil)
	secret := file("secret", shapeSecret)
	g := site{store: "memory", routes: "webhook_guard github {\n\tsecret " + secret + "\n}\n" + proxy(app)}.start(t)
	wantResult(t, "before", githubEvent("/", shapeSecret, "d1").send(t, g), http.StatusOK, "forwarded")
	file("secret", strings.Repeat("\x00", 64))
	testbed.Eventually(t, soon, func() bool {
		githubEvent("/", "none", "d0").send(t, g) // files are looked at when requests come
		return strings.Contains(g.Output(), "cannot be used")
	}, "the gateway did not see the file change")
	wantResult(t, "the empty key", githubEvent("/", "", "d2").send(t, g), http.StatusUnauthorized, "signature_invalid")
	wantResult(t, "after", githubEvent("/", shapeSecret, "d3").send(t, g), http.StatusOK, "forwarded")
}
