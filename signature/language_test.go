package signature

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestSignatureElsewhere checks what Inspect reports before the body is read, and what
// Authenticate reports afterwards.
func TestSignatureElsewhere(t *testing.T) {
	key := testKey(t, "k")
	for _, test := range []struct{ source, signed, body string }{
		{"query sig", "{body}", `{"a":1}`},
		{"body sig", "{body.a}", `{"a":1}`},
		{"body x.sig", "{body.a}", `{"x":{"y":2},"a":1}`},
		{`body x\.y.0.sig`, "{body.a}", `{"x.y":[{}],"a":1}`},
		{"form sig", "{form.a}", "a=1"},
		{"form the sig", "{form.a}", "a=1"},
		{"form_json p.sig", "{form_json.p.a}", "p=" + `%7B%22a%22%3A1%7D`},
	} {
		t.Run(test.source, func(t *testing.T) {
			spec := Spec{Signatures: []SignatureSpec{{Source: testSource(t, test.source), Format: "s={signature}"}}, Signed: []string{test.signed}, Timestamp: testStamp(t, "header X-Time unix")}
			scheme := mustCompile(t, spec)
			r := testRequest("POST", "https://example.com/?k=v", test.body)
			if strings.HasPrefix(test.source, "form") {
				r.Header["Content-Type"] = []string{"application/x-www-form-urlencoded"}
			}
			if _, err := scheme.Verify(r, []Secret{{Key: key}}, vectorWindow, testNow); err == nil {
				t.Fatal("an unsigned request verifies")
			}
			if err := scheme.Sign(r, key, testNow, ""); err != nil {
				t.Fatal(err)
			}
			early := *r
			early.Body = nil
			in, err := scheme.Inspect(&early, vectorWindow, testNow)
			if err != nil {
				t.Fatalf("Inspect: %v", err)
			}
			for range 2 { // Authenticate leaves in as it is
				if _, err := scheme.Authenticate(&in, r, []Secret{{Key: key}}, vectorWindow, testNow); err != nil {
					t.Fatal(err)
				}
			}
			_, err = scheme.Inspect(&early, vectorWindow, testNow.Add(2*vectorWindow.MaxAge))
			wantReason(t, err, TimestampStale)
			_, err = scheme.Verify(r, []Secret{{Key: testKey(t, "other")}}, vectorWindow, testNow)
			wantReason(t, err, SignatureInvalid)
			place := scheme.lines[0].source
			if scheme.Covers(place) {
				t.Errorf("%s is under itself", place)
			}
		})
	}
}

func TestSignatureElsewhereRefused(t *testing.T) {
	mac := strings.Repeat("ab", 32)
	for name, test := range map[string]struct {
		source, url, body string
		want              Reason
	}{
		"no query":          {"query s", "https://example.com/", "", SignatureMissing},
		"empty query":       {"query s", "https://example.com/?s=", "", SignatureMissing},
		"query twice":       {"query s", "https://example.com/?s=" + mac + "&s=" + mac, "", SignatureMalformed},
		"query twice, %73":  {"query s", "https://example.com/?s=" + mac + "&%73=" + mac, "", SignatureMalformed},
		"bad escape":        {"query s", "https://example.com/?s=%zz", "", SignatureMalformed},
		"short":             {"query s", "https://example.com/?s=abcd", "", SignatureMalformed},
		"wrong":             {"query s", "https://example.com/?s=" + mac, `{"a":1}`, SignatureInvalid},
		"no body":           {"body s", "https://example.com/", "", SignatureMissing},
		"null":              {"body s", "https://example.com/", `{"s":null}`, SignatureMissing},
		"no JSON":           {"body s", "https://example.com/", "s=" + mac, SignatureMissing},
		"an object":         {"body s", "https://example.com/", `{"s":{}}`, SignatureMalformed},
		"a boolean":         {"body s", "https://example.com/", `{"s":true}`, SignatureMalformed},
		"body twice":        {"body s", "https://example.com/", `{"s":"` + mac + `","s":"x"}`, SignatureMalformed},
		"body twice inside": {"body o.s", "https://example.com/", `{"o":{"s":"` + mac + `"},"o":{}}`, SignatureMalformed},
		"form twice":        {"form s", "https://example.com/", "s=" + mac + "&s=" + mac, SignatureMalformed},
		"form no":           {"form s", "https://example.com/", "t=1", SignatureMissing},
	} {
		scheme := mustCompile(t, Spec{Signatures: []SignatureSpec{{Source: testSource(t, test.source)}}, Signed: []string{"{body.a|optional}{method}"}})
		_, err := scheme.Verify(testRequest("POST", test.url, test.body), []Secret{{Key: testKey(t, "k")}}, vectorWindow, testNow)
		t.Run(name, func(t *testing.T) { wantReason(t, err, test.want) })
	}
}

