package signature

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
)

// catalogueEntry is how one provider signs.
type catalogueEntry struct {
	Name      string `yaml:"name"`
	Named     string `yaml:"named"`
	Signed    string `yaml:"signed"`
	Signature *struct {
		Header    string   `yaml:"header"`
		Source    Source   `yaml:"source"`
		Algorithm string   `yaml:"algorithm"`
		Encoding  string   `yaml:"encoding"`
		Format    string   `yaml:"format"`
		Split     []string `yaml:"split"`
	} `yaml:"signature"`
	Timestamp      string `yaml:"timestamp"`
	SecretEncoding string `yaml:"secret_encoding"`
	SecretPrefix   string `yaml:"secret_prefix"`
	Items          string `yaml:"items"`
	Claims         []struct {
		Name     string `yaml:"name"`
		Template string `yaml:"template"`
		Optional bool   `yaml:"optional"`
	} `yaml:"claims"`
	// Uncovered: not all of the body is under the signature.
	Uncovered bool `yaml:"uncovered"`
}

func readCatalogue(tb testing.TB) []catalogueEntry {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "catalogue.yaml"))
	if err != nil {
		tb.Fatal(err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	var entries []catalogueEntry
	if err := decoder.Decode(&entries); err != nil {
		tb.Fatal(err)
	}
	return entries
}

// TestCatalogue: every provider known to us can be described, compiled, signed
// for and verified.
func TestCatalogue(t *testing.T) {
	entries := readCatalogue(t)
	for _, e := range entries {
		t.Run(e.Name, e.roundTrip)
	}
	if len(entries) != 168 {
		t.Errorf("%d providers: has testdata/catalogue.yaml lost some?", len(entries))
	}
}

func (e catalogueEntry) spec(tb testing.TB) Spec {
	spec := Spec{
		Named:     e.Named,
		Timestamp: testStamp(tb, e.Timestamp), SecretEncoding: e.SecretEncoding, SecretPrefix: e.SecretPrefix,
		Params: map[string]string{"app_key": "app"}, Items: e.Items,
	}
	for _, c := range e.Claims {
		spec.Claims = append(spec.Claims, Claim(c))
	}
	if e.Signature != nil {
		spec.Signatures = []SignatureSpec{SignatureSpec(*e.Signature)}
	}
	if e.Signed != "" {
		spec.Signed = []string{e.Signed}
	}
	return spec
}

func (e catalogueEntry) roundTrip(t *testing.T) {
	spec := e.spec(t)
	scheme := mustCompile(t, spec)
	secret := "secret"
	switch e.SecretEncoding {
	case "base64":
		secret = e.SecretPrefix + base64.StdEncoding.EncodeToString([]byte(secret))
	case "hex":
		secret = hex.EncodeToString([]byte(secret))
	}
	key, err := scheme.NewKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1764000000, 0)
	r := requestFor(t, scheme, now)
	if err := scheme.Sign(r, key, now, "id-1"); err != nil {
		t.Fatal(err)
	}
	verify := func(r *Request, key *Key) error {
		_, err := scheme.Verify(r, []Secret{{Key: key}}, vectorWindow, now)
		return err
	}
	if err := verify(r, key); err != nil {
		t.Fatal(err)
	}
	wantReason(t, verify(r, testKey(t, "other")), SignatureInvalid)
	if scheme.CoversBody() == e.Uncovered {
		t.Errorf("covers the body: %v", scheme.CoversBody())
	}
	if scheme.CoversBody() {
		changed := *r
		changed.Body = append([]byte(" "), r.Body...)
		if verify(&changed, key) == nil {
			t.Error("a changed body was accepted")
		}
	}
}

// requestFor fills in everything that the scheme reads and a signer does not set.
func requestFor(tb testing.TB, s *Scheme, now time.Time) *Request {
	tb.Helper()
	r := testRequest("POST", "https://example.com/hook?k=v", "")
	body := map[string]any{"amount": 12}
	sources, form := sourcesOf(s)
	for _, source := range sources {
		setSource(r, body, source, "value")
	}
	if stamp := s.spec.Timestamp; stamp != nil {
		setSource(r, body, stamp.Source, FormatStamp(now, stamp.Format))
	}
	if s.items != "" {
		body = map[string]any{s.items: []any{body, body}}
	}
	text, err := json.Marshal(body)
	if err != nil {
		tb.Fatal(err)
	}
	if r.Body = text; form {
		r.Header["Content-Type"] = []string{"application/x-www-form-urlencoded"}
		r.Body = []byte("b=2&a=1&bt_payload=value")
	}
	if s.lines[0].source.Kind == SourceFormJSON {
		inner, _ := json.Marshal(body["json"])
		r.Header["Content-Type"] = []string{"application/x-www-form-urlencoded"}
		r.Body = []byte("json=" + url.QueryEscape(string(inner)))
	}
	if r.Header[contentfulHeaders] != nil {
		r.Header[contentfulHeaders] = []string{"x-contentful-signed-headers,x-contentful-timestamp"}
	}
	return r
}

// sourcesOf are the places that a scheme signs and whether they are in a form.
func sourcesOf(s *Scheme) (sources []Source, form bool) {
	sources = slices.Clone(s.spec.ID)
	for _, c := range s.signed {
		switch c := c.(type) {
		case twilioContent:
			form = true
		case contentfulContent:
			sources = append(sources, Source{SourceHeader, contentfulHeaders})
		case *templateContent:
			for _, p := range c.pieces {
				ph := p.placeholder
				if ph == nil {
					continue
				}
				if ph.variable == varHeader {
					sources = append(sources, Source{SourceHeader, ph.name})
				}
				f, _ := ph.field()
				sources = append(sources, f)
				form = form || f.Kind == SourceForm || ph.variable == varFormSorted
			}
		}
	}
	return sources, form
}

func setSource(r *Request, body map[string]any, s Source, value string) {
	switch s.Kind {
	case SourceHeader:
		r.Header[canonical(s.Name)] = []string{value}
	case SourceQuery:
		r.Query += "&" + s.Name + "=" + value
	case SourceBody, SourceFormJSON:
		keys := strings.Split(s.Name, ".")
		for _, key := range keys[:len(keys)-1] {
			inner, ok := body[key].(map[string]any)
			if !ok {
				inner = map[string]any{}
				body[key] = inner
			}
			body = inner
		}
		body[keys[len(keys)-1]] = value
	}
}

func mustTemplate(tb testing.TB, text string) *Template {
	tb.Helper()
	template, err := ParseTemplate(text)
	if err != nil {
		tb.Fatalf("%q: %v", text, err)
	}
	return template
}
