package signature

import "testing"

func TestCovers(t *testing.T) {
	header := func(name string) Source { return Source{SourceHeader, name} }
	body := func(path string) Source { return Source{SourceBody, path} }
	form := func(field string) Source { return Source{SourceForm, field} }
	query := func(key string) Source { return Source{SourceQuery, key} }
	part := Source{Kind: SourceSignature}
	stamped := "t={timestamp},v1={signature}"
	for _, test := range []struct {
		name   string
		signed []string
		format string
		stamp  string
		id     string
		source Source
		want   bool
	}{
		{"body path", nil, "", "", "", body("a.b"), true},
		{"form field", nil, "", "", "", form("f"), true},
		{"header", nil, "", "", "", header("X-Id"), false},
		{"query", nil, "", "", "", query("q"), false},
		{"digest of the body", []string{"{body|sha256|hex}"}, "", "", "", body("a"), true},
		{"lower-case body", []string{"{body|lower}"}, "", "", "", body("a"), false},
		{"that header", []string{"{header.X-Id}.{body|json}"}, "", "", "", header("x-id"), true},
		{"a header that may hold the text", []string{"{header.X-Id}.{body}"}, "", "", "", header("x-id"), false},
		{"another header", []string{"{header.X-Id}{body}"}, "", "", "", header("X-Id2"), false},
		{"lower-case header", []string{"{header.X-Id|lower}{body}"}, "", "", "", header("X-Id"), false},
		{"that path", []string{"{body.a.b}"}, "", "", "", body("a.b"), true},
		{"a path inside", []string{"{body.a}"}, "", "", "", body("a.b"), true},
		{"a path outside", []string{"{body.a.b}"}, "", "", "", body("a"), false},
		{"a path beside", []string{"{body.a}"}, "", "", "", body("ab"), false},
		{"an escaped dot", []string{`{body.a\.b}`}, "", "", "", body("a.b"), false},
		{"that field", []string{"{form.f}"}, "", "", "", form("f"), true},
		{"another field", []string{"{form.f}"}, "", "", "", form("g"), false},
		{"form under a path", []string{"{body.f}"}, "", "", "", form("f"), false},
		{"query in the url", []string{"{url}{body|json}"}, "", "", "", query("q"), true},
		{"query in the uri", []string{"{uri}\n{body}"}, "", "", "", query("q"), true},
		{"the query", []string{"{query} {body}"}, "", "", "", query("q"), true},
		{"a header that runs into the body", []string{"{header.X-Id}{body}"}, "", "", "", header("X-Id"), false},
		{"a query that does", []string{"{url}{body}"}, "", "", "", query("q"), false},
		{"a body that does", []string{"{url}{body}"}, "", "", "", body("id"), false},
		{"a path beside a path", []string{"{body.a}{body.b}"}, "", "", "", body("a"), false},
		{"a path before a text", []string{"{body.a}:{body.b}"}, "", "", "", body("a"), false},
		{"a path before a line", []string{"{body.a}\n{body.b}"}, "", "", "", body("a"), false},
		{"a stamp without one", []string{"{timestamp}{body}"}, "", "header X-Time", "", header("X-Time"), true},
		{"a body after that", []string{"{timestamp}{body}"}, "", "header X-Time", "", body("id"), true},
		{"a stamp after an ID", []string{"{id}{timestamp}{body}"}, "", "header X-Time", "header X-Id", header("X-Time"), false},
		{"an ISO stamp after an ID", []string{"{id}{timestamp}{body}"}, "", "header X-Time rfc3339", "header X-Id", header("X-Id"), true},
		{"a field of a sorted form", []string{"{form_sorted}"}, "", "", "", form("f"), false},
		{"the path only", []string{"{path}{body}"}, "", "", "", query("q"), false},
		{"that key", []string{"{query.q}"}, "", "", "", query("q"), true},
		{"another key", []string{"{query.q}"}, "", "", "", query("Q"), false},
		{"hubspot's url", []string{"{url|unescape_reserved}{body|json}"}, "", "", "", query("q"), true},
		{"stamp through {timestamp}", []string{"{timestamp}.{body}"}, "", "header X-Time", "", header("x-time"), true},
		{"stamp beside the body", nil, "", "header X-Time", "", header("X-Time"), false},
		{"id through {id}", []string{"{id}.{body}"}, "", "", "header X-Id", header("X-Id"), true},
		{"id beside the body", []string{"{timestamp}.{body}"}, "", "header X-Time", "header X-Id", header("X-Id"), false},
		{"part through {timestamp}", []string{"{timestamp}.{body}"}, stamped, "signature", "", part, true},
		{"part that is not signed", nil, stamped, "signature", "", part, false},
		{"part that nothing reads", nil, stamped, "", "", part, false},
		{"one of two alternatives", []string{"{header.X-Id}{body}", "{body}"}, "", "", "", header("X-Id"), false},
		{"both alternatives", []string{"{header.X-Id}\n{body}", "{body|json}{header.X-Id}"}, "", "", "", header("X-Id"), true},
		{"stamp and id, one signed", []string{"{timestamp}.{body}"}, "t={timestamp},i={id},s={signature}", "signature", "signature", part, false},
		{"stamp and id, both signed", []string{"{timestamp}.{id}.{body}"}, "t={timestamp},i={id},s={signature}", "signature", "signature", part, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			spec := Spec{Signatures: []SignatureSpec{{Header: "Sig", Format: test.format}}, Signed: test.signed, Timestamp: testStamp(t, test.stamp)}
			if test.id != "" {
				spec.ID = []Source{testSource(t, test.id)}
			}
			if got := mustCompile(t, spec).Covers(test.source); got != test.want {
				t.Errorf("Covers(%s) is %v", test.source, got)
			}
		})
	}
}

func TestCoversWithoutTemplates(t *testing.T) {
	twilio := mustCompile(t, Spec{Named: "twilio"})
	for source, want := range map[Source]bool{
		{SourceForm, "MessageSid"}: false, {SourceBody, "id"}: true, {SourceQuery, "q"}: false,
		{SourceHeader, "I-Twilio-Idempotency-Token"}: false, {Kind: SourceSignature}: false,
	} {
		if twilio.Covers(source) != want {
			t.Errorf("twilio covers %s: %v", source, !want)
		}
	}
	// A token proves who sent a request and nothing about its bytes.
	token := mustCompile(t, Spec{Timestamp: testStamp(t, "body timestamp")})
	for _, source := range []Source{{SourceBody, "timestamp"}, {SourceHeader, "X"}, {SourceQuery, "q"}} {
		if token.Covers(source) {
			t.Errorf("without a signature, %s is covered", source)
		}
	}
}

// TestCoversIsTrue checks the claim itself: where a header is covered,
// changing it breaks the signature, and where it is not, it does not.
func TestCoversIsTrue(t *testing.T) {
	for _, signed := range []string{"{body}", "{header.X-Id}.{body}", "{id}.{body}", "{header.X-Id|sha256}{body}"} {
		source := Source{SourceHeader, "X-Id"}
		scheme := mustCompile(t, Spec{Signatures: []SignatureSpec{{Header: "Sig"}}, Signed: []string{signed}, ID: []Source{source}})
		r, secrets, now := benchCase{scheme: scheme}.request(t, []byte("{}"))
		r.Header["X-Id"] = []string{"another"}
		_, err := scheme.Verify(r, secrets, vectorWindow, now)
		if broken := err != nil; broken != scheme.Covers(source) {
			t.Errorf("%s: covered %v, and changing it gives %v", signed, scheme.Covers(source), err)
		}
	}
}
