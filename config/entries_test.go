package config

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// sent is a request of a sender, as its entry signs it, and what verifies it.
type sent struct {
	provider Provider
	rules    *Resolved
	request  *signature.Request
	secrets  []signature.Secret
}

// send makes the sample of an entry and signs it.
func send(t *testing.T, name string, now time.Time) sent {
	t.Helper()
	p := Builtin()[name].WithParams()
	rules := resolve(t, p)
	sample, err := NewSample(name, p, "", "0123456789abcdef", now)
	if err != nil {
		t.Fatal(err)
	}
	r := &signature.Request{
		Method: "POST", Scheme: "https", Host: "hooks.example.com", Path: "/in", Query: "a=1",
		Header: map[string][]string{"Content-Type": {sample.ContentType}}, Body: sample.Body,
	}
	for name, values := range sample.Header {
		r.Header[name] = values
	}
	for _, source := range append([]signature.Source{p.Event}, p.ID...) {
		if source.Kind == signature.SourceHeader {
			r.Header[source.Name] = []string{"value"}
		}
	}
	s := sent{provider: p, rules: rules, request: r}
	if !rules.Scheme.Signed() {
		return s
	}
	key := keyFor(t, name, p, rules.Scheme)
	if err := rules.Scheme.Sign(r, key, now, "msg_1"); err != nil {
		t.Fatal(err)
	}
	s.secrets = []signature.Secret{{Key: key}}
	return s
}

func keyFor(t *testing.T, name string, p Provider, scheme *signature.Scheme) *signature.Key {
	t.Helper()
	var key *signature.Key
	var err error
	switch {
	case scheme.Asymmetric():
		key, err = signature.NewPrivateKey(testbed.PrivateKeys()[strings.SplitN(p.Signature[0].Algorithm, "-", 2)[0]])
	case p.SecretEncoding == "hex":
		key, err = scheme.NewKey("44782def547aaa06c910c43932b1eb0c")
	default:
		key, err = scheme.NewKey("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
		if p.SecretEncoding == "base64" && p.SecretPrefix == "" {
			key, err = scheme.NewKey("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
		}
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return key
}

// What is signed with an entry verifies with it, and not when a byte changed.
func TestEntriesVerifyWhatTheySign(t *testing.T) {
	now := time.Now()
	for _, name := range Builtin().Names() {
		t.Run(name, func(t *testing.T) {
			s := send(t, name, now)
			if !s.rules.Scheme.Signed() {
				s.checkUnsigned(t, now)
				return
			}
			verdict, err := s.verify(now)
			if err != nil {
				t.Fatal(err)
			}
			s.checkIdentity(t, verdict.Parts)
			s.checkOtherSecret(t, now)
			for _, changed := range s.changes(t) {
				s.request.Body = changed
				if _, err := s.verify(now); err == nil {
					t.Errorf("a changed body verifies: %s", changed)
				}
			}
		})
	}
}

func (s sent) verify(now time.Time) (signature.Verdict, error) {
	return s.rules.Scheme.Verify(s.request, s.secrets, s.rules.Window, now)
}

// checkOtherSecret wants a request refused under a secret that did not sign it.
func (s sent) checkOtherSecret(t *testing.T, now time.Time) {
	t.Helper()
	if s.rules.Scheme.Asymmetric() {
		return // the vectors have those
	}
	other, err := signature.NewKey("another", "raw", "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.rules.Scheme.Verify(s.request, []signature.Secret{{Key: other}}, s.rules.Window, now)
	var refusal *signature.Error
	if !errors.As(err, &refusal) || refusal.Reason != signature.SignatureInvalid {
		t.Errorf("under another secret: %v", err)
	}
}

func (s sent) checkUnsigned(t *testing.T, now time.Time) {
	t.Helper()
	if _, err := s.rules.Scheme.CheckStamps(s.request, s.rules.Window, now); err != nil {
		t.Errorf("the sample's own time: %v", err)
	}
	s.checkIdentity(t, signature.Parts{})
	if s.rules.Token == nil {
		return
	}
	s.putToken(t, "s3cret")
	if token, found, malformed := s.rules.Token.Read(s.request); token != "s3cret" || !found || malformed {
		t.Errorf("token = %q, found %t, malformed %t", token, found, malformed)
	}
}

// putToken puts a token where the entry says that it is.
func (s sent) putToken(t *testing.T, token string) {
	t.Helper()
	source := s.rules.Token.Source
	switch {
	case s.provider.Token == "basic":
		s.request.Header["Authorization"] = []string{"Basic czNjcmV0"}
	case source.Kind == signature.SourceHeader:
		s.request.Header[source.Name] = []string{token}
	case source.Kind == signature.SourceBody:
		body, err := sjson.SetBytes(s.request.Body, source.Name, token)
		if err != nil {
			t.Fatal(err)
		}
		s.request.Body = body
	default:
		t.Fatalf("a token in %s: tell this test how", source)
	}
}

// An entry without anything that identifies events must have `content off`.
func (s sent) checkIdentity(t *testing.T, parts signature.Parts) {
	t.Helper()
	found, err := s.rules.Identity.Identify(s.request, parts)
	if err != nil {
		t.Fatal(err)
	}
	if nothing := found.ID == nil && found.Content == nil; nothing != (s.provider.Content == "off" && len(s.provider.ID) == 0) {
		t.Errorf("what identifies the event: %+v", found)
	}
}

// changes are the body with one byte changed, once for each part of it that is
// signed. There are none where the signature does not cover the body.
func (s sent) changes(t *testing.T) [][]byte {
	t.Helper()
	body := s.request.Body
	if s.rules.Scheme.CoversBody() {
		changed := append([]byte(nil), body...)
		changed[len(changed)/2] ^= 1
		return [][]byte{changed, append([]byte(" "), body...)}
	}
	var bodies [][]byte
	for _, field := range s.rules.Scheme.CoveredFields() {
		changed := []byte(strings.Replace(string(body), "bt_payload=", "bt_payload=A", 1))
		if field.Kind == signature.SourceFormJSON {
			changed = []byte(strings.Replace(string(body), "event_type", "event_typ", 1))
		}
		if field.Kind == signature.SourceBody {
			path := field.Name
			if s.provider.Items != "" {
				path = s.provider.Items + ".0." + path
			}
			var err error
			if changed, err = sjson.SetBytes(body, path, gjson.GetBytes(body, path).String()+"x"); err != nil {
				t.Fatal(err)
			}
		}
		bodies = append(bodies, changed)
	}
	return bodies
}

// An entry whose signature does not cover the whole event says so in its comment.
func TestEntriesThatDoNotCoverTheEventSaySo(t *testing.T) {
	for _, name := range Builtin().Names() {
		rules := resolve(t, Builtin()[name].WithParams())
		if !rules.Scheme.Signed() || rules.Scheme.CoversBody() {
			continue
		}
		comment, _, err := EntryText(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(comment, "cover") && !strings.Contains(comment, "says nothing of the body") && !strings.Contains(comment, "payload") {
			t.Errorf("%s signs only a part of its bodies: its comment must say which", name)
		}
	}
}
