package e2e

import (
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

const (
	paypalCert    = "https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-7a8abba8"
	paypalSandbox = "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-a5cafa77"
	paypalWebhook = "4JH86294D6297924G"
)

// paypal makes PayPal's headers of a body. more replaces what is signed, or is sent as it is.
func paypal(t *testing.T, key pair, body string, more ...string) map[string]string {
	t.Helper()
	h := map[string]string{
		"Paypal-Transmission-Id": testbed.NewID(), "Paypal-Transmission-Time": time.Now().UTC().Format(time.RFC3339),
		"Paypal-Cert-Url": paypalCert, "Paypal-Auth-Algo": "SHA256withRSA", "Content-Type": "application/json", "webhook": paypalWebhook,
	}
	for i := 0; i < len(more); i += 2 {
		h[more[i]] = more[i+1]
	}
	text := fmt.Sprintf("%s|%s|%s|%d", h["Paypal-Transmission-Id"], h["Paypal-Transmission-Time"], h["webhook"], crc32.ChecksumIEEE([]byte(body)))
	delete(h, "webhook")
	h["Paypal-Transmission-Sig"] = base64.StdEncoding.EncodeToString(key.sign(t, []byte(text)))
	return h
}

func paypalRoute(app *testbed.App, files string, more ...string) string {
	return route("", "paypal", proxy(app), append([]string{"param webhook_id {env.PAYPAL_WEBHOOK_ID}", "keys " + files}, more...)...)
}

// Events of PayPal are verified with the certificates of its API hosts, live and sandbox.
func TestPayPalIsVerifiedWithTheCertificateThatARequestNames(t *testing.T) {
	t.Parallel()
	n, root := newInternet(t), newAuthority(t, "root", nil)
	live, sandbox, evil := newRSA(t, "", 2048), newRSA(t, "", 2048), newRSA(t, "", 2048)
	n.document(paypalCert, pemType, inPEM(root.signing(t, live, "messageverificationcerts.paypal.com", nil)))
	n.document(paypalSandbox, pemType, inPEM(root.signing(t, sandbox, "messageverificationcerts.sandbox.paypal.com", nil)))
	app := testbed.StartApp(t, nil)
	g := n.start(t, site{store: "memory", routes: paypalRoute(app, "roots "+root.file(t)+" ca "+n.ca(t))})
	send := func(body string, headers map[string]string) testbed.Response {
		return testbed.Do(t, post(t, g.URL("/webhooks/paypal"), []byte(body), headers))
	}
	const body = `{"id":"WH-1","event_type":"PAYMENT.CAPTURE.COMPLETED","resource":{"amount":{"value":"20.00"}}}`
	h := paypal(t, live, body)
	want(t, send(body, h), 200, "forwarded")
	d := wantDelivered(t, app, 1, []byte(body))
	if d.Header.Get("Webhook-Guard-Id") != h["Paypal-Transmission-Id"] || d.Header.Get("Webhook-Guard-Signed") != "id time" || d.Header.Get("Webhook-Guard-Event") != "PAYMENT.CAPTURE.COMPLETED" {
		t.Errorf("the app got %v", d.Header)
	}
	want(t, send(body, h), 200, "duplicate")
	want(t, send(body, paypal(t, sandbox, body, "Paypal-Cert-Url", paypalSandbox)), 200, "forwarded")
	want(t, send(body, paypal(t, live, body, "Paypal-Auth-Algo", "MD5withRSA")), 200, "forwarded") // nothing goes by it
	calls := app.Count()

	with := func(name, value string) map[string]string {
		changed := maps.Clone(paypal(t, live, body))
		if changed[name] = value; value == "" {
			delete(changed, name)
		}
		return changed
	}
	for name, tt := range map[string]struct {
		body    string
		headers map[string]string
	}{
		"another amount":        {strings.Replace(body, "20.00", "90.00", 1), paypal(t, live, body)},
		"a foreign key":         {body, paypal(t, evil, body)},
		"another key of theirs": {body, paypal(t, sandbox, body)},
		"another webhook":       {body, paypal(t, live, body, "webhook", "9XL90610J3647323C")},
		"no webhook":            {body, paypal(t, live, body, "webhook", "")},
		"another transmission":  {body, with("Paypal-Transmission-Id", testbed.NewID())},
		"no transmission":       {body, with("Paypal-Transmission-Id", "")},
		"another time":          {body, with("Paypal-Transmission-Time", time.Now().Add(-time.Minute).UTC().Format(time.RFC3339))},
		"no time":               {body, with("Paypal-Transmission-Time", "")},
		"too old":               {body, paypal(t, live, body, "Paypal-Transmission-Time", time.Now().Add(-100*time.Hour).UTC().Format(time.RFC3339))},
		"no signature":          {body, with("Paypal-Transmission-Sig", "")},
		"no certificate":        {body, with("Paypal-Cert-Url", "")},
	} {
		if resp := send(tt.body, tt.headers); resp.Status != 401 && resp.Status != 403 {
			t.Errorf("%s: %v", name, resp)
		}
	}
	seen := len(n.seen())
	for _, url := range []string{
		"http" + strings.TrimPrefix(paypalCert, "https"), strings.Replace(paypalCert, ".com/", ".com.evil.com/", 1), strings.Replace(paypalCert, ".com/", ".com@evil.com/", 1),
		strings.Replace(paypalCert, "api.", "www.", 1), strings.Replace(paypalCert, "api.", "evil-api.", 1), strings.Replace(paypalCert, "api.", "API.", 1),
		strings.Replace(paypalCert, ".com/", ".com./", 1), strings.Replace(paypalCert, ".com/", ".com:443/", 1), strings.Replace(paypalCert, "/certs/", "/certs/../", 1),
		strings.Replace(paypalCert, "/certs/", "/certs/a/", 1), paypalCert + "?x", paypalCert + "#x", paypalCert + "/..", paypalCert + "%2f", "https://api.paypal.com/v1/oauth2/token",
		"https://www.paypalobjects.com/x.pem", "https://127.0.0.1/v1/notifications/certs/x",
	} {
		want(t, send(body, paypal(t, evil, body, "Paypal-Cert-Url", url)), 401, "signature_malformed")
	}
	if len(n.seen()) != seen {
		t.Errorf("fetched: %v", n.seen())
	}
	wantCalls(t, app, calls)
	// Two certificates are malformed, as any header that repeats.
	twice := post(t, g.URL("/webhooks/paypal"), []byte(body), paypal(t, live, body))
	twice.Header.Add("Paypal-Cert-Url", paypalSandbox)
	want(t, testbed.Do(t, twice), 401, "signature_malformed")
	wantCalls(t, app, calls)
}

// A certificate of PayPal's for another name, or one that nobody vouches for, gives no key.
func TestPayPalsCertificatesAreChecked(t *testing.T) {
	t.Parallel()
	n, root, foreign := newInternet(t), newAuthority(t, "root", nil), newAuthority(t, "foreign", nil)
	key := newRSA(t, "", 2048)
	app := testbed.StartApp(t, nil)
	g := n.start(t, site{store: "memory", routes: paypalRoute(app, "roots "+root.file(t)+" ca "+n.ca(t))})
	const body = `{"id":"WH-1"}`
	for i, text := range [][]byte{
		inPEM(root.signing(t, key, "www.paypal.com", nil)), inPEM(root.signing(t, key, "messageverificationcerts.paypal.com.evil.com", nil)),
		inPEM(foreign.signing(t, key, "messageverificationcerts.paypal.com", nil)), []byte("no certificate"),
	} {
		url := fmt.Sprintf("https://api.paypal.com/v1/notifications/certs/CERT-%d", i)
		n.document(url, pemType, text)
		resp := testbed.Do(t, post(t, g.URL("/webhooks/paypal"), []byte(body), paypal(t, key, body, "Paypal-Cert-Url", url)))
		if resp.Status != http.StatusServiceUnavailable || resp.Guard != "secret_unavailable" {
			t.Errorf("%d: %v", i, resp)
		}
	}
	wantCalls(t, app, 0)
}
