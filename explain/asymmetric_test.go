package explain

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"maps"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// A sender that signs with a private key is explained by the public one.
func TestPublicKeys(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := signature.NewPrivateKey(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	if err != nil {
		t.Fatal(err)
	}
	p := builtin(t, "discord")
	rules, err := p.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	signed := aRequest(aBody)
	signed.Header = maps.Clone(signed.Header)
	if err := rules.Scheme.Sign(&signed, key, now, ""); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, key string
		change    func(r *signature.Request)
		causes    []string // none: verified
	}{
		{"hex", hex.EncodeToString(public), func(*signature.Request) {}, nil},
		{"base64", base64.StdEncoding.EncodeToString(public), func(*signature.Request) {}, nil},
		{"a body with a newline", hex.EncodeToString(public), func(r *signature.Request) { r.Body = withEnd(r.Body, "\n") }, []string{"body_newline_added"}},
		{"a key in quotes", `"` + hex.EncodeToString(public) + `"`, func(*signature.Request) {}, []string{"secret_quoted"}},
		{"a key without its end", hex.EncodeToString(public)[:40], func(*signature.Request) {}, []string{}},
		{"the stamp in another unit", hex.EncodeToString(public), func(r *signature.Request) {
			r.Header["X-Signature-Timestamp"] = []string{"1764000000000"}
		}, []string{"stamp_milliseconds"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := signed
			r.Header = maps.Clone(signed.Header)
			c.change(&r)
			report := explain(t, Input{Name: "discord", Provider: p, Secret: c.key, Request: r})
			if c.causes == nil {
				if !report.Verified {
					t.Errorf("%+v", report)
				}
				return
			}
			wantCauses(t, report, c.causes...)
		})
	}
}
