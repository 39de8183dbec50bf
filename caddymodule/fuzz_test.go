package caddymodule

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

const fuzzSecret = "opens"

// fuzzNow is when the fuzzed requests arrive: 1700000000.
var fuzzNow = time.Unix(1_700_000_000, 0)

// proof is how a sender shows who it is, worked out anew and with nothing of the
// code under test.
type proof struct {
	header, prefix string
	before         func(h http.Header) string // what is signed before the body
	token          func(r *http.Request) []string
}

func stamped(header, before, after string) func(http.Header) string {
	return func(h http.Header) string { return before + h.Get(header) + after }
}

var proofs = map[string]proof{
	"struktr":   {header: "X-Struktr-Signature", prefix: "sha256="},
	"docintell": {header: "X-Docintell-Signature", prefix: "sha256="},
	"ocriva":    {header: "X-Webhook-Signature", prefix: "sha256="},
	"docrouter": {header: "X-Docrouter-Signature", prefix: "sha256=", before: stamped("X-Docrouter-Timestamp", "", ".")},
	"github":    {header: "X-Hub-Signature-256", prefix: "sha256="},
	"dropbox":   {header: "X-Dropbox-Signature"},
	"slack":     {header: "X-Slack-Signature", prefix: "v0=", before: stamped("X-Slack-Request-Timestamp", "v0:", ":")},
	"zoom":      {header: "X-Zm-Signature", prefix: "v0=", before: stamped("X-Zm-Request-Timestamp", "v0:", ":")},
	"stripe": {header: "Stripe-Signature", prefix: "v1=", before: func(h http.Header) string {
		for item := range strings.SplitSeq(h.Get("Stripe-Signature"), ",") {
			if stamp, ok := strings.CutPrefix(strings.TrimSpace(item), "t="); ok {
				return stamp + "."
			}
		}
		return "."
	}},
	"meta-facebook-whatsapp-instagram": {header: "X-Hub-Signature-256", prefix: "sha256="},
	"gitlab-secret-token":              {token: func(r *http.Request) []string { return r.Header["X-Gitlab-Token"] }},
	"okrapdf":                          {token: func(r *http.Request) []string { return r.URL.Query()["token"] }},
}

func (p proof) mac(h http.Header, body []byte) []byte {
	mac := hmac.New(sha256.New, []byte(fuzzSecret))
	if p.before != nil {
		mac.Write([]byte(p.before(h)))
	}
	mac.Write(body)
	return mac.Sum(nil)
}

// holds reports whether the request shows that its sender knows the secret.
func (p proof) holds(r *http.Request, body []byte) bool {
	if p.token != nil {
		return slices.Contains(p.token(r), fuzzSecret)
	}
	expected := p.mac(r.Header, body)
	for item := range strings.SplitSeq(r.Header.Get(p.header), ",") {
		text, ok := strings.CutPrefix(strings.TrimSpace(item), p.prefix)
		got, err := hex.DecodeString(text)
		if ok && err == nil && hmac.Equal(got, expected) {
			return true
		}
	}
	return false
}

// fuzzGuards are provisioned guards by the name of their provider.
func fuzzGuards(tb testing.TB) map[string]*Guard {
	tb.Helper()
	guards := make(map[string]*Guard)
	for name := range proofs {
		g := newGuard()
		g.ProviderName = name
		g.now = func() time.Time { return fuzzNow }
		g.Secret = []Secret{{Value: fuzzSecret}}
		if name == "okrapdf" {
			g.Token = "query token"
		}
		if err := g.provision(); err != nil {
			tb.Fatalf("%s: %v", name, err)
		}
		guards[name] = g
	}
	return guards
}

// FuzzHandler sends whole requests, as they travel, through guards of many kinds
// of senders. A path's last part names the sender; `@sign@` in a header stands
// for the right MAC, so that fuzzing also gets past the signature.
func FuzzHandler(f *testing.F) {
	guards := fuzzGuards(f)
	for _, seed := range fuzzSeeds() {
		f.Add([]byte(seed[0]), []byte(seed[1]))
	}
	f.Fuzz(func(t *testing.T, head, body []byte) {
		if r, name := readFuzzed(head, body); r != nil {
			fuzzOne(t, guards[name], r, proofs[name])
		}
	})
}

// readFuzzed makes a request of its head and body, and names its sender. It is
// nil where the server would have answered it.
func readFuzzed(head, body []byte) (r *http.Request, name string) {
	raw := slices.Concat(head, fmt.Appendf(nil, "\r\nContent-Length: %d\r\n\r\n", len(body)), body)
	if bytes.Contains(bytes.ToLower(head), []byte("transfer-encoding")) {
		raw = slices.Concat(head, []byte("\r\n\r\n"), body)
	}
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		return nil, ""
	}
	name = r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	if _, known := proofs[name]; !known {
		name = "struktr"
	}
	r.Body = fuzzSign(r, proofs[name])
	return r, name
}

// fuzzSign puts the right MAC where a request asks for it, over as much of its
// body as can be read.
func fuzzSign(r *http.Request, p proof) io.ReadCloser {
	body, err := io.ReadAll(r.Body)
	again := io.MultiReader(bytes.NewReader(body))
	if err != nil {
		again = io.MultiReader(again, &brokenBody{err})
	}
	sum := hex.EncodeToString(p.mac(r.Header, body))
	for _, values := range r.Header {
		for i, value := range values {
			values[i] = strings.ReplaceAll(value, "@sign@", sum)
		}
	}
	return io.NopCloser(again)
}

