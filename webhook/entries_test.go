package webhook

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// sent is a request of a sender, as its entry signs it, and what verifies it.
type sent struct {
	provider config.Provider
	sender   *Sender
	request  *signature.Request
	secrets  []signature.Secret
}

// send makes the sample of an entry and signs it.
func send(t *testing.T, name string, now time.Time) sent {
	t.Helper()
	return sendAs(t, name, config.Builtin()[name].WithParams(), now)
}

func sendAs(t *testing.T, name string, p config.Provider, now time.Time) sent {
	t.Helper()
	return sentAs(t, name, p, wire{id: "0123456789abcdef", at: now})
}

// sentAs makes one event of a sender and signs it.
func sentAs(t *testing.T, name string, p config.Provider, w wire) sent {
	t.Helper()
	sender, err := New(name, p)
	if err != nil {
		t.Fatal(err)
	}
	sample, err := config.NewSample(name, p, w.event, w.id, w.at)
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
	for _, source := range slices.Concat([]signature.Source{p.Event}, p.ID, p.OrID) {
		if source.Kind == signature.SourceHeader {
			r.Header[source.Name] = []string{"value " + w.id}
		}
	}
	if w.change != nil {
		w.change(r)
	}
	s := sent{provider: p, sender: sender, request: r}
	if sender.Rules.Token != nil {
		key, err := sender.NewKey("s3cret")
		if err != nil {
			t.Fatal(err)
		}
		s.secrets = []signature.Secret{{Key: key}}
	}
	if !sender.Rules.Scheme.Signed() {
		return s
	}
	key := keyFor(t, name, p, sender.Rules.Scheme)
	id := w.id
	if len(p.ID) > 0 && p.ID[0].Kind == signature.SourceHeader {
		id = "" // its header has one already
	}
	if err := sender.Rules.Scheme.Sign(r, key, w.at, id); err != nil {
		t.Fatal(err)
	}
	s.secrets = []signature.Secret{{Key: key}}
	return s
}

func keyFor(t *testing.T, name string, p config.Provider, scheme *signature.Scheme) *signature.Key {
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
	for _, name := range config.Builtin().Names() {
		t.Run(name, func(t *testing.T) {
			s := send(t, name, now)
			if s.sender.Rules.Token != nil {
				s.putToken(t, "s3cret")
			}
			event, refused := s.judge(now)
			if refused != nil {
				t.Fatal(refused)
			}
			s.checkIdentity(t, event)
			s.checkOtherSecret(t, now)
			if !s.sender.Rules.Scheme.Signed() {
				return
			}
			for _, changed := range s.changes(t) {
				s.request.Body = changed
				if _, refused := s.judge(now); refused == nil {
					t.Errorf("a changed body verifies: %s", changed)
				}
			}
		})
	}
}

func (s sent) judge(now time.Time) (Event, *Refusal) {
	return s.sender.Judge(*s.request, s.request.Body, Fixed{s.secrets, "scope"}, now)
}

// checkOtherSecret wants a request refused under a secret that is not its sender's.
func (s sent) checkOtherSecret(t *testing.T, now time.Time) {
	t.Helper()
	want := SignatureInvalid
	switch {
	case !s.sender.Authenticates(), s.sender.Rules.Scheme.Asymmetric():
		return // the vectors have those of public keys
	case s.sender.Rules.Token != nil:
		want = TokenInvalid
	}
	other, err := signature.NewKey("another", "raw", "")
	if err != nil {
		t.Fatal(err)
	}
	s.secrets = []signature.Secret{{Key: other}}
	if _, refused := s.judge(now); refused == nil || refused.Result != want {
		t.Errorf("under another secret: %v", refused)
	}
}

// putToken puts a token where the entry says that it is.
func (s sent) putToken(t *testing.T, token string) {
	t.Helper()
	source := s.sender.Rules.Token.Source
	switch {
	case s.provider.Token == "basic":
		s.request.Header["Authorization"] = []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(token))}
	case s.sender.Rules.Token.Scheme == config.BearerScheme:
		s.request.Header["Authorization"] = []string{"Bearer " + token}
	case source.Kind == signature.SourceHeader:
		s.request.Header[source.Name] = []string{token}
	case source.Kind == signature.SourceQuery:
		s.request.Query = source.Name + "=" + token
	case source.Kind == signature.SourceBody:
		body, err := sjson.SetBytes(s.request.Body, source.Name, token)
		if err != nil {
			t.Fatal(err)
		}
		s.request.Body = body
	default:
		t.Fatalf("a token in %s: teach this test how to send it", source)
	}
}

// An entry without anything that identifies events must have `content off`, or sign nothing.
func (s sent) checkIdentity(t *testing.T, event Event) {
	t.Helper()
	may := s.sender.Rules.Copies == config.CopiesByID
	if nothing := event.Keys == (dedupe.Event{}); nothing && !may || len(event.ID) > 0 && event.Keys.ID.IsZero() {
		t.Errorf("what identifies the event: %+v", event)
	}
}

// changes are the body with one byte changed, once for each part of it that is
// signed. There are none where the signature does not cover the body.
func (s sent) changes(t *testing.T) [][]byte {
	t.Helper()
	body := s.request.Body
	if s.sender.Rules.Scheme.CoversBody() {
		changed := append([]byte(nil), body...)
		changed[len(changed)/2] ^= 1
		return [][]byte{changed, append([]byte(" "), body...)}
	}
	var bodies [][]byte
	for _, field := range s.sender.Rules.Scheme.CoveredFields() {
		changed := []byte(strings.Replace(string(body), field.Name+"=", field.Name+"=A", 1))
		if slices.Contains(s.provider.Signed, "{body}") { // the sample is JSON, signed as it is
			changed = append([]byte(" "), body...)
		}
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
