package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// eBay's access token is used for many keys, and a new one is asked for when it ends early.
func TestAnAccessTokenIsUsedAgain(t *testing.T) {
	t.Parallel()
	s := apiSenders[1]
	app := testbed.StartApp(t, nil)
	keys := []pair{newEC(t, "k1", elliptic.P256()), newEC(t, "k2", elliptic.P256()), newEC(t, "k3", elliptic.P256())}
	api := newKeyAPI(t, s, keys...).overHTTP()
	g := s.guard(t, app, api.URL)
	want(t, s.event(t, g, keys[0]), 200, "forwarded")
	want(t, s.event(t, g, keys[1]), 200, "forwarded")
	if api.tokens != 1 {
		t.Errorf("%d access tokens, want one", api.tokens)
	}
	api.mu.Lock()
	api.revoked = api.tokens
	api.mu.Unlock()
	want(t, s.event(t, g, keys[2]), 200, "forwarded")
	if api.tokens != 2 {
		t.Errorf("%d access tokens, want two", api.tokens)
	}
}

// Without an access token there is no key, and the credentials go to the token endpoint only.
func TestAnAccessTokenThatCannotBeHad(t *testing.T) {
	t.Parallel()
	s := apiSenders[1]
	app := testbed.StartApp(t, nil)
	key := newEC(t, "k1", elliptic.P256())
	elsewhere := newKeyAPI(t, s, key).overHTTP()
	for name, answer := range map[string]http.HandlerFunc{
		"redirecting": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+r.RequestURI, http.StatusTemporaryRedirect)
		},
		"an error":   func(w http.ResponseWriter, _ *http.Request) { apiReply(w, 500, map[string]string{"error": apiSecret}) },
		"refused":    func(w http.ResponseWriter, _ *http.Request) { apiReply(w, 400, map[string]string{"error": apiSecret}) },
		"no token":   func(w http.ResponseWriter, _ *http.Request) { apiReply(w, 200, map[string]string{"x": apiSecret}) },
		"a page":     func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<p>" + apiSecret)) },
		"oversized":  func(w http.ResponseWriter, _ *http.Request) { apiReply(w, 200, strings.Repeat(apiSecret, 1<<17)) },
		"hanging up": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := newKeyAPI(t, s, key).overHTTP()
			api.answer(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/identity/v1/oauth2/token" {
					answer(w, r)
					return
				}
				api.serveKey(w, r)
			})
			g := s.guard(t, app, api.URL)
			want(t, s.event(t, g, key), 503, "secret_unavailable")
			testbed.Eventually(t, soon, func() bool { return strings.Contains(g.Output(), "the access token") }, "the log does not name the access token")
			wantNothingPrinted(t, g)
			if asked := api.lookups(); len(asked) != 0 {
				t.Errorf("the API was asked for %q without a token", asked)
			}
		})
	}
	t.Cleanup(func() {
		if n := elsewhere.count(); n != 0 {
			t.Errorf("a redirect was followed %d times", n)
		}
	})
}

// Credentials in files are those in force, without a reload.
func TestCredentialsInFilesAreFollowed(t *testing.T) {
	t.Parallel()
	s := apiSenders[2]
	app := testbed.StartApp(t, nil)
	key := newEC(t, "k1", elliptic.P256())
	api := newKeyAPI(t, s, key).overHTTP()
	file := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("hush-of-yesterday")
	g := s.guard(t, app, api.URL, "keys_secret {file."+file+"}")
	want(t, s.event(t, g, key), 503, "secret_unavailable")
	write(apiToken)
	testbed.Eventually(t, soon, func() bool { return s.event(t, g, key).Status == 200 }, "the new credentials are not taken")
	wantNothingPrinted(t, g)
}

// A key that Plaid says has expired verifies nothing any more.
func TestExpiredKeysOfPlaid(t *testing.T) {
	t.Parallel()
	s := apiSenders[0]
	app := testbed.StartApp(t, nil)
	ended, ending := newEC(t, "ended", elliptic.P256()), newEC(t, "ending", elliptic.P256())
	api := newKeyAPI(t, s, ended, ending).overHTTP()
	api.expire("ended", time.Now().Add(-time.Hour))
	api.expire("ending", time.Now().Add(time.Hour))
	g := s.guard(t, app, api.URL)
	want(t, s.event(t, g, ended), 401, "signature_invalid")
	want(t, s.event(t, g, ending), 200, "forwarded")
	wantCalls(t, app, 1)
}

