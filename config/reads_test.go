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
func TestReplayOfAContentLine(t *testing.T) {
	const partly = "signature X-Sig\nsigned {body.id}\ncontent "
	for content, want := range map[string]string{
		"{body.id}":         ReplayContent,
		"{body.id|sha256}":  ReplayContent,
		"{body}":            ReplayOpen,
		"{body|sha256|hex}": ReplayOpen,
		"{body.type}":       ReplayOpen,
		`\{body\}{body.id}`: ReplayContent,
	} {
		summary, err := parse(t, partly+content).Summarize("x")
		if err != nil {
			t.Fatal(err)
		}
		if summary.Replay != want {
			t.Errorf("%s: replay %q, want %q", content, summary.Replay, want)
		}
	}
}
