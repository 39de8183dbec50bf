package signature

import "testing"

// A scheme that reads nothing out of a body before it is verified takes no more memory
// than the body.
func TestWeightOfSchemes(t *testing.T) {
	header := []SignatureSpec{{Header: "X-Signature"}}
	for name, tc := range map[string]struct {
		spec Spec
		more bool
	}{
		"the body":              {Spec{Signatures: header, Signed: []string{"{body}"}}, false},
		"a stamp and the body":  {Spec{Signatures: header, Signed: []string{"{header.X-Stamp}.{body}"}}, false},
		"a stamp in the body":   {Spec{Signatures: header, Signed: []string{"{timestamp}.{body}"}, Timestamp: &StampSpec{Source: Source{SourceBody, "at"}}}, true},
		"a body that is JSON":   {Spec{Signatures: header, Signed: []string{"{header.X-Id}{body|json}"}}, false},
		"a digest of the body":  {Spec{Signatures: header, Signed: []string{"{body|sha256|hex}"}}, false},
		"a field":               {Spec{Signatures: header, Signed: []string{"{body.id}"}}, true},
		"a form's field":        {Spec{Signatures: header, Signed: []string{"{form.id}"}}, true},
		"JSON in a form":        {Spec{Signatures: header, Signed: []string{"{form_json.p.id}"}}, true},
		"a sorted form":         {Spec{Signatures: header, Signed: []string{"{url}{form_sorted}"}}, true},
		"JSON as PHP writes it": {Spec{Signatures: header, Signed: []string{"{body|php_json}"}}, true},
		"the body in base64":    {Spec{Signatures: header, Signed: []string{"{body|base64}"}}, true},
		"Ed25519":               {Spec{Signatures: []SignatureSpec{{Header: "X-Signature", Algorithm: "ed25519"}}}, true},
		"Twilio":                {Spec{Named: "twilio"}, true},
		"a token":               {Spec{Signatures: []SignatureSpec{{Header: "Authorization", Algorithm: "sha256"}}, Named: "jwt", Claims: []Claim{{Name: "sha256", Template: "{body|sha256|base64}"}}}, false},
	} {
		scheme, err := Compile(tc.spec)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if weight := Weight(scheme); weight < 1 || (weight > 1) != tc.more {
			t.Errorf("%s has the weight %d", name, weight)
		}
	}
}

func TestATokenHasFewNames(t *testing.T) {
	for names, problem := range map[int]bool{10: false, maxNames: false, maxNames + 1: true} {
		text := []byte(`{`)
		for i := range names {
			if i > 0 {
				text = append(text, ',')
			}
			text = append(text, '"', byte('a'+i%26), byte('a'+i/26%26), byte('a'+i/676), '"', ':', '0')
		}
		_, got := decodeTokenPart(tokenEncoding.bare.EncodeToString(append(text, '}')))
		if (got != "") != problem {
			t.Errorf("%d names: %q", names, got)
		}
	}
}

func TestAMultipartBodyHasFewParts(t *testing.T) {
	for parts, bad := range map[int]bool{maxParts: false, maxParts + 1: true} {
		body := ""
		for i := range parts {
			name := "other"
			if i == 0 {
				name = "id"
			}
			body += "--x\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n1\r\n"
		}
		r := &Request{Body: []byte(body + "--x--\r\n")}
		if v := (Source{SourceForm, "id"}).Read(r, Parts{}); v.Bad != bad || !bad && v.Text != "1" {
			t.Errorf("%d parts: %+v", parts, v)
		}
	}
}
