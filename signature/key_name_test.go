package signature

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// partly signs two fields of a body, and a third where it is there.
var partly = Spec{
	Signatures: []SignatureSpec{
		{Source: Source{SourceBody, "sig"}, Algorithm: "rsa-sha256", Encoding: "base64", When: &Condition{Source{SourceBody, "v"}, "2"}},
		{Source: Source{SourceBody, "sig"}, Algorithm: "rsa-sha1", Encoding: "base64", When: &Condition{Source{SourceBody, "v"}, "1"}},
	},
	Signed: []string{
		`text\n{body.text}\nid\n{body.id|line}\nextra\n{body.extra|line}\nowner\n{body.owner|line}\n`,
		`text\n{body.text}\nid\n{body.id|line}\nowner\n{body.owner|line}\n`,
	},
	ID:      []Source{{SourceBody, "id"}},
	KeyName: Source{SourceBody, "key"},
	Allowed: []Allowed{{Source{SourceBody, "owner"}, []string{"me", "us"}}},
}

func signPartly(t *testing.T, scheme *Scheme, key *Key, body string) string {
	t.Helper()
	r := &Request{Method: "POST", Body: []byte(body)}
	if err := scheme.Sign(r, key, time.Now(), ""); err != nil {
		t.Fatal(err)
	}
	return string(r.Body)
}

// What is between line breaks is told apart, what is there is signed, and whose it is counts.
func TestFieldsBetweenLineBreaks(t *testing.T) {
	scheme := mustCompile(t, partly)
	private := rsaKey(t, 2048)
	key := &Key{public: private.Public(), private: private}
	for _, path := range []string{"id", "owner", "extra", "extra.x"} {
		if !scheme.Covers(Source{SourceBody, path}) {
			t.Errorf("%s is not covered", path)
		}
	}
	if scheme.Covers(Source{SourceBody, "text"}) == scheme.CoversBody() || scheme.Covers(Source{SourceBody, "key"}) || len(OpenBorders(scheme)) > 0 {
		t.Errorf("text %t, body %t, open %v", scheme.Covers(Source{SourceBody, "text"}), scheme.CoversBody(), OpenBorders(scheme))
	}
	plain := `{"text":"a\nid\nb","id":"1","owner":"me","key":"k","v":"2","sig":""}`
	extra := `{"text":"a","id":"1","extra":"x","owner":"us","key":"k","v":"1","sig":""}`
	good, more := signPartly(t, scheme, key, plain), signPartly(t, scheme, key, extra)
	for name, tt := range map[string]struct {
		body string
		want Reason
	}{
		"plain":              {good, ""},
		"with the extra":     {more, ""},
		"null":               {strings.Replace(good, "{", `{"extra":null,`, 1), ""},
		"the extra added":    {strings.Replace(good, "{", `{"extra":"x",`, 1), SignatureMalformed},
		"an empty one":       {strings.Replace(good, "{", `{"extra":"",`, 1), SignatureMalformed},
		"an object":          {strings.Replace(good, "{", `{"extra":{"x":1},`, 1), SignatureMalformed},
		"in another case":    {strings.Replace(good, "{", `{"Extra":"x",`, 1), SignatureMalformed},
		"the extra gone":     {strings.Replace(more, `"extra":"x",`, "", 1), SignatureInvalid},
		"moved into the ID":  {strings.Replace(strings.Replace(more, `"extra":"x",`, "", 1), `"id":"1"`, `"id":"1\nextra\nx"`, 1), SignatureMalformed},
		"moved out of text":  {strings.Replace(good, `"text":"a\nid\nb","id":"1"`, `"text":"a","id":"b\nid\n1"`, 1), SignatureMalformed},
		"another owner":      {strings.Replace(good, `"owner":"me"`, `"owner":"us"`, 1), SignatureInvalid},
		"a stranger":         {signPartly(t, scheme, key, strings.Replace(plain, `"me"`, `"you"`, 1)), SignatureInvalid},
		"an owner's list":    {strings.Replace(good, `"owner":"me"`, `"owner":["me"]`, 1), SignatureInvalid},
		"no owner":           {strings.Replace(good, `"owner":"me",`, "", 1), SignatureMalformed},
		"an owner twice":     {strings.Replace(good, "{", `{"owner":"me",`, 1), SignatureMalformed},
		"another version":    {strings.Replace(good, `"v":"2"`, `"v":"1"`, 1), SignatureInvalid},
		"an unknown version": {strings.Replace(good, `"v":"2"`, `"v":"3"`, 1), SignatureMalformed},
		"a number":           {strings.Replace(good, `"v":"2"`, `"v":2`, 1), ""}, // it only chooses the line
		"a version twice":    {strings.Replace(good, "{", `{"v":"1",`, 1), SignatureMalformed},
		"no version":         {strings.Replace(good, `"v":"2",`, "", 1), SignatureMalformed},
		"a name twice":       {strings.Replace(good, "{", `{"key":"k2",`, 1), SignatureMalformed},
		"a name alike":       {strings.Replace(good, "{", `{"Key":"k2",`, 1), SignatureMalformed},
	} {
		r := &Request{Body: []byte(tt.body)}
		_, err := scheme.Verify(r, []Secret{{Key: key}}, Window{}, time.Now())
		if tt.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err == nil {
			t.Errorf("%s: it verifies", name)
			continue
		}
		wantReason(t, err, tt.want)
	}
}

