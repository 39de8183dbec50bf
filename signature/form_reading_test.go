package signature

import (
	"fmt"
	"strings"
	"testing"
)

// A form is read once, whatever is asked of it and however often: what is asked for later
// was found by the first walk.
func TestAFormIsReadOnce(t *testing.T) {
	const form = "application/x-www-form-urlencoded"
	multipart := func(pairs ...string) string {
		body := ""
		for i := 0; i < len(pairs); i += 2 {
			body += "--x\r\nContent-Disposition: form-data; name=\"" + pairs[i] + "\"\r\n\r\n" + pairs[i+1] + "\r\n"
		}
		return body + "--x--\r\n"
	}
	const payload = `{"id":"7","at":1764000000}`
	for name, test := range map[string]struct {
		spec              Spec
		contentType, body string
	}{
		"fields":    {Spec{Signed: []string{"{form.data}{form.at}"}}, form, "data=a&at=1764000000&id=7&type=t&p=" + payload},
		"all of it": {Spec{}, form, "data=a&at=1764000000&id=7&type=t&p=" + payload},
		"parts":     {Spec{Signed: []string{"{form.data}"}}, "multipart/form-data; boundary=x", multipart("data", "a", "at", "1764000000", "id", "7", "type", "t", "p", payload)},
		"JSON":      {Spec{Signed: []string{"{form_json.p.id}{form.data}"}}, form, "data=a&at=1764000000&id=7&type=t&p=" + payload},
		"sorted":    {Spec{Signed: []string{"{url}{form_sorted}"}}, form, "type=t&data=a&at=1764000000&id=7&p=" + payload},
		"Twilio's":  {Spec{Named: "twilio"}, form, "type=t&data=a&at=1764000000&id=7&p=" + payload},
	} {
		t.Run(name, func(t *testing.T) {
			if test.spec.Named == "" {
				test.spec.Signatures = []SignatureSpec{{Header: "Sig"}}
			}
			test.spec.ID = []Source{{SourceForm, "id"}}
			if test.spec.Named == "" {
				test.spec.Timestamp = testStamp(t, "form at")
			}
			scheme := mustCompile(t, test.spec)
			key := testKey(t, "k")
			r := testRequest("POST", "https://example.com/in", test.body)
			r.Header["Content-Type"] = []string{test.contentType}
			if err := scheme.Sign(r, key, testNow, ""); err != nil {
				t.Fatal(err)
			}
			var more Reads
			more.AddSources(Source{SourceForm, "type"}, Source{SourceFormJSON, "p.id"})
			r.ReadOnce(NewFormPlan(scheme, more))
			verdict, err := scheme.Verify(r, []Secret{{Key: key}}, vectorWindow, testNow)
			if err != nil {
				t.Fatal(err)
			}
			if scheme.Spec().Timestamp == nil && !r.form.read { // nothing has asked for a field yet
				(&scheme.Spec().ID[0]).readPart(r, &verdict.Parts, "")
			}
			copied := *r // as each spelling of its URL is
			for i := range r.Body {
				r.Body[i] = '&'
			}
			for source, want := range map[Source]string{{SourceForm, "id"}: "7", {SourceForm, "type"}: "t", {SourceForm, "at"}: "1764000000", {SourceFormJSON, "p.id"}: "7"} {
				if source.Name == "at" && scheme.Spec().Timestamp == nil {
					continue // nothing said that it would be asked for
				}
				if v := source.Read(&copied, verdict.Parts); v.Text != want || !v.Found {
					t.Errorf("%s is %+v when it is asked for again", source, v)
				}
			}
		})
	}
}