func TestLanguageErrors(t *testing.T) {
	header := []SignatureSpec{{Header: "Sig"}}
	plain := []SignatureSpec{{Header: "Sig", Algorithm: "plain-sha256"}}
	inBody := []SignatureSpec{{Source: Source{"body", "s"}}}
	jwt := func(c ...Claim) Spec { return Spec{Named: "jwt", Signatures: header, Claims: c} }
	for name, test := range map[string]struct {
		spec Spec
		want string
	}{
		"two places":          {Spec{Signatures: []SignatureSpec{{Header: "Sig", Source: Source{"query", "s"}}}}, "signature: there is both"},
		"claim as a place":    {Spec{Signatures: []SignatureSpec{{Source: Source{"claim", "s"}}}}, "is no place of a signature"},
		"header as a source":  {Spec{Signatures: []SignatureSpec{{Source: Source{"header", "s"}}}}, "is no place of a signature"},
		"whole body":          {Spec{Signatures: []SignatureSpec{{Source: Source{Kind: "body"}}}}, "empty key"},
		"query without name":  {Spec{Signatures: []SignatureSpec{{Source: Source{Kind: "query"}}}}, "needs a name"},
		"form_json, no path":  {Spec{Signatures: []SignatureSpec{{Source: Source{"form_json", "p"}}}}, "needs a field and a path"},
		"body under itself":   {Spec{Signatures: inBody}, "signed: {body} holds the signature itself (body s)"},
		"object under itself": {Spec{Signatures: []SignatureSpec{{Source: Source{"body", "a.s"}}}, Signed: []string{"{body.a}"}}, "{body.a} holds the signature itself"},
		"lower under itself":  {Spec{Signatures: inBody, Signed: []string{"{body|lower}"}}, "holds the signature itself"},
		"url under itself":    {Spec{Signatures: []SignatureSpec{{Source: Source{"query", "s"}}}, Signed: []string{"{url}"}}, "{url} holds the signature itself"},
		"form under itself":   {Spec{Signatures: []SignatureSpec{{Source: Source{"form", "s"}}}, Signed: []string{"{form_sorted}"}}, "holds the signature itself"},
		"json in the form":    {Spec{Signatures: []SignatureSpec{{Source: Source{"form_json", "p.s"}}}, Signed: []string{"{form.p}"}}, "holds the signature itself"},
		"claim under itself":  {Spec{Named: "jwt", Signatures: []SignatureSpec{{Source: Source{"body", "t"}}}, Claims: []Claim{digestClaim}}, "claim: sha256: {body|sha256|hex} holds the signature"},
		"plain, no secret":    {Spec{Signatures: plain}, "signed: plain-sha256 is no HMAC"},
		"secret in an HMAC":   {Spec{Signatures: header, Signed: []string{"{secret}{body}"}}, "signed: {secret} is for plain-sha1"},
		"secret and no more":  {Spec{Signatures: plain, Signed: []string{"{secret}"}}, "nothing of the request"},
		"plain, open":         {Spec{Signatures: plain, Signed: []string{"{secret}{query.a}{body}"}}, "can be continued after its end"},
		"two kinds of key":    {Spec{Signatures: []SignatureSpec{{Header: "A"}, {Header: "B", Algorithm: "ed25519"}}}, "signature: sha256 and ed25519 need keys of two kinds"},
		"public and encoded":  {Spec{Signatures: []SignatureSpec{{Header: "A", Algorithm: "ed25519"}}, SecretEncoding: "hex"}, "secret_encoding: a public key says itself"},
		"unknown function":    {Spec{Signatures: header, SignedFunctions: []string{"sha3"}}, `signed: unknown function "sha3"`},
		"optional over all":   {Spec{Signatures: header, SignedFunctions: []string{"optional"}}, "signed: unknown function"},
		"no digest first":     {Spec{Signatures: header, SignedFunctions: []string{"lower"}}, "has to be sha256"},
		"star signed":         {Spec{Signatures: header, Signed: []string{"{body.a.*.id}"}}, "for content templates only"},
		"star in a claim":     {jwt(Claim{Name: "a", Template: "{body.*.id}"}), "for content templates only"},
		"items of a header":   {Spec{Signatures: header, Items: "list"}, "items: each element holds its own signature"},
		"items of nothing":    {Spec{Items: "list"}, "items: there is no signature line"},
		"items in twilio":     {Spec{Named: "twilio", Items: "list"}, "items: the scheme twilio"},
		"items path":          {Spec{Signatures: inBody, Items: "a..b"}, "items: a body path has an empty key"},
		"claim without jwt":   {Spec{Signatures: header, Claims: []Claim{digestClaim}}, "claim: there are claims in tokens only"},
		"id claim, no jwt":    {Spec{Signatures: header, ID: []Source{{SourceClaim, "jti"}}}, "id: claim jti needs the line scheme jwt"},
		"stamp claim, no jwt": {Spec{Signatures: header, Timestamp: testStamp(t, "claim iat")}, "timestamp: claim iat needs the line scheme jwt"},
		"jwt alone":           {Spec{Named: "jwt"}, "scheme: jwt needs a signature line"},
		"jwt and signed":      {Spec{Named: "jwt", Signatures: header, Signed: []string{"{body}"}}, "signed: the scheme jwt has its own"},
		"jwt and functions":   {Spec{Named: "jwt", Signatures: header, SignedFunctions: []string{"sha256"}}, "signed: the scheme jwt has its own"},
		"jwt in hex":          {Spec{Named: "jwt", Signatures: []SignatureSpec{{Header: "A", Encoding: "hex"}}}, "signature: a JWT is in base64url"},
		"jwt with sha1":       {Spec{Named: "jwt", Signatures: []SignatureSpec{{Header: "A", Algorithm: "sha1"}}}, "no JWT with the algorithm sha1"},
		"jwt plain":           {Spec{Named: "jwt", Signatures: plain}, "no JWT with the algorithm plain-sha256"},
		"jwt and a stamp":     {Spec{Named: "jwt", Signatures: []SignatureSpec{{Header: "A", Format: "t={timestamp},v={signature}"}}}, "beside a JWT is not under its signature"},
		"claim, no name":      {jwt(Claim{Template: "x"}), "claim: : a body path has an empty key"},
		"claim, no template":  {jwt(Claim{Name: "a"}), "claim: a: the template is empty"},
		"claim, no param":     {jwt(Claim{Name: "a", Template: "{param.x}"}), "claim: a: {param.x} needs a line: param x"},
		"claim with a secret": {jwt(Claim{Name: "a", Template: "{secret}"}), "claim: a: {secret} can only"},
		"contentful, ed25519": {Spec{Named: "contentful", Signatures: []SignatureSpec{{Header: "A", Algorithm: "ed25519"}}}, "signature: the scheme contentful is an HMAC"},
		"twilio in the body":  {Spec{Named: "twilio", Signatures: inBody}, "signature: the scheme twilio signs the body"},
		"event time":          {Spec{Signatures: inBody, Signed: []string{"{body.a}"}, EventTime: testStamp(t, "body b")}, "event_time: body b is not under the signature"},
		"encoding":            {Spec{Signatures: header, SecretEncoding: "md5"}, "use raw, base64, hex, sha1 or nfkd"},
	} {
		_, err := Compile(test.spec)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
}

func TestSecretEncodings(t *testing.T) {
	for _, test := range []struct{ text, encoding, want string }{
		{"abc", "sha1", "\xa9\x99\x3e\x36\x47\x06\x81\x6a\xba\x3e\x25\x71\x78\x50\xc2\x6c\x9c\xd0\xd8\x9d"},
		{"\ufb01-\u00e9", "nfkd", "fi-e\u0301"},
		{"plain", "nfkd", "plain"},
	} {
		key, err := NewKey(test.text, test.encoding, "")
		if err != nil || string(key.bytes) != test.want {
			t.Errorf("%s of %q: %q, %v", test.encoding, test.text, key.bytes, err)
		}
		if _, err := NewKey("", test.encoding, ""); err == nil {
			t.Errorf("%s takes an empty secret", test.encoding)
		}
	}
}

// TestPHPJSON compares with what json_encode(json_decode($text)) prints in PHP 8.
func TestPHPJSON(t *testing.T) {
	template := mustTemplate(t, "{body.p|php_json}")
	for text, want := range map[string]string{
		`{"p": { "a" : [ 1, 2.50, true, null ], "b": {} }}`: `{"a":[1,2.50,true,null],"b":{}}`,
		`{"p":{"u":"https://x/y"}}`:                         `{"u":"https:\/\/x\/y"}`,
		`{"p":{"u":"https:\/\/x"}}`:                         `{"u":"https:\/\/x"}`,
		`{"p":{"é":"\u00e9 😀 \ud83d\ude00"}}`:               `{"\u00e9":"\u00e9 \ud83d\ude00 \ud83d\ude00"}`,
		`{"p":{"c":"\"\\\b\f\n\r\t\u001f\u007f<>&'"}}`:      `{"c":"\"\\\b\f\n\r\t\u001f` + "\x7f" + `<>&'"}`,
		`{"p":["a b","\u0041\\\""]}`:                        `["a b","A\\\""]`,
	} {
		got, err := template.Append(nil, &Request{Body: []byte(text)}, Parts{}, nil)
		if err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v, want %s", text, got, err, want)
		}
	}
}

