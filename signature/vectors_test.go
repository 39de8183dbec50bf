package signature

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
)

// vectorFile is one file of testdata/vectors: a provider's scheme, and
// requests with what must become of them.
type vectorFile struct {
	Provider string       `yaml:"provider"`
	Docs     string       `yaml:"docs"`
	Scheme   vectorScheme `yaml:"scheme"`
	Vectors  []vector     `yaml:"vectors"`
}

type vectorScheme struct {
	Signatures []struct {
		Header    string     `yaml:"header"`
		Source    Source     `yaml:"source"`
		Algorithm string     `yaml:"algorithm"`
		Encoding  string     `yaml:"encoding"`
		Format    string     `yaml:"format"`
		Split     []string   `yaml:"split"`
		When      *Condition `yaml:"when"`
	} `yaml:"signatures"`
	Signed    []string `yaml:"signed"`
	Functions []string `yaml:"signed_functions"`
	Items     string   `yaml:"items"`
	Named     string   `yaml:"named"`
	Claims    []struct {
		Name     string `yaml:"name"`
		Template string `yaml:"template"`
		Optional bool   `yaml:"optional"`
		WithBody bool   `yaml:"withbody"`
	} `yaml:"claims"`
	Params         map[string]string `yaml:"params"`
	Timestamp      string            `yaml:"timestamp"`
	EventTime      string            `yaml:"event_time"`
	ID             []string          `yaml:"id"`
	SecretEncoding string            `yaml:"secret_encoding"`
	SecretPrefix   string            `yaml:"secret_prefix"`
	KeyID          Source            `yaml:"key_id"`
}

type vector struct {
	ID     string `yaml:"id"`
	Source string `yaml:"source"`
	Note   string `yaml:"note"`
	// Expect is "valid" or a reason.
	Expect  string               `yaml:"expect"`
	Secret  string               `yaml:"secret"`
	Secrets []vectorSecret       `yaml:"secrets"`
	Matches int                  `yaml:"matches"`
	Method  string               `yaml:"method"`
	URL     string               `yaml:"url"`
	Headers map[string]textOrAll `yaml:"headers"`
	Body    string               `yaml:"body"`
	Base64  string               `yaml:"body_base64"`
	// Now is in unix seconds. Zero where the scheme has no stamp.
	Now int64 `yaml:"now"`
}

type vectorSecret struct {
	Text  string `yaml:"text"`
	Until int64  `yaml:"until"`
}

// textOrAll is one header value or several.
type textOrAll []string

func (t *textOrAll) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.SequenceNode {
		return node.Decode((*[]string)(t))
	}
	*t = textOrAll{node.Value}
	return nil
}

// vectorWindow is the default of the product.
var vectorWindow = Window{MaxAge: 5 * time.Minute, MaxSkew: time.Minute, EventTTL: 72 * time.Hour}

func TestVectors(t *testing.T) {
	for _, file := range readVectorFiles(t) {
		t.Run(file.Provider, func(t *testing.T) {
			scheme := file.compile(t)
			for _, v := range file.Vectors {
				t.Run(v.ID, func(t *testing.T) { v.check(t, scheme) })
			}
		})
	}
}

// readVectorFiles decodes all files strictly: a key with a typing error would
// otherwise be a check that nobody makes.
func readVectorFiles(tb testing.TB) []vectorFile {
	tb.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", "vectors", "*.yaml"))
	if err != nil || len(paths) == 0 {
		tb.Fatalf("no vectors found: %v", err)
	}
	var files []vectorFile
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		decoder := yaml.NewDecoder(bytes.NewReader(text))
		decoder.KnownFields(true)
		var file vectorFile
		if err := decoder.Decode(&file); err != nil {
			tb.Fatalf("%s: %v", path, err)
		}
		if len(file.Vectors) == 0 {
			tb.Fatalf("%s holds no vectors", path)
		}
		files = append(files, file)
	}
	return files
}

func (f vectorFile) compile(tb testing.TB) *Scheme {
	tb.Helper()
	spec := Spec{
		Signed: f.Scheme.Signed, Named: f.Scheme.Named,
		Timestamp: testStamp(tb, f.Scheme.Timestamp), EventTime: testStamp(tb, f.Scheme.EventTime),
		SecretEncoding: f.Scheme.SecretEncoding, SecretPrefix: f.Scheme.SecretPrefix,
		SignedFunctions: f.Scheme.Functions, Items: f.Scheme.Items, Params: f.Scheme.Params, KeyID: f.Scheme.KeyID,
	}
	for _, c := range f.Scheme.Claims {
		spec.Claims = append(spec.Claims, Claim{Name: c.Name, Template: c.Template, Optional: c.Optional, WithBody: c.WithBody})
	}
	for _, s := range f.Scheme.Signatures {
		spec.Signatures = append(spec.Signatures, SignatureSpec(s))
	}
	for _, id := range f.Scheme.ID {
		spec.ID = append(spec.ID, testSource(tb, id))
	}
	scheme, err := Compile(spec)
	if err != nil {
		tb.Fatalf("%s: %v", f.Provider, err)
	}
	return scheme
}

