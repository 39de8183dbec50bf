package explain

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

var now = time.Unix(1764000000, 0).UTC()

// canary stands in the body, and canarySecret is the secret: neither may ever
// be in a report.
const (
	canary       = "canary-in-the-body"
	canarySecret = "Canary+Secret-0123456789abcdef"
)

// aBody has all that encoders write in different ways.
var aBody = []byte(`{"type":"invoice.paid","b":{"z":[1,2.50,{}],"a":null,"path":"a/b","who":"Zoë <x> & 𝄞"},"a":"` + canary +
	`","timestamp":"2025-11-24T16:00:00Z","event_id":"e1","id":"e1","event":"paid"}`)

// signedBy makes a request of a provider that verifies with the secret.
func signedBy(t testing.TB, p config.Provider, secret string, r signature.Request) signature.Request {
	t.Helper()
	rules, err := p.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	key, err := rules.Scheme.NewKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = maps.Clone(r.Header)
	if err := rules.Scheme.Sign(&r, key, now, "msg_1"); err != nil {
		t.Fatal(err)
	}
	return r
}

func aRequest(body []byte) signature.Request {
	return signature.Request{
		Method: "POST", Scheme: "https", Host: "hooks.example.com", Path: "/in/hook", Query: "a=1%2F2",
		Header: map[string][]string{"Content-Type": {"application/json"}}, Body: body,
	}
}

func builtin(t testing.TB, name string) config.Provider {
	t.Helper()
	p, err := config.Builtin().Get(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func explain(t testing.TB, in Input) *Report {
	t.Helper()
	in.Now = now
	in.Senders = config.Builtin()
	report, err := Explain(in)
	if err != nil {
		t.Fatal(err)
	}
	checkNothingLeaks(t, in, report)
	return report
}

// checkNothingLeaks checks that no text of a report holds the secret, the body or a MAC.
func checkNothingLeaks(t testing.TB, in Input, report *Report) {
	t.Helper()
	secrets := []string{canary, strings.TrimSpace(in.Secret), canarySecret}
	for _, values := range in.Request.Header {
		for _, value := range values {
			for _, word := range strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune("=,: ", r) }) {
				if len(word) >= 20 { // a MAC, in whatever encoding
					secrets = append(secrets, word)
				}
			}
		}
	}
	var texts []string
	for _, s := range report.Steps {
		texts = append(texts, s.Name, s.State, string(s.Result), s.Detail)
	}
	for _, c := range report.Causes {
		texts = append(texts, c.Code, c.Why, c.Do)
	}
	for _, secret := range secrets {
		if i := slices.IndexFunc(texts, func(text string) bool { return secret != "" && strings.Contains(text, secret) }); i >= 0 {
			t.Errorf("the report holds what it must not: %q", texts[i])
		}
	}
}

func codes(report *Report) []string {
	var codes []string
	for _, c := range report.Causes {
		codes = append(codes, c.Code)
	}
	return codes
}

// wantCauses checks that the report names exactly these causes.
func wantCauses(t testing.TB, report *Report, want ...string) {
	t.Helper()
	if report.Verified {
		t.Fatal("the request verified")
	}
	if got := codes(report); !slices.Equal(got, want) {
		t.Fatalf("named %q, want %q\n%+v", got, want, report)
	}
}

// signers sign in different ways: body alone or with a stamp in a header or in
// the signature, in hex or base64, with raw and with encoded secrets, with or
// without the URL.
var signers = []string{"struktr", "docrouter", "stripe", "slack", "github", "shopify", "standard-webhooks", "hubspot-v3", "recurly", "walmart-marketplace"}

// textSecret reports whether a provider's key is the secret's text.
func textSecret(p config.Provider) bool { return p.SecretEncoding == "" || p.SecretEncoding == "raw" }

func secretFor(p config.Provider) string {
	if textSecret(p) {
		return canarySecret
	}
	return base64.StdEncoding.EncodeToString([]byte(canarySecret))
}

func TestWhatIsRightVerifies(t *testing.T) {
	for _, name := range signers {
		p := builtin(t, name)
		report := explain(t, Input{Name: name, Provider: p, Secret: secretFor(p), Request: signedBy(t, p, secretFor(p), aRequest(aBody))})
		if !report.Verified || len(report.Causes) > 0 {
			t.Errorf("%s: %+v", name, report)
		}
	}
}