func TestEachElement(t *testing.T) {
	for _, test := range []struct{ template, body, want string }{
		{"{body.e.*.id}", `{"e":[{"id":"ab"},{"id":12}]}`, "2;2:ab;2:12"},
		{"{body.*.id}", `[{"id":"ab"},{"id":"c"}]`, "2;2:ab;1:c"},
		{"{body.e.*}", `{"e":["ab",{"x": 1}]}`, `2;2:ab;8:{"x": 1}`},
		{"{body.e.*.f.*}", `{"e":[{"f":["a","b"]},{"f":["c"]}]}`, "2;9:2;1:a;1:b;5:1;1:c"},
		{`{body.e.\*}`, `{"e":{"*":"star"}}`, "star"},
		{"{body.e.*.id|optional}", `{"e":[{"id":"a"},{}]}`, "2;1:a;0:"},
		{"{body.e.*.id|optional}", `{"e":[]}`, ""},
		{"{body.e.*.id}", `{"e":[{"id":"a"},{}]}`, "refused"},
		{"{body.e.*.id}", `{"e":[]}`, "refused"},
		{"{body.e.*.id}", `{"e":{"a":{"id":1}}}`, "refused"},
		{"{body.e.*.id}", `{}`, "refused"},
	} {
		template := mustTemplate(t, test.template)
		got, err := template.Append(nil, &Request{Body: []byte(test.body)}, Parts{}, nil)
		if err != nil {
			got = []byte("refused")
		}
		if string(got) != test.want {
			t.Errorf("%s of %s: got %s, %v, want %s", test.template, test.body, got, err, test.want)
		}
		if strings.Contains(test.template, ".*") && template.Covers(Source{SourceBody, "e.0.id"}) {
			t.Errorf("%s covers one element", test.template)
		}
	}
	// No two lists are one text.
	seen := make(map[string]string)
	for _, body := range []string{`{"e":["a","b"]}`, `{"e":["ab"]}`, `{"e":["a;1:b"]}`, `{"e":["a","b",""]}`, `{"e":["","ab"]}`, `{"e":["1:a;1:b"]}`} {
		got, err := mustTemplate(t, "{body.e.*}").Append(nil, &Request{Body: []byte(body)}, Parts{}, nil)
		if err != nil || seen[string(got)] != "" {
			t.Errorf("%s and %s are both %s, %v", body, seen[string(got)], got, err)
		}
		seen[string(got)] = body
	}
}

