package config

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// vectors holds the files of test vectors, one for each provider; package
// signature checks every vector against the scheme that stands in its file.
const vectors = "../signature/testdata/vectors"

// proven is the part of such a file that says which scheme its vectors prove.
type proven struct {
	Provider string
	Scheme   struct {
		Signatures     []signature.SignatureSpec
		Signed         []string
		Named          string
		Timestamp      string
		EventTime      string `yaml:"event_time"`
		ID             []string
		SecretEncoding string `yaml:"secret_encoding"`
		SecretPrefix   string `yaml:"secret_prefix"`
	}
	Docs    string
	Vectors []yaml.Node
}

// Each entry that signs is, line for line, the scheme that its vectors prove.
func TestEntriesAreTheSchemesThatVectorsProve(t *testing.T) {
	for _, name := range Builtin().Names() {
		p := Builtin()[name]
		if p.Unsigned() {
			continue
		}
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(vectors, name+".yaml"))
			if err != nil {
				t.Fatalf("an entry needs vectors: %v", err)
			}
			var file proven
			decoder := yaml.NewDecoder(bytes.NewReader(text))
			decoder.KnownFields(true)
			if err := decoder.Decode(&file); err != nil {
				t.Fatal(err)
			}
			if len(file.Vectors) == 0 {
				t.Fatal("the file holds no vectors")
			}
			s := file.Scheme
			for _, c := range []struct {
				line      string
				got, want any
			}{
				{"signature", withDefaults(p.Signature), withDefaults(s.Signatures)},
				{"signed", orBody(p), orBody(Provider{Signed: s.Signed, Scheme: s.Named})},
				{"scheme", p.Scheme, s.Named},
				{"timestamp", strings.ToLower(written(p.Timestamp)), strings.ToLower(s.Timestamp)},
				{"event_time", written(p.EventTime), s.EventTime},
				{"secret_encoding", p.SecretEncoding + " " + p.SecretPrefix, s.SecretEncoding + " " + s.SecretPrefix},
			} {
				if !reflect.DeepEqual(c.got, c.want) {
					t.Errorf("%s is\n%v\nbut the vectors prove\n%v", c.line, c.got, c.want)
				}
			}
		})
	}
}

func withDefaults(specs []signature.SignatureSpec) []signature.SignatureSpec {
	var full []signature.SignatureSpec
	for _, s := range specs {
		s.Header = strings.ToLower(s.Header)
		s.Algorithm = orText(s.Algorithm, "sha256")
		s.Encoding = orText(s.Encoding, "hex")
		s.Format = orText(s.Format, "{signature}")
		full = append(full, s)
	}
	return full
}

func orBody(p Provider) []string {
	if len(p.Signed) == 0 && p.Scheme == "" {
		return []string{"{body}"}
	}
	return p.Signed
}

func orText(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func written(s *Stamp) string {
	if s == nil {
		return ""
	}
	return strings.TrimSpace(s.Source + " " + s.Format)
}

// What is signed with an entry verifies with it, and not when a byte changed.
func TestEntriesVerifyWhatTheySign(t *testing.T) {
	now := time.Now()
	for _, name := range Builtin().Names() {
		t.Run(name, func(t *testing.T) {
			p := Builtin()[name]
			rules := resolve(t, p)
			sample, err := NewSample(name, p, "", "0123456789abcdef", now)
			if err != nil {
				t.Fatal(err)
			}
			r := &signature.Request{
				Method: "POST", Scheme: "https", Host: "hooks.example.com", Path: "/in", Query: "a=1",
				Header: map[string][]string{"Content-Type": {sample.ContentType}}, Body: sample.Body,
			}
			if p.Unsigned() {
				if _, err := rules.Scheme.CheckStamps(r, rules.Window, now); err != nil {
					t.Errorf("the sample's own time: %v", err)
				}
				return
			}
			key, err := rules.Scheme.NewKey("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
			if err != nil {
				t.Fatal(err)
			}
			if err := rules.Scheme.Sign(r, key, now, "msg_1"); err != nil {
				t.Fatal(err)
			}
			secrets := []signature.Secret{{Key: key}}
			verdict, err := rules.Scheme.Verify(r, secrets, rules.Window, now)
			if err != nil {
				t.Fatal(err)
			}
			if found, err := rules.Identity.Identify(r, verdict.Parts); err != nil || found.ID == nil && found.Content == nil {
				t.Errorf("nothing identifies the event: %+v, %v", found, err)
			}
			r.Body = append([]byte(nil), r.Body...)
			r.Body[len(r.Body)/2] ^= 1
			if _, err := rules.Scheme.Verify(r, secrets, rules.Window, now); err == nil {
				t.Error("a changed body verifies")
			}
		})
	}
}

func TestTheFiveFirstSendersAndTheGeneralOnesAreThere(t *testing.T) {
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

func TestAnUnknownProviderIsNamedWithWhatThereIs(t *testing.T) {
	_, err := Builtin().Get("strpe")
	if err == nil {
		t.Fatal("found")
	}
	for _, want := range []string{`"strpe"`, "stripe", "provider strpe {"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not hold %q", err, want)
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
	for _, want := range []string{`"event": "document.uploaded"`, `"timestamp": "2026-03-01T12:00:00Z"`, `a716-feed"`} {
		if !strings.Contains(string(sample.Body), want) {
			t.Errorf("%s does not hold %s", sample.Body, want)
		}
	}
	if _, err := NewSample("docintell", p, "document.lost", "feed", at); err == nil || !strings.Contains(err.Error(), "document.uploaded") {
		t.Errorf("error = %v, want one that lists the events", err)
	}
}
