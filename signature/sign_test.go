package signature

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestSignThenVerify crosses formats, contents, algorithms and encodings.
func TestSignThenVerify(t *testing.T) {
	formats := []SignatureSpec{
		{Header: "Sig"},
		{Header: "Sig", Format: "sha256={signature}"},
		{Header: "X-Sig-*", Format: "v1={signature}", Split: []string{","}},
		{Header: "Sig", Format: "t={timestamp},v1={signature}", Split: []string{","}},
		{Header: "Sig", Format: "t={timestamp},v1={signature}", Split: []string{" ", ","}},
		{Header: "Sig", Format: "{timestamp};{id};{signature}", Split: []string{";"}},
		{Header: "Sig", Format: `t={timestamp}&n={nonce}&\{{signature}\}`},
	}
	contents := []string{
		"{body}", "{timestamp}.{body}", "{id}.{timestamp}.{body}", `{method}\n{url}\n{body|sha256|hex}`,
		"{header.X-Extra}{query.k}{body.n}{body.a.0}{param.p}{body}", "{body.a|sha256|base64}{uri|lower}",
	}
	for _, format := range formats {
		for _, signed := range contents {
			for _, algorithm := range []string{"sha1", "sha256", "sha384", "sha512"} {
				for _, encoding := range []string{"hex", "base64", "base64url"} {
					format.Algorithm, format.Encoding = algorithm, encoding
					spec := Spec{
						Signatures: []SignatureSpec{format}, Signed: []string{signed}, Params: map[string]string{"p": "constant"},
						Timestamp: testStamp(t, "header X-Time unix_ms"), ID: []Source{{SourceHeader, "X-Id"}},
					}
					if strings.Contains(format.Format, "{timestamp}") {
						spec.Timestamp = testStamp(t, "signature unix")
					}
					name := fmt.Sprintf("%s %s %s %q", algorithm, encoding, format.Format, signed)
					checkSignThenVerify(t, name, mustCompile(t, spec))
				}
			}
		}
	}
}

func checkSignThenVerify(t *testing.T, name string, scheme *Scheme) {
	t.Helper()
	r := testRequest("POST", "https://example.com/h?k=v", `{"n":1.50,"a":[true,"x"]}`)
	r.Header["X-Extra"] = []string{"extra"}
	key := testKey(t, "k")
	if err := scheme.Sign(r, key, testNow, "evt-1"); err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	verdict, err := scheme.Verify(r, []Secret{{Key: testKey(t, "other")}, {Key: key}}, vectorWindow, testNow)
	if err != nil || verdict.Secret != 1 || !verdict.Time.Equal(testNow) {
		t.Errorf("%s: got %+v, %v", name, verdict, err)
	}
	if got := headerValue(r.Header, "X-Id").Text; got != "evt-1" {
		t.Errorf("%s: the ID header is %q", name, got)
	}
	_, err = scheme.Verify(r, []Secret{{Key: key}}, vectorWindow, testNow.Add(vectorWindow.MaxAge+time.Second))
	wantReason(t, err, TimestampStale)
}

// TestSignVectors checks that, for each provider with published numbers, signing its
// request again gives the sender's own header values.
func TestSignVectors(t *testing.T) {
	for _, file := range readVectorFiles(t) {
		scheme := file.compile(t)
		for _, v := range file.Vectors {
			if v.Expect != "valid" || v.Secret == "" || scheme.Asymmetric() || strings.Contains(v.Body, "--XX") {
				continue // a public key signs nothing, and a form of parts is not written
			}
			sent, signed := v.request(t), v.request(t)
			key := v.secrets(t, scheme)[0].Key
			at, id := time.Unix(v.Now, 0), ""
			if s := scheme.spec.Timestamp; s != nil {
				var in Inspection
				if err := readSignatures(&in, scheme.lines, sent, scheme.inBody); err != nil {
					t.Fatal(err)
				}
				var read readTime
				c := clock{scheme, sent, vectorWindow, at}
				_ = c.stamp(&read, in.groups.at(0))
				at = read.at
			}
			if err := scheme.Sign(signed, key, at, id); err != nil {
				// A nonce and a body stamp are the sender's to choose.
				t.Errorf("%s/%s: %v", file.Provider, v.ID, err)
				continue
			}
			if _, err := scheme.Verify(signed, []Secret{{Key: key}}, vectorWindow, time.Unix(v.Now, 0)); err != nil {
				t.Errorf("%s/%s: signed and not verified: %v", file.Provider, v.ID, err)
			}
			if file.Provider == "github" || file.Provider == "slack" || file.Provider == "shopify" || file.Provider == "square" {
				name := scheme.lines[0].source.Name
				if got, want := signed.Header[name][0], sent.Header[name][0]; got != want {
					t.Errorf("%s/%s: signed as %s, sent as %s", file.Provider, v.ID, got, want)
				}
			}
		}
	}
}

