package e2e

import (
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// snsWorld is Amazon SNS as a test has it: a key, its certificate at Amazon's URL, and the
// authorities that vouch for it.
type snsWorld struct {
	*internet
	root *authority
	key  pair
}

func newSNSWorld(t *testing.T) *snsWorld {
	t.Helper()
	w := &snsWorld{newInternet(t), newAuthority(t, "root", nil), newRSA(t, "", 2048)}
	w.document(snsCert, pemType, inPEM(w.root.signing(t, w.key, "sns.amazonaws.com", nil)))
	return w
}

// files are the words of a keys line that has the entry trust this world.
func (w *snsWorld) files(t *testing.T) string {
	return "roots " + w.root.file(t) + " ca " + w.ca(t)
}

// Messages of Amazon SNS are verified with the certificate that they name, in both versions,
// with and without a subject.
func TestSNSIsVerifiedWithTheCertificateThatAMessageNames(t *testing.T) {
	t.Parallel()
	w := newSNSWorld(t)
	app := testbed.StartApp(t, nil)
	g := w.start(t, site{store: "memory", routes: snsRoute(app, w.files(t))})
	calls := 0
	for _, m := range []map[string]string{
		snsMessage(), snsMessage("Subject", "An order"), snsMessage("SignatureVersion", "1"), snsMessage("SignatureVersion", "1", "Subject", "An order"),
		snsMessage("Message", "one\nMessageId\nx\nTimestamp\n"), snsMessage("Message", "Übergröße <&> \" \\ / \u2028"),
	} {
		body := snsBody(snsSigned(t, w.key, m))
		want(t, snsPost(t, g, body), 200, "forwarded")
		calls++
		d := wantDelivered(t, app, calls, body)
		if d.Header.Get("Webhook-Guard-Id") != m["MessageId"] || d.Header.Get("Webhook-Guard-Event") != "Notification" || d.Header.Get("Webhook-Guard-Signed") != "id event time" {
			t.Errorf("the app got %v", d.Header)
		}
		want(t, snsPost(t, g, body), 200, "duplicate")
	}
	if n := w.seen(); len(n) != 1 || n["sns.us-east-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem"] != 1 {
		t.Errorf("fetched: %v", n)
	}
}

// What is not what SNS signed, is for another topic, or names another certificate is refused
// and has nothing fetched.
func TestForgedSNSMessagesAreRefused(t *testing.T) {
	t.Parallel()
	w := newSNSWorld(t)
	evil := newRSA(t, "", 2048)
	app := testbed.StartApp(t, nil)
	g := w.start(t, site{store: "memory", routes: snsRoute(app, w.files(t))})
	signed := func(more ...string) map[string]string { return snsSigned(t, w.key, snsMessage(more...)) }
	changed := func(m map[string]string, name, value string) map[string]string {
		if m[name] = value; value == "" {
			delete(m, name)
		}
		return m
	}
	for name, m := range map[string]map[string]string{
		"a foreign key":              snsSigned(t, evil, snsMessage()),
		"another message":            changed(signed(), "Message", "x"),
		"another ID":                 changed(signed(), "MessageId", testbed.NewID()),
		"another topic of ours":      changed(signed(), "TopicArn", snsTopic+"2"),
		"a topic of somebody else's": signed("TopicArn", "arn:aws:sns:us-east-1:999999999999:orders"),
		"a topic in upper case":      signed("TopicArn", strings.ToUpper(snsTopic)),
		"no topic":                   signed("TopicArn", ""),
		"2 that says 1":              changed(signed(), "SignatureVersion", "1"),
		"1 that says 2":              changed(signed("SignatureVersion", "1"), "SignatureVersion", "2"),
		"no version":                 changed(signed(), "SignatureVersion", ""),
		"version 3":                  changed(signed(), "SignatureVersion", "3"),
		"a subject that was added":   changed(signed(), "Subject", "x"),
		"one in lower case":          changed(signed(), "subject", "x"),
		"a subject taken away":       changed(signed("Subject", "x"), "Subject", ""),
		"a token that was added":     changed(signed(), "Token", "x"),
		"no signature":               changed(signed(), "Signature", ""),
		"no certificate":             changed(signed(), "SigningCertURL", ""),
		"no ID":                      signed("MessageId", ""),
		"no time":                    signed("Timestamp", ""),
		"an old message":             signed("Timestamp", time.Now().Add(-3*time.Hour).UTC().Format(time.RFC3339)),
		"from the future":            signed("Timestamp", time.Now().Add(time.Hour).UTC().Format(time.RFC3339)),
		"an ID of several lines":     signed("MessageId", "a\nSubject\nb"),
		"a type of several lines":    signed("Type", "Notification\nx"),
	} {
		if resp := snsPost(t, g, snsBody(m)); resp.Status != 401 && resp.Status != 403 {
			t.Errorf("%s: %v", name, resp)
		}
	}
	good := string(snsBody(signed()))
	for name, body := range map[string]string{
		"a topic twice":   strings.Replace(good, "{", `{"TopicArn":"`+snsTopic+`",`, 1),
		"a message twice": strings.Replace(good, "{", `{"Message":"x",`, 1),
		"an URL twice":    strings.Replace(good, "{", `{"SigningCertURL":"https://evil.example/x.pem",`, 1),
		"no JSON":         good + "}",
		"a list":          "[" + good + "]",
		"raw delivery":    `{"order":1}`,
	} {
		if resp := snsPost(t, g, []byte(body)); resp.Status != 401 && resp.Status != 403 {
			t.Errorf("%s: %v", name, resp)
		}
	}
	wantCalls(t, app, 0)
	if n := w.seen(); len(n) > 1 {
		t.Errorf("fetched: %v", n)
	}
}

// URLs that only look like Amazon's are never fetched, nor is anything else at Amazon's.
func TestLookAlikeCertificateURLsAreNotFetched(t *testing.T) {
	t.Parallel()
	w := newSNSWorld(t)
	evil := newRSA(t, "", 2048)
	app := testbed.StartApp(t, nil)
	g := w.start(t, site{store: "memory", routes: snsRoute(app, w.files(t))})
	const file = "/SimpleNotificationService-0123456789abcdef.pem"
	for _, url := range []string{
		"http://sns.us-east-1.amazonaws.com" + file, "HTTPS://sns.us-east-1.amazonaws.com" + file, "https://SNS.us-east-1.amazonaws.com" + file,
		"https://sns.us-east-1.amazonaws.com.evil.com" + file, "https://sns.us-east-1.amazonaws.com@evil.com" + file, "https://evil.com@sns.us-east-1.amazonaws.com" + file,
		"https://evil.com/sns.us-east-1.amazonaws.com" + file, "https://sns.us-east-1.amazonaws.com." + file, "https://sns.us-east-1.amazonaws.com:443" + file,
		"https://sns.us-east-1.amazonaws.com:8443" + file, `https://sns.us-east-1.amazonaws.com\@evil.com` + file, `https://evil.com\.sns.us-east-1.amazonaws.com` + file,
		"https://sns.us-east-1.amazonaws.com%2eevil.com" + file, "https://sns.us-east-1.amazonaws%2ecom" + file, "https://sns%2eus-east-1.amazonaws.com" + file,
		"https://sns.us-east-1.amazonaws.com%00.evil.com" + file, "https://sns.us-east-1.аmazonaws.com" + file, "https://sns.us-east-1。amazonaws.com" + file,
		"https://sns..amazonaws.com" + file, "https://sns.amazonaws.com" + file, "https://sns.a.b.amazonaws.com" + file, "https://evilsns.us-east-1.amazonaws.com" + file,
		"https://s3.us-east-1.amazonaws.com" + file, "https://sns.us-east-1.amazonaws.com.cn.evil.com" + file, "https://sns.-.amazonaws.com" + file,
		"https://sns.us-east-1.amazonaws.com", "https://sns.us-east-1.amazonaws.com/", "https://sns.us-east-1.amazonaws.com/.pem", "https://sns.us-east-1.amazonaws.com/x",
		"https://sns.us-east-1.amazonaws.com/../x.pem", "https://sns.us-east-1.amazonaws.com/a/x.pem", "https://sns.us-east-1.amazonaws.com//x.pem",
		"https://sns.us-east-1.amazonaws.com/%2e%2e/x.pem", "https://sns.us-east-1.amazonaws.com/x%2fy.pem", "https://sns.us-east-1.amazonaws.com/x.pem?Action=x",
		"https://sns.us-east-1.amazonaws.com/?Action=x&y=.pem", "https://sns.us-east-1.amazonaws.com/x.pem#y", "https://sns.us-east-1.amazonaws.com/x.pem/", "https://sns.us-east-1.amazonaws.com/x.pem.html",
		"https://sns.us-east-1.amazonaws.com/x.pem\n", " https://sns.us-east-1.amazonaws.com/x.pem", "https://sns.us-east-1.amazonaws.com/x .pem", "https://sns.us-east-1.amazonaws.com/\tx.pem",
		"https://sns.us-east-1.amazonaws.com/" + strings.Repeat("x", 200) + ".pem", "https://sns." + strings.Repeat("a", 64) + ".amazonaws.com" + file,
		"file:///etc/x.pem", "//sns.us-east-1.amazonaws.com/x.pem", "sns.us-east-1.amazonaws.com/x.pem", "https:/sns.us-east-1.amazonaws.com/x.pem", "https:sns.us-east-1.amazonaws.com/x.pem",
		"http://169.254.169.254/x.pem", "https://127.0.0.1/x.pem", "gopher://sns.us-east-1.amazonaws.com/x.pem",
	} {
		resp := snsPost(t, g, snsBody(snsSigned(t, evil, snsMessage("SigningCertURL", url))))
		want(t, resp, 401, "signature_malformed")
	}
	wantCalls(t, app, 0)
	if n := w.seen(); len(n) != 0 {
		t.Errorf("fetched: %v", n)
	}
}

// A certificate that cannot be had, or is not Amazon's, gives no key: the answer is 503, and
// nothing is forwarded.
func TestCertificatesThatGiveNoKey(t *testing.T) {
	t.Parallel()
	w := newSNSWorld(t)
	foreign, constrained := newAuthority(t, "foreign", nil), newAuthority(t, "below", w.root)
	good := inPEM(w.root.signing(t, w.key, "sns.amazonaws.com", nil))
	certificate := func(by *authority, key pair, name string, change func(*x509.Certificate)) []byte {
		return inPEM(by.signing(t, key, name, change))
	}
	short := newRSA(t, "", 1024)
	self := &authority{&x509.Certificate{Subject: pkix.Name{CommonName: "sns.amazonaws.com"}}, w.key.private.(*rsa.PrivateKey)}
	status := func(code int) http.HandlerFunc {
		return func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Location", snsCert)
			rw.WriteHeader(code)
			_, _ = rw.Write(good)
		}
	}
	typed := func(contentType string, text []byte) http.HandlerFunc {
		return func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", contentType)
			_, _ = rw.Write(text)
		}
	}
	pages := map[string]http.HandlerFunc{
		"slow":             hangs,
		"a-redirect":       status(302),
		"another-redirect": status(308),
		"an-error":         status(500),
		"created":          status(201),
		"forbidden":        status(403),
		"a-page":           typed("text/html", good),
		"JSON":             typed("application/json", good),
		"oversized":        typed(pemType, append([]byte(strings.Repeat(" ", 256<<10)), good...)),
		"nothing":          typed(pemType, nil),
		"no-PEM":           typed(pemType, []byte("hello")),
		"more-than-PEM":    typed(pemType, append([]byte("hello\n"), good...)),
		"a-foreign-root":   typed(pemType, certificate(foreign, w.key, "sns.amazonaws.com", nil)),
		"with-its-root":    typed(pemType, append(certificate(foreign, w.key, "sns.amazonaws.com", nil), inPEM(foreign.certificate)...)),
		"self-signed":      typed(pemType, certificate(self, w.key, "sns.amazonaws.com", nil)),
		"another-name":     typed(pemType, certificate(w.root, w.key, "sns.evil.com", nil)),
		"a-longer-name":    typed(pemType, certificate(w.root, w.key, "sns.amazonaws.com.evil.com", nil)),
		"a-subdomain":      typed(pemType, certificate(w.root, w.key, "x.sns.amazonaws.com", nil)),
		"a-wildcard":       typed(pemType, certificate(w.root, w.key, "*.amazonaws.com", nil)),
		"a-common-name":    typed(pemType, certificate(w.root, w.key, "sns.amazonaws.com", func(c *x509.Certificate) { c.DNSNames = nil })),
		"expired": typed(pemType, certificate(w.root, w.key, "sns.amazonaws.com", func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
		})),
		"not-yet-valid": typed(pemType, certificate(w.root, w.key, "sns.amazonaws.com", func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
		})),
		"for-clients":       typed(pemType, certificate(w.root, w.key, "sns.amazonaws.com", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })),
		"for-encryption":    typed(pemType, certificate(w.root, w.key, "sns.amazonaws.com", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment })),
		"an-authority":      typed(pemType, certificate(w.root, w.key, "sns.amazonaws.com", func(c *x509.Certificate) { c.IsCA = true })),
		"a-short-key":       typed(pemType, certificate(w.root, short, "sns.amazonaws.com", nil)),
		"another-kind":      typed(pemType, certificate(w.root, newEC(t, "", elliptic.P256()), "sns.amazonaws.com", nil)),
		"a-missing-issuer":  typed(pemType, certificate(constrained, w.key, "sns.amazonaws.com", nil)),
		"a-strange-issuer":  typed(pemType, certificate(constrained, w.key, "sns.amazonaws.com", func(c *x509.Certificate) { c.IssuingCertificateURL = []string{"http://evil.example/x.cer"} })),
		"a-metadata-issuer": typed(pemType, certificate(constrained, w.key, "sns.amazonaws.com", func(c *x509.Certificate) { c.IssuingCertificateURL = []string{"http://169.254.169.254/x.cer"} })),
	}
	app := testbed.StartApp(t, nil)
	routes := snsRoute(app, w.files(t))
	names := slices.Sorted(maps.Keys(pages))
	for some := range slices.Chunk(names, 16) { // a gateway looks for so many unknown ones at once
		t.Run(some[0], func(t *testing.T) {
			t.Parallel()
			g := w.start(t, site{store: "memory", routes: routes})
			for _, name := range some {
				url := "https://sns.us-east-1.amazonaws.com/" + name + ".pem"
				w.page(url, pages[name])
				key := w.key
				if name == "a-short-key" {
					key = short
				}
				resp := snsPost(t, g, snsBody(snsSigned(t, key, snsMessage("SigningCertURL", url))))
				if resp.Status != 503 || resp.Guard != "secret_unavailable" || resp.Header.Get("Retry-After") == "" {
					t.Errorf("%s: %v", name, resp)
				}
			}
			testbed.Eventually(t, soon, func() bool {
				return strings.Count(g.Output(), "the sender's keys cannot be fetched") == len(some)
			}, "not one warning for each")
			// The right certificate is taken all the same.
			want(t, snsPost(t, g, snsBody(snsSigned(t, w.key, snsMessage()))), 200, "forwarded")
		})
	}
	t.Cleanup(func() {
		if n, chunks := app.Count(), (len(names)+15)/16; n != chunks {
			t.Errorf("%d requests were forwarded, want %d", n, chunks)
		}
		for page := range w.seen() {
			if !strings.HasPrefix(page, "sns.us-east-1.amazonaws.com/") {
				t.Errorf("fetched: %s", page)
			}
		}
	})
}
