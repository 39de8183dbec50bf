package e2e

import (
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// detached is a JWS of a payload without the payload, as go-jose makes it.
func detached(t *testing.T, key any, alg jose.SignatureAlgorithm, kid, payload string, options *jose.SignerOptions) string {
	t.Helper()
	signing := jose.SigningKey{Algorithm: alg, Key: key}
	if kid != "" {
		signing.Key = jose.JSONWebKey{Key: key, KeyID: kid}
	}
	signer, err := jose.NewSigner(signing, options)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.DetachedCompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// headed is a detached token with this header, signed by hand.
func headed(t *testing.T, key pair, header map[string]any, payload string) string {
	t.Helper()
	first, _ := json.Marshal(header)
	head := inURL(first)
	return head + ".." + inURL(key.sign(t, []byte(head+"."+inURL([]byte(payload)))))
}

func fireblocksEvent(more string) string {
	return fmt.Sprintf(`{"id":"%s","workspaceId":"w","eventType":"transaction.created","createdAt":%d,"data":{"id":"tx"}%s}`, testbed.NewID(), time.Now().UnixMilli(), more)
}

// Fireblocks signs the body with RS512 and sends the signature without it.
func TestFireblocksSignsTheBodyDetached(t *testing.T) {
	t.Parallel()
	key, stranger := newRSA(t, "webhook-key-2025-01", 2048), newRSA(t, "webhook-key-2025-01", 2048)
	server := newKeyServer(t, key.jwk("alg", "RS512"), newRSA(t, "older", 2048).jwk("alg", "RS512")).overHTTP()
	own := newKeyServer(t, stranger.jwk()).overHTTP()
	app := testbed.StartApp(t, nil)
	g := site{store: "memory", routes: route("", "fireblocks-v2", proxy(app), "keys jwks "+server.URL+"/.well-known/jwks.json")}.start(t)
	send := func(signature, body string) testbed.Response {
		t.Helper()
		return testbed.Do(t, post(t, g.URL("/webhooks/fireblocks-v2"), []byte(body), map[string]string{
			"Fireblocks-Webhook-Signature": signature, "Fireblocks-Signature": "AAAA", "Content-Type": "application/json",
		}))
	}
	sign := func(body string) string { return detached(t, key.private, jose.RS512, key.kid, body, nil) }
	for i, body := range []string{fireblocksEvent(""), fireblocksEvent(`,"note":"ü"`), fireblocksEvent(`,"fill":"` + strings.Repeat("x", 100_000) + `"`)} {
		want(t, send(sign(body), body), 200, "forwarded")
		wantDelivered(t, app, i+1, []byte(body))
		want(t, send(sign(body), body), 200, "duplicate")
	}
	nameless := fireblocksEvent("")
	want(t, send(detached(t, key.private, jose.RS512, "", nameless, nil), nameless), 200, "forwarded")
	calls := app.Count()

	body := fireblocksEvent("")
	genuine := sign(body)
	head, mac, _ := strings.Cut(genuine, "..")
	der, err := x509.MarshalPKIXPublicKey(key.private.Public())
	if err != nil {
		t.Fatal(err)
	}
	hmacOf := func(secret []byte) string {
		first := inURL([]byte(`{"alg":"HS512","kid":"` + key.kid + `"}`))
		return first + ".." + signedText(first+"."+inURL([]byte(body)), secret)[len(first)+1+len(inURL([]byte(body)))+1:]
	}
	with := func(more map[string]any) *jose.SignerOptions {
		options := &jose.SignerOptions{}
		for name, value := range more {
			options.WithHeader(jose.HeaderKey(name), value)
		}
		return options
	}
	for name, signature := range map[string]string{
		"another body's":        sign(fireblocksEvent("")),
		"a stranger's":          detached(t, stranger.private, jose.RS512, key.kid, body, nil),
		"jwk":                   detached(t, stranger.private, jose.RS512, key.kid, body, &jose.SignerOptions{EmbedJWK: true}),
		"jku":                   detached(t, stranger.private, jose.RS512, key.kid, body, with(map[string]any{"jku": own.URL})),
		"x5u":                   detached(t, stranger.private, jose.RS512, key.kid, body, with(map[string]any{"x5u": own.URL})),
		"RS256":                 detached(t, key.private, jose.RS256, key.kid, body, nil),
		"PS512":                 detached(t, key.private, jose.PS512, key.kid, body, nil),
		"RS256 as RS512":        headed(t, key, map[string]any{"alg": "RS512", "kid": key.kid}, body),
		"none":                  inURL([]byte(`{"alg":"none"}`)) + "..",
		"none, a signature":     inURL([]byte(`{"alg":"none"}`)) + ".." + mac,
		"an HMAC with the PEM":  hmacOf(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		"an HMAC with the DER":  hmacOf(der),
		"b64 false":             detached(t, key.private, jose.RS512, key.kid, body, (&jose.SignerOptions{}).WithBase64(false)),
		"b64 without crit":      detached(t, key.private, jose.RS512, key.kid, body, with(map[string]any{"b64": true})),
		"crit":                  detached(t, key.private, jose.RS512, key.kid, body, with(map[string]any{"crit": []string{"exp"}, "exp": 1})),
		"an empty crit":         detached(t, key.private, jose.RS512, key.kid, body, with(map[string]any{"crit": []string{}})),
		"the body in it":        head + "." + inURL([]byte(body)) + "." + mac,
		"the body in another":   head + "." + inURL([]byte(nameless)) + "." + mac,
		"no header":             ".." + mac,
		"no signature":          head + "..",
		"three dots":            head + "..." + mac,
		"a signature twice":     genuine + "." + mac,
		"one dot":               head + "." + mac,
		"a padded header":       head + "=.." + mac,
		"a header of no object": inURL([]byte(`["RS512"]`)) + ".." + mac,
		"alg twice":             inURL([]byte(`{"alg":"none","alg":"RS512"}`)) + ".." + mac,
		"another case":          strings.ToUpper(head) + ".." + mac,
		"the plain signature":   base64.StdEncoding.EncodeToString(key.sign(t, []byte(body))),
		"a part of it":          genuine[:len(genuine)-4],
		"a line break":          head + ".." + mac[:10] + "\t" + mac[10:],
		"kid is a path":         detached(t, key.private, jose.RS512, "../"+key.kid, body, nil),
		"kid is a list":         detached(t, key.private, jose.RS512, "", body, with(map[string]any{"kid": []string{key.kid}})),
	} {
		if resp := send(signature, body); resp.Status != 401 && resp.Guard != "secret_unavailable" {
			t.Errorf("%s: %v", name, resp)
		}
	}
	for name, changed := range map[string]string{
		"a space more": body + " ", "a byte less": body[:len(body)-1], "another body": fireblocksEvent(""), "nothing": "", "encoded": inURL([]byte(body)),
	} {
		if resp := send(genuine, changed); resp.Status != 401 {
			t.Errorf("%s: %v", name, resp)
		}
	}
	wantCalls(t, app, calls)
	if n := own.count(); n != 0 {
		t.Errorf("the attacker's keys were fetched %d times", n)
	}
	want(t, send(genuine, body), 200, "forwarded")
	for name, body := range map[string]string{
		"an old event": `{"id":"1","createdAt":1700000000000}`, "an event without a time": `{"id":"2"}`,
		"an event from the future": fmt.Sprintf(`{"id":"3","createdAt":%d}`, time.Now().Add(time.Hour).UnixMilli()),
	} {
		if resp := send(sign(body), body); resp.Status != 403 {
			t.Errorf("%s: %v", name, resp)
		}
	}
	unnamed := fmt.Sprintf(`{"createdAt":%d}`, time.Now().UnixMilli())
	want(t, send(sign(unnamed), unnamed), 400, "id_malformed")
	// A new key is fetched once it signs.
	next := newRSA(t, "webhook-key-2026-01", 2048)
	server.publish(key.jwk(), next.jwk("alg", "RS512"))
	body = fireblocksEvent("")
	if resp := send(detached(t, next.private, jose.RS512, next.kid, body, nil), body); resp.Status != 200 && resp.Guard != "secret_unavailable" {
		t.Errorf("a new key: %v", resp)
	}
}

// Neon encodes the body twice, with the stamp in between, and waits for an answer.
func TestNeonSignsTheStampAndTheBody(t *testing.T) {
	t.Parallel()
	key, stranger := newEd25519(t, "01dec52b-4666"), newEd25519(t, "01dec52b-4666")
	server := newKeyServer(t, key.jwk("alg", "EdDSA"), newEC(t, "ec", elliptic.P256()).jwk()).overHTTP()
	app := testbed.StartApp(t, func(testbed.Delivery) testbed.Answer {
		return testbed.Answer{Status: 200, Body: []byte(`{"allowed":true}`), Header: http.Header{"Content-Type": {"application/json"}}}
	})
	g := site{store: "memory", routes: route("", "neon-auth", proxy(app), "keys jwks "+server.URL+"/.well-known/jwks.json")}.start(t)
	stamp := func(at time.Time) string { return strconv.FormatInt(at.UnixMilli(), 10) }
	send := func(signature, stamp, body string) testbed.Response {
		t.Helper()
		return testbed.Do(t, post(t, g.URL("/webhooks/neon-auth"), []byte(body), map[string]string{
			"X-Neon-Signature": signature, "X-Neon-Signature-Kid": key.kid, "X-Neon-Timestamp": stamp, "Content-Type": "application/json",
			"X-Neon-Event-Type": "user.created", "X-Neon-Event-Id": "unsigned", "X-Neon-Delivery-Attempt": "1",
		}))
	}
	sign := func(key pair, stamp, body string) string {
		return detached(t, key.private, jose.EdDSA, key.kid, stamp+"."+inURL([]byte(body)), (&jose.SignerOptions{}).WithType("JWS"))
	}
	event := func() string {
		return `{"event_id":"` + testbed.NewID() + `","event_type":"user.before_create","user":{"email":"a@example.com"}}`
	}
	body, now := event(), stamp(time.Now())
	first := send(sign(key, now, body), now, body)
	want(t, first, 200, "forwarded")
	if d := wantDelivered(t, app, 1, []byte(body)); d.Header.Get("Webhook-Guard-Event") != "user.before_create" {
		t.Errorf("event %q", d.Header.Get("Webhook-Guard-Event"))
	}
	later := stamp(time.Now().Add(2 * time.Second))
	again := send(sign(key, later, body), later, body)
	want(t, again, 200, "duplicate")
	if string(again.Body) != string(first.Body) || string(first.Body) != `{"allowed":true}` {
		t.Errorf("the first got %s, the copy %s", first.Body, again.Body)
	}
	body = event()
	genuine := sign(key, now, body)
	once := detached(t, key.private, jose.EdDSA, key.kid, now+"."+body, nil)
	token := key.token(t, map[string]any{"sub": "user", "exp": time.Now().Add(time.Hour).Unix()}, nil)
	parts := strings.Split(token, ".")
	for name, resp := range map[string]testbed.Response{
		"another stamp":       send(genuine, later, body),
		"a stamp with a zero": send(genuine, "0"+now, body),
		"another body":        send(genuine, now, event()),
		"a stranger":          send(sign(stranger, now, body), now, body),
		"encoded once":        send(once, now, body),
		"the body alone":      send(detached(t, key.private, jose.EdDSA, key.kid, body, nil), now, body),
		"a user's token":      send(token, now, body),
		"detached from it":    send(parts[0]+".."+parts[2], now, `{"sub":"user"}`),
		"its claims, too":     send(parts[0]+".."+parts[2], parts[1], ""),
	} {
		if resp.Status != 401 && resp.Status != 403 {
			t.Errorf("%s: %v", name, resp)
		}
	}
	old, ahead := stamp(time.Now().Add(-10*time.Minute)), stamp(time.Now().Add(10*time.Minute))
	want(t, send(sign(key, old, body), old, body), 403, "timestamp_stale")
	want(t, send(sign(key, ahead, body), ahead, body), 403, "timestamp_future")
	wantCalls(t, app, 1)
}
