package config

import (
	"bytes"
	"cmp"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// senderFacts is what testdata/facts.yaml knows of one sender that signs with
// a shared secret.
type senderFacts struct {
	Name, Place, Algorithm, Encoding, Signed string
	Timestamp                                struct{ Location, Unit, Signed, Renewed string }
	ID                                       struct{ Location, Signed, Stable string }
	Secret                                   struct{ Encoding, Prefix string }
	Confidence                               string
	Unverified                               []string
}

// facts is the whole of the file.
type facts struct {
	HMAC       []senderFacts
	Token      []struct{ Name, Location, ID string }
	Asymmetric []struct{ Name, Scheme string }
}

func readFacts(t *testing.T) facts {
	t.Helper()
	text, err := os.ReadFile("testdata/facts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var f facts
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&f); err != nil {
		t.Fatal(err)
	}
	return f
}

// comparison reports what of an entry is not what the facts say, unless the
// list of deviations has a reason for it.
type comparison struct {
	t      *testing.T
	name   string
	unused map[string]string
}

func (c comparison) same(what, got, want string) {
	c.t.Helper()
	if got == want {
		return
	}
	if _, known := deviations[c.name+" "+what]; known {
		delete(c.unused, c.name+" "+what)
		return
	}
	c.t.Errorf("%s is %q, and the facts say %q", what, got, want)
}

// Every entry is what is known of its sender.
func TestEntriesAreWhatIsKnownOfTheirSenders(t *testing.T) {
	unused := maps.Clone(deviations)
	known := readFacts(t)
	if len(known.HMAC) != 168 {
		t.Errorf("facts of %d senders, want 168", len(known.HMAC))
	}
	for _, f := range known.HMAC {
		t.Run(f.Name, func(t *testing.T) {
			p, err := Builtin().Get(f.Name)
			if err != nil {
				t.Fatal(err)
			}
			c := comparison{t, f.Name, unused}
			c.signature(p, f)
			c.times(p, f)
			c.same("id", idText(p, f), knownID(f))
			c.signedness(p, f)
			c.same("secret", strings.TrimSpace(cmp.Or(p.SecretEncoding, "raw")+" "+p.SecretPrefix), strings.TrimSpace(f.Secret.Encoding+" "+f.Secret.Prefix))
			c.same("confidence", p.Confidence, f.Confidence)
		})
	}
	for deviation := range unused {
		t.Errorf("%s is what the facts say: take it off the list", deviation)
	}
}

func (c comparison) signature(p Provider, f senderFacts) {
	first := p.Signature[0]
	kind, path, _ := strings.Cut(f.Place, ":")
	place := kind + " " + path
	if kind == "json" {
		place = pointerSource(path)
	}
	got := cmp.Or(first.Source.String(), "header "+first.Header)
	if p.Items != "" {
		got = "body " + p.Items + ".*." + strings.TrimPrefix(got, "body ")
	}
	c.same("place", strings.ToLower(got), strings.ToLower(place))
	c.same("algorithm", cmp.Or(first.Algorithm, "sha256"), f.Algorithm)
	encoding := cmp.Or(first.Encoding, "hex")
	if p.Scheme == "jwt" {
		encoding = "base64url"
	}
	c.same("encoding", encoding, f.Encoding)
	if p.Scheme != "" {
		c.same("signed", "scheme "+p.Scheme, knownTemplate(f.Signed))
		return
	}
	c.same("signed", plainTemplates(p)[0], knownTemplate(f.Signed))
}

func (c comparison) times(p Provider, f senderFacts) {
	stamp := p.Timestamp
	if stamp == nil {
		stamp = &signature.StampSpec{}
	}
	source := "none"
	if p.Timestamp != nil {
		source = stamp.Source.String()
	}
	where := f.Timestamp.Location
	switch {
	case f.Timestamp.Signed != "yes":
		where = "none" // what is not signed proves nothing
	case strings.HasPrefix(where, "sigparam:"):
		where = "signature"
	default:
		where = knownSource(where)
	}
	c.same("timestamp", strings.ToLower(source), strings.ToLower(where))
	if source == "none" || !strings.EqualFold(source, where) {
		return
	}
	unit := map[string]string{"unix_s": "unix", "unix_ms": "unix_ms", "rfc3339": "rfc3339"}[f.Timestamp.Unit]
	if slices.Contains(f.Unverified, "timestamp.unit") {
		unit = "" // recognised by the value
	}
	c.same("unit", stamp.Format, unit)
	renewed := "yes"
	switch {
	case slices.Contains(p.Unverified, "timestamp_renewed"):
		renewed = "unknown"
	case stamp.PerEvent:
		renewed = "no"
	}
	c.same("renewed", renewed, f.Timestamp.Renewed)
	if renewed == "unknown" && !stamp.PerEvent {
		c.t.Error("whether retries renew the stamp is not known, so late ones have to be taken: write per_event")
	}
}

// signedness compares what is derived from the scheme with what is known.
func (c comparison) signedness(p Provider, f senderFacts) {
	rules := resolve(c.t, p.WithParams())
	yes := map[bool]string{true: "yes", false: "no"}
	if p.Timestamp != nil {
		source := p.Timestamp.Source
		c.same("timestamp signed", yes[source.Kind == signature.SourceSignature || rules.Scheme.Covers(source)], f.Timestamp.Signed)
	}
	if len(p.ID) > 0 {
		c.same("id signed", yes[rules.IDSigned()], f.ID.Signed)
	}
}

// idText is an entry's ID as the facts would have it: the IDs of all events of
// a batch stand in its content template.
func idText(p Provider, f senderFacts) string {
	if strings.Contains(f.ID.Location, "*") && len(p.ID) == 0 {
		return strings.TrimSuffix(strings.TrimPrefix(p.Content, "{"), "}")
	}
	if len(p.ID) == 0 {
		return "none"
	}
	return strings.ToLower(sourcesText(p.ID))
}

func knownID(f senderFacts) string {
	if f.ID.Location == "unknown" {
		return "none"
	}
	source := knownSource(f.ID.Location)
	if strings.Contains(source, "*") {
		return strings.Replace(source, "body ", "body.", 1)
	}
	return strings.ToLower(source)
}

// knownSource writes a location of the facts as a line does.
func knownSource(location string) string {
	kind, name, found := strings.Cut(location, ":")
	switch {
	case !found:
		return location
	case kind == "json":
		return pointerSource(name)
	case kind == "jwt":
		return "claim " + name
	}
	return kind + " " + name
}

func pointerSource(pointer string) string {
	return "body " + strings.ReplaceAll(strings.TrimPrefix(pointer, "/"), "/", ".")
}

var knownPlaceholders = regexp.MustCompile(`\{(json\.)?/?([^}]*)\}`)

// knownTemplate writes the signed content of the facts as a line does.
func knownTemplate(text string) string {
	text = knownPlaceholders.ReplaceAllStringFunc(text, func(placeholder string) string {
		name := strings.Trim(placeholder, "{}")
		if pointer, ok := strings.CutPrefix(name, "json."); ok {
			return "{body." + strings.TrimPrefix(pointerSource(pointer), "body ") + "}"
		}
		if header, ok := strings.CutPrefix(name, "header."); ok {
			return "{header." + strings.ToLower(header) + "}"
		}
		if param, ok := strings.CutPrefix(name, "config."); ok {
			return "{param." + param + "}"
		}
		if other, ok := map[string]string{
			"path_and_query": "{uri}", "sha256_hex_body": "{body|sha256|hex}",
			"url_decoded": "{url|unescape_reserved}", "url_without_query": "{scheme}://{host}{path}",
		}[name]; ok {
			return other
		}
		return placeholder
	})
	return strings.ReplaceAll(text, "\n", `\n`)
}

func TestEveryTokenSenderIsThere(t *testing.T) {
	known := readFacts(t)
	if len(known.Token) != 21 {
		t.Errorf("facts of %d senders, want 21", len(known.Token))
	}
	for _, f := range known.Token {
		t.Run(f.Name, func(t *testing.T) {
			p, err := Builtin().Get(f.Name)
			if err != nil {
				t.Fatal(err)
			}
			want := "" // unsigned, or in a header of the user's choice
			switch first, _, _ := strings.Cut(f.Location, " "); {
			case f.Location == "HTTP Basic auth":
				want = "basic"
			case strings.HasPrefix(first, "none"):
			case strings.Contains(first, ":"):
				want = knownSource(first)
			}
			if !strings.EqualFold(p.Token, want) {
				t.Errorf("token is %q, and the facts say %q", p.Token, want)
			}
		})
	}
}

// Whoever signs with a private key is in the catalogue or on the list of those
// that are not supported, and never in both.
func TestEveryAsymmetricSenderIsThereOrSaysWhyNot(t *testing.T) {
	known := readFacts(t)
	if len(known.Asymmetric) != 24 {
		t.Errorf("facts of %d senders, want 24", len(known.Asymmetric))
	}
	for _, f := range known.Asymmetric {
		p, supported := Builtin()[f.Name]
		gap, refused := Unsupported[f.Name]
		switch {
		case supported == refused:
			t.Errorf("%s: supported %t, and why not: %q", f.Name, supported, gap.Missing)
		case supported && !asymmetricAlgorithm(p):
			t.Errorf("%s does not verify with a public key", f.Name)
		}
	}
}

func asymmetricAlgorithm(p Provider) bool {
	scheme, err := p.WithParams().compile()
	return err == nil && scheme.Asymmetric()
}

// What an entry calls unverified is a line that it has.
func TestUnverifiedLinesAreThere(t *testing.T) {
	for _, name := range Builtin().Names() {
		_, lines, err := EntryText(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range Builtin()[name].Unverified {
			line := cmp.Or(aspects[word], word)
			if !strings.Contains("\n"+lines, "\n"+line+" ") {
				t.Errorf("%s: unverified %s, and no line %s", name, word, line)
			}
		}
	}
}

// Every entry says who it is, where it is documented and how sure that is.
func TestEntriesAreComplete(t *testing.T) {
	for _, name := range Builtin().Names() {
		p := Builtin()[name]
		if p.Title == "" || !strings.HasPrefix(p.Docs, "https://") || p.Confidence == "" || len(p.Checked) < 2 {
			t.Errorf("%s: title %q, docs %q, confidence %q, checked %q", name, p.Title, p.Docs, p.Confidence, p.Checked)
		}
		if len(p.Signature) > 0 && p.Token != "" {
			t.Errorf("%s has a signature and a token", name)
		}
	}
}
