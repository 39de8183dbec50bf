package config

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// Every line, once, and what it becomes in JSON.
func TestEveryLineHasItsJSONField(t *testing.T) {
	const lines = `
title "Acme Inc."
docs https://example.com
secret_hint "Under Settings."
signature X-A sha256 hex "{timestamp}.{signature}" split .
signature X-B sha512 base64 "t={timestamp},v1={signature}" split " " ,
signature query sig
signature form_json payload.sig sha256 hex when header X-Version 2
signed {timestamp}.{body} sha256 hex
signed {body}
items list
scheme jwt
claim sub {method}
claim hash {body|sha256|hex} optional
keys jwks https://example.com/keys ca ca.pem
key_id header_json x-a.kid
allow body topic a b
allow header X-Tenant
secret_encoding base64 whsec_
public_url https://example.com
param app_key k1
timestamp signature unix_ms per_event
event_time body "created at" rfc3339
id body a.b header X-Id query q form f
event header x-event
content {body}
max_age 1m
max_skew 2m
dedupe_ttl 3d
methods GET
max_body 1MiB
body_timeout 4s
lease 5s
timeout 6s
in_flight wait 7s
success 2xx 404 300-302
answer 200 "[accepted]"
retries 0s 1m
retry_span 3h
answer_within 8s
final 4xx
handshake meta "a token"
confidence official
checked 2026-11-28 https://example.com/a
unverified id_stable retries
`
	const want = `{
		"title": "Acme Inc.", "secret_hint": "Under Settings.",
		"docs": "https://example.com",
		"keys": {"jwks": "https://example.com/keys", "ca": "ca.pem"}, "key_id": "header_json X-A.kid",
		"allow": [{"source": "body topic", "values": ["a", "b"]}, {"source": "header X-Tenant"}],
		"signature": [
			{"header": "X-A", "algorithm": "sha256", "encoding": "hex", "format": "{timestamp}.{signature}", "split": ["."]},
			{"header": "X-B", "algorithm": "sha512", "encoding": "base64", "format": "t={timestamp},v1={signature}", "split": [" ", ","]},
			{"source": "query sig"},
			{"source": "form_json payload.sig", "algorithm": "sha256", "encoding": "hex", "when": {"source": "header X-Version", "value": "2"}}
		],
		"signed": ["{timestamp}.{body}", "{body}"], "signed_functions": ["sha256", "hex"],
		"items": "list", "scheme": "jwt",
		"claim": [{"name": "sub", "template": "{method}"}, {"name": "hash", "template": "{body|sha256|hex}", "optional": true}],
		"secret_encoding": "base64", "secret_prefix": "whsec_",
		"public_url": "https://example.com",
		"param": {"app_key": "k1"},
		"timestamp": {"source": "signature", "format": "unix_ms", "per_event": true},
		"event_time": {"source": "body \"created at\"", "format": "rfc3339"},
		"id": ["body a.b", "header X-Id", "query q", "form f"],
		"event": "header X-Event",
		"content": "{body}",
		"max_age": 60000000000, "max_skew": 120000000000, "dedupe_ttl": 259200000000000,
		"methods": ["GET"], "max_body": 1048576, "body_timeout": 4000000000,
		"lease": 5000000000, "timeout": 6000000000, "in_flight": {"wait": 7000000000},
		"success": ["2xx", "404", "300-302"], "answer": {"status": 200, "body": "[accepted]"},
		"retries": [0, 60000000000], "retry_span": 10800000000000, "answer_within": 8000000000, "final": ["4xx"],
		"handshake": ["meta", "a token"], "confidence": "official", "checked": ["2026-11-28", "https://example.com/a"], "unverified": ["id_stable", "retries"]
	}`
	provider := parse(t, lines)
	got, err := json.Marshal(provider)
	if err != nil {
		t.Fatal(err)
	}
	var gotValue, wantValue any
	if err := json.Unmarshal(got, &gotValue); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(want), &wantValue); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(gotValue, wantValue) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for name := range providerLines {
		if name != "token" && !strings.Contains(lines, "\n"+name+" ") {
			t.Errorf("the line %s is not in this test", name)
		}
	}
	// Items, functions, headers, a scheme and public keys cannot go together.
	provider.Keys, provider.KeyID, provider.Allow = nil, signature.Source{}, nil
	provider.Items, provider.Scheme, provider.Claim, provider.SignedFunctions = "", "", nil, nil
	provider.Signature = provider.Signature[:2]
	if _, err := provider.Resolve(); err != nil {
		t.Errorf("what the lines say must resolve: %v", err)
	}
}

// docs/caddyfile.md shows every line as errors do.
func TestEveryLineIsInTheDocs(t *testing.T) {
	docs, err := os.ReadFile("../docs/caddyfile.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, l := range providerLines {
		if shown := "`" + strings.ReplaceAll(l.syntax, "|", `\|`) + "`"; !strings.Contains(string(docs), shown) {
			t.Errorf("docs/caddyfile.md does not show the line %s as %s", name, shown)
		}
	}
}

