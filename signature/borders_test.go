package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// readings are all ways to read a text as values with fixed texts around them.
func readings(text string, texts []string) [][]string {
	rest, ok := strings.CutPrefix(text, texts[0])
	if !ok {
		return nil
	}
	if len(texts) == 2 {
		if value, ok := strings.CutSuffix(rest, texts[1]); ok {
			return [][]string{{value}}
		}
		return nil
	}
	var all [][]string
	for end := range len(rest) + 1 {
		if texts[1] == "" || strings.HasPrefix(rest[end:], texts[1]) {
			for _, others := range readings(rest[end:], texts[1:]) {
				all = append(all, append([]string{rest[:end]}, others...))
			}
		}
	}
	return all
}

// One text under a MAC has one reading, or its template is said to have open borders. The
// requests have values that could be read in other ways, and whoever has captured one tries
// them all.
func TestOneSignedTextHasOneReading(t *testing.T) {
	now := "1764000000"
	longer := "1764000000250"
	iso := "2025-11-24T16:00:00Z"
	for _, test := range []struct {
		signed, stamp string
		open          bool
		texts         []string // around the values
		names         string   // of the values: t(imestamp) i(d) a(header) b(ody)
		values        [][]string
	}{
		{"{timestamp}{body}", "unix", false, []string{"", "", ""}, "tb", [][]string{{now, `{"a":1}`}, {now, "0{}"}, {now, ""}, {now + ".5", "{}"}}},
		{"{timestamp}{body}", "unix_ms", false, []string{"", "", ""}, "tb", [][]string{{longer, `{"a":1}`}, {longer, "123"}}},
		{"{timestamp}{body}", "rfc3339", false, []string{"", "", ""}, "tb", [][]string{{iso, `{"a":1}`}, {"2025-11-24T16:00:00", "{}"}, {"2025-11-24T16:00:00.250+00:00", "1"}, {"2025-11-24T16:00:00", "Z.5Z"}, {"2025-11-24T16:00:00+02", "00{}"}, {"2025-11-24T16:00:00+0200", "{}"}, {"2025-11-24T16:00:00", "-0200:00"}}},
		{"{timestamp}{body}", "", false, []string{"", "", ""}, "tb", [][]string{{now, `{"a":1}`}, {longer, "{}"}, {now, "250{}"}, {iso, "{}"}, {longer, "1"}}},
		{"{body}{timestamp}", "unix", false, []string{"", "", ""}, "bt", [][]string{{`{"a":1}`, now}, {"amount=1000", now}, {"amount=0", now}, {"", now}, {"1764000000.", now}}},
		{"{body}{timestamp}", "unix_ms", false, []string{"", "", ""}, "bt", [][]string{{`{"a":1}`, longer}, {"amount=1000", longer}}},
		{"{body}{timestamp}", "rfc3339", false, []string{"", "", ""}, "bt", [][]string{{`{"a":1}`, iso}, {"1", iso}, {iso, iso}}},
		{"{body}{timestamp}", "", false, []string{"", "", ""}, "bt", [][]string{{`{"a":1}`, now}, {"176", now}, {"1", longer}}},
		{"{id}{timestamp}{body}", "rfc3339", false, []string{"", "", "", ""}, "itb", [][]string{{"id-1", iso, `{"at":"` + iso + `"}`}, {"id" + iso, iso, "{}"}, {"1", iso, iso}}},
		{"{id}{timestamp}{body}", "unix", true, []string{"", "", "", ""}, "itb", [][]string{{"id1", now, now}}},
		{"{id}.{timestamp}.{body}", "unix", false, []string{"", ".", ".", ""}, "itb", [][]string{{"msg_1", now, `{"a":".` + now + `."}`}, {"a.b", now, "." + now + ".{}"}, {"a." + now, now, "x"}, {"a", now, "5.{}"}, {"a", now + ".5", "{}"}}},
		{"{timestamp}.{body}", "unix", false, []string{"", ".", ""}, "tb", [][]string{{now, `{"a":1.5}`}, {now, "5.x"}, {now + ".5", "x"}}},
		{"{timestamp}.{body}", "rfc3339", false, []string{"", ".", ""}, "tb", [][]string{{iso, `{"a":1}`}, {"2025-11-24T16:00:00", "5Z.{}"}, {"2025-11-24T16:00:00.5Z", "{}"}}},
		{"v1:{timestamp}:{body}", "rfc3339", false, []string{"v1:", ":", ""}, "tb", [][]string{{iso, `{"a":"::"}`}, {"2025-11-24T16:00:00+00:00", "00:{}"}}},
		{"{header.A}{body|json}", "", false, []string{"", "", ""}, "ab", [][]string{{"m", `{"a":1}`}, {"m", `[{"a":{}}]`}, {"m{", `{}`}, {"m", " {}"}, {"m", ""}}},
		{"{body|json}{header.A}", "", false, []string{"", "", ""}, "ba", [][]string{{`{"a":{"b":1}}`, "m"}, {`[1]`, "m]"}, {"", "m"}}},
		{"{header.A}{body|json}{timestamp}", "unix_ms", false, []string{"", "", "", ""}, "abt", [][]string{{"m", `{"a":1}`, longer}, {"m1", "", longer}}},
		{"{header.A}{body}", "", true, []string{"", "", ""}, "ab", [][]string{{"m", `{"a":1}`}}},
		{"{body}{header.A}", "", true, []string{"", "", ""}, "ba", [][]string{{`{"a":1}`, "m"}}},
		{"{header.A}.{body}", "", true, []string{"", ".", ""}, "ab", [][]string{{"order.created", `{"a":1.5}`}}},
		{"{header.A}.{body|json}", "", false, []string{"", ".", ""}, "ab", [][]string{{"order.created", `{"a":".{}"}`}, {"a", " {}"}, {"a.", ".{}"}, {"a.b", ""}}},
		{"{query.a} {body|json}", "", false, []string{"", " ", ""}, "qb", [][]string{{"a", "{}"}, {"a ", " {}"}, {"a", "  {}"}}},
		{"{query.a}{body|json}", "", false, []string{"", "", ""}, "qb", [][]string{{"a", "{}"}, {"a ", "{}"}, {"a", "\n{}"}}},
		{"{body|json}{query.a}", "", false, []string{"", "", ""}, "bq", [][]string{{"{}", "a"}, {"{} ", "a"}, {"{}", "\ta"}}},
		{"{id}.{body}", "", false, []string{"", ".", ""}, "ib", [][]string{{"id", `{"a":1.5}`}, {"i.d", "{}"}}},
		{"{body|json}.{header.A}.{timestamp}", "unix", false, []string{"", ".", ".", ""}, "bat", [][]string{{`{"a":1.5}`, "nonce", now}, {`{"a":1.5}`, "a.b", now}, {"", "a.b", now}}},
		{"{body}.{header.A}.{timestamp}", "unix", true, []string{"", ".", ".", ""}, "bat", [][]string{{`{"a":1.5}`, "nonce", now}, {"x.y", "z", now}, {"1", "1", now}}},
		{"{header.A}\\n{id}\\n{body}", "", false, []string{"", "\n", "\n", ""}, "aib", [][]string{{"a", "i", "{}\n{}\n"}}},
		{"{id}{header.A|sha256|hex}{body}", "", true, []string{"", "", "", ""}, "iab", nil},
	} {
		t.Run(test.signed+" "+test.stamp, func(t *testing.T) {
			spec := Spec{Signatures: []SignatureSpec{{Header: "Sig"}}, Signed: []string{test.signed}}
			if strings.Contains(test.names, "t") {
				spec.Timestamp = testStamp(t, strings.TrimSpace("header X-Time "+test.stamp))
			}
			if strings.Contains(test.names, "i") {
				spec.ID = []Source{{SourceHeader, "X-Id"}}
			}
			scheme := mustCompile(t, spec)
			if open := OpenBorders(scheme); (len(open) > 0) != test.open {
				t.Errorf("open borders: %v", open)
			}
			most := 0
			for _, values := range test.values {
				text := test.texts[0]
				for i, value := range values {
					text += value + test.texts[i+1]
				}
				all := readings(text, test.texts)
				if !slices.ContainsFunc(all, func(reading []string) bool { return slices.Equal(reading, values) }) {
					t.Fatalf("%q is not read as %q", text, values)
				}
				var accepted [][]string
				for _, reading := range all {
					if acceptsReading(t, scheme, text, test.names, reading) {
						accepted = append(accepted, reading)
					}
				}
				most = max(most, len(accepted))
				if len(accepted) > 1 && !test.open {
					t.Errorf("%q is accepted as %q", text, accepted)
				}
			}
			if test.open && len(test.values) > 0 && most < 2 {
				t.Error("is said to be open, and is not")
			}
			if !test.open && most == 0 {
				t.Error("nothing is accepted")
			}
		})
	}
}

