package e2e

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// keyServer publishes a sender's public keys, as a test says.
type keyServer struct {
	*httptest.Server
	mu     sync.Mutex
	serve  http.HandlerFunc
	visits int
}

func newKeyServer(t *testing.T, keys ...map[string]string) *keyServer {
	t.Helper()
	s := &keyServer{}
	s.Server = httptest.NewUnstartedServer(s)
	t.Cleanup(s.Close)
	s.publish(keys...)
	return s
}

// overHTTP starts the server on the loopback address without TLS.
func (s *keyServer) overHTTP() *keyServer { s.Start(); return s }

// overTLS starts it with a certificate of its own authority, whose file it returns.
func (s *keyServer) overTLS(t *testing.T, name string) (ca string) {
	authority := testbed.NewAuthority(t)
	cert, err := tls.LoadX509KeyPair(authority.Issue(name))
	if err != nil {
		t.Fatal(err)
	}
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.StartTLS()
	return authority.File
}

func (s *keyServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	serve := s.serve
	s.visits++
	s.mu.Unlock()
	serve(w, r)
}

func (s *keyServer) answer(serve http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serve = serve
}

func (s *keyServer) publish(keys ...map[string]string) {
	document, _ := json.Marshal(map[string]any{"keys": keys})
	s.answer(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(document)
	})
}

func (s *keyServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.visits
}

// dead is a URL of keys where nobody listens.
func dead(t *testing.T) string { return fmt.Sprintf("http://127.0.0.1:%d/keys", testbed.FreePort(t)) }

// pair is a key pair of a sender, and the name that its tokens give it.
type pair struct {
	kid     string
	private crypto.Signer
}

func newRSA(t *testing.T, kid string, bits int) pair {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return pair{kid, private}
}

func newEC(t *testing.T, kid string, curve elliptic.Curve) pair {
	t.Helper()
	private, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return pair{kid, private}
}

func newEd25519(t *testing.T, kid string) pair {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return pair{kid, private}
}

func inURL(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// jwk is the public half as RFC 7517 and 8037 write it.
func (p pair) jwk(more ...string) map[string]string {
	key := map[string]string{"kid": p.kid, "use": "sig"}
	switch public := p.private.Public().(type) {
	case *rsa.PublicKey:
		key["kty"], key["n"], key["e"] = "RSA", inURL(public.N.Bytes()), inURL(big.NewInt(int64(public.E)).Bytes())
	case *ecdsa.PublicKey:
		point, _ := public.Bytes()
		half := len(point) / 2
		key["kty"], key["crv"], key["x"], key["y"] = "EC", public.Params().Name, inURL(point[1:1+half]), inURL(point[1+half:])
	case ed25519.PublicKey:
		key["kty"], key["crv"], key["x"] = "OKP", "Ed25519", inURL(public)
	}
	for i := 0; i < len(more); i += 2 {
		key[more[i]] = more[i+1]
	}
	return key
}

// token is a JWT with these claims. header replaces names of the usual one.
func (p pair) token(t *testing.T, claims map[string]any, header map[string]any) string {
	t.Helper()
	head := map[string]any{"typ": "JWT", "kid": p.kid}
	switch p.private.(type) {
	case *rsa.PrivateKey:
		head["alg"] = "RS256"
	case *ecdsa.PrivateKey:
		head["alg"] = "ES256"
	case ed25519.PrivateKey:
		head["alg"] = "EdDSA"
	}
	for name, value := range header {
		if head[name] = value; value == nil {
			delete(head, name)
		}
	}
	first, _ := json.Marshal(head)
	second, _ := json.Marshal(claims)
	text := inURL(first) + "." + inURL(second)
	return text + "." + inURL(p.sign(t, []byte(text)))
}

func (p pair) sign(t *testing.T, text []byte) []byte {
	t.Helper()
	sum := sha256.Sum256(text)
	var signature []byte
	var err error
	switch private := p.private.(type) {
	case *rsa.PrivateKey:
		signature, err = rsa.SignPKCS1v15(rand.Reader, private, crypto.SHA256, sum[:])
	case *ecdsa.PrivateKey:
		var r, s *big.Int
		if r, s, err = ecdsa.Sign(rand.Reader, private, sum[:]); err == nil {
			size := (private.Params().BitSize + 7) / 8
			signature = append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
		}
	case ed25519.PrivateKey:
		signature = ed25519.Sign(private, text)
	}
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

// unsignedToken has the algorithm none, and hmacToken one whose secret is a text that
// everyone knows.
func unsignedToken(claims map[string]any, kid, alg string) string {
	head, _ := json.Marshal(map[string]any{"alg": alg, "typ": "JWT", "kid": kid})
	body, _ := json.Marshal(claims)
	return inURL(head) + "." + inURL(body) + "."
}

func hmacToken(claims map[string]any, kid string, secret []byte) string {
	return signedText(strings.TrimSuffix(unsignedToken(claims, kid, "HS256"), "."), secret)
}

// signedText is a text and its MAC, as a token has them.
func signedText(text string, secret []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	return text + "." + inURL(mac.Sum(nil))
}

const (
	pushAudience = "https://hooks.example.com/push"
	pushAccount  = "pusher@project.iam.gserviceaccount.com"
)

// pubsub are the claims of a genuine push.
func pubsub(more ...any) map[string]any {
	now := time.Now()
	claims := map[string]any{
		"iss": "https://accounts.google.com", "aud": pushAudience, "email": pushAccount, "email_verified": true,
		"sub": "113774264463038321964", "azp": "113774264463038321964", "iat": now.Add(-time.Minute).Unix(), "exp": now.Add(59 * time.Minute).Unix(),
	}
	for i := 0; i < len(more); i += 2 {
		if claims[more[i].(string)] = more[i+1]; more[i+1] == nil {
			delete(claims, more[i].(string))
		}
	}
	return claims
}

func pubsubRoute(app *testbed.App, keys string, more ...string) string {
	return route("", "google-pubsub", proxy(app), append(more, "param audience "+pushAudience, "param service_account "+pushAccount, "keys jwks "+keys)...)
}

// push is a request of Pub/Sub with a new message.
func push(t *testing.T, g *testbed.Gateway, token string) *http.Request {
	t.Helper()
	body := `{"message":{"data":"eA==","messageId":"` + testbed.NewID() + `"},"subscription":"projects/p/subscriptions/s"}`
	return post(t, g.URL("/webhooks/google-pubsub"), []byte(body), map[string]string{"Authorization": "Bearer " + token, "Content-Type": "application/json"})
}

// hangingServer takes connections and never answers.
func hangingServer(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return "http://" + listener.Addr().String() + "/keys"
}

// storageOfKeys is the global option of a storage of the test's own, and waits until the keys
// are kept there.
func storageOfKeys(t *testing.T) (option string, kept func()) {
	t.Helper()
	dir := t.TempDir()
	return "storage file_system " + dir, func() {
		t.Helper()
		testbed.Eventually(t, soon, func() bool {
			files, err := filepath.Glob(filepath.Join(dir, "webhook_guard", "keys", "*.json"))
			return err == nil && len(files) == 1
		}, "the keys are not kept")
	}
}
