package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// apple is a gateway for Apple's notifications, with a root of its own.
type apple struct {
	appleChain
	t   *testing.T
	app *testbed.App
	g   *testbed.Gateway
}

func startApple(t *testing.T) *apple {
	t.Helper()
	a := &apple{appleChain: newAppleChain(t), t: t, app: testbed.StartApp(t, nil)}
	root := "keys x5c " + a.file(t)
	a.g = site{store: "memory", routes: route("", "apple-app-store", proxy(a.app), "param bundle_id com.example", "param app_apple_id 41234", root) +
		route("", "apple-app-store-sandbox", proxy(a.app), "param bundle_id com.example", root) +
		route("/genuine", "apple-app-store", proxy(a.app), "param bundle_id com.example", "param app_apple_id 41234", "scope genuine")}.start(t)
	return a
}

// token signs claims with the leaf. header replaces names of the genuine one.
func (a *apple) token(claims, header map[string]any) string {
	all := x5c(a.leaf, a.intermediate, a.root)
	maps.Copy(all, header)
	return a.leaf.token(a.t, claims, all)
}

func (a *apple) send(path string, body []byte) testbed.Response {
	a.t.Helper()
	return testbed.Do(a.t, post(a.t, a.g.URL(path), body, map[string]string{"Content-Type": "application/json"}))
}

const (
	appleProduction = "/webhooks/apple-app-store"
	appleSandbox    = "/webhooks/apple-app-store-sandbox"
)

// A genuine notification is forwarded once, whatever it is about.
func TestAppleNotifications(t *testing.T) {
	t.Parallel()
	a := startApple(t)
	about := map[string]any{"environment": "Production", "appAppleId": 41234, "bundleId": "com.example"}
	external := map[string]any{"externalPurchaseId": "b2158121-7af9", "tokenCreationDate": 1, "appAppleId": 41234, "bundleId": "com.example"}
	calls := 0
	for name, change := range map[string]map[string]any{
		"data":     nil,
		"summary":  {"data": nil, "summary": about},
		"appData":  {"data": nil, "appData": about},
		"external": {"data": nil, "externalPurchaseToken": external},
	} {
		claims := notification(change)
		body := notified(a.token(claims, nil))
		want(t, a.send(appleProduction, body), 200, "forwarded")
		calls++
		delivery := wantDelivered(t, a.app, calls, body)
		if id, event := delivery.Header.Get("Webhook-Guard-Id"), delivery.Header.Get("Webhook-Guard-Event"); id != claims["notificationUUID"] || event != "SUBSCRIBED" {
			t.Errorf("%s: ID %q, event %q", name, id, event)
		}
		want(t, a.send(appleProduction, body), 200, "duplicate")
		claims["signedDate"] = time.Now().Add(time.Second).UnixMilli()
		want(t, a.send(appleProduction, notified(a.token(claims, nil))), 200, "duplicate")
	}
	sandbox := notification(map[string]any{"data": map[string]any{"environment": "Sandbox", "bundleId": "com.example"}})
	want(t, a.send(appleSandbox, notified(a.token(sandbox, nil))), 200, "forwarded")
	external["externalPurchaseId"] = "SANDBOX_b2158121-7af9"
	want(t, a.send(appleSandbox, notified(a.token(notification(map[string]any{"data": nil, "externalPurchaseToken": external}), nil))), 200, "forwarded")
	wantCalls(t, a.app, calls+2)
	// A root that was issued anew vouches as before.
	anew := issue(t, "Root CA", a.root.pair, nil, asAuthority)
	want(t, a.send(appleProduction, notified(a.leaf.token(t, notification(nil), x5c(a.leaf, a.intermediate, anew)))), 200, "forwarded")
	// Retries come days later, when the certificate may have ended.
	ended := issue(t, "Receipt Signing", newEC(t, "", elliptic.P256()), a.intermediate, marked(leafMark), valid(-1000*time.Hour, -24*time.Hour))
	late := ended.token(t, notification(map[string]any{"signedDate": time.Now().Add(-48 * time.Hour).UnixMilli()}), x5c(ended, a.intermediate, a.root))
	want(t, a.send(appleProduction, notified(late)), 200, "forwarded")
}

