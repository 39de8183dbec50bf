package config

import (
	"bytes"
	"cmp"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

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
		Signatures      []signature.SignatureSpec
		Signed          []string
		SignedFunctions []string `yaml:"signed_functions"`
		Items           string
		Named           string
		Claims          []signature.Claim
		Params          map[string]string
		Timestamp       string
		EventTime       string `yaml:"event_time"`
		ID              []signature.Source
		SecretEncoding  string           `yaml:"secret_encoding"`
		SecretPrefix    string           `yaml:"secret_prefix"`
		KeyID           signature.Source `yaml:"key_id"`
	}
	Docs    string
	Vectors []yaml.Node
}

// otherwise are the lines of entries that are not those of their vectors' file,
// and why.
var otherwise = map[string]string{
	"cloudinary signature":    "an account may have switched to SHA-256; the vectors have SHA-1",
	"contentful signature":    "written out, as the scheme has it by itself",
	"dropbox-sign timestamp":  "it is the event's time, and retries must not be lost for it",
	"dropbox-sign event_time": "in place of the timestamp",
	"livekit claim":           "the issuer is the API key, which only the user knows, and each has a secret of its own",
	"livekit timestamp":       "its tokens have nbf, which bounds replay",
	"mailgun timestamp":       "whether retries renew it is not known, and they must not be lost for it",
	"mailgun event_time":      "in place of the timestamp",
}

// Each entry that has vectors is, line for line, the scheme that they prove.
func TestEntriesAreTheSchemesThatVectorsProve(t *testing.T) {
	unused := maps.Clone(otherwise)
	proofs := 0
	for _, name := range Builtin().Names() {
		text, err := os.ReadFile(filepath.Join(vectors, name+".yaml"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		proofs++
		t.Run(name, func(t *testing.T) {
			var file proven
			decoder := yaml.NewDecoder(bytes.NewReader(text))
			decoder.KnownFields(true)
			if err := decoder.Decode(&file); err != nil {
				t.Fatal(err)
			}
			if len(file.Vectors) == 0 {
				t.Fatal("the file holds no vectors")
			}
			compareWithProof(t, Builtin()[name], file, unused)
		})
	}
	if proofs < 35 {
		t.Errorf("only %d entries have vectors: have files been lost?", proofs)
	}
	for line := range unused {
		t.Errorf("%s is what the vectors prove: take it off the list", line)
	}
}

func compareWithProof(t *testing.T, p Provider, file proven, unused map[string]string) {
	t.Helper()
	s := file.Scheme
	proof := Provider{
		Signed: s.Signed, Scheme: s.Named, ID: s.ID,
		Timestamp: stampOf(s.Timestamp), EventTime: stampOf(s.EventTime),
	}
	compare := func(line string, got, want any) {
		if reflect.DeepEqual(got, want) {
			return
		}
		if _, known := otherwise[file.Provider+" "+line]; known {
			delete(unused, file.Provider+" "+line)
			return
		}
		t.Errorf("%s is\n%v\nbut the vectors prove\n%v", line, got, want)
	}
	compare("signature", withDefaults(p.Signature), withDefaults(s.Signatures))
	compare("signed", plainTemplates(p), plainTemplates(proof))
	compare("signed functions", p.SignedFunctions, s.SignedFunctions)
	compare("items", p.Items, s.Items)
	compare("scheme", p.Scheme, s.Named)
	compare("claim", p.Claim, s.Claims)
	compare("key_id", p.KeyID, s.KeyID)
	compare("secret_encoding", p.SecretEncoding+" "+p.SecretPrefix, s.SecretEncoding+" "+s.SecretPrefix)
	compare("timestamp", strings.ToLower(written(p.Timestamp)), strings.ToLower(s.Timestamp))
	compare("event_time", written(p.EventTime), strings.TrimSuffix(s.EventTime, " optional"))
	compare("optional event_time", p.EventTime != nil && p.EventTime.Optional, strings.HasSuffix(s.EventTime, " optional"))
}

func stampOf(text string) *signature.StampSpec {
	if text == "" {
		return nil
	}
	words := strings.Fields(strings.TrimSuffix(text, " optional"))
	if slices.Contains([]string{"unix", "unix_ms", "rfc3339"}, words[len(words)-1]) {
		words = words[:len(words)-1]
	}
	return &signature.StampSpec{Source: sourceOf(strings.Join(words, " "))}
}

func withDefaults(specs []signature.SignatureSpec) []signature.SignatureSpec {
	var full []signature.SignatureSpec
	for _, s := range specs {
		s.Header = strings.ToLower(s.Header)
		s.Algorithm = cmp.Or(s.Algorithm, "sha256")
		s.Encoding = cmp.Or(s.Encoding, "hex")
		s.Format = cmp.Or(s.Format, "{signature}")
		full = append(full, s)
	}
	return full
}

// headerName finds the headers in the templates that are compared.
var headerName = regexp.MustCompile(`\{header\.([^}|]+)`)

// plainTemplates are the signed templates with what {timestamp} and {id} stand
// for, so that two ways to write one template are the same.
func plainTemplates(p Provider) []string {
	if p.Scheme != "" {
		return nil
	}
	templates := p.Signed
	if len(templates) == 0 {
		templates = []string{"{body}"}
	}
	replace := []string{"{body|json}", "{body}"} // the same bytes
	if p.Timestamp != nil {
		replace = append(replace, "{timestamp}", asPlaceholder(p.Timestamp.Source, "{timestamp}"))
	}
	if len(p.ID) == 1 {
		replace = append(replace, "{id}", asPlaceholder(p.ID[0], "{id}"))
	}
	var plain []string
	for _, template := range templates {
		template = headerName.ReplaceAllStringFunc(template, strings.ToLower)
		plain = append(plain, strings.NewReplacer(replace...).Replace(template))
	}
	return plain
}

// asPlaceholder writes a source as a template does, where it can.
func asPlaceholder(source signature.Source, otherwise string) string {
	kind, name, named := strings.Cut(source.String(), " ")
	if !named {
		return otherwise
	}
	if kind == "header" {
		name = strings.ToLower(name)
	}
	return "{" + kind + "." + name + "}"
}

func sourceOf(text string) (source signature.Source) {
	if err := source.UnmarshalText([]byte(text)); err != nil {
		panic(err)
	}
	return source
}

func written(s *signature.StampSpec) string {
	if s == nil {
		return ""
	}
	return strings.TrimSpace(s.Source.String() + " " + s.Format)
}
