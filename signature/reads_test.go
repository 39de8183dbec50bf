package signature

import (
	"reflect"
	"testing"
)

func TestTemplateReads(t *testing.T) {
	body := func(path string) Source { return Source{SourceBody, path} }
	for text, want := range map[string]Reads{
		"{body}":                               {Body: true, RawBody: true},
		"{body|sha256|hex}":                    {Body: true},
		"{form_sorted}":                        {Body: true},
		"{timestamp}.{id}.{nonce}.{method}":    {},
		"{http.request.uri}":                   {URL: true},
		`\{header.X-Text\}{header.x-read}`:     {Sources: []Source{{SourceHeader, "X-Read"}}},
		"{http.request.header.X-Long|lower}":   {Sources: []Source{{SourceHeader, "X-Long"}}},
		`{query.a\}b}{form.f}{query.a\}b}`:     {Sources: []Source{{SourceQuery, "a}b"}, {SourceForm, "f"}}},
		`{body.a\.b.c}{form_json.f.x}`:         {Sources: []Source{body(`a\.b.c`), {SourceFormJSON, "f.x"}}},
		`{body.events.*.id}{body.\*.s*|lower}`: {Sources: []Source{body(`\*.s*`)}, Each: []Source{body("events.0.id")}},
		`{param.app}{param.a\|b}`:              {Params: []string{"app", "a|b"}},
	} {
		if got := mustTemplate(t, text).Reads(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", text, got, want)
		}
	}
}

func TestSchemeReads(t *testing.T) {
	scheme := mustCompile(t, Spec{
		Named:      "jwt",
		Signatures: []SignatureSpec{{Header: "x_sig"}, {Source: wholeBody}},
		Timestamp:  &StampSpec{Source: Source{SourceClaim, "iat"}},
		EventTime:  &StampSpec{Source: Source{SourceClaim, "at"}},
		ID:         []Source{{SourceQuery, "id"}},
		Claims:     []Claim{{Name: "sub", Template: "{header.X-Account}"}, {Name: "url", Template: "{url}", Optional: true}},
	})
	want := Reads{
		Sources: []Source{{SourceHeader, "x_sig"}, {SourceQuery, "id"}, {SourceHeader, "X-Account"}},
		Body:    true, RawBody: true, URL: true,
	}
	if got := scheme.Reads(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, named := range []string{"twilio", "contentful"} {
		if got := mustCompile(t, Spec{Named: named}).Reads(); !got.Body || !got.URL || len(got.Headers()) == 0 {
			t.Errorf("%s: got %+v", named, got)
		}
	}
}