func TestFormBodies(t *testing.T) {
	part := func(name, value string) string {
		return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
	}
	for name, test := range map[string]struct {
		contentType, body, field string
		want                     Value
	}{
		"parts":          {"multipart/form-data; boundary=b", part("a", "1") + part("f", "x y") + "--b--\r\n", "f", Value{Text: "x y", Found: true}},
		"twice":          {"multipart/form-data; boundary=b", part("f", "1") + part("f", "1") + "--b--\r\n", "f", Value{Text: "1", Found: true, Repeated: true}},
		"missing":        {"multipart/form-data; boundary=b", part("a", "1") + "--b--\r\n", "f", Value{}},
		"cut off":        {"multipart/form-data; boundary=b", part("a", "1"), "f", Value{}},
		"no boundary":    {"multipart/form-data", part("f", "1") + "--b--\r\n", "f", Value{Text: "1", Found: true}},
		"another one":    {"multipart/form-data; boundary=c", part("f", "1") + "--b--\r\n", "f", Value{Text: "1", Found: true}},
		"called a form":  {"application/x-www-form-urlencoded", part("f", "1") + "--b--\r\n", "f", Value{Text: "1", Found: true}},
		"called parts":   {"multipart/form-data; boundary=b", "a=1&f=x+y", "f", Value{Text: "x y", Found: true}},
		"without an end": {"multipart/form-data; boundary=b", part("f", "1"), "f", Value{Bad: true}},
		"text":           {"application/x-www-form-urlencoded", "a=1&f=x+y", "f", Value{Text: "x y", Found: true}},
		"another type":   {"text/plain", "f=1", "f", Value{Text: "1", Found: true}},
		"no type at all": {"", "f=1", "f", Value{Text: "1", Found: true}},
	} {
		r := testRequest("POST", "https://example.com/", test.body)
		r.Header["Content-Type"] = []string{test.contentType}
		if got := (Source{SourceForm, test.field}).Read(r, Parts{}); got != test.want {
			t.Errorf("%s: got %+v, want %+v", name, got, test.want)
		}
	}
	source := testSource(t, `form_json p\.q.a.b`)
	r := testRequest("POST", "https://example.com/", "p.q="+`%7B%22a%22%3A%7B%22b%22%3A7%7D%7D`)
	if got := source.Read(r, Parts{}); got.Text != "7" || !got.Found {
		t.Errorf("%s: %+v", source, got)
	}
	if template := mustTemplate(t, `{form_json.p\.q.a}`); !template.Covers(source) || template.Covers(Source{SourceFormJSON, `p\.q.c`}) {
		t.Error("form_json covers what it does not hold, or not what it holds")
	}
	// Fields in any order, and only in a form.
	sorted := mustTemplate(t, "{form_sorted}")
	r = testRequest("POST", "https://example.com/", "b=2&a=1%20x&c=")
	if _, err := sorted.Append(nil, r, Parts{}, nil); err == nil {
		t.Error("a body of no type is taken for a form")
	}
	r.Header["Content-Type"] = []string{"application/x-www-form-urlencoded; charset=utf-8"}
	if got, err := sorted.Append(nil, r, Parts{}, nil); err != nil || string(got) != "a1 xb2c" {
		t.Errorf("got %q, %v", got, err)
	}
	r.Body = []byte("a=1&a=2")
	if _, err := sorted.Append(nil, r, Parts{}, nil); err == nil {
		t.Error("a field that is there twice is signed")
	}
}

