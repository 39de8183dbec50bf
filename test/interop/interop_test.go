// Package interop tests the guard against the senders' own SDKs, as their receivers
// install them.
//
// What an SDK signs, a running guard forwards once, byte for byte, and refuses
// when a byte of it is changed. What `caddy webhook-guard send` signs, the SDK
// takes and the guard takes; with a byte changed, neither does. Many SDKs only
// verify; those go one way.
//
// Three SDKs run in every test, the others behind the build tag full. Those for Node.js
// run in one process, sdk/sdk.js, and those for Go in another, sdk/golang. The rows are
// listed in docs/interop.md.
package interop

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// ways lists the functions that an SDK has.
type ways int

const (
	verifies ways = iota // it takes what `send` signs
	both                 // and signs for the guard
)

// row is an SDK and its catalogue entry.
type row struct {
	sdk      string // its name in sdk.js: the package, and a version where it has several schemes
	provider string
	ways     ways
	secret   string   // default: plainSecret
	lines    string   // further lines for the guard
	params   []string // constants of the scheme, name=value
	path     string   // where requests go; default: /hook
	fetch    string   // the lines with which a guard fetches a key from {url}, where it is no set
	keys     string   // the kind of key pair, for senders that sign with a private key

	// An event, with {id} for its ID, where the catalogue has no sample from which
	// events could be told apart.
	body string
	// The SDK takes no JSON but what JSON.stringify writes.
	compact bool
	// Bodies are forms, or hold the signature: they are left as they are.
	asIs bool
	// Something in the body that is signed, where not all of it is; "-" where
	// nothing is, but the path; and "token", with the name of its header, where nothing is,
	// but a token beside it. Default: Authorization.
	covered string
}

func TestSDKs(t *testing.T) {
	t.Parallel()
	for _, r := range rows {
		name := r.sdk
		if !strings.Contains(name, r.provider) {
			name += " " + r.provider
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newTrial(t, r).run()
		})
	}
}

// trial tests one row: a guard with an app behind it, and a receiver
// without any guard that shows what `send` sends.
type trial struct {
	*testing.T
	row
	key      string // what `send` signs with
	check    string // what the SDK verifies with: the same, or the public key
	config   string // the file of a guard, for what `send` has to know of it
	other    string // what somebody else would sign with
	app      *testbed.App
	receiver *testbed.App
	gateway  *testbed.Gateway
	rounds   *atomic.Int64
	round    string // of a request and its copies: each has a guard with a scope of its own
}

// likeAGuard answers as a guard does: any other answer is a failure to `send`.
func likeAGuard(testbed.Delivery) testbed.Answer {
	return testbed.Answer{Status: http.StatusOK, Header: http.Header{"Webhook-Guard": {"forwarded"}}}
}

// maxRounds is how many guards a gateway has.
const maxRounds = 40

// guards are those of the rounds of one trial.
func guards(provider, lines string) string {
	var b strings.Builder
	for round := 1; round <= maxRounds; round++ {
		fmt.Fprintf(&b, "@round%[1]d header Interop-Round %[1]d\n\twebhook_guard @round%[1]d %[2]s {\n\t\tscope round%[1]d\n\t\t%[3]s\n\t}\n\t", round, provider, lines)
	}
	return b.String()
}

