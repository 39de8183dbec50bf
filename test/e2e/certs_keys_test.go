package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// Certificates come without those of their issuers, which are fetched from where Amazon's and
// DigiCert's are.
func TestIssuersAreFetched(t *testing.T) {
	t.Parallel()
	w := newSNSWorld(t)
	upper := newAuthority(t, "upper", w.root)
	lower := newAuthority(t, "lower", upper)
	w.document("https://sns.eu-central-1.amazonaws.com/x.pem", pemType, inPEM(lower.signing(t, w.key, "sns-signing.eu-central-2.amazonaws.com", issuedAt("http://crt.r2m01.amazontrust.com/r2m01.cer"))))
	w.document("http://crt.r2m01.amazontrust.com/r2m01.cer", "application/pkix-cert", reissued(t, upper, lower, "http://cacerts.digicert.com/upper.crt").Raw)
	w.document("http://cacerts.digicert.com/upper.crt", "application/pkix-cert", upper.certificate.Raw)
	app := testbed.StartApp(t, nil)
	g := w.start(t, site{store: "memory", routes: snsRoute(app, w.files(t))})
	want(t, snsPost(t, g, snsBody(snsSigned(t, w.key, snsMessage("SigningCertURL", "https://sns.eu-central-1.amazonaws.com/x.pem")))), 200, "forwarded")
	if n := w.seen(); len(n) != 3 {
		t.Errorf("fetched: %v", n)
	}
}

// A new certificate is fetched as soon as a message names it; those before stay in force.
func TestSNSMayNameSeveralCertificates(t *testing.T) {
	t.Parallel()
	w := newSNSWorld(t)
	next := newRSA(t, "", 2048)
	url := "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-next.pem"
	app := testbed.StartApp(t, nil)
	g := w.start(t, site{store: "memory", routes: snsRoute(app, w.files(t))})
	send := func(key pair, url string) testbed.Response {
		return snsPost(t, g, snsBody(snsSigned(t, key, snsMessage("SigningCertURL", url))))
	}
	want(t, send(w.key, snsCert), 200, "forwarded")
	// A name that is not there yet is no key's, and it is not asked for again at once.
	want(t, send(next, url), 401, "signature_invalid")
	want(t, send(next, url), 401, "signature_invalid")
	other := url[:len(url)-len(".pem")] + "2.pem"
	w.document(other, pemType, inPEM(w.root.signing(t, next, "sns.amazonaws.com", nil)))
	want(t, send(next, other), 200, "forwarded")
	want(t, send(w.key, snsCert), 200, "forwarded")
	// One key's certificate is not another's.
	want(t, send(next, snsCert), 401, "signature_invalid")
	want(t, send(w.key, other), 401, "signature_invalid")
	if n := w.seen(); n[strings.TrimPrefix(url, "https://")] != 1 || len(n) != 3 {
		t.Errorf("fetched: %v", n)
	}
}

// A certificate outlives a restart while Amazon is away, and has to be valid then.
func TestCertificatesAreKeptAcrossRestarts(t *testing.T) {
	t.Parallel()
	w := newSNSWorld(t)
	app := testbed.StartApp(t, nil)
	dir := t.TempDir()
	g := w.start(t, site{store: "memory", global: "storage file_system " + dir, routes: snsRoute(app, w.files(t))})
	want(t, snsPost(t, g, snsBody(snsSigned(t, w.key, snsMessage()))), 200, "forwarded")
	stored := func() []string {
		files, _ := filepath.Glob(filepath.Join(dir, "webhook_guard", "keys", "*.json"))
		return files
	}
	testbed.Eventually(t, soon, func() bool { return len(stored()) == 1 }, "the certificate is not kept")
	g.Kill()
	w.page(snsCert, func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusInternalServerError) })
	g.Start()
	want(t, snsPost(t, g, snsBody(snsSigned(t, w.key, snsMessage()))), 200, "forwarded")
	wantCalls(t, app, 2)
	want(t, snsPost(t, g, snsBody(snsSigned(t, w.key, snsMessage("SigningCertURL", strings.Replace(snsCert, "us-east-1", "us-east-2", 1))))), 401, "signature_invalid")
	if len(stored()) != 1 {
		t.Errorf("kept: %v", stored())
	}
}