// TestCoveredFields checks which fields are reported as signed.
func TestCoveredFields(t *testing.T) {
	inBody := []SignatureSpec{{Source: Source{"body", "s"}}}
	for _, test := range []struct {
		spec Spec
		want []Source
	}{
		{Spec{Signatures: []SignatureSpec{{Header: "S"}}}, nil},
		{Spec{Signatures: inBody, Signed: []string{"{body.a}{body.b.c}{method}"}}, []Source{{SourceBody, "a"}, {SourceBody, "b.c"}}},
		{Spec{Signatures: inBody, Signed: []string{"{body.a}{body.b}", "{body.a}"}}, []Source{{SourceBody, "a"}}},
		{Spec{Signatures: []SignatureSpec{{Header: "S"}}, Signed: []string{"{url}"}}, nil},
		{Spec{Signatures: inBody, Signed: []string{"{body.a}"}, Items: "l"}, []Source{{SourceBody, "a"}}},
		{Spec{Named: "jwt", Signatures: []SignatureSpec{{Header: "S"}}, Claims: []Claim{{Name: "i", Template: "{body.id}"}}}, []Source{{SourceBody, "id"}}},
	} {
		scheme := mustCompile(t, test.spec)
		if got := scheme.CoveredFields(); !slices.Equal(got, test.want) {
			t.Errorf("%v: got %v, want %v", test.spec.Signed, got, test.want)
		}
	}
	items := mustCompile(t, Spec{Signatures: inBody, Signed: []string{"{body.a.b}"}, Items: `l\.m.n`})
	for path, want := range map[string]bool{`l\.m.n.0.a.b`: true, `l\.m.n.7.a.b.c`: true, `l\.m.n.0.a`: false, `l\.m.n.x.a.b`: false, "a.b": false, `l\.m.n`: false, `l\.m.n.0`: false} {
		if items.Covers(Source{SourceBody, path}) != want {
			t.Errorf("items cover %s: %v", path, !want)
		}
	}
}

