package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// What is the user's own in a sender's lines may be in the environment or in a file, as a
// secret may. What a placeholder stands for is not known in requests, and what stands for
// nothing does not load.
func TestValuesOfOnesOwnMayBePlaceholders(t *testing.T) {
	t.Parallel()
	w := newSNSWorld(t)
	paypalKey, googleKey := newRSA(t, "", 2048), newRSA(t, "k1", 2048)
	w.document(paypalCert, pemType, inPEM(w.root.signing(t, paypalKey, "messageverificationcerts.paypal.com", nil)))
	google := newKeyServer(t, googleKey.jwk()).overHTTP()
	app := testbed.StartApp(t, nil)
	account := filepath.Join(t.TempDir(), "account")
	if err := os.WriteFile(account, []byte(pushAccount+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	snsLines := func(topic string) string {
		return route("", "aws-sns", proxy(app), "allow body TopicArn "+topic, "keys "+w.files(t))
	}
	paypalLines := func(id string) string {
		return route("", "paypal", proxy(app), "param webhook_id "+id, "keys "+w.files(t))
	}
	googleLines := func(audience, account string) string {
		return route("", "google-pubsub", proxy(app), "param audience "+audience, "param service_account "+account, "keys jwks "+google.URL+"/keys")
	}
	s := site{store: "memory", routes: snsLines("{env.OUR_TOPIC}") + paypalLines("{env.OUR_WEBHOOK}") + googleLines("https://{env.OUR_HOST}/push", "{file."+account+"}")}
	g := testbed.StartGateway(t, s.caddyfile(), testbed.WithEnv("HTTPS_PROXY="+w.URL, "HTTP_PROXY="+w.URL, "NO_PROXY=127.0.0.1",
		"OUR_TOPIC="+snsTopic, "OUR_WEBHOOK="+paypalWebhook, "OUR_HOST=hooks.example.com"))
	want(t, snsPost(t, g, snsBody(snsSigned(t, w.key, snsMessage()))), 200, "forwarded")
	want(t, testbed.Do(t, post(t, g.URL("/webhooks/paypal"), []byte("{}"), paypal(t, paypalKey, "{}"))), 200, "forwarded")
	want(t, testbed.Do(t, push(t, g, googleKey.token(t, pubsub(), nil))), 200, "forwarded")
	wantCalls(t, app, 3)

	for _, tt := range []struct{ routes, want string }{
		{snsLines("{env.OUR_MISSING_TOPIC}"), "allow body TopicArn: {env.OUR_MISSING_TOPIC} is empty or not set"},
		{snsLines("{http.request.header.X-Topic}"), "allow body TopicArn: a {…} in it is no placeholder that is known when the configuration loads"},
		{snsLines("$OUR_TOPIC"), "allow body TopicArn: it is a variable of the shell ($NAME)"},
		{snsLines(`""`), "allow body TopicArn: it is empty"},
		{snsLines("arn:aws:sns:us-east-1:123456789012:*"), "a * in a value of body TopicArn stands for nothing"},
		{paypalLines("{env.OUR_MISSING_WEBHOOK}"), "param webhook_id: {env.OUR_MISSING_WEBHOOK} is empty or not set"},
		{paypalLines("{header.X-Webhook}"), "param webhook_id: a {…} in it is no placeholder that is known when the configuration loads"},
		{googleLines("{file./nowhere/audience}", "x"), "param audience: {file./nowhere/audience}: the file is missing"},
		{googleLines(pushAudience, "%ACCOUNT%"), "param service_account: it is a variable of Windows (%NAME%)"},
	} {
		if err := g.Reload(site{store: "memory", routes: tt.routes}.caddyfile()); err == nil || !strings.Contains(fmt.Sprint(err), tt.want) {
			t.Errorf("%v\nwant %s", err, tt.want)
		}
	}
}