// What Apple did not sign for this app, and for this environment, is refused.
func TestAppleNotificationsForOthersAreRefused(t *testing.T) {
	t.Parallel()
	a := startApple(t)
	about := func(environment any, bundle any, app any) map[string]any {
		data := map[string]any{"environment": environment, "bundleId": bundle, "appAppleId": app}
		maps.DeleteFunc(data, func(_ string, value any) bool { return value == nil })
		return map[string]any{"data": data}
	}
	external := func(id string) map[string]any {
		return map[string]any{"data": nil, "externalPurchaseToken": map[string]any{"externalPurchaseId": id, "appAppleId": 41234, "bundleId": "com.example"}}
	}
	for name, tt := range map[string]struct {
		path   string
		change map[string]any
	}{
		"sandbox in production":          {appleProduction, about("Sandbox", "com.example", 41234)},
		"production in the sandbox":      {appleSandbox, about("Production", "com.example", 41234)},
		"Xcode":                          {appleProduction, about("Xcode", "com.example", 41234)},
		"another spelling":               {appleProduction, about("production", "com.example", 41234)},
		"no environment":                 {appleProduction, about(nil, "com.example", 41234)},
		"another bundle":                 {appleProduction, about("Production", "com.example.other", 41234)},
		"another bundle in the sandbox":  {appleSandbox, about("Sandbox", "com.example.other", nil)},
		"no bundle":                      {appleProduction, about("Production", nil, 41234)},
		"another app":                    {appleProduction, about("Production", "com.example", 55555)},
		"no app":                         {appleProduction, about("Production", "com.example", nil)},
		"a list of bundles":              {appleProduction, about("Production", []string{"com.example"}, 41234)},
		"nothing about an app":           {appleProduction, map[string]any{"data": nil}},
		"external sandbox in production": {appleProduction, external("SANDBOX_1")},
		"external production in sandbox": {appleSandbox, external("b2158121")},
		"external without an ID":         {appleProduction, map[string]any{"data": nil, "externalPurchaseToken": map[string]any{"appAppleId": 41234, "bundleId": "com.example"}}},
		"one of two is another's": {appleProduction, map[string]any{
			"summary": map[string]any{"environment": "Production", "bundleId": "com.other", "appAppleId": 41234}}},
	} {
		if resp := a.send(tt.path, notified(a.token(notification(tt.change), nil))); resp.Status != 401 {
			t.Errorf("%s: %v", name, resp)
		}
	}
	for name, date := range map[string]any{
		"old": time.Now().Add(-200 * time.Hour).UnixMilli(), "from the future": time.Now().Add(10 * time.Minute).UnixMilli(),
	} {
		if resp := a.send(appleProduction, notified(a.token(notification(map[string]any{"signedDate": date}), nil))); resp.Status != 403 {
			t.Errorf("%s: %v", name, resp)
		}
	}
	for name, claims := range map[string]map[string]any{
		"no date": {"signedDate": nil}, "a date that is none": {"signedDate": "yesterday"}, "no ID": {"notificationUUID": nil}, "an ID that is none": {"notificationUUID": []string{"x"}},
	} {
		if resp := a.send(appleProduction, notified(a.token(notification(claims), nil))); resp.Status < 400 || resp.Status >= 500 {
			t.Errorf("%s: %v", name, resp)
		}
	}
	wantCalls(t, a.app, 0)
}

