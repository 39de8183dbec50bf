//go:build full

package programs

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// patience is how long a program may take for one delivery. Some wait before they retry.
const patience = 2 * time.Minute

// The secret that the program and the guard at /hook share, and the one that only the guard
// at /wrong has.
const (
	secret      = "canary-secret-of-the-program-0123456789"
	otherSecret = "canary-secret-of-somebody-else-98765432"
)

// rig is a gateway with guards for one sender, an app behind them that counts, and a tap
// before them.
type rig struct {
	*tap
	t       *testing.T
	app     *testbed.App
	gateway *testbed.Gateway
	next    chan testbed.Answer // the app's next answers
}

// newRig starts a gateway with guards at /hook, at /wrong and at further paths.
func newRig(t *testing.T, provider string, more ...string) *rig {
	t.Helper()
	r := &rig{t: t, next: make(chan testbed.Answer, 16)}
	r.app = testbed.StartApp(t, r.answer)
	routes := guard("/wrong", provider, otherSecret, r.app)
	for _, path := range append(more, "/hook") {
		routes += guard(path, provider, secret, r.app)
	}
	r.gateway = testbed.StartGateway(t, "{\n\tadmin 127.0.0.1:{$ADMIN}\n}\nhttp://:{$PORT} {\n"+routes+"}\n")
	r.tap = startTap(t, r.gateway.URL(""))
	return r
}

func guard(path, provider, secret string, app *testbed.App) string {
	return fmt.Sprintf("\thandle %s {\n\t\twebhook_guard %s {\n\t\t\tsecret %s\n\t\t\tscope %s\n\t\t}\n\t\treverse_proxy %s {\n\t\t\ttransport webhook\n\t\t}\n\t}\n",
		path, provider, secret, strings.TrimPrefix(path, "/"), app.Addr())
}

// answer is what the app answers: what was set with then, and 200 after that.
func (r *rig) answer(testbed.Delivery) testbed.Answer {
	select {
	case answer := <-r.next:
		return answer
	default:
		return testbed.Answer{}
	}
}

// then sets the statuses of the app's next answers.
func (r *rig) then(statuses ...int) {
	for _, status := range statuses {
		r.next <- testbed.Answer{Status: status}
	}
}

// want waits for the n-th request to a URI, and fails the test unless the gateway's answer
// was this one.
func (r *rig) want(uri string, n, status int, result string) exchange {
	r.t.Helper()
	e := r.wait(uri, n)
	if e.answer.Status != status || e.answer.Guard != result {
		r.t.Fatalf("request %d to %s: %v, want %d %q", n, uri, e.answer, status, result)
	}
	return e
}

// wantForwarded is want for a request that reached the app as it was sent, as its latest
// call, and returns what reached it.
func (r *rig) wantForwarded(uri string, n int) (exchange, testbed.Delivery) {
	r.t.Helper()
	e := r.want(uri, n, http.StatusOK, "forwarded")
	all := r.app.Deliveries()
	got := all[len(all)-1]
	if !bytes.Equal(got.Body, e.body) || got.Header.Get("Webhook-Guard") != "verified" {
		r.t.Fatalf("the app got %d bytes as %q, not the %d that were sent", len(got.Body), got.Header.Get("Webhook-Guard"), len(e.body))
	}
	if strings.Contains(fmt.Sprint(got.Header), secret) {
		r.t.Errorf("the app got the secret: %v", got.Header)
	}
	return e, got
}

// wantEvent fails the test unless the app was told this type of event.
func (r *rig) wantEvent(d testbed.Delivery, event string) {
	r.t.Helper()
	if got := d.Header.Get("Webhook-Guard-Event"); got != event {
		r.t.Errorf("the app was told the event %q, want %q", got, event)
	}
}

// wantAgain sends a request that was delivered once more, changed, straight to the gateway.
// It fails the test unless the answer is this one and the app is called as often as that
// says.
func (r *rig) wantAgain(e exchange, change func(*http.Request), status int, result string) {
	r.t.Helper()
	calls := r.app.Count()
	if result == "forwarded" {
		calls++
	}
	resp := testbed.Do(r.t, e.request(r.t, r.gateway.URL(""), change))
	if resp.Status != status || resp.Guard != result {
		r.t.Errorf("sent again: %v, want %d %q", resp, status, result)
	}
	if got := r.app.Count(); got != calls {
		r.t.Errorf("the app was called %d times, want %d", got, calls)
	}
}

// wantNeverRetries fails the test unless the entry says that the sender never retries.
func wantNeverRetries(t *testing.T, provider string) {
	t.Helper()
	if !config.Builtin()[provider].NeverRetries {
		t.Errorf("the entry of %s does not say that it never retries", provider)
	}
}

// unchanged sends a request again as it was.
func unchanged(*http.Request) {}

// anotherBody changes a byte of the body, which stays JSON: the first digit or letter after
// a quotation mark.
func anotherBody(e exchange) func(*http.Request) {
	changed := bytes.Clone(e.body)
	changed[bytes.IndexByte(changed, '"')+1] ^= 1
	return func(req *http.Request) { setBody(req, changed) }
}
