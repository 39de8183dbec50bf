package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// A subscription is confirmed by a call of the topic's region, of the topic and the token.
// The URL in the message is not followed.
func TestSNSSubscriptionsAreConfirmed(t *testing.T) {
	t.Parallel()
	w := newSNSWorld(t)
	var called atomic.Pointer[url.Values]
	w.page("https://sns.us-east-1.amazonaws.com/", func(rw http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		called.Store(&query)
		if r.Method != http.MethodGet {
			rw.WriteHeader(http.StatusMethodNotAllowed)
		}
		_, _ = rw.Write([]byte("<ConfirmSubscriptionResponse/>"))
	})
	app := testbed.StartApp(t, nil)
	g := w.start(t, site{store: "memory", routes: snsRoute(app, w.files(t))})
	m := snsConfirmation("SubscriptionConfirmation", "SubscribeURL", "https://evil.example/?x=1", "SignatureVersion", "1")
	want(t, snsPost(t, g, snsBody(snsSigned(t, w.key, m))), 200, "handshake")
	if got := called.Load(); got == nil || got.Get("Action") != "ConfirmSubscription" || got.Get("TopicArn") != snsTopic || got.Get("Token") != m["Token"] || len(*got) != 4 {
		t.Errorf("called with %v", got)
	}
	wantCalls(t, app, 0)
	testbed.Eventually(t, soon, func() bool { return strings.Contains(g.Output(), "confirmed the sender's subscription") }, "no line in the log")
	if strings.Contains(g.Output(), m["Token"]) {
		t.Error("the token is in the log")
	}

	// While Amazon does not answer, the sender is told to come again.
	m = snsConfirmation("SubscriptionConfirmation", "SignatureVersion", "1")
	for _, status := range []int{500, 403, 302, 204} {
		w.page("https://sns.us-east-1.amazonaws.com/", func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Location", "https://evil.example/")
			rw.WriteHeader(status)
		})
		resp := snsPost(t, g, snsBody(snsSigned(t, w.key, m)))
		want(t, resp, 503, "handshake")
		if resp.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	for page := range w.seen() {
		if !strings.HasPrefix(page, "sns.us-east-1.amazonaws.com/") {
			t.Errorf("called: %s", page)
		}
	}
}

// A confirmation that is sent again confirms nothing, so that who was unsubscribed stays so, and
// keeps nobody else from being confirmed. One that failed is tried again.
func TestSNSConfirmationsAreActedOnOnce(t *testing.T) {
	t.Parallel()
	w := newSNSWorld(t)
	const api = "https://sns.us-east-1.amazonaws.com/"
	app := testbed.StartApp(t, nil)
	g := w.start(t, site{store: "memory", routes: snsRoute(app, w.files(t))})
	first := snsSigned(t, w.key, snsConfirmation("SubscriptionConfirmation"))
	w.page(api, func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusInternalServerError) })
	want(t, snsPost(t, g, snsBody(first)), 503, "handshake")
	w.page(api, func(http.ResponseWriter, *http.Request) {})
	want(t, snsPost(t, g, snsBody(first)), 200, "handshake")
	want(t, snsPost(t, g, snsBody(snsSigned(t, w.key, snsConfirmation("UnsubscribeConfirmation")))), 200, "handshake")
	for range 20 {
		want(t, snsPost(t, g, snsBody(first)), 200, "handshake")
	}
	if n := w.seen()["sns.us-east-1.amazonaws.com/"]; n != 2 {
		t.Errorf("called %d times, want 2", n)
	}
	want(t, snsPost(t, g, snsBody(snsSigned(t, w.key, snsConfirmation("SubscriptionConfirmation")))), 200, "handshake")
	if n := w.seen()["sns.us-east-1.amazonaws.com/"]; n != 3 {
		t.Errorf("called %d times, want 3", n)
	}
	wantCalls(t, app, 0)
}