type brokenBody struct{ err error }

func (f *brokenBody) Read([]byte) (int, error) { return 0, f.err }

// fuzzOne sends one request twice, judges both outcomes, and returns the first result.
func fuzzOne(t *testing.T, g *Guard, r *http.Request, p proof) (first webhook.Result) {
	t.Helper()
	body, readErr := io.ReadAll(r.Body)
	r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), &brokenBody{cmpErr(readErr)}))
	holds := p.holds(r, body)
	for _, name := range ownFuzzNames(r.Header) {
		r.Header[name] = append(r.Header[name], "spoofed")
	}
	store := newFakeStore()
	g.app.store = newSharedStore(store, "fake", g.metrics)
	calls := 0
	app := caddyhttp.HandlerFunc(func(w http.ResponseWriter, forwarded *http.Request) error {
		calls++
		got, err := io.ReadAll(forwarded.Body)
		if err != nil || !bytes.Equal(got, body) || forwarded.ContentLength != int64(len(body)) {
			t.Errorf("the app got %d bytes, announced %d, of %d: %v", len(got), forwarded.ContentLength, len(body), err)
		}
		wantOwnHeadersOnly(t, forwarded)
		return says(http.StatusOK, "done")(w, forwarded)
	})
	for range 2 {
		w := httptest.NewRecorder()
		again := r.Clone(r.Context())
		again.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), &brokenBody{cmpErr(readErr)}))
		err := g.ServeHTTP(w, prepared(again, w), app)
		wantWithinContract(t, w, err)
		result := webhook.Result(w.Header().Get(headerResult))
		if (result == webhook.Forwarded || result == webhook.Duplicate) && (!holds || readErr != nil) {
			t.Errorf("%s without a proof of its sender, or without all of its body", result)
		}
		if first == "" {
			first = result
		}
	}
	if calls > 0 && (!holds || readErr != nil) {
		t.Errorf("forwarded %d times without a proof of its sender, or without all of its body", calls)
	}
	if held := bodies.Bytes(); held != 0 {
		t.Errorf("%d bytes are still held", held)
	}
	return first
}

func cmpErr(err error) error {
	if err == nil {
		return io.EOF
	}
	return err
}

// ownFuzzNames are the spellings of the guard's own headers in a request.
func ownFuzzNames(h http.Header) (names []string) {
	for name := range h {
		folded := strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(name))
		if folded == "webhook-guard" || strings.HasPrefix(folded, "webhook-guard-") {
			names = append(names, name)
		}
	}
	return names
}

// wantOwnHeadersOnly fails the test if the app gets any of the guard's headers
// that the guard did not set.
func wantOwnHeadersOnly(t *testing.T, r *http.Request) {
	t.Helper()
	known := []string{headerResult, headerProvider, headerID, headerEvent, headerTime, headerScope, headerSigned}
	for _, name := range ownFuzzNames(r.Header) {
		values := r.Header[name]
		if !slices.Contains(known, name) || len(values) != 1 || strings.Contains(values[0], "spoofed") {
			t.Errorf("the app got %s: %q", name, values)
		}
		for _, c := range []byte(values[0]) {
			if c < ' ' || c > '~' {
				t.Errorf("the app got %s: %q, which no header can hold", name, values)
			}
		}
	}
	if r.Header.Get(headerResult) != verified {
		t.Errorf("forwarded as %q", r.Header.Get(headerResult))
	}
	for _, list := range r.Header["Connection"] {
		if strings.Contains(strings.ToLower(list), "webhook-guard") {
			t.Errorf("the app's proxy would drop what Connection names: %q", list)
		}
	}
	if len(r.Trailer) > 0 {
		t.Errorf("the app got trailers: %v", r.Trailer)
	}
}

// wantWithinContract fails the test unless the answer is one that CONTRACT §3
// knows.
func wantWithinContract(t *testing.T, w *httptest.ResponseRecorder, err error) {
	t.Helper()
	status := w.Code
	var handlerErr caddyhttp.HandlerError
	if errors.As(err, &handlerErr) {
		status = handlerErr.StatusCode
	} else if err != nil {
		t.Errorf("an error that Caddy does not know: %v", err)
	}
	results := w.Header().Values(headerResult)
	if len(results) != 1 {
		t.Fatalf("the answer names the results %q", results)
	}
	result := webhook.Result(results[0])
	known := result.Status()
	refused := known != 0
	switch {
	case refused && status == known && err != nil:
	case !refused && status/100 == 2 && slices.Contains([]webhook.Result{webhook.Forwarded, webhook.Duplicate, webhook.HandshakeAnswered}, result):
	default:
		t.Errorf("%s has the status %d (%v)", result, status, err)
	}
	if wantRetry := status == http.StatusServiceUnavailable; (w.Header().Get("Retry-After") != "") != wantRetry {
		t.Errorf("%s has Retry-After %q", result, w.Header().Get("Retry-After"))
	}
	if err != nil && strings.Contains(err.Error(), fuzzSecret) {
		t.Error("an error holds the secret")
	}
}