// TestItems checks that only one element may be there: what is signed on its own could be
// there twice, or come from another request.
func TestItems(t *testing.T) {
	scheme := mustCompile(t, Spec{Signatures: []SignatureSpec{{Source: Source{"body", "s"}}}, Signed: []string{"{body.a}"}, Items: "l"})
	keys := []*Key{testKey(t, "one"), testKey(t, "two")}
	secrets := []Secret{{Key: keys[0]}, {Key: keys[1]}}
	elements := make([]string, 2)
	for i, key := range keys {
		r := testRequest("POST", "https://example.com/", `{"l":[{"a":"x`+strconv.Itoa(i)+`"}]}`)
		if err := scheme.Sign(r, key, testNow, ""); err != nil {
			t.Fatal(err)
		}
		elements[i] = string(r.Body[len(`{"l":[`) : len(r.Body)-len(`]}`)])
		verdict, err := scheme.Verify(r, secrets, vectorWindow, testNow)
		if err != nil || verdict.Secret != i {
			t.Errorf("got %+v, %v", verdict, err)
		}
	}
	a, b := elements[0], elements[1]
	for list, want := range map[string]Reason{
		a + "," + a: SignatureMalformed, a + "," + b: SignatureMalformed, b + "," + a: SignatureMalformed,
		a + `,{"a":"y"}`: SignatureMalformed, `{"a":"y"},` + a: SignatureMalformed, `{"a":"x0"}`: SignatureMissing,
		"": SignatureMissing, "[" + a + "]": SignatureMissing, "null": SignatureMissing, strings.Replace(a, "x0", "x1", 1): SignatureInvalid,
	} {
		_, err := scheme.Verify(testRequest("POST", "https://example.com/", `{"l":[`+list+`]}`), secrets, vectorWindow, testNow)
		wantReason(t, err, want)
	}
	many := testRequest("POST", "https://example.com/", `{"l":[`+strings.Repeat(a+",", maxItems)+a+`]}`)
	_, err := scheme.Verify(many, secrets, vectorWindow, testNow)
	wantReason(t, err, SignatureMalformed)
}
