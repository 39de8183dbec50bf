package ui

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

func TestVisible(t *testing.T) {
	for text, want := range map[string]string{
		"":                   "",
		"plain\ttext\né 中 🙂": "plain\ttext\né 中 🙂",
		"a\x00b":             "a⟨U+0000⟩b",
		"\x1b[31mred":        "⟨U+001B⟩[31mred",
		"\u202eexe":          "⟨U+202E⟩exe",
		"\u2066x\u2069":      "⟨U+2066⟩x⟨U+2069⟩",
		"\u200bzero":         "⟨U+200B⟩zero",
		"\u2028line":         "⟨U+2028⟩line",
		"\xff\xc3":           "⟨FF⟩⟨C3⟩",
		"\ufffd":             "\ufffd",
		"\r\n":               "⟨U+000D⟩\n",
		"\x7f\u0085":         "⟨U+007F⟩⟨U+0085⟩",
		"\U000e0041":         "⟨U+E0041⟩",
		"\ue000":             "⟨U+E000⟩",
	} {
		if got := visible(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}

func TestMask(t *testing.T) {
	m := newMask([]signature.Source{{Kind: signature.SourceHeader, Name: "X-Proof"}, {Kind: signature.SourceBody, Name: "data.pass"},
		{Kind: signature.SourceForm, Name: "auth_key"}, {Kind: signature.SourceHeader, Name: "X-Part-"}})
	for _, name := range []string{
		"X-Proof", "x-proof", "pass", "AUTH_KEY", "X-Part-1", "Authorization", "Proxy-Authorization", "Cookie", "X-Hub-Signature-256", "Stripe-Signature",
		"X-Gitlab-Token", "X-Shopify-Hmac-Sha256", "Paypal-Transmission-Sig", "client_secret", "apiKey", "api-key", "Password", "private_key", "X-Goog-Channel-Token",
	} {
		if !m.hides(name) {
			t.Errorf("%s is shown", name)
		}
	}
	for _, name := range []string{"Content-Type", "User-Agent", "id", "author", "design", "X-Request-Id", "Webhook-Guard-Id", "amount", "passenger"} {
		if m.hides(name) {
			t.Errorf("%s is hidden", name)
		}
	}
	for text, want := range map[string]string{
		`{"token":"s","a":"b"}`:           `{"token":"[masked]","a":"b"}`,
		`{"token" : "s\"x", "n":1}`:       `{"token" : "[masked]", "n":1}`,
		`{"tokens":["s","t"],"a":["b"]}`:  `{"tokens":"[masked]","a":["b"]}`,
		`{"tokens":["s]","t"],"a":"b"}`:   `{"tokens":"[masked]","a":"b"}`,
		`{"a":[{"secret":"s"}]}`:          `{"a":[{"secret":"[masked]"}]}`,
		`{"a":{"pass":"s"}}`:              `{"a":{"pass":"[masked]"}}`,
		`{"secret":"cut off`:              `{"secret":"[masked]"`,
		`{"secret":["cut","o`:             `{"secret":"[masked]"`,
		`{"secret":null,"max_tokens":12}`: `{"secret":null,"max_tokens":12}`,
		`not JSON "token":"s" at all`:     `not JSON "token":"[masked]" at all`,
	} {
		if got := m.json(text); got != want {
			t.Errorf("%s is shown as\n%s, want\n%s", text, got, want)
		}
	}
	for text, want := range map[string]string{
		"a=1&token=s&b=2": "a=1&token=[masked]&b=2", "t%6fken=s": "t%6fken=[masked]", "token=": "token=", "%zz=s": "%zz=[masked]", "a": "a", "auth_key=s": "auth_key=[masked]",
	} {
		if got := m.form(text); got != want {
			t.Errorf("%s is shown as %s, want %s", text, got, want)
		}
	}
}

// Who pastes the command runs curl and nothing else.
func TestQuote(t *testing.T) {
	for _, text := range []string{"", "plain", "it's", "$(touch x) `id` \"$HOME\" \\ ! & ; | > *", "''", `\'`, "é 🙂", "--data @/etc/passwd"} {
		out, err := exec.Command("sh", "-c", "printf %s "+quote(text)).Output()
		if err != nil || string(out) != text {
			t.Errorf("%q becomes %q in a shell: %v", text, out, err)
		}
	}
	if got := quote("a\nb\x00c\x1bd\u202ee"); got != "'abcde'" {
		t.Errorf("%q", got)
	}
}

func TestSpark(t *testing.T) {
	if newSpark(nil) != nil || newSpark([]int64{1}) != nil {
		t.Error("a line through nothing")
	}
	s := newSpark([]int64{0, 10, 5})
	if s.Last != 10 || s.Most != 10 || s.Points != "0.0,23.0 60.0,1.0 120.0,12.0" {
		t.Errorf("%+v", s)
	}
	if s := newSpark(make([]int64, 60)); strings.Contains(s.Points, "NaN") {
		t.Errorf("%+v", s)
	}
}
