package explain

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// A message of Amazon SNS for a topic that is not the user's, or one that says another version,
// is told from one that is not signed at all.
func TestMessagesForSomebodyElse(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
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
	public, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	topic := signature.Source{Kind: signature.SourceBody, Name: "TopicArn"}
	p := config.Provider{Allow: []signature.Allowed{{Source: topic, Values: []string{"arn:aws:sns:us-east-1:123456789012:ours"}}}}.Over(builtin(t, "aws-sns"))
	signed := func(topic string) string {
		r := aRequest([]byte(`{"Type":"Notification","MessageId":"1","TopicArn":"` + topic + `","Message":"m","Timestamp":"` + now.UTC().Format("2006-01-02T15:04:05.000Z") + `","SignatureVersion":"2","Signature":""}`))
		rules, err := p.WithParams().Resolve()
		if err == nil {
			err = rules.Scheme.Sign(&r, key, now, "")
		}
		if err != nil {
			t.Fatal(err)
		}
		return string(r.Body)
	}
	good := signed("arn:aws:sns:us-east-1:123456789012:ours")
	for name, tt := range map[string]struct {
		body   string
		causes []string // none: verified
	}{
		"good":            {good, nil},
		"another topic":   {signed("arn:aws:sns:us-east-1:123456789012:theirs"), []string{"not_allowed"}},
		"another version": {strings.Replace(good, `"SignatureVersion":"2"`, `"SignatureVersion":"1"`, 1), []string{"version"}},
	} {
		report := explain(t, Input{Name: "aws-sns", Provider: p, Secret: base64.StdEncoding.EncodeToString(public), Request: aRequest([]byte(tt.body))})
		switch {
		case tt.causes != nil:
			wantCauses(t, report, tt.causes...)
		case !report.Verified:
			t.Errorf("%s: %+v", name, report)
		}
		if report.Steps[2].Name != "headers" || !strings.Contains(report.Steps[2].Detail, "body Signature is there") {
			t.Errorf("%s: %+v", name, report.Steps)
		}
	}
}