func TestSignErrors(t *testing.T) {
	key := testKey(t, "k")
	header := []SignatureSpec{{Header: "Sig"}}
	parts := []SignatureSpec{{Header: "Sig", Format: "i={id},s={signature}", Split: []string{","}}}
	for name, test := range map[string]struct {
		spec Spec
		key  *Key
		id   string
		want string
	}{
		"no key":              {Spec{Signatures: header}, nil, "", "the secret is empty"},
		"empty key":           {Spec{Signatures: header}, &Key{}, "", "the secret is empty"},
		"stamp in the body":   {Spec{Signatures: header, Timestamp: testStamp(t, "body t")}, key, "", "no body t for the timestamp"},
		"stamp in the query":  {Spec{Signatures: header, Timestamp: testStamp(t, "query t")}, key, "", "no query t for the timestamp"},
		"id that is signed":   {Spec{Signatures: header, Signed: []string{"{id}.{body}"}, ID: []Source{{SourceHeader, "X-Id"}}}, key, "", "no {id}"},
		"id of the body":      {Spec{Signatures: header, Signed: []string{"{id}.{body}"}, ID: []Source{{SourceBody, "id"}}}, key, "evt", "no {id}"},
		"header":              {Spec{Signatures: header, Signed: []string{"{header.X-Extra}{body}"}}, key, "", "no {header.X-Extra}"},
		"separator in an id":  {Spec{Signatures: parts, ID: []Source{{Kind: SourceSignature}}}, key, "a,b", "does not fit"},
		"spaces in an id":     {Spec{Signatures: parts, ID: []Source{{Kind: SourceSignature}}}, key, " a ", "the id does not fit"},
		"no id for a part":    {Spec{Signatures: parts, ID: []Source{{Kind: SourceSignature}}}, key, "", "does not fit"},
		"twilio without url":  {Spec{Named: "twilio"}, key, "", "no {url}"},
		"body without digest": {Spec{Named: "twilio"}, key, "url", "no bodySHA256"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &Request{Method: "POST", Body: []byte("{}")}
			if test.id == "url" {
				r.Scheme, r.Host = "https", "example.com"
			}
			err := mustCompile(t, test.spec).Sign(r, test.key, testNow, test.id)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "signing: ") {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// TestSignKeepsTheID checks that an empty ID leaves what the request has.
func TestSignKeepsTheID(t *testing.T) {
	scheme := mustCompile(t, Spec{Signatures: []SignatureSpec{{Header: "Sig"}}, Signed: []string{"{id}.{body}"}, ID: []Source{{SourceHeader, "x-id"}}})
	r := testRequest("POST", "https://example.com/", "body")
	r.Header["X-Id"] = []string{"kept"}
	if err := scheme.Sign(r, testKey(t, "k"), testNow, ""); err != nil || r.Header["X-Id"][0] != "kept" {
		t.Errorf("got %v, %v", r.Header, err)
	}
	if err := scheme.Sign(r, testKey(t, "k"), testNow, "new"); err != nil || r.Header["X-Id"][0] != "new" {
		t.Errorf("got %v, %v", r.Header, err)
	}
}