// A flood of names that strangers make up has few of them looked for, and the certificates
// that are known stay in force.
func TestMadeUpCertificatesAreLookedForSlowly(t *testing.T) {
	t.Parallel()
	w := newSNSWorld(t)
	app := testbed.StartApp(t, nil)
	g := w.start(t, site{store: "memory", routes: snsRoute(app, w.files(t))})
	want(t, snsPost(t, g, snsBody(snsSigned(t, w.key, snsMessage()))), 200, "forwarded")
	begun := time.Now()
	results := make(map[string]int)
	for i := range 200 {
		url := fmt.Sprintf("https://sns.us-east-1.amazonaws.com/%d.pem", i)
		results[snsPost(t, g, snsBody(snsSigned(t, w.key, snsMessage("SigningCertURL", url)))).Guard]++
	}
	limit := 21 + int(time.Since(begun)/(3*time.Second)) // with the known one
	if n := len(w.seen()); n > limit {
		t.Errorf("%d pages were asked for, want %d at most", n, limit)
	}
	if results["signature_invalid"]+results["secret_unavailable"] != 200 {
		t.Errorf("results: %v", results)
	}
	want(t, snsPost(t, g, snsBody(snsSigned(t, w.key, snsMessage()))), 200, "forwarded")
	wantCalls(t, app, 2)
}

// Many URLs that hold a genuine certificate are looked at as slowly while nothing is signed with it.
func TestCertificatesThatVerifyNothingAreLookedForSlowly(t *testing.T) {
	t.Parallel()
	w := newSNSWorld(t)
	app := testbed.StartApp(t, nil)
	g := w.start(t, site{store: "memory", routes: snsRoute(app, w.files(t))})
	want(t, snsPost(t, g, snsBody(snsSigned(t, w.key, snsMessage()))), 200, "forwarded")
	other := newRSA(t, "", 2048)
	genuine := inPEM(w.root.signing(t, other, "sns.amazonaws.com", nil))
	begun := time.Now()
	for i := range 100 {
		url := fmt.Sprintf("https://sns.us-east-1.amazonaws.com/%d.pem", i)
		w.document(url, pemType, genuine)
		if resp := snsPost(t, g, snsBody(snsSigned(t, w.key, snsMessage("SigningCertURL", url)))); resp.Status != 401 && resp.Status != 503 {
			t.Errorf("%s: %v", url, resp)
		}
	}
	limit := 21 + int(time.Since(begun)/(3*time.Second)) // with the known one
	if n := len(w.seen()); n > limit {
		t.Errorf("%d pages were asked for, want %d at most", n, limit)
	}
	w.page(snsCert, func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusBadGateway) })
	want(t, snsPost(t, g, snsBody(snsSigned(t, w.key, snsMessage()))), 200, "forwarded")
	wantCalls(t, app, 2)
}

// Without the topics that are the user's own, and with a source of keys that says too little,
// the configuration does not load.
func TestSNSNeedsItsTopics(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	g := site{store: "memory", routes: route("", "github", proxy(app), "secret 0123456789abcdef0123456789abcdef")}.start(t)
	for _, tt := range []struct {
		lines []string
		want  string
	}{
		{nil, "allow: the sender signs for all its customers with one key: name the values that are yours, allow body TopicArn"},
		{[]string{"allow body TopicArn"}, "name the values that are yours"},
		{[]string{"allow body MessageId x"}, "name the values that are yours"},
		{[]string{"allow body TopicArn x", "allow body UnsubscribeURL x"}, "allow: body UnsubscribeURL is not under the signature"},
		{[]string{"allow body TopicArn x", "keys roots /nowhere/roots.pem"}, "roots: "},
		{[]string{"allow body TopicArn x", "keys ca /nowhere/ca.pem"}, "ca: "},
		{[]string{"allow body TopicArn x", "secret 0123456789abcdef0123456789abcdef"}, "secret: the provider signs with a private key of its own"},
	} {
		s := site{store: "memory", routes: route("", "aws-sns", proxy(app), tt.lines...)}
		if err := g.Reload(s.caddyfile()); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v\nwant %s", tt.lines, err, tt.want)
		}
	}
}