func (v vector) check(t *testing.T, scheme *Scheme) {
	r := v.request(t)
	verdict, err := scheme.Verify(r, v.secrets(t, scheme), vectorWindow, time.Unix(v.Now, 0))
	if v.Expect == "valid" {
		if err != nil {
			t.Fatalf("got %v", err)
		}
		if verdict.Secret != v.Matches {
			t.Fatalf("secret %d matched, want %d", verdict.Secret, v.Matches)
		}
		return
	}
	wantReason(t, err, Reason(v.Expect))
	for _, secret := range v.allSecrets() {
		if strings.Contains(err.Error(), secret.Text) && len(secret.Text) > 3 {
			t.Fatalf("the error holds the secret: %v", err)
		}
	}
}

func wantReason(tb testing.TB, err error, want Reason) {
	tb.Helper()
	var refusal *Error
	if !errors.As(err, &refusal) {
		tb.Fatalf("got %v, want %s", err, want)
	}
	if refusal.Reason != want {
		tb.Fatalf("got %v, want %s", err, want)
	}
}

func (v vector) allSecrets() []vectorSecret {
	if v.Secret != "" {
		return append([]vectorSecret{{Text: v.Secret}}, v.Secrets...)
	}
	return v.Secrets
}

func (v vector) secrets(tb testing.TB, scheme *Scheme) []Secret {
	tb.Helper()
	var secrets []Secret
	for _, s := range v.allSecrets() {
		key, err := scheme.NewKey(s.Text)
		if err != nil {
			tb.Fatal(err)
		}
		secret := Secret{Key: key}
		if s.Until != 0 {
			secret.Until = time.Unix(s.Until, 0)
		}
		secrets = append(secrets, secret)
	}
	return secrets
}

func (v vector) request(tb testing.TB) *Request {
	tb.Helper()
	r := testRequest(v.Method, v.URL, v.Body)
	if v.Base64 != "" {
		body, err := base64.StdEncoding.DecodeString(v.Base64)
		if err != nil {
			tb.Fatal(err)
		}
		r.Body = body
	}
	for name, values := range v.Headers {
		r.Header[canonical(name)] = values
	}
	return r
}

// testRequest cuts a URL without decoding anything.
func testRequest(method, url, body string) *Request {
	r := &Request{Method: method, Header: map[string][]string{}, Body: []byte(body)}
	scheme, rest, _ := strings.Cut(url, "://")
	r.Scheme = scheme
	rest, r.Query, _ = strings.Cut(rest, "?")
	host, path, found := strings.Cut(rest, "/")
	r.Host = host
	if found {
		r.Path = "/" + path
	}
	return r
}

func testSource(tb testing.TB, text string) Source {
	tb.Helper()
	var source Source
	if err := source.UnmarshalText([]byte(text)); err != nil {
		tb.Fatal(err)
	}
	return source
}

func testStamp(tb testing.TB, text string) *StampSpec {
	tb.Helper()
	if text == "" {
		return nil
	}
	source, rest, err := ParseSource(strings.Fields(text))
	if err != nil {
		tb.Fatal(err)
	}
	stamp := &StampSpec{Source: source}
	if stamp.Optional = len(rest) > 0 && rest[len(rest)-1] == "optional"; stamp.Optional {
		rest = rest[:len(rest)-1]
	}
	if len(rest) > 0 {
		stamp.Format = rest[0]
	}
	return stamp
}

// TestVectorsOneByteChanged checks that no valid vector verifies with one changed byte in
// the body, or with a wrong secret.
func TestVectorsOneByteChanged(t *testing.T) {
	for _, file := range readVectorFiles(t) {
		scheme := file.compile(t)
		for _, v := range file.Vectors {
			if v.Expect != "valid" {
				continue
			}
			now := time.Unix(v.Now, 0)
			name := fmt.Sprintf("%s/%s", file.Provider, v.ID)
			if r := v.request(t); len(r.Body) > 0 && scheme.CoversBody() {
				r.Body[len(r.Body)/2] ^= 1
				if _, err := scheme.Verify(r, v.secrets(t, scheme), vectorWindow, now); err == nil {
					t.Errorf("%s: a changed body was accepted", name)
				}
			}
			wrong := []Secret{{Key: testKey(t, "not the secret")}, {Key: &Key{}}, {}}
			_, err := scheme.Verify(v.request(t), wrong, vectorWindow, now)
			wantReason(t, err, SignatureInvalid)
		}
	}
}

func testKey(tb testing.TB, text string) *Key {
	tb.Helper()
	key, err := NewKey(text, "raw", "")
	if err != nil {
		tb.Fatal(err)
	}
	return key
}
