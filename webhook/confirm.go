package webhook

import (
	"net/url"
	"regexp"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// The texts that a confirmation is made of. Nothing else of the message gets into it.
var (
	snsTopic = regexp.MustCompile(`\Aarn:(aws|aws-cn|aws-us-gov):sns:([a-z0-9][a-z0-9-]{0,31}):[0-9]{12}:[A-Za-z0-9_-]{1,256}(?:\.fifo)?\z`)
	snsToken = regexp.MustCompile(`\A[A-Za-z0-9_-]{1,1000}\z`)
)

// confirmation is the URL by which the endpoint is confirmed, for checks that ask for that.
// The request is verified.
func confirmation(check config.Check, r *signature.Request) (string, *Refusal) {
	if check.Confirm != config.ConfirmSNS {
		return "", nil
	}
	read := func(path string) string {
		return signature.Source{Kind: signature.SourceBody, Name: path}.Read(r, signature.Parts{}).Text
	}
	topic, token := read("TopicArn"), read("Token")
	parts := snsTopic.FindStringSubmatch(topic)
	if parts == nil || !snsToken.MatchString(token) {
		return "", Refuse(SignatureMalformed, "the subscription cannot be confirmed: its topic or its token is not one that the guard knows: write handshake off and let the app confirm it")
	}
	host := "sns." + parts[2] + ".amazonaws.com"
	if parts[1] == "aws-cn" {
		host += ".cn"
	}
	query := url.Values{"Action": {"ConfirmSubscription"}, "TopicArn": {topic}, "Token": {token}, "Version": {"2010-03-31"}}
	return "https://" + host + "/?" + query.Encode(), nil
}

// confirmKey is the key of a check that asks for a call: of what its signature covers, or of the
// URL where it has none.
func (j *Judgement) confirmKey(address string) (dedupe.Key, *Refusal) {
	scope, refused := j.tenant.Scope()
	if refused != nil {
		return dedupe.Key{}, refused
	}
	if !j.sender.Rules.Scheme.Signed() {
		return dedupe.TextKey("confirmation", scope, address), nil
	}
	return j.sender.identity.hash("confirmation", scope, &j.signed, &j.verdict, (*signature.Verdict).HashSigned), nil
}