// Only a chain of three to the root that is configured, marked as Apple marks it and valid
// when the token was signed, vouches for a key.
func TestAppleCertificatesAreJudged(t *testing.T) {
	t.Parallel()
	a := startApple(t)
	ec := func() pair { return newEC(t, "", elliptic.P256()) }
	other := newAppleChain(t)
	sameNames := issue(t, "Root CA", newEC(t, "", elliptic.P384()), nil, asAuthority)
	sibling := issue(t, "Developer Relations", newEC(t, "", elliptic.P384()), a.root, asAuthority, marked(intermediateMark))
	bare := issue(t, "Developer Relations", newEC(t, "", elliptic.P384()), a.root, asAuthority)
	noCA := issue(t, "Developer Relations", newEC(t, "", elliptic.P384()), a.root, marked(intermediateMark))
	ended := issue(t, "Developer Relations", newEC(t, "", elliptic.P384()), a.root, asAuthority, marked(intermediateMark), valid(-1000*time.Hour, -time.Hour))
	leaf := func(key pair, issuer *certificate, changes ...func(*x509.Certificate)) *certificate {
		return issue(t, "Receipt Signing", key, issuer, changes...)
	}
	mark := marked(leafMark)
	ofBare, ofNoCA, ofEnded := leaf(ec(), bare, mark), leaf(ec(), noCA, mark), leaf(ec(), ended, mark)
	p384, rsaLeaf := leaf(newEC(t, "", elliptic.P384()), a.intermediate, mark), leaf(newRSA(t, "", 2048), a.intermediate, mark)
	unmarked, past, future := leaf(ec(), a.intermediate), leaf(ec(), a.intermediate, mark, valid(-2*time.Hour, -time.Hour)), leaf(ec(), a.intermediate, mark, valid(time.Hour, 2*time.Hour))
	crossed := leaf(ec(), a.intermediate, marked(intermediateMark))
	direct, ownIssuer := leaf(ec(), a.root, mark), issue(t, "Receipt Signing", ec(), nil, mark, asAuthority)
	ofSame := issue(t, "Developer Relations", newEC(t, "", elliptic.P384()), sameNames, asAuthority, marked(intermediateMark))
	below := issue(t, "Below", newEC(t, "", elliptic.P384()), a.intermediate, asAuthority, marked(intermediateMark))
	deep := leaf(ec(), below, mark)
	for name, chain := range map[string][]*certificate{
		"a foreign chain":                      {other.leaf, other.intermediate, other.root},
		"a foreign chain with the root":        {other.leaf, other.intermediate, a.root},
		"a foreign chain of the same names":    {leaf(ec(), ofSame, mark), ofSame, sameNames},
		"and with the root":                    {leaf(ec(), ofSame, mark), ofSame, a.root},
		"a foreign leaf":                       {other.leaf, a.intermediate, a.root},
		"a foreign third":                      {a.leaf, a.intermediate, other.root},
		"another intermediate":                 {a.leaf, sibling, a.root},
		"a foreign intermediate":               {a.leaf, other.intermediate, a.root},
		"an intermediate without the mark":     {ofBare, bare, a.root},
		"an intermediate that is no authority": {ofNoCA, noCA, a.root},
		"an intermediate that has ended":       {ofEnded, ended, a.root},
		"a leaf without the mark":              {unmarked, a.intermediate, a.root},
		"a leaf with the other mark":           {crossed, a.intermediate, a.root},
		"a leaf that has ended":                {past, a.intermediate, a.root},
		"a leaf that has not begun":            {future, a.intermediate, a.root},
		"a leaf of the root":                   {direct, a.intermediate, a.root},
		"a leaf of its own":                    {ownIssuer, a.intermediate, a.root},
		"a leaf on another curve":              {p384, a.intermediate, a.root},
		"a leaf with an RSA key":               {rsaLeaf, a.intermediate, a.root},
		"a longer chain without its middle":    {deep, below, a.root},
		"four":                                 {deep, below, a.intermediate, a.root},
		"the root twice":                       {a.leaf, a.intermediate, a.root, a.root},
		"two":                                  {a.leaf, a.intermediate},
		"one":                                  {a.leaf},
		"none":                                 {},
		"another order":                        {a.intermediate, a.leaf, a.root},
		"the root first":                       {a.root, a.intermediate, a.leaf},
		"the intermediate as a leaf":           {a.intermediate, a.root, a.root},
		"the leaf three times":                 {a.leaf, a.leaf, a.leaf},
	} {
		signer := a.leaf
		if len(chain) > 0 {
			signer = chain[0]
		}
		token := signer.token(t, notification(nil), x5c(chain...))
		if resp := a.send(appleProduction, notified(token)); resp.Status != 401 {
			t.Errorf("%s: %v", name, resp)
		}
	}
	for name, header := range map[string]any{
		"no list": "x", "null": nil, "numbers": []int{1, 2, 3}, "no base64": []string{"!", "!", "!"}, "no certificates": []string{"eA==", "eA==", "eA=="}, "an object": map[string]any{"0": "x"},
	} {
		if resp := a.send(appleProduction, notified(a.token(notification(nil), map[string]any{"x5c": header}))); resp.Status != 401 {
			t.Errorf("x5c is %s: %v", name, resp)
		}
	}
	// The root that comes with the guard is Apple's, and no other.
	if resp := a.send("/genuine"+appleProduction, notified(a.token(notification(nil), nil))); resp.Status != 401 {
		t.Errorf("without a root of the test's own: %v", resp)
	}
	wantCalls(t, a.app, 0)
	want(t, a.send(appleProduction, notified(a.token(notification(nil), nil))), 200, "forwarded")
}