// One mistake with the secret: what the sender has, and what is given here.
func TestMistakesWithTheSecret(t *testing.T) {
	text := canarySecret
	for _, c := range []struct{ cause, senders, given string }{
		{"secret_space", text, text + "\n"},
		{"secret_space", text, text + "\r\n"},
		{"secret_space", text, text + " "},
		{"secret_space", text, "\t" + text},
		{"secret_space_missing", text + "\n", text},
		{"secret_space_missing", text + "\r\n", text},
		{"secret_space_missing", text + " ", text},
		{"secret_quoted", text, `"` + text + `"`},
		{"secret_quoted", text, `'` + text + `'`},
		{"secret_assignment", text, "HOOK_SECRET=" + text},
		{"secret_prefix_left_on", text, "whsec_" + text},
		{"secret_prefix_left_on", text, "sk_" + text},
		{"secret_prefix_missing", "whsec_" + text, text},
		{"secret_case", strings.ToLower(text), strings.ToUpper(text)},
		{"secret_escaped", text, "Canary%2BSecret-0123456789abcdef"},
		{"secret_encoding", text, hex.EncodeToString([]byte(text))},
		{"secret_encoding", text, base64.StdEncoding.EncodeToString([]byte(text))},
		{"secret_encoding", text, base64.URLEncoding.EncodeToString([]byte(text + "\xff\xfe"))[:40]},
		{"secret_encoding", text, "whsec_" + base64.StdEncoding.EncodeToString([]byte(text))},
		{"secret_encoding", hex.EncodeToString([]byte(text)), text},
		{"secret_encoding", base64.StdEncoding.EncodeToString([]byte(text)), text},
	} {
		for _, name := range signers {
			p := builtin(t, name)
			if !textSecret(p) {
				continue
			}
			t.Run(c.cause+"/"+name, func(t *testing.T) {
				r := signedBy(t, p, c.senders, aRequest(aBody))
				wantCauses(t, explain(t, Input{Name: name, Provider: p, Secret: c.given, Request: r}), c.cause)
			})
		}
	}
}

// The sender's secret is base64, and is given or used otherwise.
func TestMistakesWithAnEncodedSecret(t *testing.T) {
	encoded := base64.StdEncoding.EncodeToString([]byte(canarySecret))
	p := builtin(t, "standard-webhooks")
	raw := p
	raw.SecretEncoding, raw.SecretPrefix = "raw", ""
	for _, c := range []struct {
		name    string
		signer  config.Provider
		senders string
		given   string
		cause   string
	}{
		{"used as text", raw, encoded, encoded, "secret_encoding"},
		{"used as text with its prefix", raw, "whsec_" + encoded, "whsec_" + encoded, "secret_encoding"},
		{"given decoded", p, encoded, canarySecret, "secret_encoding"},
		{"given as hex", p, encoded, hex.EncodeToString([]byte(canarySecret)), "secret_encoding"},
		{"quotes", p, encoded, `"whsec_` + encoded + `"`, "secret_quoted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := signedBy(t, c.signer, c.senders, aRequest(aBody))
			wantCauses(t, explain(t, Input{Name: "standard-webhooks", Provider: p, Secret: c.given, Request: r}), c.cause)
		})
	}
}

// One mistake with the body: the cause, the body that was signed and the body
// that was captured.
func TestMistakesWithTheBody(t *testing.T) {
	lines := []byte("{\n\"a\":\"" + canary + "\"\n}")
	accented := withEnd(aBody[:100], "\"}")
	crlf := bytes.ReplaceAll(lines, []byte("\n"), []byte("\r\n"))
	for _, c := range []struct {
		cause            string
		signed, captured []byte
	}{
		{"body_newline_added", aBody, withEnd(aBody, "\n")},
		{"body_newline_added", aBody, withEnd(aBody, "\r\n")},
		{"body_newline_missing", withEnd(aBody, "\n"), aBody},
		{"body_newline_missing", withEnd(aBody, "\r\n"), aBody},
		{"body_space", aBody, withEnd(aBody, " \n\n")},
		{"body_bom", aBody, withEnd([]byte("\xef\xbb\xbf"), string(aBody))},
		{"body_bom", withEnd([]byte("\xef\xbb\xbf"), string(aBody)), aBody},
		{"body_line_endings", lines, crlf},
		{"body_line_endings", crlf, lines},
		{"body_charset", accented, latin1AsUTF8(accented)},
	} {
		for _, name := range signers {
			t.Run(c.cause+"/"+name, func(t *testing.T) {
				p := builtin(t, name)
				r := signedBy(t, p, secretFor(p), aRequest(c.signed))
				r.Body = c.captured
				wantCauses(t, explain(t, Input{Name: name, Provider: p, Secret: secretFor(p), Request: r}), c.cause)
			})
		}
	}
}

// latin1AsUTF8 takes a body for ISO 8859-1 and encodes it as UTF-8.
func latin1AsUTF8(body []byte) []byte {
	var out []byte
	for _, c := range body {
		out = utf8.AppendRune(out, rune(c))
	}
	return out
}

func withEnd(body []byte, end string) []byte { return append(bytes.Clone(body), end...) }
