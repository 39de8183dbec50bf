package webhook

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// The lines to be used for Travis CI, which is not in the catalogue, accept what it sends: a
// form whose field is signed with RSA over SHA-1, as its documentation's examples verify it. A
// build has several events, and each comes as often as it is tried.
func TestTheLinesForTravisCI(t *testing.T) {
	s := newSender(t, config.Unsupported["travis-ci"].Lines)
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := s.NewKeys(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})))
	if err != nil {
		t.Fatal(err)
	}
	send := func(payload, signed string) (Event, *Refusal) {
		digest := sha1.Sum([]byte(signed))
		mac, err := rsa.SignPKCS1v15(nil, private, crypto.SHA1, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		header := http.Header{"Signature": {base64.StdEncoding.EncodeToString(mac)}, "Content-Type": {"application/x-www-form-urlencoded"}}
		facts := signature.Request{Method: http.MethodPost, Path: "/travis", Header: header}
		return s.Judge(facts, []byte("payload="+url.QueryEscape(payload)), Fixed{Keys: []signature.Secret{{Key: keys[0]}}, Namespace: "travis"}, time.Now())
	}
	const begun, passed = `{"id":7,"state":"started"}`, `{"id":7,"state":"passed"}`
	first, refused := send(begun, begun)
	if refused != nil {
		t.Fatal(refused)
	}
	if again, refused := send(begun, begun); refused != nil || again.Keys != first.Keys {
		t.Errorf("the next try: %v, keys %v and %v", refused, again.Keys, first.Keys)
	}
	if second, refused := send(passed, passed); refused != nil || second.Keys == first.Keys {
		t.Errorf("another event of the build: %v, keys %v", refused, second.Keys)
	}
	if _, refused := send(passed, begun); refused == nil || refused.Result != SignatureInvalid {
		t.Errorf("another payload: %v", refused)
	}
}
