package e2e

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// The credentials of the customer, which the guard sends and never prints.
const (
	apiClient = "hush-client-of-the-customer"
	apiSecret = "hush-secret-of-the-customer"
	apiToken  = "hush-token-of-the-api"
)

// keyAPI is the API of a sender that gives one key for its ID, to whoever has the
// credentials of its customer.
type keyAPI struct {
	*keyServer
	sender apiSender

	mu      sync.Mutex
	keys    map[string]pair
	expired map[string]int64
	folds   bool     // takes an ID in any case, as servers that parse it do
	asked   []string // the IDs, as they came
	tokens  int      // how many access tokens were given
	revoked int      // how many of them are not good any more
}

// apiSender is a sender whose keys its API gives.
type apiSender struct {
	name        string
	lines       func(url string) []string
	credentials []string
	serve       func(a *keyAPI, w http.ResponseWriter, r *http.Request)
	sign        func(t *testing.T, key pair, body []byte) http.Header
	body        func() string
}

func (s apiSender) String() string { return s.name }

// apiSenders are those of the catalogue.
var apiSenders = []apiSender{
	{
		name: "plaid", credentials: []string{apiClient, apiSecret}, serve: servePlaid, sign: signPlaid,
		lines: func(url string) []string {
			return []string{"keys api " + url + "/webhook_verification_key/get key body key_id client_id secret unknown INVALID_WEBHOOK_VERIFICATION_KEY_ID"}
		},
		body: func() string {
			return `{"webhook_type":"TRANSACTIONS","webhook_code":"SYNC_UPDATES_AVAILABLE","item_id":"` + testbed.NewID() + `"}`
		},
	},
	{
		name: "ebay", credentials: []string{apiClient, apiSecret}, serve: serveEBay, sign: signEBay,
		lines: func(url string) []string {
			return []string{"keys api " + url + "/commerce/notification/v1/public_key/{key_id} key oauth " + url + "/identity/v1/oauth2/token https://api.ebay.com/oauth/api_scope"}
		},
		body: func() string {
			return `{"metadata":{"topic":"MARKETPLACE_ACCOUNT_DELETION"},"notification":{"notificationId":"` + testbed.NewID() + `","publishAttemptCount":1}}`
		},
	},
	{
		name: "circle", credentials: []string{apiToken}, serve: serveCircle, sign: signCircle,
		lines: func(url string) []string {
			return []string{"keys api " + url + "/v2/notifications/publicKey/{key_id} data.publicKey bearer"}
		},
		body: func() string {
			return `{"notificationId":"` + testbed.NewID() + `","notificationType":"transactions.inbound","version":2}`
		},
	},
}

func newKeyAPI(t *testing.T, sender apiSender, keys ...pair) *keyAPI {
	t.Helper()
	a := &keyAPI{keyServer: newKeyServer(t), sender: sender, keys: make(map[string]pair), expired: make(map[string]int64)}
	a.give(keys...)
	a.answer(a.serveKey)
	return a
}

// serveKey answers as the sender's API does.
func (a *keyAPI) serveKey(w http.ResponseWriter, r *http.Request) { a.sender.serve(a, w, r) }

// give makes the API know exactly these keys.
func (a *keyAPI) give(keys ...pair) {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.keys)
	for _, key := range keys {
		a.keys[key.kid] = key
	}
}

func (a *keyAPI) expire(kid string, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.expired[kid] = at.Unix()
}

// find looks a key up, and records that it was asked for.
func (a *keyAPI) find(kid string) (pair, *int64, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, kid)
	key, ok := a.keys[kid]
	if a.folds && !ok {
		key, ok = a.keys[strings.ToLower(kid)]
	}
	if at, ended := a.expired[kid]; ended {
		return key, &at, ok
	}
	return key, nil, ok
}

// lookups are the IDs that were asked for.
func (a *keyAPI) lookups() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.asked...)
}