// A provider of one's own may name its keys in certificates too, and leave to each guard whose
// requests it takes. What is behind a foreign server's certificate is never read.
func TestAProviderOfOnesOwnNamesItsCertificates(t *testing.T) {
	t.Parallel()
	root, key := newAuthority(t, "root", nil), newRSA(t, "", 2048)
	certificate := inPEM(root.signing(t, key, "signing.example.com", nil))
	server := newKeyServer(t)
	server.answer(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/certs/one" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(certificate)
	})
	server.overHTTP()
	foreign := newKeyServer(t)
	foreign.answer(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(certificate) })
	foreign.overTLS(t, "keys.example")
	app := testbed.StartApp(t, nil)
	provider := func(name, url string) string {
		return "provider " + name + " {\nsignature X-Sig rsa-sha256 base64\nsigned {header.X-Account}.{body|json}\nid body id\n" +
			"keys x509 header X-Cert " + url + "/certs/* name signing.example.com roots " + root.file(t) + "\nallow header X-Account\n}\n"
	}
	g := site{
		store: "memory", guards: provider("acme", server.URL) + provider("behind", foreign.URL),
		routes: route("", "acme", proxy(app), "allow header X-Account ours also-ours") + route("", "behind", proxy(app), "allow header X-Account ours"),
	}.start(t)
	send := func(provider, account, url string) testbed.Response {
		body := `{"id":"` + testbed.NewID() + `"}`
		return testbed.Do(t, post(t, g.URL("/webhooks/"+provider), []byte(body), map[string]string{
			"X-Account": account, "X-Cert": url, "X-Sig": base64.StdEncoding.EncodeToString(key.sign(t, []byte(account+"."+body))), "Content-Type": "application/json",
		}))
	}
	want(t, send("acme", "ours", server.URL+"/certs/one"), 200, "forwarded")
	want(t, send("acme", "also-ours", server.URL+"/certs/one"), 200, "forwarded")
	want(t, send("acme", "theirs", server.URL+"/certs/one"), 401, "signature_invalid")
	want(t, send("acme", "ours", server.URL+"/certs/two"), 401, "signature_invalid")
	want(t, send("acme", "ours", server.URL+"/certs/../certs/one"), 401, "signature_malformed")
	want(t, send("acme", "ours", server.URL+"/certs/one/"), 401, "signature_malformed")
	want(t, send("acme", "ours", server.URL+"/certs"), 401, "signature_malformed")
	want(t, send("acme", "ours", foreign.URL+"/certs/one"), 401, "signature_malformed")
	want(t, send("behind", "ours", foreign.URL+"/certs/one"), 503, "secret_unavailable")
	wantCalls(t, app, 2)
	none := site{store: "memory", guards: provider("acme", server.URL), routes: route("", "acme", proxy(app))}
	if err := g.Reload(none.caddyfile()); err == nil || !strings.Contains(err.Error(), "name the values that are yours, allow header X-Account") {
		t.Errorf("a guard that allows nobody: %v", err)
	}
}

// While Amazon is away, what is known stays in force, and what is new comes again.
func TestCertificatesStayInForceWhileAmazonIsAway(t *testing.T) {
	t.Parallel()
	w := newSNSWorld(t)
	certificate := inPEM(w.root.signing(t, w.key, "sns.amazonaws.com", nil))
	w.page(snsCert, func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Cache-Control", "no-store")
		_, _ = rw.Write(certificate)
	})
	app := testbed.StartApp(t, nil)
	g := w.start(t, site{store: "memory", routes: snsRoute(app, w.files(t))})
	want(t, snsPost(t, g, snsBody(snsSigned(t, w.key, snsMessage()))), 200, "forwarded")
	w.Close()
	for range 3 {
		want(t, snsPost(t, g, snsBody(snsSigned(t, w.key, snsMessage()))), 200, "forwarded")
	}
	resp := snsPost(t, g, snsBody(snsSigned(t, w.key, snsMessage("SigningCertURL", strings.Replace(snsCert, "us-east-1", "us-east-2", 1)))))
	want(t, resp, 503, "secret_unavailable")
	wantCalls(t, app, 4)
}

// Without a handshake the app gets the confirmation, as a signed event.
func TestTheAppMayConfirmSubscriptions(t *testing.T) {
	t.Parallel()
	w := newSNSWorld(t)
	app := testbed.StartApp(t, nil)
	g := w.start(t, site{store: "memory", routes: snsRoute(app, w.files(t), "handshake off")})
	body := snsBody(snsSigned(t, w.key, snsConfirmation("SubscriptionConfirmation")))
	want(t, snsPost(t, g, body), 200, "forwarded")
	if event := wantDelivered(t, app, 1, body).Header.Get("Webhook-Guard-Event"); event != "SubscriptionConfirmation" {
		t.Errorf("event %q", event)
	}
	if n := w.seen()["sns.us-east-1.amazonaws.com/"]; n != 0 {
		t.Errorf("confirmed %d times", n)
	}
}