func newTrial(t *testing.T, r row) *trial {
	if r.secret == "" {
		r.secret = plainSecret
	}
	if r.path == "" {
		r.path = "/hook"
	}
	tr := &trial{
		T: t, row: r, key: r.secret, check: r.secret, other: otherSecret(r.secret),
		rounds: new(atomic.Int64),
		app:    testbed.StartApp(t, nil), receiver: testbed.StartApp(t, likeAGuard),
	}
	lines := "secret {env.SECRET}"
	if r.keys != "" {
		keys := newPair(t, r.keys)
		tr.key, tr.check, tr.other, lines = keys.private, keys.public, newPair(t, r.keys).private, keys.lines
	}
	lines = strings.ReplaceAll(cmp.Or(r.fetch, lines)+"\n"+r.lines, "{url}", tr.check)
	tr.config = filepath.Join(t.TempDir(), "Caddyfile")
	for _, param := range r.params {
		lines += "\nparam " + strings.Replace(param, "=", " ", 1)
	}
	if err := os.WriteFile(tr.config, []byte(":80 {\nwebhook_guard "+r.provider+" {\n"+lines+"\n}\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tr.gateway = testbed.StartGateway(t, fmt.Sprintf(`
{
	admin 127.0.0.1:{$ADMIN}
	webhook_guard {
		store memory
	}
}
http://:{$PORT} {
	%s
	reverse_proxy {env.APP}
}
`, guards(r.provider, lines)), testbed.WithEnv("SECRET="+tr.check, "APP="+tr.app.Addr()))
	return tr
}

func (tr *trial) run() {
	has := ask(tr.T, call{Op: "ways", SDK: tr.sdk})
	if !has.Verifies || has.Signs != (tr.ways == both) {
		tr.Fatalf("sdk.js has other functions than the table says: %+v", has)
	}
	// The first call loads the SDK, which on a busy machine may take longer than
	// the few seconds that Paddle's lets a signature be old.
	ask(tr.T, call{Op: "verify", SDK: tr.sdk, Secret: tr.check, URL: tr.receiver.URL(), Body: []byte("{}")})
	tr.sub("what send signs", func(tr *trial) {
		if tr.row.body == "" && !tr.compact {
			tr.verified(tr.send("", nil))
		}
		if !tr.asIs {
			tr.verified(tr.send("", tr.event()))
		}
	})
	for _, name := range config.SampleEvents(tr.provider) {
		tr.sub("the sample "+name, func(tr *trial) {
			sample := tr.send(name, nil)
			if tr.compact {
				sample = tr.send(name, tr.compacted(sample.Body))
			}
			tr.verified(sample)
		})
	}
	if tr.ways == both {
		tr.sub("what the SDK signs", func(tr *trial) { tr.signed(tr.event()) })
	}
}

func (tr *trial) sub(name string, run func(*trial)) {
	tr.Run(name, func(t *testing.T) {
		sub := *tr
		sub.T = t
		run(&sub)
	})
}

// event is the body of an event, dressed.
func (tr *trial) event() []byte {
	tr.Helper()
	if tr.row.body != "" {
		return tr.dress([]byte(strings.ReplaceAll(tr.row.body, "{id}", testbed.NewID())))
	}
	return tr.dress(tr.send("", nil).Body)
}

// send returns what `caddy webhook-guard send` sends: a sample of the event, or the body.
func (tr *trial) send(event string, body []byte) testbed.Delivery {
	tr.Helper()
	dir := tr.TempDir()
	args := []string{"webhook-guard", "send", tr.provider, tr.receiver.URL() + tr.path, "--secret-env", "SECRET", "--event", event, "--config", tr.config}
	if body != nil {
		file := filepath.Join(dir, "body")
		if err := os.WriteFile(file, body, 0o600); err != nil {
			tr.Fatal(err)
		}
		args = append(args, "--body", file)
	}
	before := tr.receiver.Count()
	out, err := testbed.RunCaddy(tr, []string{"SECRET=" + tr.key}, args...)
	if err != nil {
		tr.Fatalf("send: %v\n%s", err, out)
	}
	if got := tr.receiver.Count() - before; got != 1 {
		tr.Fatalf("send made %d requests:\n%s", got, out)
	}
	d := tr.receiver.Deliveries()[before]
	if body != nil && !tr.asIs && !bytes.Equal(d.Body, body) {
		tr.Fatalf("send changed the body %q to %q", body, d.Body)
	}
	return d
}

// verified checks a request of `send` with the SDK, and then with the guard.
func (tr *trial) verified(d testbed.Delivery) {
	tr.Helper()
	c := call{
		Op: "verify", SDK: tr.sdk, Secret: tr.check, Method: d.Method, URL: "http://" + d.Host + d.URL,
		Body: d.Body, Headers: nodeHeaders(d.Header),
	}
	got := ask(tr.T, c)
	if !got.Valid {
		tr.Errorf("the SDK refuses what send signs: %s\n%s", got.Why, show(d.Header, d.Body))
	}
	tr.sameEvent(got.Event, tr.guarded(d.Header, d.Body, d.Host))
	changed := c
	var header http.Header
	changed.URL, header, changed.Body = tr.change(c.URL, d.Header, d.Body)
	changed.Headers = nodeHeaders(header)
	if got := ask(tr.T, changed); got.Valid {
		tr.Errorf("the SDK takes another request: %s %s", changed.URL, changed.Body)
	}
	if tr.keys == "" {
		changed = c
		changed.Secret = otherSecret(tr.check)
		if got := ask(tr.T, changed); got.Valid {
			tr.Errorf("the SDK takes another secret's signature")
		}
	}
}

// signing is a call that has the SDK sign.
func (tr *trial) signing(body []byte) call {
	return call{
		Op: "sign", SDK: tr.sdk, Secret: tr.key, Keys: tr.check, Method: http.MethodPost, URL: tr.gateway.URL(tr.path),
		Body: body, ID: "msg_interop_" + testbed.NewID(), Time: time.Now(),
	}
}

// signed checks the SDK's signature with the guard.
func (tr *trial) signed(body []byte) {
	tr.Helper()
	c := tr.signing(body)
	got := ask(tr.T, c)
	header := http.Header{"Content-Type": {tr.contentType(got.Body)}}
	for name, value := range got.Headers {
		header.Set(name, value)
	}
	tr.guarded(header, got.Body, "")

	c.Secret = tr.other
	forged := ask(tr.T, c)
	for name, value := range forged.Headers {
		header.Set(name, value)
	}
	if resp := tr.post(tr.gateway.URL(tr.path), header, forged.Body, ""); resp.Status != http.StatusUnauthorized {
		tr.Errorf("another secret's signature got %v", resp)
	}
}

func (tr *trial) contentType(body []byte) string {
	if json.Valid(body) {
		return "application/json"
	}
	return "application/x-www-form-urlencoded"
}

// sameEvent compares what an SDK and a guard read of an event, where the SDK reads it.
func (tr *trial) sameEvent(sdk event, guard http.Header) {
	tr.Helper()
	if id := guard.Get("Webhook-Guard-Id"); sdk.ID != "" && sdk.ID != id {
		tr.Errorf("to the SDK the event's ID is %q, to the guard %q", sdk.ID, id)
	}
	reads := config.Builtin()[tr.provider].Event != (signature.Source{})
	if name := guard.Get("Webhook-Guard-Event"); reads && sdk.Type != "" && sdk.Type != name {
		tr.Errorf("to the SDK the event's type is %q, to the guard %q", sdk.Type, name)
	}
}

// guarded sends a request changed, as it is, and again. It returns the header that the app
// got.
func (tr *trial) guarded(header http.Header, body []byte, host string) http.Header {
	tr.Helper()
	if tr.round = fmt.Sprint(tr.rounds.Add(1)); tr.rounds.Load() > maxRounds {
		tr.Fatalf("there are guards for %d rounds", maxRounds)
	}
	before := tr.app.Count()
	url := tr.gateway.URL(tr.path)
	otherURL, otherHeader, otherBody := tr.change(url, header, body)
	if resp := tr.post(otherURL, otherHeader, otherBody, host); resp.Status != http.StatusUnauthorized {
		tr.Errorf("with a byte changed it got %v", resp)
	}
	if got := tr.app.Count() - before; got != 0 {
		tr.Fatalf("the app got %d refused requests", got)
	}
	if resp := tr.post(url, header, body, host); resp.Guard != "forwarded" || resp.Status != http.StatusOK {
		tr.Fatalf("it got %v\n%s", resp, show(header, body))
	}
	if resp := tr.post(url, header, body, host); resp.Guard != "duplicate" || resp.Status != http.StatusOK {
		tr.Errorf("again it got %v", resp)
	}
	deliveries := tr.app.Deliveries()[before:]
	if len(deliveries) != 1 {
		tr.Fatalf("the app got %d requests, want 1", len(deliveries))
	}
	got := deliveries[0]
	if !bytes.Equal(got.Body, body) || got.Header.Get("Webhook-Guard") != "verified" {
		tr.Errorf("the app got %s\nwant %s", show(got.Header, got.Body), body)
	}
	return got.Header
}

// post sends a request to the guard, under the host that is signed.
func (tr *trial) post(url string, header http.Header, body []byte, host string) testbed.Response {
	tr.Helper()
	req, err := http.NewRequestWithContext(tr.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		tr.Fatal(err)
	}
	req.Header = header.Clone()
	req.Header.Set("Interop-Round", tr.round)
	req.Host = host
	return testbed.Do(tr, req)
}
