package signature

import (
	"crypto/sha256"
	"strings"
	"testing"
	"time"
)

// fuzzFormats are the shapes that a fuzzed header is read in.
var fuzzFormats = []SignatureSpec{
	{Header: "Sig"},
	{Header: "Sig", Encoding: "base64", Format: "sha256={signature}"},
	{Header: "Sig", Format: "t={timestamp},v1={signature}", Split: []string{","}},
	{Header: "Sig", Encoding: "base64url", Format: "v1,{signature}", Split: []string{" "}},
	{Header: "Sig", Format: "{timestamp},{signature}", Split: []string{","}},
	{Header: "Sig", Format: "t={timestamp},v1={signature}", Split: []string{" ", ","}},
	{Header: "Sig", Algorithm: "sha512", Format: "i={id}:n={nonce}:[{signature}]"},
	{Header: "Sig", Algorithm: "sha512", Encoding: "base64hex"},
}

// FuzzSignatureHeader checks that no header panics, none verifies under a key that did
// not make it, and what is well-formed is within its bounds.
func FuzzSignatureHeader(f *testing.F) {
	mac := strings.Repeat("ab", 32)
	for i := range fuzzFormats {
		for _, seed := range []string{
			"", mac, "sha256=" + mac, "t=1764000000,v1=" + mac, "t=1,t=2,v1=" + mac, "1764000000," + mac + "," + mac,
			"v1,4UOpxwA14kl3UFHpc6AmjPAZcnyAyHrH3hNZYc4WvcE= v1a,x", "t=1764000000,v1=" + mac + " t=2,v1=" + mac, "i=1:n=2:[" + mac + mac + "]",
			strings.Repeat("v1="+mac+",", 20), ",,, ,,", "{signature}", "\x00\xff=\u2028",
		} {
			f.Add(i, seed, "body")
		}
	}
	key, err := NewKey("a key that signed nothing", "raw", "")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, i int, header, body string) {
		format := fuzzFormats[uint(i)%uint(len(fuzzFormats))]
		spec := Spec{Signatures: []SignatureSpec{format}}
		if strings.Contains(format.Format, "{timestamp}") {
			spec.Timestamp = testStamp(t, "signature unix")
			spec.Signed = []string{"{timestamp}.{body}"}
		}
		scheme := mustCompile(t, spec)
		r := testRequest("POST", "https://example.com/", body)
		r.Header["Sig"] = []string{header}
		var in Inspection
		if err := readSignatures(&in, scheme.lines, r, false); err == nil && (in.candidates.count < 1 || in.candidates.count > maxCandidates || in.groups.count > in.candidates.count) {
			t.Fatalf("%d candidates in %d groups", in.candidates.count, in.groups.count)
		}
		for i := range in.candidates.count {
			if c := in.candidates.at(i); c.group >= in.groups.count {
				t.Fatalf("a candidate of group %d of %d", c.group, in.groups.count)
			}
		}
		if _, err := scheme.Verify(r, []Secret{{Key: key}, {Key: &Key{}}, {}}, vectorWindow, testNow); err == nil {
			t.Fatalf("%q verifies", header)
		}
	})
}

// FuzzTemplate checks that what parses prints to what parses to the same, and hashes the
// bytes that it appends.
func FuzzTemplate(f *testing.F) {
	for _, file := range readVectorFiles(f) {
		for _, signed := range file.Scheme.Signed {
			f.Add(signed, "v")
		}
	}
	for _, seed := range []string{"", "{", "}", `\{`, `{body.a\.b|sha256|hex}`, "{http.request.header.X|lower}", `{form.a\}b}`, "{body|}", "{header.Host}", "\\n\n"} {
		f.Add(seed, `{"a":{"b":1}}`)
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		template, err := ParseTemplate(text)
		if err != nil {
			return
		}
		again, err := ParseTemplate(template.String())
		if err != nil || again.String() != template.String() {
			t.Fatalf("%q printed as %q, which gives %v, %v", text, template, again, err)
		}
		r := testRequest(value, "https://example.com/"+value+"?"+value, value)
		r.Header["X"] = []string{value}
		parts := Parts{Timestamp: value, ID: value, Nonce: value}
		one, errOne := template.Append(nil, r, parts, map[string]string{"p": value})
		two, errTwo := again.Append(nil, r, parts, map[string]string{"p": value})
		if string(one) != string(two) || (errOne == nil) != (errTwo == nil) {
			t.Fatalf("%q renders %q, %v and then %q, %v", text, one, errOne, two, errTwo)
		}
		h := sha256.New()
		if err := template.Hash(h, r, parts, map[string]string{"p": value}); (err == nil) != (errOne == nil) {
			t.Fatalf("%q: append says %v, hash says %v", text, errOne, err)
		}
		if sum := sha256.Sum256(one); errOne == nil && string(h.Sum(nil)) != string(sum[:]) {
			t.Fatalf("%q hashes other bytes than it appends", text)
		}
	})
}

// FuzzStamp checks that a stamp that is accepted is a time of this calendar, and printing it
// gives a stamp for the same second.
func FuzzStamp(f *testing.F) {
	for _, seed := range []string{
		"1764000000", "1764000000250", "1764000000.5", "2025-11-24T16:00:00.25+01:00", "-1", "1e9", "0x10", "NaN", "", " 1", "1.",
		"99999999999999999999", "253402300799999", "2025-11-24T24:00:00Z", "0000-01-01T00:00:00Z", "2025-11-24T16:00:60Z",
		"2025-11-24T16:00:00.551", "2025-11-24T16:00:00", "2025-11-24 16:00:00", "2025-11-24 16:00:00.5", "2025-11-24t16:00:00z", "2025-11-24t16:59:60.5z", "9999-12-31T23:59:60",
	} {
		for i := range 4 {
			f.Add(seed, i)
		}
	}
	formats := []string{"", formatUnix, formatUnixMS, formatRFC3339}
	f.Fuzz(func(t *testing.T, text string, i int) {
		format := formats[uint(i)%4]
		at, err := ParseStamp(text, format)
		if err != nil {
			return
		}
		plain := text
		if len(text) > len("2006-01-02") && text[len("2006-01-02")] == ' ' {
			plain = strings.Replace(text, " ", "T", 1) // the one space that is taken
		}
		if strings.ContainsAny(plain, " \t\r\n,_eExX") || strings.HasPrefix(text, "-") || strings.HasPrefix(text, "+") {
			t.Fatalf("%q was taken", text)
		}
		// An offset of up to a day may lead out of the years 0 to 9999.
		if year := at.UTC().Year(); year < -1 || year > 10000 {
			t.Fatalf("%q is in the year %d", text, year)
		}
		if at.Unix() < 0 || at.UTC().Year() > 9999 {
			return // senders do not sign in the past of the computer
		}
		for _, format := range formats[1:] {
			again, err := ParseStamp(FormatStamp(at, format), format)
			if err != nil || again.Unix() != at.Unix() {
				t.Fatalf("%q is %v, printed as %s it is %v, %v", text, at, format, again, err)
			}
		}
		if w := (Window{MaxAge: time.Minute, MaxSkew: time.Minute}); w.check(at, at, w.MaxAge, TimestampStale, "it") != nil {
			t.Fatalf("%q is not fresh at its own time", text)
		}
	})
}
