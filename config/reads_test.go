package config

import (
	"slices"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// A param is one that a template uses, and not one in its text.
func TestMissingParamsAreThoseThatTemplatesUse(t *testing.T) {
	p := Provider{
		Signed:  []string{`\{param.text\}{param.app\|key}{param.known}{body}`, "{secret}{param.app\\|key}"},
		Content: "{param.content|lower}",
		Claim:   []signature.Claim{{Template: "{param.claim}"}},
		Param:   map[string]string{"known": "x"},
	}
	if got, want := p.MissingParams(), []string{"app|key", "content", "claim"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What a content line reads has to be signed, whatever is made of it.
func TestAContentLineOfWhatIsNotSignedStaysOpen(t *testing.T) {
	const partly = "signature X-Sig\nsigned {body.id}\ncontent "
	for content, open := range map[string]bool{
		"{body.id}":         false,
		"{body.id|sha256}":  false,
		"{body}":            true,
		"{body|sha256|hex}": true,
		"{body.type}":       true,
		`\{body\}{body.id}`: false,
	} {
		summary, err := parse(t, partly+content).Summarize("x")
		if err != nil {
			t.Fatal(err)
		}
		if got := len(summary.Opening.Under) > 0; got != open {
			t.Errorf("%s: %q", content, summary.StaysOpen)
		}
	}
}
