package e2e

import (
	"bufio"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// authority issues the certificates of a test.
type authority struct {
	certificate *x509.Certificate
	key         *rsa.PrivateKey
}

// newAuthority makes an authority; its own without a parent.
func newAuthority(t *testing.T, name string, parent *authority) *authority {
	t.Helper()
	a := &authority{key: newRSA(t, "", 2048).private.(*rsa.PrivateKey)}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	if parent == nil {
		parent = &authority{template, a.key}
	}
	a.certificate = parent.issue(t, a.key.Public(), template)
	return a
}

func (a *authority) issue(t *testing.T, public crypto.PublicKey, template *x509.Certificate) *x509.Certificate {
	t.Helper()
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	if template.NotBefore.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, public, a.key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// signing makes a certificate for a sender's key, as public authorities do.
func (a *authority) signing(t *testing.T, key pair, name string, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(template)
	}
	return a.issue(t, key.private.Public(), template)
}

// file is the authority's own certificate in a file.
func (a *authority) file(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(path, inPEM(a.certificate), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func inPEM(certificates ...*x509.Certificate) (text []byte) {
	for _, certificate := range certificates {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})...)
	}
	return text
}

// internet is a proxy behind which all hosts are this test's own, with certificates of the
// test's authority.
type internet struct {
	*httptest.Server
	servers *authority // of their TLS

	mu     sync.Mutex
	pages  map[string]http.HandlerFunc // by host and path
	visits map[string]int
}

func newInternet(t *testing.T) *internet {
	t.Helper()
	n := &internet{servers: newAuthority(t, "servers", nil), pages: make(map[string]http.HandlerFunc), visits: make(map[string]int)}
	key := newRSA(t, "", 2048)
	secure := &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		leaf := n.servers.signing(t, key, hello.ServerName, nil)
		return &tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key.private}, nil
	}}
	n.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			n.serve(w, r)
			return
		}
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
		inside := tls.Server(conn, secure)
		asked, err := http.ReadRequest(bufio.NewReader(inside))
		if err != nil {
			return
		}
		answer := httptest.NewRecorder()
		n.serve(answer, asked)
		_ = answer.Result().Write(inside)
		_ = inside.Close()
	}))
	t.Cleanup(n.Close)
	return n
}

func (n *internet) serve(w http.ResponseWriter, r *http.Request) {
	page := r.Host + r.URL.Path
	n.mu.Lock()
	n.visits[page]++
	handler := n.pages[page]
	n.mu.Unlock()
	if handler == nil {
		http.NotFound(w, r)
		return
	}
	handler(w, r)
}

func (n *internet) page(at string, handler http.HandlerFunc) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pages[strings.TrimPrefix(strings.TrimPrefix(at, "https://"), "http://")] = handler
}

// document puts a text at a URL.
func (n *internet) document(at, contentType string, text []byte) {
	n.page(at, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Cache-Control", "public,max-age=86400")
		_, _ = w.Write(text)
	})
}

// seen are the pages that were asked for, with how often.
func (n *internet) seen() map[string]int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Clone(n.visits)
}

// start runs a gateway in this internet.
func (n *internet) start(t *testing.T, s site) *testbed.Gateway {
	t.Helper()
	return testbed.StartGateway(t, s.caddyfile(), testbed.WithEnv("HTTPS_PROXY="+n.URL, "HTTP_PROXY="+n.URL, "NO_PROXY=", "PAYPAL_WEBHOOK_ID="+paypalWebhook))
}

// ca is the file of the authority of this internet's servers.
func (n *internet) ca(t *testing.T) string { return n.servers.file(t) }

const (
	snsTopic = "arn:aws:sns:us-east-1:123456789012:orders"
	snsCert  = "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem"
	pemType  = "application/x-pem-file"
)

// snsMessage is what Amazon SNS sends: all but the signature.
func snsMessage(more ...string) map[string]string {
	m := map[string]string{
		"Type": "Notification", "MessageId": testbed.NewID(), "TopicArn": snsTopic, "Message": `{"order":1}`,
		"Timestamp": time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), "SignatureVersion": "2", "SigningCertURL": snsCert,
	}
	for i := 0; i < len(more); i += 2 {
		if m[more[i]] = more[i+1]; more[i+1] == "" {
			delete(m, more[i])
		}
	}
	return m
}

func snsConfirmation(kind string, more ...string) map[string]string {
	return snsMessage(append([]string{
		"Type", kind, "Token", "2336412f37fb687f5d51e6e2425", "Message", "You have chosen to subscribe.\nVisit the SubscribeURL.",
		"SubscribeURL", "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=" + snsTopic + "&Token=2336412f37fb687f5d51e6e2425",
	}, more...)...)
}

// snsSigned signs a message as Amazon documents it: the names and values of some lines, in
// the order of their names, each with a line break after it.
func snsSigned(t *testing.T, key pair, m map[string]string) map[string]string {
	t.Helper()
	names := []string{"Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"}
	if m["Type"] != "Notification" {
		names = []string{"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"}
	}
	text := ""
	for _, name := range names {
		if value, ok := m[name]; ok {
			text += name + "\n" + value + "\n"
		}
	}
	hash, sum := crypto.SHA256, sha256.Sum256([]byte(text))
	digest := sum[:]
	if m["SignatureVersion"] == "1" {
		short := sha1.Sum([]byte(text))
		hash, digest = crypto.SHA1, short[:]
	}
	signature, err := rsa.SignPKCS1v15(rand.Reader, key.private.(*rsa.PrivateKey), hash, digest)
	if err != nil {
		t.Fatal(err)
	}
	signed := maps.Clone(m)
	signed["Signature"] = base64.StdEncoding.EncodeToString(signature)
	return signed
}

// snsBody writes a message as SNS does, with the names in some order.
func snsBody(m map[string]string) []byte {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		value, _ := json.Marshal(m[name])
		lines = append(lines, fmt.Sprintf("  %q : %s", name, value))
	}
	return []byte("{\n" + strings.Join(lines, ",\n") + "\n}")
}

func snsPost(t *testing.T, g *testbed.Gateway, body []byte) testbed.Response {
	t.Helper()
	return testbed.Do(t, post(t, g.URL("/webhooks/aws-sns"), body, map[string]string{
		"Content-Type": "text/plain; charset=UTF-8", "User-Agent": "Amazon Simple Notification Service Agent", "X-Amz-Sns-Topic-Arn": snsTopic,
	}))
}

func snsRoute(app *testbed.App, files string, more ...string) string {
	return route("", "aws-sns", proxy(app), append([]string{"allow body TopicArn " + snsTopic, "keys " + files}, more...)...)
}

// hangs is a page that takes its time.
func hangs(w http.ResponseWriter, r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-time.After(20 * time.Second):
	}
}

// issuedAt has a certificate say where that of its issuer is.
func issuedAt(url string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.IssuingCertificateURL = []string{url} }
}

// reissued is the certificate of an authority, which says where that of its issuer is.
func reissued(t *testing.T, by, a *authority, url string) *x509.Certificate {
	t.Helper()
	return by.issue(t, a.key.Public(), &x509.Certificate{
		Subject: a.certificate.Subject, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, IssuingCertificateURL: []string{url},
	})
}