// Plaid's token says what the body is, when it was made, and neither its algorithm nor its key.
func TestTokensOfPlaid(t *testing.T) {
	t.Parallel()
	s := apiSenders[0]
	app := testbed.StartApp(t, nil)
	key, p384, evil := newEC(t, "k1", elliptic.P256()), newEC(t, "k1", elliptic.P384()), newEC(t, "k1", elliptic.P256())
	api := newKeyAPI(t, s, key).overHTTP()
	g := s.guard(t, app, api.URL)
	body := []byte(s.body())
	claims := func(more ...any) map[string]any {
		made := plaidClaims(body)
		for i := 0; i < len(more); i += 2 {
			if made[more[i].(string)] = more[i+1]; more[i+1] == nil {
				delete(made, more[i].(string))
			}
		}
		return made
	}
	digest := claims()["request_body_sha256"].(string)
	twice := inURL([]byte(`{"alg":"ES256","kid":"k1","typ":"JWT"}`)) + "." + inURL([]byte(fmt.Sprintf(`{"iat":%d,"request_body_sha256":"%s","request_body_sha256":"%s"}`, time.Now().Unix(), strings.Repeat("0", 64), digest)))
	for name, token := range map[string]string{
		"a digest of another body": key.token(t, plaidClaims([]byte("{}")), nil),
		"a digest in upper case":   key.token(t, claims("request_body_sha256", strings.ToUpper(digest)), nil),
		"no digest":                key.token(t, claims("request_body_sha256", nil), nil),
		"an empty digest":          key.token(t, claims("request_body_sha256", ""), nil),
		"a digest in a list":       key.token(t, claims("request_body_sha256", []string{digest}), nil),
		"two digests":              twice + "." + inURL(key.sign(t, []byte(twice))),
		"alg none":                 unsignedToken(claims(), "k1", "none"),
		"alg None":                 unsignedToken(claims(), "k1", "None"),
		"no signature":             unsignedToken(claims(), "k1", "ES256"),
		"HMAC with the PEM":        hmacToken(claims(), "k1", []byte(key.pem(t))),
		"HMAC with the base64":     hmacToken(claims(), "k1", []byte(key.der())),
		"RS256":                    newRSA(t, "k1", 2048).token(t, claims(), nil),
		"RS256 as ES256":           newRSA(t, "k1", 2048).token(t, claims(), map[string]any{"alg": "ES256"}),
		"ES256 as RS256":           key.token(t, claims(), map[string]any{"alg": "RS256"}),
		"ES256 as ES384":           key.token(t, claims(), map[string]any{"alg": "ES384"}),
		"P-384":                    p384.token(t, claims(), nil),
		"another key":              evil.token(t, claims(), nil),
		"jwk":                      evil.token(t, claims(), map[string]any{"jwk": evil.jwk()}),
		"jku":                      evil.token(t, claims(), map[string]any{"jku": "https://evil.example/keys"}),
		"crit":                     key.token(t, claims(), map[string]any{"crit": []string{"b64"}}),
	} {
		if resp := s.send(t, g, body, http.Header{"Plaid-Verification": {token}}); resp.Status != 401 {
			t.Errorf("%s: %v", name, resp)
		}
	}
	for name, at := range map[string]any{
		"issued long ago": time.Now().Add(-6 * time.Minute).Unix(), "from the future": time.Now().Add(time.Hour).Unix(),
		"in milliseconds": time.Now().UnixMilli(), "as a text": fmt.Sprint(time.Now().Unix()), "no time": nil,
	} {
		if resp := s.send(t, g, body, http.Header{"Plaid-Verification": {key.token(t, claims("iat", at), nil)}}); resp.Status != 403 {
			t.Errorf("%s: %v", name, resp)
		}
	}
	wantCalls(t, app, 0)
	// One body may be sent for many events, and each has a token of its own.
	for _, age := range []time.Duration{0, time.Minute, 4 * time.Minute} {
		want(t, s.send(t, g, body, http.Header{"Plaid-Verification": {key.token(t, claims("iat", time.Now().Add(-age).Unix()), nil)}}), 200, "forwarded")
	}
	wantCalls(t, app, 3)
}

// eBay's check of the endpoint is answered with the digest of its code, the token that was
// agreed on, and the URL that is registered.
func TestEBayChecksItsEndpoint(t *testing.T) {
	t.Parallel()
	s := apiSenders[1]
	app := testbed.StartApp(t, nil)
	g := s.guard(t, app, strings.TrimSuffix(dead(t), "/keys"), "handshake ebay 71745723-d031-455c-bfa5-f90d11b4f20a", "public_url https://hooks.example.com/webhooks/ebay")
	ask := func(query string) testbed.Response {
		req, err := http.NewRequest(http.MethodGet, g.URL("/webhooks/ebay")+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		return testbed.Do(t, req)
	}
	// Computed with sha256sum over code, token and URL.
	const digest = "fb9b6e153393df7f6f171a2e5965de9b097c1eb7693520de8f753a0708c44097"
	resp := ask("?challenge_code=a8628072-3d33-45ee-9004-bee86830a22d")
	want(t, resp, 200, "handshake")
	if string(resp.Body) != `{"challengeResponse":"`+digest+`"}` || resp.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s %s", resp.Header.Get("Content-Type"), resp.Body)
	}
	for _, query := range []string{"", "?challenge_code=", "?challenge_code=a%22b", "?challenge_code=a&challenge_code=b", "?challenge_code=" + strings.Repeat("a", 129)} {
		if resp := ask(query); resp.Status == 200 {
			t.Errorf("%s: %s", query, resp.Body)
		}
	}
	wantCalls(t, app, 0)
}

// `send` signs as these senders do, with a key pair of one's own, and names the key by its
// thumbprint (RFC 7638).
func TestSendNamesItsKey(t *testing.T) {
	t.Parallel()
	eachAPISender(t, func(t *testing.T, s apiSender, app *testbed.App, key pair) {
		api := newKeyAPI(t, s, pair{thumbprintOf(t, key), key.private}).overHTTP()
		g := s.guard(t, app, api.URL)
		pkcs8, err := x509.MarshalPKCS8PrivateKey(key.private)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "key.pem")
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := testbed.RunCaddy(t, nil, "webhook-guard", "send", s.name, g.URL("/webhooks/"+s.name), "--secret-file", file, "--repeat", "2")
		if err != nil || !strings.Contains(out, "200 forwarded") || !strings.Contains(out, "200 duplicate") {
			t.Errorf("%v, it printed\n%s", err, out)
		}
		wantCalls(t, app, 1)
	})
}

func thumbprintOf(t *testing.T, key pair) string {
	t.Helper()
	point, err := key.private.Public().(*ecdsa.PublicKey).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	sum := sha256.Sum256(fmt.Appendf(nil, `{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}`, encode(point[1:33]), encode(point[33:])))
	return encode(sum[:])
}
