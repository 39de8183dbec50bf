package explain

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/explain/mistake"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// What encoders make of one event. Each is the output of that encoder.
var written = map[string]string{
	"JavaScript JSON.stringify": `{"b":"Zoë/𝄞","a":{"y":1,"x":[]},"c":"<&>'\u0001"}`,
	"Python json.dumps":         `{"b": "Zo\u00eb/\ud834\udd1e", "a": {"y": 1, "x": []}, "c": "<&>'\u0001"}`,
	"Python, separators":        `{"b":"Zo\u00eb/\ud834\udd1e","a":{"y":1,"x":[]},"c":"<&>'\u0001"}`,
	"Python, sort_keys":         `{"a": {"x": [], "y": 1}, "b": "Zo\u00eb/\ud834\udd1e", "c": "<&>'\u0001"}`,
	"Python, indent=2":          "{\n  \"b\": \"Zo\\u00eb/\\ud834\\udd1e\",\n  \"a\": {\n    \"y\": 1,\n    \"x\": []\n  },\n  \"c\": \"<&>'\\u0001\"\n}",
	"PHP json_encode":           `{"b":"Zo\u00eb\/\ud834\udd1e","a":{"y":1,"x":[]},"c":"<&>'\u0001"}`,
	"PHP, unescaped unicode":    `{"b":"Zoë\/𝄞","a":{"y":1,"x":[]},"c":"<&>'\u0001"}`,
	"Go json.Marshal of a map":  `{"a":{"x":[],"y":1},"b":"Zoë/𝄞","c":"\u003c\u0026\u003e'\u0001"}`,
	".NET System.Text.Json":     `{"b":"Zo\u00EB/\uD834\uDD1E","a":{"y":1,"x":[]},"c":"\u003C\u0026\u003E\u0027\u0001"}`,
	"JavaScript, indent 4":      "{\n    \"b\": \"Zoë/𝄞\",\n    \"a\": {\n        \"y\": 1,\n        \"x\": []\n    },\n    \"c\": \"<&>'\\u0001\"\n}",
	"JavaScript, tabs":          "{\n\t\"b\": \"Zoë/𝄞\",\n\t\"a\": {\n\t\t\"y\": 1,\n\t\t\"x\": []\n\t},\n\t\"c\": \"<&>'\\u0001\"\n}",
}

// A body that another encoder wrote is recognised, as long as the order of the keys is
// kept.
func TestReserializedBodies(t *testing.T) {
	for signer, signed := range written {
		for other, captured := range written {
			sorted := strings.Contains(other, "sort_keys") || strings.Contains(other, "map")
			if signed == captured || sorted && !strings.Contains(signer, "sort_keys") && !strings.Contains(signer, "map") {
				continue
			}
			t.Run(signer+" to "+other, func(t *testing.T) {
				p := builtin(t, "github")
				r := signedBy(t, p, canarySecret, aRequest([]byte(signed)))
				r.Body = []byte(captured)
				wantCauses(t, explain(t, Input{Name: "github", Provider: p, Secret: canarySecret, Request: r}), "body_reserialized")
			})
		}
	}
}

// The cause states how the body was written when it was signed.
func TestReserializedSaysHow(t *testing.T) {
	for _, c := range []struct{ signed, captured, words string }{
		{`{"b":1,"a":2}`, `{ "b" : 1, "a" : 2 }`, "compact"},
		{`{"b": 1, "a": 2}`, `{"b":1,"a":2}`, "with a space after each colon and comma"},
		{`{"a":2,"b":1}`, `{"b":1,"a":2}`, "with sorted keys"},
		{`{"a":"\u00e9"}`, `{"a":"é"}`, `outside of ASCII as \uXXXX`},
		{`{"a":"é"}`, `{"a":"\u00e9"}`, "outside of ASCII as they are"},
		{`{"a":"x\/y"}`, `{"a":"x/y"}`, `slashes as \/`},
		{`{"a":"x/y"}`, `{"a":"x\/y"}`, "slashes not escaped"},
		{"{\n  \"a\": 1\n}", `{"a":1}`, "indented by two spaces"},
	} {
		p := builtin(t, "struktr")
		p.EventTime = nil
		p.Timestamp = nil
		r := signedBy(t, p, canarySecret, aRequest([]byte(c.signed)))
		r.Body = []byte(c.captured)
		report := explain(t, Input{Name: "struktr", Provider: p, Secret: canarySecret, Request: r})
		wantCauses(t, report, "body_reserialized")
		if !strings.Contains(report.Causes[0].Why, c.words) {
			t.Errorf("%s to %s: %q does not say %q", c.captured, c.signed, report.Causes[0].Why, c.words)
		}
	}
}

// Numbers keep their digits, whatever they would be as floats.
func TestReserializedKeepsNumbers(t *testing.T) {
	p := builtin(t, "github")
	r := signedBy(t, p, canarySecret, aRequest([]byte(`{"n":9007199254740993,"m":1.0,"e":1E3}`)))
	r.Body = []byte(`{ "n": 9007199254740993, "m": 1.0, "e": 1E3 }`)
	wantCauses(t, explain(t, Input{Name: "github", Provider: p, Secret: canarySecret, Request: r}), "body_reserialized")
}

// FuzzReserialize checks that each rewritten body is the same JSON.
func FuzzReserialize(f *testing.F) {
	for _, text := range written {
		f.Add([]byte(text))
	}
	f.Add([]byte(`[1e5, "\ud800", {"":[[]]}, null]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, m := range mistake.BodyText(mistake.Case{Reading: mistake.Reading{Request: signature.Request{Body: body}}}) {
			if m.Causes[0].Code != "body_reserialized" {
				continue
			}
			other := mistake.Reading{}.Without(m)
			if !json.Valid(other.Request.Body) {
				t.Fatalf("%q became %q", body, other.Request.Body)
			}
			var compact [2]bytes.Buffer
			if json.Compact(&compact[0], body) != nil || json.Compact(&compact[1], other.Request.Body) != nil {
				t.Fatalf("%q became %q", body, other.Request.Body)
			}
		}
	})
}