// acceptsReading sends the values of one reading with the MAC of the text.
func acceptsReading(t *testing.T, scheme *Scheme, text, names string, values []string) bool {
	t.Helper()
	h := hmac.New(sha256.New, []byte("k"))
	h.Write([]byte(text))
	r := testRequest("POST", "https://example.com/", "")
	r.Header["Sig"] = []string{hex.EncodeToString(h.Sum(nil))}
	for i, value := range values {
		if names[i] == 'b' {
			r.Body = []byte(value)
			continue
		}
		if names[i] == 'q' {
			r.Query = url.Values{"a": {value}}.Encode()
			continue
		}
		if value != strings.TrimSpace(value) || strings.ContainsAny(value, "\r\n") {
			return false // no server reads such a header
		}
		r.Header[map[byte]string{'t': "X-Time", 'i': "X-Id", 'a': "A"}[names[i]]] = []string{value}
	}
	_, err := scheme.Verify(r, []Secret{{Key: testKey(t, "k")}}, vectorWindow, testNow)
	return err == nil
}

// A URL may hold the text after it, as the dots of a host do, and so may a header, as the
// dots of an event's name do. Such a request is as genuine as another: the border stays open,
// and what is beside it is not trusted.
func TestAURLOrAHeaderMayHoldTheTextBesideIt(t *testing.T) {
	const host, path, body = "hooks.example.com:8443", "/in.php", `{"id":"1.2"}`
	for signed, text := range map[string]string{
		"{url}.{body}":                          "https://" + host + path + "." + body,
		"{host}.{body}":                         host + "." + body,
		"{path}.{body}":                         path + "." + body,
		"{body}.{url}":                          body + ".https://" + host + path,
		"{url}:{body}":                          "https://" + host + path + ":" + body,
		"{host}{path}/{body}":                   host + path + "/" + body,
		"{header.X-Event}.{body}":               "order.created." + body,
		"{body}.{header.X-Event}":               body + ".order.created",
		"{query.e}.{body}":                      "order.created." + body,
		"{header.X-Event}:{header.X-At}:{body}": "order.created:12:30:" + body,
	} {
		t.Run(signed, func(t *testing.T) {
			id := Source{SourceBody, "id"}
			scheme := mustCompile(t, Spec{Signatures: []SignatureSpec{{Header: "Sig"}}, Signed: []string{signed}, ID: []Source{id}})
			if len(OpenBorders(scheme)) == 0 || scheme.Covers(id) {
				t.Errorf("open borders: %v; the ID is trusted: %t", OpenBorders(scheme), scheme.Covers(id))
			}
			h := hmac.New(sha256.New, []byte("k"))
			h.Write([]byte(text))
			r := testRequest("POST", "https://"+host+path, body)
			r.Header["X-Event"], r.Header["X-At"] = []string{"order.created"}, []string{"12:30"}
			if strings.Contains(signed, "query") {
				r.Query = "e=order.created"
			}
			r.Header["Sig"] = []string{hex.EncodeToString(h.Sum(nil))}
			if _, err := scheme.Verify(r, []Secret{{Key: testKey(t, "k")}}, vectorWindow, testNow); err != nil {
				t.Error(err)
			}
		})
	}
}

// Hex holds nothing but digits and letters, so that any other text ends it.
func TestHexEndsAtWhatItCannotHold(t *testing.T) {
	for signed, open := range map[string]bool{"{header.A|hex}.{body}": false, "{query.a|sha256|hex}{body}": false, "{header.A|hex}0{body}": true, "{header.A|base64}.{body}": true} {
		scheme := mustCompile(t, Spec{Signatures: []SignatureSpec{{Header: "Sig"}}, Signed: []string{signed}})
		if got := OpenBorders(scheme); len(got) > 0 != open {
			t.Errorf("%s: open borders: %v", signed, got)
		}
	}
}
