package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// signDER signs as OpenSSL does: ECDSA over SHA-256, in ASN.1 DER.
func (p pair) signDER(t *testing.T, text []byte) string {
	t.Helper()
	sum := sha256.Sum256(text)
	signature, err := ecdsa.SignASN1(rand.Reader, p.private.(*ecdsa.PrivateKey), sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(signature)
}

// pem is the public half as OpenSSL prints it.
func (p pair) pem(t *testing.T) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(p.private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// list publishes keys as GitHub's API does.
func (s *keyServer) list(t *testing.T, keys ...pair) *keyServer {
	t.Helper()
	all := make([]map[string]any, len(keys))
	for i, key := range keys {
		all[i] = map[string]any{"key_identifier": key.kid, "key": key.pem(t), "is_current": i == 0}
	}
	document, _ := json.Marshal(map[string]any{"public_keys": all})
	s.answer(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = w.Write(document)
	})
	return s
}

func listRoute(app *testbed.App, url string, more ...string) string {
	return route("", "github-secret-scanning", proxy(app), append(more, "keys list "+url+"/meta/public_keys/secret_scanning public_keys key_identifier key")...)
}

// leak is a report of GitHub's, new each time.
func leak() []byte {
	return []byte(`[{"source":"commit","token":"` + testbed.NewID() + `","type":"some_type","url":"https://example.com/"}]`)
}

func sendLeak(t *testing.T, g *testbed.Gateway, key pair, body []byte, headers ...string) testbed.Response {
	t.Helper()
	return testbed.Do(t, postLeak(t, g, key, body, headers...))
}

// postLeak is a report that names its key, or what headers say.
func postLeak(t *testing.T, g *testbed.Gateway, key pair, body []byte, headers ...string) *http.Request {
	t.Helper()
	req := post(t, g.URL("/webhooks/github-secret-scanning"), body, map[string]string{"Content-Type": "application/json", "Github-Public-Key-Signature": key.signDER(t, body)})
	if len(headers) == 0 {
		headers = []string{key.kid}
	}
	req.Header["Github-Public-Key-Identifier"] = headers
	return req
}

// GitHub's reports are verified with the key of its list that they name, and with no other.
func TestGitHubsReportsAreVerifiedWithTheListedKey(t *testing.T) {
	t.Parallel()
	current, old := newEC(t, strings.Repeat("a", 64), elliptic.P256()), newEC(t, strings.Repeat("b", 64), elliptic.P256())
	server := newKeyServer(t).list(t, current, old).overHTTP()
	app := testbed.StartApp(t, nil)
	g := site{store: "memory", routes: listRoute(app, server.URL)}.start(t)
	body := leak()
	want(t, sendLeak(t, g, current, body), 200, "forwarded")
	wantDelivered(t, app, 1, body)
	want(t, sendLeak(t, g, current, body), 200, "duplicate")
	want(t, sendLeak(t, g, old, leak()), 200, "forwarded")
	want(t, sendLeak(t, g, current, leak(), strings.ToUpper(current.kid)), 401, "signature_invalid")
	want(t, sendLeak(t, g, old, leak(), current.kid), 401, "signature_invalid")
	wantCalls(t, app, 2)
	if n := server.count(); n != 2 { // the key in upper case may have been a new one
		t.Errorf("the keys were fetched %d times, want twice", n)
	}
	tampered := leak()
	req := post(t, g.URL("/webhooks/github-secret-scanning"), bytes.Replace(tampered, []byte("commit"), []byte("gist_x"), 1), map[string]string{
		"Github-Public-Key-Signature": current.signDER(t, tampered), "Github-Public-Key-Identifier": current.kid})
	want(t, testbed.Do(t, req), 401, "signature_invalid")
	// Who names no key is tried with each.
	req = post(t, g.URL("/webhooks/github-secret-scanning"), tampered, map[string]string{"Github-Public-Key-Signature": old.signDER(t, tampered)})
	want(t, testbed.Do(t, req), 200, "forwarded")
}

// The ID of a key is never a path, a query or a header of its own, and made-up ones have the
// list fetched no more than once a minute.
func TestIDsOfListedKeysAreOnlyNames(t *testing.T) {
	t.Parallel()
	key := newEC(t, "k1", elliptic.P256())
	server := newKeyServer(t).list(t, key).overHTTP()
	app := testbed.StartApp(t, nil)
	g := site{store: "memory", routes: listRoute(app, server.URL)}.start(t)
	want(t, sendLeak(t, g, key, leak()), 200, "forwarded")
	for _, id := range []string{"../k1", "k1/../k1", "%2e%2e%2fk1", "k1?x=1", "k1#x", `k1\`, "https://evil.example/k1", "k1 x", "k1,k1", strings.Repeat("k", 129), strings.Repeat("k", 10<<10)} {
		want(t, sendLeak(t, g, key, leak(), id), 401, "signature_malformed")
	}
	want(t, sendLeak(t, g, key, leak(), "k1", "k1"), 401, "signature_malformed")
	if n := server.count(); n != 1 {
		t.Errorf("the keys were fetched %d times, want once", n)
	}
	for range 20 {
		if resp := sendLeak(t, g, key, leak(), testbed.NewID()); resp.Status != 401 && resp.Header.Get("Webhook-Guard") != "secret_unavailable" {
			t.Errorf("a made-up ID: %v", resp)
		}
	}
	if n := server.count(); n != 2 {
		t.Errorf("the keys were fetched %d times, want twice", n)
	}
	wantCalls(t, app, 1)
}

// A listed key that is new is found as soon as a report names it, and those from before stay
// in force while the list is away.
func TestListedKeysRotate(t *testing.T) {
	t.Parallel()
	before, after := newEC(t, "k1", elliptic.P256()), newEC(t, "k2", elliptic.P256())
	server := newKeyServer(t).list(t, before).overHTTP()
	app := testbed.StartApp(t, nil)
	storage, kept := storageOfKeys(t)
	g := site{store: "memory", global: storage, routes: listRoute(app, server.URL)}.start(t)
	want(t, sendLeak(t, g, before, leak()), 200, "forwarded")
	server.list(t, after, before)
	want(t, sendLeak(t, g, after, leak()), 200, "forwarded")
	want(t, sendLeak(t, g, before, leak()), 200, "forwarded")
	kept()
	g.Kill()
	server.Close()
	g.Start()
	want(t, sendLeak(t, g, before, leak()), 200, "forwarded")
	wantCalls(t, app, 4)
}

// Lists without a key that can be used give none.
func TestBadListsGiveNoKeys(t *testing.T) {
	t.Parallel()
	key := newEC(t, "k1", elliptic.P256())
	app := testbed.StartApp(t, nil)
	text, _ := json.Marshal(key.pem(t))
	element := `{"key_identifier":"k1","key":` + string(text) + `}`
	for name, document := range map[string]string{
		"another shape":      `{"keys":[` + element + `]}`,
		"a bare list":        `[` + element + `]`,
		"an object":          `{"public_keys":` + element + `}`,
		"no keys":            `{"public_keys":[]}`,
		"more after it":      `{"public_keys":[` + element + `]}}`,
		"too many":           `{"public_keys":[` + strings.Repeat("{},", 32) + element + `]}`,
		"without an ID":      `{"public_keys":[{"key":` + string(text) + `}]}`,
		"an ID with a path":  `{"public_keys":[{"key_identifier":"../k1","key":` + string(text) + `}]}`,
		"a number for an ID": `{"public_keys":[{"key_identifier":true,"key":` + string(text) + `}]}`,
		"no key in it":       `{"public_keys":[{"key_identifier":"k1","key":{}}]}`,
		"half a key":         `{"public_keys":[{"key_identifier":"k1","key":"-----BEGIN PUBLIC KEY-----\nMFkw"}]}`,
		"an RSA key":         `{"public_keys":[{"key_identifier":"k1","key":` + strings.TrimSpace(quoted(newRSA(t, "k1", 2048).pem(t))) + `}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newKeyServer(t).overHTTP()
			server.answer(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write([]byte(document))
			})
			g := site{store: "memory", routes: listRoute(app, server.URL)}.start(t)
			want(t, sendLeak(t, g, key, leak()), 503, "secret_unavailable")
		})
	}
	t.Cleanup(func() {
		if n := app.Count(); n != 0 {
			t.Errorf("%d requests were forwarded without keys", n)
		}
	})
}

func quoted(text string) string {
	out, _ := json.Marshal(text)
	return string(out)
}
