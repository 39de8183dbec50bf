package webhook

import (
	"encoding/hex"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// Whatever topic and token are, the call goes to Amazon's API and is the one that confirms.
func TestConfirmationsGoToAmazon(t *testing.T) {
	const token = "2336412f37fb687f5d51e6e2425929f52e8e353134fe72d55ef8"
	for topic, host := range map[string]string{
		"arn:aws:sns:us-west-2:131990247566:dongie-standard-topic": "sns.us-west-2.amazonaws.com",
		"arn:aws:sns:us-east-1:131990247566:a_B-9.fifo":            "sns.us-east-1.amazonaws.com",
		"arn:aws-cn:sns:cn-north-1:131990247566:t":                 "sns.cn-north-1.amazonaws.com.cn",
		"arn:aws-us-gov:sns:us-gov-west-1:131990247566:t":          "sns.us-gov-west-1.amazonaws.com",
	} {
		r := &signature.Request{Body: []byte(`{"TopicArn":"` + topic + `","Token":"` + token + `","SubscribeURL":"https://evil.example/"}`)}
		address, refused := confirmation(config.Check{Confirm: config.ConfirmSNS}, r)
		u, err := url.Parse(address)
		if refused != nil || err != nil {
			t.Fatalf("%s: %v, %v", topic, refused, err)
		}
		query := u.Query()
		if u.Scheme != "https" || u.Host != host || u.Path != "/" || len(query) != 4 || query.Get("Action") != "ConfirmSubscription" || query.Get("TopicArn") != topic || query.Get("Token") != token {
			t.Errorf("%s: %s", topic, address)
		}
	}
	const good = "arn:aws:sns:us-west-2:131990247566:t"
	for _, bad := range [][2]string{
		{"", token}, {good, ""}, {"arn:aws:sns:us-west-2.evil.com/:131990247566:t", token}, {"arn:aws:sns:us-west-2@evil:131990247566:t", token},
		{"arn:aws:sns:US-WEST-2:131990247566:t", token}, {"arn:aws:sns::131990247566:t", token}, {"arn:aws:sns:us-west-2:13199024756:t", token},
		{"arn:aws:sqs:us-west-2:131990247566:t", token}, {"arn:aws-x:sns:us-west-2:131990247566:t", token}, {good + ":" + token, token}, {good + "&Action=x", token},
		{good + `\n`, token}, {"x" + good, token}, {good, token + "&Action=DeleteTopic"}, {good, "a b"}, {good, "a%26b"}, {good, "../a"}, {good, strings.Repeat("a", 1001)},
	} {
		r := &signature.Request{Body: []byte(`{"TopicArn":"` + bad[0] + `","Token":"` + bad[1] + `"}`)}
		if address, refused := confirmation(config.Check{Confirm: config.ConfirmSNS}, r); refused == nil {
			t.Errorf("%q: %s", bad, address)
		}
	}
	if address, refused := confirmation(config.Check{}, &signature.Request{}); address != "" || refused != nil {
		t.Errorf("a check that asks for none: %q, %v", address, refused)
	}
}

// A check that asks for a call has one key, however it is sent again, and another in another
// scope or for another message.
func TestTheKeyOfAConfirmation(t *testing.T) {
	parsed, err := config.ParseHandshake([]string{"aws-sns"})
	if err != nil {
		t.Fatal(err)
	}
	h, err := NewHandshake(parsed, "")
	if err != nil {
		t.Fatal(err)
	}
	s := newSender(t, "signature X-Sig\nsigned {body.Type|line}\\n{body.MessageId|line}\\n{body.TopicArn|line}\\n{body.Token|line}\nid body MessageId")
	key, err := s.NewKey(copySecret)
	if err != nil {
		t.Fatal(err)
	}
	const kind, topic = "SubscriptionConfirmation", "arn:aws:sns:us-west-2:131990247566:t"
	keyOf := func(scope, id, more string) dedupe.Key {
		body := `{"Type":"` + kind + `","MessageId":"` + id + `","TopicArn":"` + topic + `","Token":"abc"` + more + `}`
		r := post(body, "X-Sig", hex.EncodeToString(mac256(kind+"\n"+id+"\n"+topic+"\nabc")))
		j := s.Begin(r, Fixed{[]signature.Secret{{Key: key}}, scope}, time.Now())
		refused := j.Head()
		if refused == nil {
			refused = j.Authenticate(r.Body)
		}
		reply, refused := h.Answer(&j, refused, nil)
		if refused != nil || reply == nil || reply.ConfirmKey.IsZero() {
			t.Fatalf("%v, %v", reply, refused)
		}
		return reply.ConfirmKey
	}
	first := keyOf("a", "m1", "")
	if keyOf("a", "m1", ` , "x":1`) != first {
		t.Error("written anew, it is another one")
	}
	if keyOf("a", "m2", "") == first || keyOf("b", "m1", "") == first {
		t.Error("another message, or another scope, has the same key")
	}
}