// The name of a key is read only where a key could verify the request.
func TestKeyName(t *testing.T) {
	scheme := mustCompile(t, partly)
	private := rsaKey(t, 2048)
	good := signPartly(t, scheme, &Key{public: private.Public(), private: private}, `{"text":"a","id":"1","owner":"me","key":"k","v":"2","sig":""}`)
	for name, tt := range map[string]struct {
		body string
		want Reason
	}{
		"good":            {good, ""},
		"no name":         {strings.Replace(good, `"key":"k",`, "", 1), SignatureMalformed},
		"null":            {strings.Replace(good, `"key":"k"`, `"key":null`, 1), SignatureMalformed},
		"a list":          {strings.Replace(good, `"key":"k"`, `"key":["k"]`, 1), SignatureMalformed},
		"twice":           {strings.Replace(good, "{", `{"key":"k",`, 1), SignatureMalformed},
		"no signature":    {strings.Replace(good, `"sig"`, `"gis"`, 1), SignatureMissing},
		"no base64":       {strings.Replace(good, `"sig":"`, `"sig":"!`, 1), SignatureMalformed},
		"a stranger":      {strings.Replace(good, `"me"`, `"you"`, 1), SignatureInvalid},
		"not JSON at all": {"key=k", SignatureMissing},
	} {
		r := &Request{Body: []byte(tt.body)}
		in, err := scheme.Inspect(r, Window{}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		got, err := KeyName(scheme, &in, r, Window{}, time.Now())
		if tt.want != "" {
			wantReason(t, err, tt.want)
		} else if err != nil || got != "k" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestWhatTellsRequestsApartIsChecked(t *testing.T) {
	change := func(f func(*Spec)) Spec {
		s := partly
		s.Allowed = slices.Clone(s.Allowed)
		f(&s)
		return s
	}
	for name, tt := range map[string]struct {
		spec Spec
		want string
	}{
		"an allowed value that is not signed": {change(func(s *Spec) { s.Allowed = []Allowed{{Source{SourceBody, "key"}, []string{"k"}}} }), "allow: body key is not under the signature"},
		"no values":                           {change(func(s *Spec) { s.Allowed = []Allowed{{Source: Source{SourceBody, "owner"}}} }), "allow: the sender signs for all its customers"},
		"an empty value":                      {change(func(s *Spec) { s.Allowed[0].Values = []string{"me", ""} }), "allow: a value of body owner is empty"},
		"a pattern":                           {change(func(s *Spec) { s.Allowed[0].Values = []string{"m*"} }), "allow: a * in a value of body owner stands for nothing"},
		"a key's name in a form":              {change(func(s *Spec) { s.KeyName = Source{SourceForm, "key"} }), "keys: a request names its key in"},
		"a condition on a claim": {change(func(s *Spec) {
			s.Signatures = []SignatureSpec{{Header: "S", When: &Condition{Source{SourceClaim, "v"}, "1"}}}
		}), "signature: when: claim v is not known"},
		"a condition after the signature": {change(func(s *Spec) {
			s.Signatures = []SignatureSpec{{Header: "S", When: &Condition{Source{SourceBody, "v"}, "1"}}}
		}), "signature: when: body v is read after the body"},
		"a checksum of all": {Spec{Signatures: []SignatureSpec{{Header: "S"}}, SignedFunctions: []string{"crc32"}}, "signed: unknown function"},
		"a line of all":     {Spec{Signatures: []SignatureSpec{{Header: "S"}}, SignedFunctions: []string{"sha256", "line"}}, "signed: unknown function"},
	} {
		if _, err := Compile(tt.spec); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

// A checksum is no digest: nothing counts as signed by it.
func TestAChecksumSignsNothing(t *testing.T) {
	scheme := mustCompile(t, Spec{Signatures: []SignatureSpec{{Header: "S"}}, Signed: []string{"{header.X-Id}|{body|crc32}"}})
	if scheme.CoversBody() || scheme.Covers(Source{SourceBody, "id"}) || !scheme.Covers(Source{SourceHeader, "X-Id"}) || len(scheme.CoveredFields()) > 0 {
		t.Error("what a checksum covers")
	}
	template, err := ParseTemplate("{body|crc32} {header.X-Id|crc32}")
	if err != nil {
		t.Fatal(err)
	}
	r := &Request{Body: []byte("123456789"), Header: map[string][]string{"X-Id": {"123456789"}}}
	if text, err := template.Append(nil, r, Parts{}, nil); err != nil || string(text) != "3421780262 3421780262" {
		t.Errorf("%q, %v", text, err)
	}
}
