package config

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func TestImportantSendersAreInTheCatalogue(t *testing.T) {
	for _, name := range []string{
		"okrapdf", "struktr", "docintell", "ocriva", "docrouter",
		"standard-webhooks", "github", "stripe", "slack", "shopify",
		"hubspot-v3", "persona", "docusign", "nmi", "walmart-marketplace", "recurly", "twilio",
	} {
		if p, err := Builtin().Get(name); err != nil || p.Docs == "" {
			t.Errorf("%s: %v, docs %q", name, err, p.Docs)
		}
	}
}

func TestAnUnknownProviderGetsSuggestions(t *testing.T) {
	_, err := Builtin().Get("strpe")
	if err == nil {
		t.Fatal("found")
	}
	for _, want := range []string{`"strpe"`, "did you mean stripe?", "provider strpe {"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not hold %q", err, want)
		}
	}
}

func TestASenderThatIsNotSupportedSaysWhy(t *testing.T) {
	_, err := Builtin().Get("travis-ci")
	if err == nil {
		t.Fatal("found")
	}
	for _, want := range []string{"public key", "Instead: ", "provider my-travis-ci {\n\tsignature Signature rsa-sha1 base64\n"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not hold %q", err, want)
		}
	}
}

// What a sender that is not supported can be received with parses, and is no entry.
func TestWhatToDoInsteadResolves(t *testing.T) {
	for name, gap := range Unsupported {
		if gap.Title == "" || gap.Missing == "" || gap.Instead == "" {
			t.Errorf("%s lacks words: %+v", name, gap)
		}
		if _, there := Builtin()[name]; there {
			t.Errorf("%s is in the catalogue", name)
		}
		if gap.Lines == "" {
			continue
		}
		p, err := ParseLines(name, []byte(gap.Lines))
		if err == nil {
			_, err = p.Resolve()
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNamesThatAreNearlyRight(t *testing.T) {
	for name, want := range map[string]string{
		"strpe": "stripe", "Stripe": "stripe", "hubspot": "hubspot-v1, hubspot-v2, hubspot-v3",
		"gitlab": "github, gitlab-secret-token, gitlab-signing-token", "slack-events": "slack", "qqqqqqqq": "",
	} {
		if got := strings.Join(Similar(name, Builtin().Names()), ", "); got != want {
			t.Errorf("similar to %s are %q, want %q", name, got, want)
		}
	}
}

func TestABrokenEntryIsNamedByItsFile(t *testing.T) {
	for name, text := range map[string]string{
		"unknown line": "colour blue",
		"set twice":    "docs a\ndocs b",
		"bad value":    "max_age never",
	} {
		files := fstest.MapFS{"providers/acme.caddyfile": {Data: []byte(text)}}
		if _, err := loadCatalogue(files, "providers"); err == nil || !strings.Contains(err.Error(), "providers/acme.caddyfile") {
			t.Errorf("%s: error = %v, want one that names the file", name, err)
		}
	}
	if _, err := loadCatalogue(fstest.MapFS{}, "providers"); err == nil {
		t.Error("a missing catalogue loads")
	}
}

func TestSamplesAreOfTheAskedEventIDAndTime(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	p := Builtin()["docintell"]
	sample, err := NewSample("docintell", p, "document.uploaded", "feed", at)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"event": "document.uploaded"`, `"timestamp": "2026-03-01T12:00:00Z"`, `"document_id": "` + uuidOf("feed")} {
		if !strings.Contains(string(sample.Body), want) {
			t.Errorf("%s does not hold %s", sample.Body, want)
		}
	}
	if _, err := NewSample("docintell", p, "document.lost", "feed", at); err == nil || !strings.Contains(err.Error(), "document.uploaded") {
		t.Errorf("error = %v, want one that lists the events", err)
	}
}