// Nothing is confirmed for a topic that is not allowed, for a message that is not signed, or
// for a token that could be anything else.
func TestForgedSNSConfirmationsAreRefused(t *testing.T) {
	t.Parallel()
	w := newSNSWorld(t)
	evil := newRSA(t, "", 2048)
	confirm := "https://sns.us-east-1.amazonaws.com/"
	w.page(confirm, func(http.ResponseWriter, *http.Request) {})
	app := testbed.StartApp(t, nil)
	weird := "arn:aws:sns:us-east-1.evil.com/:123456789012:orders"
	g := w.start(t, site{store: "memory", routes: snsRoute(app, w.files(t), "allow body TopicArn "+weird)})
	for name, m := range map[string]map[string]string{
		"a foreign key":           snsSigned(t, evil, snsConfirmation("SubscriptionConfirmation")),
		"a topic not allowed":     snsSigned(t, w.key, snsConfirmation("SubscriptionConfirmation", "TopicArn", "arn:aws:sns:us-east-1:999999999999:orders")),
		"a topic that is no ARN":  snsSigned(t, w.key, snsConfirmation("SubscriptionConfirmation", "TopicArn", weird)),
		"a token of more":         snsSigned(t, w.key, snsConfirmation("SubscriptionConfirmation", "Token", "x&Action=DeleteTopic")),
		"a token that is a path":  snsSigned(t, w.key, snsConfirmation("SubscriptionConfirmation", "Token", "../x")),
		"no token":                snsSigned(t, w.key, snsConfirmation("SubscriptionConfirmation", "Token", "")),
		"an old one":              snsSigned(t, w.key, snsConfirmation("SubscriptionConfirmation", "Timestamp", time.Now().Add(-3*time.Hour).UTC().Format(time.RFC3339))),
		"a notification's type":   {},
		"a look-alike of a topic": snsSigned(t, w.key, snsConfirmation("SubscriptionConfirmation", "TopicArn", snsTopic+" ")),
	} {
		if name == "a notification's type" {
			m = snsSigned(t, w.key, snsMessage())
			m["Type"], m["Token"] = "SubscriptionConfirmation", "abc"
		}
		if resp := snsPost(t, g, snsBody(m)); resp.Status != 401 && resp.Status != 403 {
			t.Errorf("%s: %v", name, resp)
		}
	}
	wantCalls(t, app, 0)
	if n := w.seen()["sns.us-east-1.amazonaws.com/"]; n != 0 {
		t.Errorf("confirmed %d times", n)
	}
}

// An endpoint that was unsubscribed is not subscribed again, and somebody is told.
func TestSNSUnsubscriptionsAreAnswered(t *testing.T) {
	t.Parallel()
	w := newSNSWorld(t)
	app := testbed.StartApp(t, nil)
	g := w.start(t, site{store: "memory", routes: snsRoute(app, w.files(t))})
	want(t, snsPost(t, g, snsBody(snsSigned(t, w.key, snsConfirmation("UnsubscribeConfirmation")))), 200, "handshake")
	wantCalls(t, app, 0)
	if n := w.seen(); len(n) != 1 {
		t.Errorf("called: %v", n)
	}
	testbed.Eventually(t, soon, func() bool { return strings.Contains(g.Output(), "was unsubscribed from the topic") }, "no warning")
}

// One subscription is confirmed once or twice. More is somebody's mistake.
func TestSNSConfirmationsAreLimited(t *testing.T) {
	t.Parallel()
	w := newSNSWorld(t)
	w.page("https://sns.us-east-1.amazonaws.com/", func(http.ResponseWriter, *http.Request) {})
	app := testbed.StartApp(t, nil)
	g := w.start(t, site{store: "memory", routes: snsRoute(app, w.files(t))})
	results := make(map[string]int)
	begun := time.Now()
	for range 30 {
		resp := snsPost(t, g, snsBody(snsSigned(t, w.key, snsConfirmation("SubscriptionConfirmation"))))
		results[fmt.Sprint(resp.Status, resp.Guard)]++
	}
	limit := 10 + int(time.Since(begun)/(10*time.Second))
	if n := w.seen()["sns.us-east-1.amazonaws.com/"]; n > limit || n < 10 {
		t.Errorf("%d confirmations, want 10 to %d", n, limit)
	}
	if results["200handshake"]+results["503handshake"] != 30 {
		t.Errorf("results: %v", results)
	}
}

// Topics of China are confirmed there.
func TestSNSTopicsOfChinaAreConfirmedThere(t *testing.T) {
	t.Parallel()
	w := newSNSWorld(t)
	const topic, cert = "arn:aws-cn:sns:cn-north-1:123456789012:orders", "https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-0.pem"
	w.document(cert, pemType, inPEM(w.root.signing(t, w.key, "sns-cn-north-1.amazonaws.com.cn", nil)))
	w.page("https://sns.cn-north-1.amazonaws.com.cn/", func(http.ResponseWriter, *http.Request) {})
	app := testbed.StartApp(t, nil)
	g := w.start(t, site{store: "memory", routes: route("", "aws-sns", proxy(app), "allow body TopicArn "+topic, "keys "+w.files(t))})
	want(t, snsPost(t, g, snsBody(snsSigned(t, w.key, snsConfirmation("SubscriptionConfirmation", "TopicArn", topic, "SigningCertURL", cert)))), 200, "handshake")
	if n := w.seen()["sns.cn-north-1.amazonaws.com.cn/"]; n != 1 {
		t.Errorf("confirmed %d times", n)
	}
}