// Nothing in the token chooses its algorithm, nor another place of keys.
func TestAppleTokensChooseNothing(t *testing.T) {
	t.Parallel()
	a := startApple(t)
	evil := newEC(t, "evil", elliptic.P256())
	own := newKeyServer(t, evil.jwk()).overHTTP()
	public, err := x509.MarshalPKIXPublicKey(a.leaf.private.Public())
	if err != nil {
		t.Fatal(err)
	}
	hmacOf := func(secret []byte) string {
		head, _, _ := strings.Cut(a.token(notification(nil), map[string]any{"alg": "HS256"}), ".")
		_, rest, _ := strings.Cut(hmacToken(notification(nil), "", secret), ".")
		payload, _, _ := strings.Cut(rest, ".")
		return signedText(head+"."+payload, secret)
	}
	genuine := a.token(notification(nil), nil)
	parts := strings.Split(genuine, ".")
	flipped := strings.Split(a.token(notification(map[string]any{"notificationType": "REFUND"}), nil), ".")
	rsaLeaf := issue(t, "Receipt Signing", newRSA(t, "", 2048), a.intermediate, marked(leafMark))
	rs := x5c(rsaLeaf, a.intermediate, a.root)
	rs["alg"] = "RS256"
	genuineX5C := x5c(a.leaf, a.intermediate, a.root)
	with := func(more map[string]any) map[string]any {
		header := maps.Clone(genuineX5C)
		maps.Copy(header, more)
		return header
	}
	for name, token := range map[string]string{
		"alg none":                 a.token(notification(nil), map[string]any{"alg": "none"}),
		"alg none, unsigned":       unsignedToken(notification(nil), "", "none"),
		"alg HS256, the PEM":       hmacOf(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})),
		"alg HS256, the DER":       hmacOf(public),
		"alg HS256, the cert":      hmacOf(a.leaf.Raw),
		"alg HS256, nothing":       hmacOf(nil),
		"alg RS256":                rsaLeaf.token(t, notification(nil), rs),
		"alg ES384":                a.token(notification(nil), map[string]any{"alg": "ES384"}),
		"alg es256":                a.token(notification(nil), map[string]any{"alg": "es256"}),
		"no alg":                   a.token(notification(nil), map[string]any{"alg": nil}),
		"jwk":                      evil.token(t, notification(nil), with(map[string]any{"jwk": evil.jwk()})),
		"jwk alone":                evil.token(t, notification(nil), map[string]any{"jwk": evil.jwk()}),
		"jku":                      evil.token(t, notification(nil), with(map[string]any{"jku": own.URL, "kid": "evil"})),
		"x5u":                      evil.token(t, notification(nil), with(map[string]any{"x5u": own.URL})),
		"x5u alone":                a.token(notification(nil), map[string]any{"x5c": nil, "x5u": own.URL}),
		"crit":                     a.token(notification(nil), map[string]any{"crit": []string{"b64"}, "b64": false}),
		"another payload":          parts[0] + "." + flipped[1] + "." + parts[2],
		"another header":           flipped[0] + "x." + parts[1] + "." + parts[2],
		"no signature":             parts[0] + "." + parts[1] + ".",
		"a signature of zeros":     parts[0] + "." + parts[1] + "." + inURL(make([]byte, 64)),
		"a signature in ASN.1":     parts[0] + "." + parts[1] + "." + inURL(asn1Signature(t, a.leaf, parts[0]+"."+parts[1])),
		"two parts":                parts[0] + "." + parts[1],
		"detached":                 parts[0] + ".." + parts[2],
		"an access token":          a.token(notification(nil), map[string]any{"typ": "at+jwt"}),
		"a certificate twice":      parts[0] + "." + parts[1] + "." + parts[2] + "." + parts[2],
		"the payload of nothing":   parts[0] + ".." + parts[1] + "." + parts[2],
		"a name of the date twice": signedRaw(t, a.leaf, genuineX5C, `{"signedDate":1,"signedDate":2}`),
	} {
		if resp := a.send(appleProduction, notified(token)); resp.Status != 401 {
			t.Errorf("%s: %v", name, resp)
		}
	}
	for name, body := range map[string]string{
		"no body": "", "no JSON": "x", "no token": "{}", "a token that is a list": `{"signedPayload":["` + genuine + `"]}`,
		"two tokens": `{"signedPayload":"` + genuine + `","signedPayload":"` + genuine + `"}`, "a bare token": genuine,
	} {
		if resp := a.send(appleProduction, []byte(body)); resp.Status != 401 {
			t.Errorf("%s: %v", name, resp)
		}
	}
	wantCalls(t, a.app, 0)
	if n := own.count(); n != 0 {
		t.Errorf("the attacker's keys were fetched %d times", n)
	}
	// What the header says beside that is passed over.
	noise := a.token(notification(nil), map[string]any{"jku": own.URL, "x5u": own.URL, "jwk": evil.jwk(), "kid": "../evil", "typ": "JWT", "x5t": "x"})
	want(t, a.send(appleProduction, notified(noise)), 200, "forwarded")
	if n := own.count(); n != 0 {
		t.Errorf("the attacker's keys were fetched %d times", n)
	}
}

