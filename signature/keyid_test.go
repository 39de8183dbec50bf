package signature

import (
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"
	"time"
)

func headerJSON(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func TestTheJSONInAHeader(t *testing.T) {
	for name, tt := range map[string]struct {
		values []string
		path   string
		want   Value
	}{
		"a value":         {[]string{headerJSON(`{"kid":"a","n":1}`)}, "kid", Value{Text: "a", Found: true}},
		"a number":        {[]string{headerJSON(`{"kid":"a","n":1.0}`)}, "n", Value{Text: "1.0", Found: true}},
		"a nested one":    {[]string{headerJSON(`{"a":{"b":"c"}}`)}, "a.b", Value{Text: "c", Found: true}},
		"unpadded":        {[]string{strings.TrimRight(headerJSON(`{"kid":"ab"}`), "=")}, "kid", Value{Text: "ab", Found: true}},
		"not there":       {[]string{headerJSON(`{"n":1}`)}, "kid", Value{}},
		"null":            {[]string{headerJSON(`{"kid":null}`)}, "kid", Value{}},
		"no header":       {nil, "kid", Value{}},
		"an empty header": {[]string{""}, "kid", Value{}},
		"an object":       {[]string{headerJSON(`{"kid":{}}`)}, "kid", Value{Text: "{}", Bad: true}},
		"two headers":     {[]string{headerJSON(`{"kid":"a"}`), headerJSON(`{"kid":"a"}`)}, "kid", Value{Text: headerJSON(`{"kid":"a"}`), Found: true, Repeated: true}},
		"a name twice":    {[]string{headerJSON(`{"kid":"a","kid":"b"}`)}, "kid", Value{Repeated: true}},
		"a name alike":    {[]string{headerJSON(`{"kid":"a","Kid":"b"}`)}, "kid", Value{Repeated: true}},
		"no base64":       {[]string{`{"kid":"a"}`}, "kid", Value{Bad: true}},
		"a line break":    {[]string{headerJSON(`{"kid":"a"}`)[:4] + "\n" + headerJSON(`{"kid":"a"}`)[4:]}, "kid", Value{Bad: true}},
		"no object":       {[]string{headerJSON(`["a"]`)}, "0", Value{Bad: true}},
		"no JSON":         {[]string{headerJSON(`{"kid":"a"`)}, "kid", Value{Bad: true}},
		"JSON and more":   {[]string{headerJSON(`{"kid":"a"}x`)}, "kid", Value{Bad: true}},
		"too long":        {[]string{headerJSON(`{"kid":"a"` + strings.Repeat(" ", maxToken) + `}`)}, "kid", Value{Bad: true}},
	} {
		source := Source{SourceHeaderJSON, "x-sig." + tt.path}
		r := &Request{Header: map[string][]string{"X-Sig": tt.values}}
		if got := source.Read(r, Parts{}); got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
	for _, bad := range []string{"", "X-Sig", "X-Sig.", ".kid", "X Sig.kid", "Host.kid"} {
		if err := (Source{SourceHeaderJSON, bad}).Check(); err == nil {
			t.Errorf("%q is a source", bad)
		}
	}
}

// A key's ID chooses among the sender's keys, wherever the request has it.
func TestRequestsNameTheirKey(t *testing.T) {
	a, b := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256())
	for _, source := range []Source{{SourceHeader, "X-Key"}, {SourceQuery, "key"}, {SourceHeaderJSON, "X-Sig.kid"}} {
		spec := Spec{Signatures: []SignatureSpec{{Header: "X-Sig", Algorithm: "ecdsa-sha1", Encoding: "base64"}}, KeySet: true, KeyID: source}
		if source.Kind == SourceHeaderJSON {
			spec.Signatures[0].Header, spec.Signatures[0].Source = "", Source{SourceHeaderJSON, "X-Sig.signature"}
		}
		scheme := mustCompile(t, spec)
		private := &Key{public: a.Public(), private: a}
		set := []Secret{{Key: &Key{public: b.Public()}, ID: "b"}, {Key: &Key{public: a.Public()}, ID: private.name()}}
		signed := func() *Request {
			r := &Request{Body: []byte("{}")}
			if err := scheme.Sign(r, private, time.Now(), ""); err != nil {
				t.Fatal(err)
			}
			return r
		}
		if verdict, err := scheme.Verify(signed(), set, Window{}, time.Now()); err != nil || verdict.Secret != 1 {
			t.Errorf("%s: secret %d, %v", source, verdict.Secret, err)
		}
		rename := func(id string) *Request {
			r := signed()
			switch source.Kind {
			case SourceHeader:
				r.Header["X-Key"] = []string{id}
			case SourceQuery:
				r.Query = setForm("", "key", id)
			case SourceHeaderJSON:
				if err := putHeaderJSON(r, source.Name, id); err != nil {
					t.Fatal(err)
				}
			}
			return r
		}
		for id, want := range map[string]Reason{"b": SignatureInvalid, "c": SignatureInvalid, "../" + private.name(): SignatureMalformed, "%2e": SignatureMalformed, "a\nb": SignatureMalformed, strings.Repeat("k", 10<<10): SignatureMalformed} {
			_, err := scheme.Verify(rename(id), set, Window{}, time.Now())
			wantReason(t, err, want)
			if got := err.(*Error); id == "c" != got.KeyNamed { //nolint:errorlint // what Verify returns
				t.Errorf("%s: %s: an unknown name: %t", source, id, got.KeyNamed)
			}
		}
		if _, err := scheme.Verify(rename(""), set, Window{}, time.Now()); err != nil {
			t.Errorf("%s: no name: %v", source, err)
		}
	}
}

func TestKeyIDsThatMeanNothing(t *testing.T) {
	public := []SignatureSpec{{Header: "X-Sig", Algorithm: "ed25519"}}
	for name, spec := range map[string]Spec{
		"a shared secret":  {Signatures: []SignatureSpec{{Header: "X-Sig"}}, KeyID: Source{SourceHeader, "X-Key"}},
		"a token":          {Named: "jwt", Signatures: public, KeyID: Source{SourceHeader, "X-Key"}},
		"in the body":      {Signatures: public, KeyID: Source{SourceBody, "kid"}},
		"in the signature": {Signatures: public, KeyID: Source{Kind: SourceSignature}},
		"no header":        {Signatures: public, KeyID: Source{SourceHeader, "a b"}},
	} {
		if _, err := Compile(spec); err == nil || !strings.HasPrefix(err.Error(), "key_id: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestListsOfKeys(t *testing.T) {
	ec := ecKey(t, elliptic.P256())
	der, err := x509.MarshalPKIXPublicKey(ec.Public())
	if err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
	scheme := mustCompile(t, Spec{Signatures: []SignatureSpec{{Header: "X-Sig", Algorithm: "ecdsa-sha256"}}, KeySet: true})
	at := KeyList{List: "data.keys", ID: "id", Key: "key.pem"}
	good := `{"id":"a","key":{"pem":` + string(text) + `}}`
	for document, want := range map[string]int{
		`{"data":{"keys":[` + good + `]}}`: 1, `{"data":{"keys":[{},` + good + `,1,` + good + `]}}`: 2,
		`{"data":{"keys":[{}]}}`: 0, `{"data":{"keys":{}}}`: 0, `{"data":{"keys":[` + good + `]}`: 0, ``: 0, `[]`: 0, `null`: 0,
	} {
		secrets, err := NewKeyList(scheme, at, []byte(document))
		if len(secrets) != want || (err == nil) != (want > 0) {
			t.Errorf("%s: %d keys, %v", document, len(secrets), err)
		}
	}
	if _, err := NewKeyList(mustCompile(t, Spec{Signatures: []SignatureSpec{{Header: "S"}}}), at, []byte(`{"data":{"keys":[`+good+`]}}`)); err == nil {
		t.Error("a list of keys for a shared secret")
	}
}

// An API answers with one key, and only with the one that was asked for.
func TestKeysOfAnswers(t *testing.T) {
	ec, other := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P384())
	der, err := x509.MarshalPKIXPublicKey(ec.Public())
	if err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(base64.StdEncoding.EncodeToString(der))
	jwk := func(key map[string]string, more string) string {
		out, _ := json.Marshal(key)
		return `{"data":{"key":` + strings.TrimSuffix(string(out), "}") + more + `}}}`
	}
	good := jwkOf(ec.Public(), "kid", "k1", "alg", "ES256", "use", "sig")
	scheme := tokens(t, "ecdsa-sha256")
	for name, tt := range map[string]struct {
		document string
		ok       bool
		until    int64
	}{
		"a text":              {`{"data":{"key":` + string(text) + `}}`, true, 0},
		"a JWK":               {jwk(good, ""), true, 0},
		"a JWK without an ID": {jwk(jwkOf(ec.Public()), ""), true, 0},
		"not expired":         {jwk(good, `,"expired_at":null`), true, 0},
		"expired":             {jwk(good, `,"expired_at":1700000000`), true, 1700000000},
		"expired as a text":   {jwk(good, `,"expired_at":"1700000000"`), false, 0},
		"expired, true":       {jwk(good, `,"expired_at":true`), false, 0},
		"another ID":          {jwk(jwkOf(ec.Public(), "kid", "k2"), ""), false, 0},
		"for encryption":      {jwk(jwkOf(ec.Public(), "use", "enc"), ""), false, 0},
		"another algorithm":   {jwk(jwkOf(ec.Public(), "alg", "RS256"), ""), false, 0},
		"another curve":       {jwk(jwkOf(other.Public()), ""), false, 0},
		"a shared secret":     {`{"data":{"key":{"kty":"oct","k":"AAAA"}}}`, false, 0},
		"no key":              {`{"data":{}}`, false, 0},
		"null":                {`{"data":{"key":null}}`, false, 0},
		"a list":              {`{"data":{"key":[` + string(text) + `]}}`, false, 0},
		"an empty text":       {`{"data":{"key":""}}`, false, 0},
		"a number":            {`{"data":{"key":1}}`, false, 0},
		"more after it":       {`{"data":{"key":` + string(text) + `}}}`, false, 0},
		"nothing":             {``, false, 0},
	} {
		secret, err := NewAnsweredKey(scheme, "data.key", "k1", []byte(tt.document))
		switch {
		case (err == nil) != tt.ok:
			t.Errorf("%s: %v", name, err)
		case err == nil && (secret.ID != "k1" || secret.Until.IsZero() != (tt.until == 0) || tt.until != 0 && secret.Until.Unix() != tt.until):
			t.Errorf("%s: %+v", name, secret)
		}
	}
	if _, err := NewAnsweredKey(mustCompile(t, Spec{Signatures: []SignatureSpec{{Header: "S"}}}), "data.key", "k1", []byte(jwk(good, ""))); err == nil {
		t.Error("a public key for a shared secret")
	}
}

// Where keys are fetched by their ID, a request has to have one, and its signatures the same.
func TestTheKeyThatIsFetched(t *testing.T) {
	part := base64.RawURLEncoding.EncodeToString
	token := func(header string) string { return part([]byte(header)) + "." + part([]byte(`{"x":1}`)) + ".AAAA" }
	jwt := mustCompile(t, Spec{Named: "jwt", KeySet: true, KeyByID: true, Signatures: []SignatureSpec{{Header: "X-Token", Algorithm: "ecdsa-sha256", Format: "{signature}", Split: []string{","}}}})
	a, b, none := token(`{"alg":"ES256","kid":"a"}`), token(`{"alg":"ES256","kid":"b"}`), token(`{"alg":"ES256"}`)
	for value, want := range map[string]string{a: "a", a + "," + a: "a", none: "", a + "," + b: "", a + "," + none: "", none + "," + a: ""} {
		r := &Request{Header: map[string][]string{"X-Token": {value}}}
		in, err := jwt.Inspect(r, Window{}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		got, err := KeyName(jwt, &in, r, Window{}, time.Now())
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", value, got, err)
		}
	}
	if _, err := Compile(Spec{KeyByID: true, Signatures: []SignatureSpec{{Header: "S", Algorithm: "ed25519"}}}); err == nil {
		t.Error("a scheme whose requests name no key")
	}
}

func FuzzHeaderJSON(f *testing.F) {
	f.Add(headerJSON(`{"kid":"a","signature":"AA=="}`), "kid")
	f.Add("e30", "a.b")
	f.Fuzz(func(t *testing.T, value, path string) {
		source := Source{SourceHeaderJSON, "X-Sig." + path}
		if source.Check() != nil {
			return
		}
		r := &Request{Header: map[string][]string{"X-Sig": {value}}}
		if v := source.Read(r, Parts{}); v.Found && (v.Bad || v.Repeated) {
			t.Errorf("%+v", v)
		}
	})
}
