package e2e

import (
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// A push of Pub/Sub is verified with the keys that Google publishes, here by a server with
// an authority of its own, and only for the audience and the account that are configured.
func TestPubSubIsVerifiedWithFetchedKeys(t *testing.T) {
	t.Parallel()
	key, other := newRSA(t, "k1", 2048), newRSA(t, "k2", 2048)
	server := newKeyServer(t, key.jwk("alg", "RS256"), other.jwk("alg", "RS256"))
	ca := server.overTLS(t, "keys.example")
	app := testbed.StartApp(t, nil)
	g := site{store: "memory", routes: pubsubRoute(app, server.URL+"/keys ca "+ca)}.start(t)

	first := push(t, g, key.token(t, pubsub(), nil))
	want(t, testbed.Do(t, first), 200, "forwarded")
	again := first.Clone(first.Context())
	again.Body, _ = first.GetBody()
	want(t, testbed.Do(t, again), 200, "duplicate")
	// One token carries many messages.
	token := other.token(t, pubsub("iat", time.Now().Add(-59*time.Minute).Unix()), nil)
	want(t, testbed.Do(t, push(t, g, token)), 200, "forwarded")
	want(t, testbed.Do(t, push(t, g, token)), 200, "forwarded")
	calls := app.Count()

	for name, claims := range map[string]map[string]any{
		"another audience":       pubsub("aud", "https://hooks.example.com/other"),
		"a longer audience":      pubsub("aud", pushAudience+"/"),
		"an audience in a list":  pubsub("aud", []string{pushAudience, "https://evil.example"}),
		"another account":        pubsub("email", "pusher@evil.iam.gserviceaccount.com"),
		"an unverified account":  pubsub("email_verified", false),
		"no verified account":    pubsub("email_verified", nil),
		"no account":             pubsub("email", nil),
		"another issuer":         pubsub("iss", server.URL),
		"a token without issuer": pubsub("iss", nil),
	} {
		if resp := testbed.Do(t, push(t, g, key.token(t, claims, nil))); resp.Status != 401 {
			t.Errorf("%s: %v", name, resp)
		}
	}
	for name, claims := range map[string]map[string]any{
		"expired":         pubsub("exp", time.Now().Add(-2*time.Minute).Unix()),
		"issued long ago": pubsub("iat", time.Now().Add(-2*time.Hour).Unix()),
		"from the future": pubsub("iat", time.Now().Add(time.Hour).Unix()),
		"without a time":  pubsub("iat", nil),
	} {
		if resp := testbed.Do(t, push(t, g, key.token(t, claims, nil))); resp.Status != 403 {
			t.Errorf("%s: %v", name, resp)
		}
	}
	wantCalls(t, app, calls)
	if n := server.count(); n != 1 {
		t.Errorf("the keys were fetched %d times, want once", n)
	}
}

// Nothing in a token chooses its algorithm or where keys come from.
func TestTokensChooseNeitherAlgorithmNorKeys(t *testing.T) {
	t.Parallel()
	key := newRSA(t, "k1", 2048)
	short := newRSA(t, "short", 1024)
	ec, p384, ed := newEC(t, "ec", elliptic.P256()), newEC(t, "p384", elliptic.P384()), newEd25519(t, "ed")
	evil := newRSA(t, "evil", 2048)
	own := newKeyServer(t, evil.jwk()).overHTTP()
	server := newKeyServer(t, key.jwk(), short.jwk(), ec.jwk(), p384.jwk(), ed.jwk(),
		newRSA(t, "enc", 2048).jwk("use", "enc"), map[string]string{"kty": "oct", "kid": "oct", "k": inURL([]byte("0123456789abcdef0123456789abcdef"))},
		map[string]string{"kty": "unheard of", "kid": "new"}).overHTTP()
	app := testbed.StartApp(t, nil)
	g := site{store: "memory", routes: pubsubRoute(app, server.URL+"/keys")}.start(t)
	want(t, testbed.Do(t, push(t, g, key.token(t, pubsub(), nil))), 200, "forwarded")

	der, err := x509.MarshalPKIXPublicKey(key.private.Public())
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	tokens := map[string]string{
		"alg none":                   unsignedToken(pubsub(), "k1", "none"),
		"alg None":                   unsignedToken(pubsub(), "k1", "None"),
		"no signature":               unsignedToken(pubsub(), "k1", "RS256"),
		"HMAC with the PEM":          hmacToken(pubsub(), "k1", public),
		"HMAC with the DER":          hmacToken(pubsub(), "k1", der),
		"HMAC with a key of the set": hmacToken(pubsub(), "oct", []byte("0123456789abcdef0123456789abcdef")),
		"ES256":                      ec.token(t, pubsub(), nil),
		"ES256 as RS256":             ec.token(t, pubsub(), map[string]any{"alg": "RS256"}),
		"P-384":                      p384.token(t, pubsub(), map[string]any{"alg": "RS256"}),
		"EdDSA":                      ed.token(t, pubsub(), nil),
		"EdDSA as RS256":             ed.token(t, pubsub(), map[string]any{"alg": "RS256"}),
		"a short key":                short.token(t, pubsub(), nil),
		"jku":                        evil.token(t, pubsub(), map[string]any{"jku": own.URL}),
		"jku, a known kid":           evil.token(t, pubsub(), map[string]any{"jku": own.URL, "kid": "k1"}),
		"x5u":                        evil.token(t, pubsub(), map[string]any{"x5u": own.URL, "kid": "k1"}),
		"jwk":                        evil.token(t, pubsub(), map[string]any{"jwk": evil.jwk(), "kid": "k1"}),
		"jwk without a kid":          evil.token(t, pubsub(), map[string]any{"jwk": evil.jwk(), "kid": nil}),
		"iss":                        evil.token(t, pubsub("iss", own.URL), nil),
		"crit":                       key.token(t, pubsub(), map[string]any{"crit": []string{"b64"}}),
	}
	for _, kid := range []any{"../k1", "../../keys", "k1/../k1", "k1%00", "k1?x=1", "k1#", `k1\`, "http://evil.example/k1", "k1 ", "k1\n", "", strings.Repeat("k", 129), 1, []string{"k1"}, map[string]any{"k": 1}, true} {
		tokens[fmt.Sprintf("kid %v", kid)] = key.token(t, pubsub(), map[string]any{"kid": kid})
	}
	calls := app.Count()
	for name, token := range tokens {
		resp := testbed.Do(t, push(t, g, token))
		if resp.Status != 401 && resp.Header.Get("Webhook-Guard") != "secret_unavailable" {
			t.Errorf("%s: %v", name, resp)
		}
	}
	wantCalls(t, app, calls)
	if n := own.count(); n != 0 {
		t.Errorf("the attacker's keys were fetched %d times", n)
	}
	if n := server.count(); n > 2 {
		t.Errorf("forgeries had the keys fetched %d times, want twice at most", n)
	}
	// A kid is not required, and each key that fits is tried.
	want(t, testbed.Do(t, push(t, g, key.token(t, pubsub(), map[string]any{"kid": nil}))), 200, "forwarded")
}

// A new key is found as soon as a token names it, and forgeries have the keys fetched no
// more than once a minute.
func TestRotatedKeysAreFetched(t *testing.T) {
	t.Parallel()
	before, after, stranger := newRSA(t, "k1", 2048), newRSA(t, "k2", 2048), newRSA(t, "k3", 2048)
	server := newKeyServer(t, before.jwk()).overHTTP()
	app := testbed.StartApp(t, nil)
	g := site{store: "memory", routes: pubsubRoute(app, server.URL+"/keys")}.start(t)
	want(t, testbed.Do(t, push(t, g, before.token(t, pubsub(), nil))), 200, "forwarded")

	server.publish(after.jwk())
	want(t, testbed.Do(t, push(t, g, after.token(t, pubsub(), nil))), 200, "forwarded")
	// The old one is gone with that, but whoever knows it may be early for the next set.
	for range 5 {
		want(t, testbed.Do(t, push(t, g, before.token(t, pubsub(), nil))), 503, "secret_unavailable")
		want(t, testbed.Do(t, push(t, g, stranger.token(t, pubsub(), nil))), 503, "secret_unavailable")
	}
	want(t, testbed.Do(t, push(t, g, stranger.token(t, pubsub(), map[string]any{"kid": "k2"}))), 401, "signature_invalid")
	if n := server.count(); n != 2 {
		t.Errorf("the keys were fetched %d times, want twice", n)
	}
	wantCalls(t, app, 2)
}

// An unknown key is looked for once, and refused for good where it is not found.
func TestAnUnknownKeyIsRefused(t *testing.T) {
	t.Parallel()
	key, stranger := newRSA(t, "k1", 2048), newRSA(t, "k3", 2048)
	server := newKeyServer(t, key.jwk()).overHTTP()
	app := testbed.StartApp(t, nil)
	g := site{store: "memory", routes: pubsubRoute(app, server.URL+"/keys")}.start(t)
	want(t, testbed.Do(t, push(t, g, stranger.token(t, pubsub(), nil))), 401, "signature_invalid")
	want(t, testbed.Do(t, push(t, g, key.token(t, pubsub(), nil))), 200, "forwarded")
	wantCalls(t, app, 1)
}

// Without keys the answer is 503, whatever is wrong at their publisher's, and nothing is
// forwarded.
func TestBadPublishersGiveNoKeys(t *testing.T) {
	t.Parallel()
	key := newRSA(t, "k1", 2048)
	app := testbed.StartApp(t, nil)
	good := newKeyServer(t, key.jwk()).overHTTP()
	foreign := newKeyServer(t, key.jwk())
	foreign.overTLS(t, "keys.example")
	answer := func(status int, contentType, body string) *keyServer {
		s := newKeyServer(t).overHTTP()
		s.answer(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.Header().Set("Location", good.URL+"/keys")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		})
		return s
	}
	const jsonType = "application/json"
	document := `{"keys":[{"kty":"RSA","kid":"k1","n":"` + key.jwk()["n"] + `","e":"AQAB"}]}`
	for name, url := range map[string]string{
		"nobody there":      dead(t),
		"slow":              hangingServer(t),
		"redirecting":       answer(302, jsonType, document).URL,
		"another redirect":  answer(308, jsonType, document).URL,
		"an error":          answer(500, jsonType, document).URL,
		"not found":         answer(404, jsonType, document).URL,
		"created":           answer(201, jsonType, document).URL,
		"a page":            answer(200, "text/html", document).URL,
		"no type":           answer(200, "", document).URL,
		"oversized":         answer(200, jsonType, document+strings.Repeat(" ", 256<<10)).URL,
		"no JSON":           answer(200, jsonType, document+"}").URL,
		"a list":            answer(200, jsonType, "["+document+"]").URL,
		"no keys":           answer(200, jsonType, `{"keys":[]}`).URL,
		"no list of keys":   answer(200, jsonType, `{}`).URL,
		"too many keys":     answer(200, jsonType, `{"keys":[`+strings.Repeat(`{"kty":"x"},`, 32)+document[9:]).URL,
		"a short key":       newKeyServer(t, newRSA(t, "k1", 1024).jwk()).overHTTP().URL,
		"another type":      newKeyServer(t, newEC(t, "k1", elliptic.P256()).jwk()).overHTTP().URL,
		"another algorithm": newKeyServer(t, key.jwk("alg", "RS512")).overHTTP().URL,
		"a foreign root":    foreign.URL,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := site{store: "memory", routes: pubsubRoute(app, url)}.start(t)
			resp := testbed.Do(t, push(t, g, key.token(t, pubsub(), nil)))
			want(t, resp, 503, "secret_unavailable")
			if resp.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			testbed.Eventually(t, soon, func() bool { return strings.Contains(g.Output(), "the sender's keys cannot be fetched") }, "no warning")
		})
	}
	t.Cleanup(func() {
		if n := app.Count(); n != 0 {
			t.Errorf("%d requests were forwarded without keys", n)
		}
	})
}

// Keys outlive a restart while their publisher is away.
func TestKeysAreKeptAcrossRestarts(t *testing.T) {
	t.Parallel()
	key := newRSA(t, "k1", 2048)
	server := newKeyServer(t, key.jwk()).overHTTP()
	app := testbed.StartApp(t, nil)
	storage, kept := storageOfKeys(t)
	g := site{store: "memory", global: storage, routes: pubsubRoute(app, server.URL+"/keys")}.start(t)
	want(t, testbed.Do(t, push(t, g, key.token(t, pubsub(), nil))), 200, "forwarded")
	kept()
	g.Kill()
	server.Close()
	g.Start()
	want(t, testbed.Do(t, push(t, g, key.token(t, pubsub(), nil))), 200, "forwarded")
	wantCalls(t, app, 2)
	// A key that is not known may be a new one.
	want(t, testbed.Do(t, push(t, g, newRSA(t, "k2", 2048).token(t, pubsub(), nil))), 503, "secret_unavailable")
}

// Guards that are configured with the key itself fetch nothing.
func TestAPublicKeyTakesThePlaceOfFetchedOnes(t *testing.T) {
	t.Parallel()
	key := newRSA(t, "k1", 2048)
	der, err := x509.MarshalPKIXPublicKey(key.private.Public())
	if err != nil {
		t.Fatal(err)
	}
	app := testbed.StartApp(t, nil)
	server := newKeyServer(t, key.jwk()).overHTTP()
	g := site{store: "memory", routes: pubsubRoute(app, server.URL, "public_key "+base64.StdEncoding.EncodeToString(der))}.start(t)
	want(t, testbed.Do(t, push(t, g, key.token(t, pubsub(), nil))), 200, "forwarded")
	want(t, testbed.Do(t, push(t, g, newRSA(t, "k1", 2048).token(t, pubsub(), nil))), 401, "signature_invalid")
	if n := server.count(); n != 0 {
		t.Errorf("the keys were fetched %d times", n)
	}
}

// A body that is a token, as Kinde sends it: all of it is signed.
func TestKindesBodyIsAToken(t *testing.T) {
	t.Parallel()
	key, stranger := newRSA(t, "2a:e0:4f", 2048), newRSA(t, "2a:e0:4f", 2048)
	server := newKeyServer(t, key.jwk()).overHTTP()
	app := testbed.StartApp(t, nil)
	g := site{store: "memory", routes: route("", "kinde", proxy(app), "keys jwks "+server.URL+"/.well-known/jwks")}.start(t)
	send := func(token string) testbed.Response {
		return testbed.Do(t, post(t, g.URL("/webhooks/kinde"), []byte(token), map[string]string{"Content-Type": "application/jwt"}))
	}
	claims := map[string]any{"event_id": "event_" + testbed.NewID(), "type": "user.created", "timestamp": time.Now().Format(time.RFC3339), "data": map[string]any{"user": map[string]any{"id": "kp_1"}}}
	token := key.token(t, claims, nil)
	want(t, send(token), 200, "forwarded")
	delivery := wantDelivered(t, app, 1, []byte(token))
	if id, event := delivery.Header.Get("Webhook-Guard-Id"), delivery.Header.Get("Webhook-Guard-Event"); id != claims["event_id"] || event != "user.created" {
		t.Errorf("ID %q, event %q", id, event)
	}
	want(t, send(key.token(t, claims, nil)), 200, "duplicate")
	want(t, send(stranger.token(t, claims, nil)), 401, "signature_invalid")
	want(t, send(token+"x"), 401, "signature_malformed")
	wantCalls(t, app, 1)
}

// FusionAuth signs a digest of the body, with a key that the user chooses.
func TestFusionAuthsTokenHoldsTheBodysDigest(t *testing.T) {
	t.Parallel()
	key, ec := newRSA(t, "rsa", 2048), newEC(t, "ec", elliptic.P256())
	server := newKeyServer(t, key.jwk(), ec.jwk(), newEC(t, "p384", elliptic.P384()).jwk()).overHTTP()
	app := testbed.StartApp(t, nil)
	g := site{store: "memory", routes: route("/rsa", "fusionauth", proxy(app), "keys jwks "+server.URL, "scope rsa") +
		route("/ec", "fusionauth", proxy(app), "signature X-FusionAuth-Signature-JWT ecdsa-sha256", "keys jwks "+server.URL, "scope ec")}.start(t)
	send := func(path string, key pair, body, signed string) testbed.Response {
		sum := sha256.Sum256([]byte(signed))
		token := key.token(t, map[string]any{"request_body_sha256": base64.StdEncoding.EncodeToString(sum[:])}, nil)
		return testbed.Do(t, post(t, g.URL(path+"/webhooks/fusionauth"), []byte(body), map[string]string{"X-FusionAuth-Signature-JWT": token, "Content-Type": "application/json"}))
	}
	event := func() string { return `{"event":{"id":"` + testbed.NewID() + `","type":"user.create"}}` }
	for path, pairs := range map[string][2]pair{"/rsa": {key, ec}, "/ec": {ec, key}} {
		body := event()
		want(t, send(path, pairs[0], body, body), 200, "forwarded")
		want(t, send(path, pairs[0], body, body), 200, "duplicate")
		want(t, send(path, pairs[0], body, event()), 401, "signature_invalid")
		want(t, send(path, pairs[1], body, body), 401, "signature_malformed")
	}
	wantCalls(t, app, 2)
}

// fal signs with Ed25519 and names no key.
func TestFalIsVerifiedWithEachFetchedKey(t *testing.T) {
	t.Parallel()
	keys := []pair{newEd25519(t, "a"), newEd25519(t, "b"), newEd25519(t, "c")}
	server := newKeyServer(t, keys[0].jwk("alg", "EdDSA"), keys[1].jwk()).overHTTP()
	app := testbed.StartApp(t, nil)
	g := site{store: "memory", routes: route("", "fal", proxy(app), "keys jwks "+server.URL)}.start(t)
	send := func(key pair, id, body, signed string, at time.Time) testbed.Response {
		stamp, sum := strconv.FormatInt(at.Unix(), 10), sha256.Sum256([]byte(signed))
		text := id + "\nuser_1\n" + stamp + "\n" + hex.EncodeToString(sum[:])
		return testbed.Do(t, post(t, g.URL("/webhooks/fal"), []byte(body), map[string]string{
			"X-Fal-Webhook-Request-Id": id, "X-Fal-Webhook-User-Id": "user_1", "X-Fal-Webhook-Timestamp": stamp,
			"X-Fal-Webhook-Signature": hex.EncodeToString(key.sign(t, []byte(text))), "Content-Type": "application/json",
		}))
	}
	const body = `{"request_id":"1","status":"OK","payload":{}}`
	id := testbed.NewID()
	want(t, send(keys[0], id, body, body, time.Now()), 200, "forwarded")
	want(t, send(keys[1], id, body, body, time.Now()), 200, "duplicate")
	want(t, send(keys[1], testbed.NewID(), body, body, time.Now()), 200, "forwarded")
	want(t, send(keys[1], testbed.NewID(), body, body+" ", time.Now()), 401, "signature_invalid")
	want(t, send(keys[0], testbed.NewID(), body, body, time.Now().Add(-3*time.Hour)), 403, "timestamp_stale")
	wantCalls(t, app, 2)
}

// A key that no request names is found after a change, too.
func TestFalsNewKeyIsFetched(t *testing.T) {
	t.Parallel()
	before, after := newEd25519(t, "a"), newEd25519(t, "b")
	server := newKeyServer(t, before.jwk()).overHTTP()
	app := testbed.StartApp(t, nil)
	g := site{store: "memory", routes: route("", "fal", proxy(app), "keys jwks "+server.URL)}.start(t)
	send := func(key pair) testbed.Response {
		id, stamp, sum := testbed.NewID(), strconv.FormatInt(time.Now().Unix(), 10), sha256.Sum256([]byte("{}"))
		text := id + "\nu\n" + stamp + "\n" + hex.EncodeToString(sum[:])
		return testbed.Do(t, post(t, g.URL("/webhooks/fal"), []byte("{}"), map[string]string{
			"X-Fal-Webhook-Request-Id": id, "X-Fal-Webhook-User-Id": "u", "X-Fal-Webhook-Timestamp": stamp,
			"X-Fal-Webhook-Signature": hex.EncodeToString(key.sign(t, []byte(text))),
		}))
	}
	want(t, send(before), 200, "forwarded")
	server.publish(after.jwk())
	want(t, send(after), 200, "forwarded")
	want(t, send(before), 401, "signature_invalid")
}

// ShipEngine and ShipStation sign a stamp and the body, and name the key in a header that is
// not signed.
func TestShipEngineIsVerifiedWithFetchedKeys(t *testing.T) {
	t.Parallel()
	key, other := newRSA(t, "a", 2048), newRSA(t, "b", 2048)
	server := newKeyServer(t, other.jwk(), key.jwk()).overHTTP()
	app := testbed.StartApp(t, nil)
	var routes string
	names := []string{"shipengine", "shipstation-v2"}
	for _, name := range names {
		routes += route("", name, proxy(app), "keys jwks "+server.URL+"/jwks")
	}
	g := site{store: "memory", routes: routes}.start(t)
	for _, name := range names {
		send := func(key pair, body, signed string, at time.Time) testbed.Response {
			stamp := at.UTC().Format(time.RFC3339)
			return testbed.Do(t, post(t, g.URL("/webhooks/"+name), []byte(body), map[string]string{
				"X-ShipEngine-RSA-SHA256-Key-Id": key.kid, "X-ShipEngine-Timestamp": stamp, "Content-Type": "application/json",
				"X-ShipEngine-RSA-SHA256-Signature": base64.StdEncoding.EncodeToString(key.sign(t, []byte(stamp+"."+signed))),
			}))
		}
		body := `{"resource_type":"API_TRACK","data":{"tracking_number":"` + testbed.NewID() + `"}}`
		want(t, send(key, body, body, time.Now()), 200, "forwarded")
		want(t, send(key, body, body, time.Now().Add(time.Second)), 200, "duplicate")
		want(t, send(key, body, body+" ", time.Now()), 401, "signature_invalid")
		want(t, send(newRSA(t, "a", 2048), body, body, time.Now()), 401, "signature_invalid")
		want(t, send(key, body, body, time.Now().Add(-time.Hour)), 403, "timestamp_stale")
	}
	wantCalls(t, app, 2)
}

// A reload takes the keys along, while their publisher is away too, and a guard without any
// says what to add.
func TestKeysOutliveAReload(t *testing.T) {
	t.Parallel()
	key := newRSA(t, "k1", 2048)
	server := newKeyServer(t, key.jwk()).overHTTP()
	app := testbed.StartApp(t, nil)
	storage, kept := storageOfKeys(t)
	first := site{store: "memory", global: storage, routes: pubsubRoute(app, server.URL+"/keys")}
	g := first.start(t)
	want(t, testbed.Do(t, push(t, g, key.token(t, pubsub(), nil))), 200, "forwarded")
	kept()
	server.Close()
	second := site{store: "memory", global: storage, routes: pubsubRoute(app, server.URL+"/keys", "max_skew 2m")}
	if err := g.Reload(second.caddyfile()); err != nil {
		t.Fatal(err)
	}
	want(t, testbed.Do(t, push(t, g, key.token(t, pubsub(), nil))), 200, "forwarded")
	none := site{store: "memory", routes: route("", "kinde", proxy(app))}
	if err := g.Reload(none.caddyfile()); err == nil || !strings.Contains(err.Error(), "keys jwks") {
		t.Errorf("a guard without keys: %v", err)
	}
	want(t, testbed.Do(t, push(t, g, key.token(t, pubsub(), nil))), 200, "forwarded")
}