// A configuration that could not verify anything is refused.
func TestAppleNeedsARootAndTheApp(t *testing.T) {
	t.Parallel()
	a := startApple(t)
	file := a.file(t)
	for want, lines := range map[string][]string{
		"bundle_id":       {"param app_apple_id 1"},
		"app_apple_id":    {"param bundle_id com.example"},
		"no such file":    {"param app_apple_id 1", "param bundle_id com.example", "keys x5c " + file + ".missing"},
		"is not an OID":   {"param app_apple_id 1", "param bundle_id com.example", "keys x5c " + file + " leaf apple"},
		"timestamp claim": {"param app_apple_id 1", "param bundle_id com.example", "timestamp header X-Time"},
	} {
		s := site{store: "memory", routes: route("", "apple-app-store", proxy(a.app), lines...)}
		if err := a.g.Reload(s.caddyfile()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", lines, err, want)
		}
	}
}

func asn1Signature(t *testing.T, c *certificate, text string) []byte {
	t.Helper()
	raw := c.sign(t, []byte(text))
	key, ok := c.private.Public().(*ecdsa.PublicKey)
	if !ok || len(raw) != 64 || key == nil {
		t.Fatal("not a signature of ES256")
	}
	trim := func(b []byte) []byte {
		b = bytes.TrimLeft(b, "\x00")
		if b[0] >= 0x80 {
			b = append([]byte{0}, b...)
		}
		return append([]byte{2, byte(len(b))}, b...)
	}
	both := append(trim(raw[:32]), trim(raw[32:])...)
	return append([]byte{0x30, byte(len(both))}, both...)
}