// A form that was sorted for one signed text is compared field by field for the next.
func TestASortedFormIsComparedToo(t *testing.T) {
	for name, signed := range map[string][]string{
		"sorted first": {"{form_sorted}", "{form.a}"},
		"sorted last":  {"{form.a}", "{form_sorted}"},
		"in one text":  {"{url}{form_sorted}", "{form.a}", "{form.b}{form.a}"},
	} {
		t.Run(name, func(t *testing.T) {
			key := testKey(t, "k")
			one := mustCompile(t, Spec{Signed: []string{"{form.a}"}, Signatures: []SignatureSpec{{Header: "Sig"}}})
			both := mustCompile(t, Spec{Signed: signed, Signatures: []SignatureSpec{{Header: "Sig"}}})
			r := testRequest("POST", "https://example.com/in", "a=1&b=2")
			r.Header["Content-Type"] = []string{"application/x-www-form-urlencoded"}
			if err := one.Sign(r, key, testNow, ""); err != nil {
				t.Fatal(err)
			}
			for _, body := range []string{"a=1&b=2", "a=1&A=evil", "A=evil&a=1", "a=1&a=evil", "a=1&a%5B%5D=evil", "a=1;a=evil"} {
				r.Body = []byte(body)
				r.ReadOnce(NewFormPlan(both, Reads{}))
				_, err := both.Verify(r, []Secret{{Key: key}}, vectorWindow, testNow)
				if genuine := body == "a=1&b=2"; genuine != (err == nil) {
					t.Errorf("%s: %v", body, err)
				}
			}
		})
	}
}

// What is read with a plan is what is read without one.
func TestAPlanChangesNothing(t *testing.T) {
	part := func(disposition, text string) string {
		return "--x\r\nContent-Disposition: form-data; " + disposition + "\r\n\r\n" + text + "\r\n"
	}
	for _, body := range []string{
		"", "a", "a=", "a=1", "b=2&a=1", "a=1&a=2", "%61=1", "a=%zz", "%zz=1&a=1", "a=1+2%2B&b", "&&a=1&", "a=1;b=2", "A=1", "a[]=1", "a=1&b=%zz&a",
		part(`name="a"`, "1") + "--x--\r\n", part(`name=a`, "1") + part(`name="a"`, "2") + "--x--\r\n", part(`name="b"`, "2") + part(`name="a"`, "1"), part(`name="a"`, "") + "--x--",
		part(`name="a"; filename="f"`, "1") + "--x--\r\n", part(`name="a`, "1") + "--x--\r\n",
	} {
		for _, field := range []string{"a", "b", "c"} {
			source := Source{SourceForm, field}
			plain, planned := &Request{Body: []byte(body)}, &Request{Body: []byte(body)}
			planned.ReadOnce(&FormPlan{fields: []string{"c", "b", "a"}})
			if a, b := source.Read(plain, Parts{}), source.Read(planned, Parts{}); a != b {
				t.Errorf("%q, %s: %+v and %+v", body, field, a, b)
			}
		}
	}
}

// The quick way to compare names finds what the thorough one does.
func TestNamesAreComparedAlike(t *testing.T) {
	for _, field := range []string{"payload", "Payload_1", "a.b", "a[b]", "a[", "_", "k-s"} {
		l := likeness{field, fieldPaths(field)}
		for _, name := range []string{"payload", "PAYLOAD", "Payload_1", "payload_1", "a_b", "A_B", "a", "b", "A", "a_", "_", "-", "k-s", "K-S", "", "payloads", "a[b]", "a[c]", "ſ", "K-s", " payload"} {
			if got, want := l.like([]byte(name)), alikeFields(name, field); got != want {
				t.Errorf("%q and %q: %t, want %t", name, field, got, want)
			}
		}
	}
}

// A form of a million names costs a forger's request no memory beyond its own.
func BenchmarkFormOfManyNames(b *testing.B) {
	var body strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&body, "%d=1&", i)
	}
	r := &Request{Body: []byte(body.String())}
	plan := &FormPlan{fields: []string{"payload", "id"}, signed: []likeness{{"payload", fieldPaths("payload")}}}
	b.ReportAllocs()
	for b.Loop() {
		r.ReadOnce(plan)
		formOf(r, "payload")
	}
}