// A body that is a token has no path, so the word after it is an algorithm.
func TestASignatureInTheBody(t *testing.T) {
	for line, want := range map[string]signature.SignatureSpec{
		"signature body":                                            {Source: sourceOf("body")},
		"signature body rsa-sha256":                                 {Source: sourceOf("body"), Algorithm: "rsa-sha256"},
		"signature body a.sig":                                      {Source: sourceOf("body a.sig")},
		"signature body a.sig sha512 base64":                        {Source: sourceOf("body a.sig"), Algorithm: "sha512", Encoding: "base64"},
		"signature form sig sha1 hex {nonce}|{signature} split & |": {Source: sourceOf("form sig"), Algorithm: "sha1", Encoding: "hex", Format: "{nonce}|{signature}", Split: []string{"&", "|"}},
		"signature signature sha512 base64hex":                      {Header: "signature", Algorithm: "sha512", Encoding: "base64hex"},
	} {
		if got := parse(t, line).Signature[0]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", line, got, want)
		}
	}
}

func TestMistakesNameTheLineAndTheFix(t *testing.T) {
	for _, tt := range []struct{ lines, want string }{
		{"signatur X-A", `unknown line "signatur", at test:1`},
		{"signature", "signature: needs a value: signature <header>"},
		{"signature X sha256 hex {signature} extra", "too many words"},
		{"signature X sha256 hex {signature} split", "split takes the separator"},
		{"id body a\nid body b", "id is set twice, at test:2"},
		{"id cookie a", `unknown source "cookie"`},
		{"id body", "needs a name"},
		{"id", "id: needs a value"},
		{"event body a body b", "one source only"},
		{"timestamp header X unix nonsense", "nonsense: not understood here"},
		{"timestamp header X unix unix_ms", "unix_ms: not understood here"},
		{"event_time body at per_event", "per_event: not understood here"},
		{"max_age 5", `duration: "5" is not one`},
		{"max_age 0s", "0s is not positive"},
		{"max_age -5m", "-5m is not positive"},
		{"max_age 5m 6m", "takes one duration"},
		{"max_body 0", "0 is not positive"},
		{"max_body big", `"big" is not one`},
		{"max_body -1MiB", `is not one`},
		{"retries 5s -1s", `"-1s" is not one`},
		{"in_flight wait", "write in_flight wait <duration>"},
		{"in_flight later", "write in_flight wait <duration>"},
		{"success 200 banana", `"banana" is not a status`},
		{"success 299-200", `"299-200" is not a status`},
		{"success 9xx", `"9xx" is not a status`},
		{"answer 42", "write answer <status>"},
		{"answer 200 a b", "write answer <status>"},
		{"answer remember 4KiB more", "write answer <status>"},
		{"answer remember much", `"much" is not one`},
		{"answer remember 0", "0 is not positive"},
		{"token cookie x", `unknown source "cookie"`},
		{"token signature", "a token is sent instead of a signature"},
		{"param a", "takes a name and a value"},
		{"param a 1\nparam a 2", "a: is set twice"},
		{"param 100%d x\nparam 100%d x", "100%d: is set twice, at"},
		{"timestamp header X 100%d", "100%d: not understood here: write"},
		{"event body a 100%d", "100%d: one source only, at"},
		{"docs a b", "takes one value; quote it"},
		{"signature query", "needs a name"},
		{"signed {body} sha256\nsigned {id} hex", "must be the same in each"},
		{"claim a", "write claim <name> [or <name>]"},
		{"claim a b c", "write claim <name> [or <name>]"},
		{"confidence some", `"some" is not one: write official, sdk or secondary`},
		{"confidence sdk official", "write confidence official, sdk or secondary"},
		{"checked yesterday https://a.example", "write the date and then the sources"},
		{"checked 2026-11-28", "write the date and then the sources"},
		{"unverified everything", `"everything" is neither a line nor one of id_stable`},
		{"unverified id id", "id is there twice"},
		{"secret_encoding hex a b", "too many words"},
		{"docs x {\ny\n}\n", "takes no block"},
	} {
		t.Run(tt.lines, func(t *testing.T) {
			_, err := ParseLines("test", []byte(tt.lines))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want one that holds %q", err, tt.want)
			}
		})
	}
}

// FuzzLines: no line panics, and what parses can be resolved or is refused; a
// provider that resolves does so again after a trip through JSON.
func FuzzLines(f *testing.F) {
	for _, name := range Builtin().Names() {
		text, err := catalogueFiles.ReadFile("providers/" + name + ".caddyfile")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add("id body a\\.b\ncontent off")
	f.Add("signature X sha256 hex \"{signature}\" split \"\"")
	f.Fuzz(func(t *testing.T, text string) {
		tokens, err := caddyfile.Tokenize([]byte(text), "fuzz")
		if err != nil || len(tokens) == 0 {
			return
		}
		provider, err := ParseLines("fuzz", []byte(text))
		if err != nil {
			return
		}
		if _, err := provider.Resolve(); err != nil {
			return
		}
		encoded, err := json.Marshal(provider)
		if err != nil {
			t.Fatal(err)
		}
		var again Provider
		if err := json.Unmarshal(encoded, &again); err != nil {
			t.Fatalf("%s: %v", encoded, err)
		}
		if _, err := again.Resolve(); err != nil {
			t.Fatalf("%s resolves from lines and not from JSON: %v", encoded, err)
		}
	})
}
