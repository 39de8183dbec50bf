package webhook

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// A captured request passes where the catalogue says so, and nowhere else: as it was sent, and
// with all changed that is not signed, but for the parts that are said to let it through.
func TestWhatStaysOpenIsWhatPasses(t *testing.T) {
	now := time.Now()
	passed, closed := 0, 0
	for _, name := range config.Builtin().Names() {
		if s := send(t, name, now); s.sender.Rules.Scheme.Signed() {
			t.Run(name, func(t *testing.T) {
				opening := s.sender.Rules.Recognition().Opening
				first, refused := s.judge(now)
				if refused != nil {
					t.Fatal(refused)
				}
				passes := func(what string, r signature.Request) bool {
					copied, refused := s.sender.Judge(r, r.Body, Fixed{s.secrets, "scope"}, now)
					if refused != nil {
						t.Fatalf("%s is not signed, and yet: %v", what, refused)
					}
					return !shareAKey(first, copied)
				}
				if got := passes("the request itself", *s.request); got != opening.AsItIs {
					t.Errorf("a captured request passes: %t, want %t", got, opening.AsItIs)
				}
				if opening.Body == s.sender.Rules.Scheme.CoversBody() {
					t.Errorf("said to take another body: %t", opening.Body)
				}
				all := unsignedParts(s.sender.Rules)
				closing := slices.DeleteFunc(slices.Clone(all), func(part signature.Source) bool { return slices.Contains(opening.Under, part) })
				if passes("what is said to be closed", changed(t, *s.request, closing)) && !opening.AsItIs {
					t.Errorf("a captured request passes with other %v", closing)
				}
				want := opening.AsItIs || len(opening.Under) > 0 && len(opening.Without) == 0
				if got := passes("all that is not signed", changed(t, *s.request, all)); got != want {
					t.Errorf("a captured request passes with other %v: %t, want %t", all, got, want)
				}
				if want {
					passed++
				} else {
					closed++
				}
			})
		}
	}
	if passed < 10 || closed < 150 {
		t.Errorf("%d pass and %d do not", passed, closed)
	}
}

func shareAKey(a, b Event) bool {
	return !a.Keys.ID.IsZero() && a.Keys.ID == b.Keys.ID || !a.Keys.Content.IsZero() && a.Keys.Content == b.Keys.Content
}

// unsignedParts are the parts that the rules read and the signature does not cover.
func unsignedParts(rules *config.Resolved) []signature.Source {
	reads := rules.Reads()
	return slices.DeleteFunc(reads.Sources, func(part signature.Source) bool {
		scheme := rules.Scheme
		return signature.Holds(scheme, part) || isSignature(scheme, part) || signsBySum(scheme, part) || scheme.Spec().Timestamp != nil && scheme.Spec().Timestamp.Source == part
	})
}

// signsBySum reports whether a part is under a checksum: it is not signed, but changing it
// takes more than writing something else.
func signsBySum(scheme *signature.Scheme, part signature.Source) bool {
	return part.Kind == signature.SourceBody && strings.Contains(strings.Join(scheme.Spec().Signed, ""), "{body|crc32}")
}

// isSignature reports whether a part is the signature, or says of which kind it is.
func isSignature(scheme *signature.Scheme, part signature.Source) bool {
	return slices.ContainsFunc(scheme.Spec().Signatures, func(line signature.SignatureSpec) bool {
		return line.Source == part || line.When != nil && line.When.Source == part || part.Kind == signature.SourceHeader && line.Header == part.Name
	})
}

// changed writes another value into parts of a request.
func changed(t *testing.T, r signature.Request, parts []signature.Source) signature.Request {
	t.Helper()
	r.Header, r.Body = maps.Clone(r.Header), slices.Clone(r.Body)
	for _, part := range parts {
		switch part.Kind {
		case signature.SourceHeader:
			r.Header[part.Name] = []string{"changed"}
		case signature.SourceBody:
			if !gjson.GetBytes(r.Body, part.Name).Exists() {
				continue
			}
			var err error
			if r.Body, err = sjson.SetBytes(r.Body, part.Name, "changed"); err != nil {
				t.Fatal(err)
			}
		case signature.SourceForm:
			form, err := url.ParseQuery(string(r.Body))
			if err != nil {
				t.Fatal(err)
			}
			text, err := sjson.Set(form.Get(part.Name), "changed", true) // the signature is in it
			if err != nil {
				t.Fatal(err)
			}
			form.Set(part.Name, text)
			r.Body = []byte(form.Encode())
		}
	}
	return r
}
