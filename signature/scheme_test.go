package signature

import (
	"cmp"
	"strings"
	"testing"
)

func TestCompileErrors(t *testing.T) {
	signature := func(s SignatureSpec) []SignatureSpec {
		s.Header = cmp.Or(s.Header, "Sig")
		return []SignatureSpec{s}
	}
	plain := signature(SignatureSpec{})
	part := &StampSpec{Source: Source{Kind: SourceSignature}}
	for name, test := range map[string]struct {
		spec Spec
		want string
	}{
		"algorithm":               {Spec{Signatures: signature(SignatureSpec{Algorithm: "md5"})}, `signature: unknown algorithm "md5": use sha1`},
		"asymmetric":              {Spec{Signatures: signature(SignatureSpec{Algorithm: "rsa-md5"})}, "signature: unknown algorithm"},
		"encoding":                {Spec{Signatures: signature(SignatureSpec{Encoding: "base32"})}, `signature: unknown encoding "base32": use hex`},
		"format":                  {Spec{Signatures: signature(SignatureSpec{Format: "sha256="})}, `signature: format "sha256=" has no {signature}`},
		"header":                  {Spec{Signatures: []SignatureSpec{{}}}, "signature: a header name is missing"},
		"only a star":             {Spec{Signatures: signature(SignatureSpec{Header: "*"})}, "signature: a header name is missing"},
		"star inside":             {Spec{Signatures: signature(SignatureSpec{Header: "X-*-Sig"})}, "a star can only stand at the end"},
		"header with a space":     {Spec{Signatures: signature(SignatureSpec{Header: "X Sig"})}, "cannot be a header name"},
		"placeholder":             {Spec{Signatures: plain, Signed: []string{"{bdy}"}}, "signed: unknown placeholder {bdy}"},
		"empty template":          {Spec{Signatures: plain, Signed: []string{""}}, "signed: the template is empty"},
		"nothing of the request":  {Spec{Signatures: plain, Signed: []string{"v0"}}, "signed: the template holds nothing of the request"},
		"constants only":          {Spec{Signatures: plain, Signed: []string{"{param.a}"}, Params: map[string]string{"a": "b"}}, "holds nothing of the request"},
		"param":                   {Spec{Signatures: plain, Signed: []string{"{param.app}{body}"}}, "signed: {param.app} needs a line: param app <value>"},
		"timestamp without line":  {Spec{Signatures: plain, Signed: []string{"{timestamp}.{body}"}}, "signed: {timestamp} needs a timestamp line"},
		"id without line":         {Spec{Signatures: plain, Signed: []string{"{id}.{body}"}}, "signed: {id} needs an id line with one source, there are 0"},
		"id of two sources":       {Spec{Signatures: plain, Signed: []string{"{id}.{body}"}, ID: []Source{{SourceBody, "a"}, {SourceBody, "b"}}}, "there are 2"},
		"nonce":                   {Spec{Signatures: plain, Signed: []string{"{nonce}.{body}"}}, "signed: {nonce} needs a {nonce} in the format of signature Sig"},
		"second alternative":      {Spec{Signatures: plain, Signed: []string{"{body}", "{id}"}}, "signed: {id} needs"},
		"timestamp part":          {Spec{Signatures: plain, Timestamp: part}, "timestamp: the format of signature Sig has no {timestamp}"},
		"id part":                 {Spec{Signatures: plain, ID: []Source{{Kind: SourceSignature}}}, "id: the format of signature Sig has no {id}"},
		"timestamp part unsigned": {Spec{Timestamp: part}, "timestamp: there is no signature line"},
		"id part unsigned":        {Spec{ID: []Source{{Kind: SourceSignature}}}, "id: there is no signature line"},
		"timestamp format":        {Spec{Signatures: plain, Timestamp: &StampSpec{Source: Source{SourceBody, "t"}, Format: "iso"}}, `timestamp: unknown format "iso": use unix`},
		"timestamp source":        {Spec{Signatures: plain, Timestamp: &StampSpec{Source: Source{"cookie", "t"}}}, `timestamp: unknown source "cookie"`},
		"empty source":            {Spec{Signatures: plain, Timestamp: &StampSpec{}}, `timestamp: unknown source ""`},
		"event time format":       {Spec{Signatures: plain, EventTime: &StampSpec{Source: Source{SourceBody, "t"}, Format: "x"}}, `event_time: unknown format "x"`},
		"event time unsigned":     {Spec{Signatures: plain, EventTime: &StampSpec{Source: Source{SourceHeader, "T"}}}, "event_time: header T is not under the signature"},
		"event time part":         {Spec{Signatures: plain, EventTime: part}, "event_time: the signature header holds no event time"},
		"id source":               {Spec{Signatures: plain, ID: []Source{{SourceBody, "a..b"}}}, "id: a body path has an empty key"},
		"signed without header":   {Spec{Signed: []string{"{body}"}}, "signed: there is no signature line"},
		"named without header":    {Spec{Named: "mandrill"}, `scheme: unknown scheme "mandrill"`},
		"unknown name":            {Spec{Signatures: plain, Named: "mandrill"}, `scheme: unknown scheme "mandrill": there are twilio, contentful and jwt`},
		"twilio and template":     {Spec{Named: "twilio", Signed: []string{"{body}"}}, "signed: the scheme twilio has its own content"},
		"secret encoding":         {Spec{Signatures: plain, SecretEncoding: "base58"}, `secret_encoding: unknown encoding "base58"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Compile(test.spec)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestCompileDefaults(t *testing.T) {
	s := mustCompile(t, Spec{Signatures: []SignatureSpec{{Header: "x-acme-signature"}}})
	l := s.lines[0]
	if l.source.Name != "X-Acme-Signature" || l.algorithm.String() != "sha256" || l.encoding.name != "hex" {
		t.Errorf("got %+v", l)
	}
	if got := s.signed[0].(*templateContent).String(); got != "{body}" {
		t.Errorf("signed is %s", got)
	}
	if !s.Signed() || len(s.Spec().Signatures) != 1 {
		t.Error("the spec is not what was compiled")
	}
	if mustCompile(t, Spec{}).Signed() {
		t.Error("a provider without signatures counts as signed")
	}
}