func apiReply(w http.ResponseWriter, status int, answer any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

func (p pair) der() string {
	der, err := x509.MarshalPKIXPublicKey(p.private.Public())
	if err != nil {
		panic(err) // a key type that x509 does not know
	}
	return base64.StdEncoding.EncodeToString(der)
}

func servePlaid(a *keyAPI, w http.ResponseWriter, r *http.Request) {
	refuse := func(code string) {
		apiReply(w, 400, map[string]string{"error_type": "INVALID_INPUT", "error_code": code, "error_message": "no"})
	}
	var asked struct {
		ClientID string `json:"client_id"`
		Secret   string `json:"secret"`
		KeyID    string `json:"key_id"`
	}
	body, _ := io.ReadAll(r.Body)
	switch {
	case r.Method != http.MethodPost || r.RequestURI != "/webhook_verification_key/get" || r.Header.Get("Content-Type") != "application/json" || json.Unmarshal(body, &asked) != nil:
		refuse("INVALID_BODY")
		return
	case asked.ClientID != apiClient || asked.Secret != apiSecret:
		refuse("INVALID_API_KEYS")
		return
	}
	key, expired, ok := a.find(asked.KeyID)
	if !ok {
		refuse("INVALID_WEBHOOK_VERIFICATION_KEY_ID")
		return
	}
	jwk := map[string]any{"created_at": 1560466143, "expired_at": nil}
	for name, value := range key.jwk("alg", "ES256") {
		jwk[name] = value
	}
	if expired != nil {
		jwk["expired_at"] = *expired
	}
	apiReply(w, 200, map[string]any{"key": jwk, "request_id": "RZ6Omi1bzzwDaLo"})
}

func serveEBay(a *keyAPI, w http.ResponseWriter, r *http.Request) {
	if r.RequestURI == "/identity/v1/oauth2/token" {
		id, secret, _ := r.BasicAuth()
		if r.Method != http.MethodPost || id != apiClient || secret != apiSecret || r.FormValue("grant_type") != "client_credentials" || r.FormValue("scope") != "https://api.ebay.com/oauth/api_scope" {
			apiReply(w, 401, map[string]string{"error": "invalid_client", "error_description": "client authentication failed"})
			return
		}
		a.mu.Lock()
		a.tokens++
		token := apiToken + strconv.Itoa(a.tokens)
		a.mu.Unlock()
		apiReply(w, 200, map[string]any{"access_token": token, "expires_in": 7200, "token_type": "Application Access Token"})
		return
	}
	id, ok := strings.CutPrefix(r.RequestURI, "/commerce/notification/v1/public_key/")
	n, err := strconv.Atoi(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "+apiToken))
	a.mu.Lock()
	good := err == nil && n > a.revoked
	a.mu.Unlock()
	switch {
	case r.Method != http.MethodGet || !ok:
		apiReply(w, 400, map[string]any{"errors": []any{}})
	case !good:
		apiReply(w, 401, map[string]any{"errors": []map[string]any{{"errorId": 1001, "message": "Invalid access token"}}})
	default:
		key, _, known := a.find(id)
		if !known {
			apiReply(w, 404, map[string]any{"errors": []map[string]any{{"errorId": 195000}}})
			return
		}
		apiReply(w, 200, map[string]string{"key": "-----BEGIN PUBLIC KEY-----" + key.der() + "-----END PUBLIC KEY-----", "algorithm": "ECDSA", "digest": "SHA1"})
	}
}

func serveCircle(a *keyAPI, w http.ResponseWriter, r *http.Request) {
	id, ok := strings.CutPrefix(r.RequestURI, "/v2/notifications/publicKey/")
	switch {
	case r.Method != http.MethodGet || !ok:
		apiReply(w, 400, map[string]any{"code": 2})
	case r.Header.Get("Authorization") != "Bearer "+apiToken:
		apiReply(w, 401, map[string]any{"code": 401, "message": "Invalid credentials."})
	default:
		key, _, known := a.find(id)
		if !known {
			apiReply(w, 404, map[string]any{"code": -1, "message": "Resource not found"})
			return
		}
		apiReply(w, 200, map[string]any{"data": map[string]string{"id": id, "algorithm": "ECDSA_SHA_256", "publicKey": key.der(), "createDate": "2026-01-15T21:47:35.107250Z"}})
	}
}

// plaidClaims are those of a genuine token.
func plaidClaims(body []byte) map[string]any {
	sum := sha256.Sum256(body)
	return map[string]any{"iat": time.Now().Unix(), "request_body_sha256": hex.EncodeToString(sum[:])}
}

func signPlaid(t *testing.T, key pair, body []byte) http.Header {
	return http.Header{"Plaid-Verification": {key.token(t, plaidClaims(body), nil)}}
}

func signEBay(t *testing.T, key pair, body []byte) http.Header {
	t.Helper()
	sum := sha1.Sum(body)
	mac, err := ecdsa.SignASN1(rand.Reader, key.private.(*ecdsa.PrivateKey), sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return http.Header{"X-Ebay-Signature": {ebayHeader(key.kid, mac)}}
}

func ebayHeader(kid string, mac []byte) string {
	text, _ := json.Marshal(map[string]string{"alg": "ecdsa", "kid": kid, "signature": base64.StdEncoding.EncodeToString(mac), "digest": "SHA1"})
	return base64.StdEncoding.EncodeToString(text)
}

func signCircle(t *testing.T, key pair, body []byte) http.Header {
	return http.Header{"X-Circle-Key-Id": {key.kid}, "X-Circle-Signature": {key.signDER(t, body)}}
}

// guard starts a gateway that asks the API at this URL.
func (s apiSender) guard(t *testing.T, app *testbed.App, url string, more ...string) *testbed.Gateway {
	t.Helper()
	return site{store: "memory", routes: s.route(app, url, more...)}.start(t)
}

// route guards the sender, with the right credentials unless there are others in more.
func (s apiSender) route(app *testbed.App, url string, more ...string) string {
	lines := append(s.lines(url), more...)
	if !strings.Contains(strings.Join(more, "\n"), "keys_secret") {
		lines = append(lines, "keys_secret "+strings.Join(s.credentials, " "))
	}
	return route("", s.name, proxy(app), lines...)
}

// event sends a new event that is signed with the key.
func (s apiSender) event(t *testing.T, g *testbed.Gateway, key pair) testbed.Response {
	t.Helper()
	body := []byte(s.body())
	return s.send(t, g, body, s.sign(t, key, body))
}

func (s apiSender) send(t *testing.T, g *testbed.Gateway, body []byte, header http.Header) testbed.Response {
	t.Helper()
	req := post(t, g.URL("/webhooks/"+s.name), body, map[string]string{"Content-Type": "application/json"})
	for name, values := range header {
		req.Header[name] = values
	}
	return testbed.Do(t, req)
}
