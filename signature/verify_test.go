package signature

import (
	"strings"
	"testing"
	"time"
)

var testNow = time.Unix(1764000000, 0)

// TestInspectWithoutBody checks that the headers are judged before a body is read.
func TestInspectWithoutBody(t *testing.T) {
	scheme := mustCompile(t, Spec{
		Signatures: []SignatureSpec{{Header: "Sig", Format: "sha256={signature}"}},
		Signed:     []string{"{timestamp}.{body}"},
		Timestamp:  testStamp(t, "header X-Time unix"),
	})
	mac := "sha256=" + strings.Repeat("0", 64)
	for name, test := range map[string]struct {
		sig, stamp []string
		want       Reason
	}{
		"fresh":              {[]string{mac}, []string{"1764000000"}, ""},
		"no signature":       {nil, []string{"1764000000"}, SignatureMissing},
		"malformed":          {[]string{"sha1=" + mac}, []string{"1764000000"}, SignatureMalformed},
		"repeated":           {[]string{mac, mac}, []string{"1764000000"}, SignatureMalformed},
		"no stamp":           {[]string{mac}, nil, TimestampMissing},
		"empty stamp":        {[]string{mac}, []string{""}, TimestampMissing},
		"malformed stamp":    {[]string{mac}, []string{"soon"}, TimestampMalformed},
		"other format":       {[]string{mac}, []string{"2025-11-24T16:00:00Z"}, TimestampMalformed},
		"repeated stamp":     {[]string{mac}, []string{"1764000000", "1764000000"}, TimestampMalformed},
		"stale":              {[]string{mac}, []string{"1763999699"}, TimestampStale},
		"future":             {[]string{mac}, []string{"1764000061"}, TimestampFuture},
		"missing goes first": {nil, []string{"1"}, SignatureMissing},
	} {
		t.Run(name, func(t *testing.T) {
			r := &Request{Method: "POST", Header: map[string][]string{}}
			if test.sig != nil {
				r.Header["Sig"] = test.sig
			}
			if test.stamp != nil {
				r.Header["X-Time"] = test.stamp
			}
			_, err := scheme.Inspect(r, vectorWindow, testNow)
			if test.want != "" {
				wantReason(t, err, test.want)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// TestInspectThenAuthenticate checks that the two steps give the verdict of Verify, and that
// a stamp in the body is judged in the second.
func TestInspectThenAuthenticate(t *testing.T) {
	scheme := mustCompile(t, Spec{
		Signatures: []SignatureSpec{{Header: "Sig"}},
		Timestamp:  testStamp(t, "body sent"),
		EventTime:  testStamp(t, "body at rfc3339 optional"),
		ID:         []Source{{SourceBody, "id"}},
	})
	key := testKey(t, "k")
	for body, want := range map[string]Reason{
		`{"sent":1764000000,"at":"2025-11-24T15:59:00Z","id":7}`:          "",
		`{"sent":"1764000000.5"}`:                                         "",
		`{"at":"2025-11-24T16:00:00Z"}`:                                   TimestampMissing,
		`{"sent":true}`:                                                   TimestampMalformed,
		`{"sent":1.764e9}`:                                                TimestampMalformed,
		`{"sent":1763000000}`:                                             TimestampStale,
		`{"sent":1764000100}`:                                             TimestampFuture,
		`{"sent":1764000000,"at":"2025-11-20T15:59:00Z"}`:                 EventExpired,
		`{"sent":1764000000,"at":"2025-11-24T16:02:00Z"}`:                 TimestampFuture,
		`{"sent":1764000000,"at":"yesterday"}`:                            TimestampMalformed,
		`{"sent":1764000000,"at":{}}`:                                     TimestampMalformed,
		`{"sent":1764000000,"at":null}`:                                   "",
		`{"sent":1764000000,"at":"2025-11-21T16:00:00Z","now":"boundary"`: "",
	} {
		r := testRequest("POST", "https://example.com/", body)
		if err := scheme.Sign(r, key, testNow, ""); err != nil {
			// Sign refuses what no sender would send; the verifier meets it all the same.
			signed := mustCompile(t, Spec{Signatures: []SignatureSpec{{Header: "Sig"}}})
			if err := signed.Sign(r, key, testNow, ""); err != nil {
				t.Fatal(err)
			}
		}
		headersOnly := *r
		headersOnly.Body = nil
		in, err := scheme.Inspect(&headersOnly, vectorWindow, testNow)
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		verdict, err := scheme.Authenticate(&in, r, []Secret{{Key: key}}, vectorWindow, testNow)
		if want != "" {
			wantReason(t, err, want)
			if verdict != (Verdict{}) {
				t.Errorf("%s: refused with a verdict %+v", body, verdict)
			}
			continue
		}
		if err != nil || verdict.Time.Unix() != 1764000000 {
			t.Errorf("%s: got %+v, %v", body, verdict, err)
		}
		// A forger learns nothing of what is checked behind the MAC.
		_, err = scheme.Authenticate(&in, r, []Secret{{Key: testKey(t, "other")}}, vectorWindow, testNow)
		wantReason(t, err, SignatureInvalid)
	}
}

// What bounds a replay cannot be left out, in any place that it may be in.
func TestAnEventTimeThatIsMissingIsMalformed(t *testing.T) {
	const form = "application/x-www-form-urlencoded"
	key := testKey(t, "k")
	for _, test := range []struct {
		line, contentType, body string
		want                    Reason
	}{
		{"body at rfc3339", "application/json", `{"at":"2025-11-24T15:59:00Z"}`, ""},
		{"body at rfc3339", "application/json", `{}`, TimestampMalformed},
		{"body at rfc3339", "application/json", `{"at":null}`, TimestampMalformed},
		{"body at rfc3339", "application/json", `{"at":""}`, TimestampMalformed},
		{"form at unix", form, "at=1764000000", ""},
		{"form at unix", form, "at=1761000000", EventExpired},
		{"form at unix", "multipart/form-data; boundary=x", "at=1761000000", EventExpired},
		{"form at unix", "application/json", "at=1761000000", EventExpired},
		{"form at unix", form, "b=1", TimestampMalformed},
		{"form_json data.at unix", "text/plain", "data=%7B%22at%22:1761000000%7D", EventExpired},
		{"form_json data.at unix", form, "data=%7B%7D", TimestampMalformed},
	} {
		scheme := mustCompile(t, Spec{Signatures: []SignatureSpec{{Header: "Sig"}}, EventTime: testStamp(t, test.line)})
		r := testRequest("POST", "https://example.com/", test.body)
		r.Header["Content-Type"] = []string{test.contentType}
		if err := scheme.Sign(r, key, testNow, ""); err != nil {
			t.Fatal(err)
		}
		_, err := scheme.Verify(r, []Secret{{Key: key}}, vectorWindow, testNow)
		if test.want != "" {
			wantReason(t, err, test.want)
		} else if err != nil {
			t.Errorf("%s: %s: %v", test.line, test.body, err)
		}
	}
}

func TestVerdict(t *testing.T) {
	scheme := mustCompile(t, Spec{
		Signatures: []SignatureSpec{{Header: "Sig", Format: "t={timestamp};i={id};n={nonce};s={signature}", Split: []string{";"}}},
		Signed:     []string{"{timestamp}.{id}.{nonce}.{body}"},
		Timestamp:  testStamp(t, "signature unix_ms"),
		ID:         []Source{{Kind: SourceSignature}},
	})
	r := testRequest("POST", "https://example.com/", "body")
	key := testKey(t, "k")
	if err := scheme.Sign(r, key, testNow.Add(250*time.Millisecond), "evt-1"); err != nil {
		t.Fatal(err)
	}
	secrets := []Secret{{Key: testKey(t, "a")}, {Key: key, Until: testNow}, {Key: key}}
	verdict, err := scheme.Verify(r, secrets, vectorWindow, testNow)
	if err != nil {
		t.Fatal(err)
	}
	want := Verdict{Secret: 2, Time: testNow.Add(250 * time.Millisecond), Parts: Parts{Timestamp: "1764000000250", ID: "evt-1", Nonce: "evt-1"}}
	if verdict.Secret != want.Secret || !verdict.Time.Equal(want.Time) || verdict.Parts != want.Parts || !verdict.EventTime.IsZero() {
		t.Errorf("got %+v, want %+v", verdict, want)
	}
	if id := scheme.Spec().ID[0].Read(r, verdict.Parts); id.Text != "evt-1" {
		t.Errorf("the ID is %+v", id)
	}
}

// TestNoSignatures checks that a scheme without signatures never accepts by itself.
func TestNoSignatures(t *testing.T) {
	scheme := mustCompile(t, Spec{Timestamp: testStamp(t, "header X-Time"), EventTime: testStamp(t, "body at")})
	r := testRequest("POST", "https://example.com/", `{"at":1764000000}`)
	r.Header["X-Time"] = []string{"1764000000"}
	secrets := []Secret{{Key: testKey(t, "k")}}
	_, err := scheme.Verify(r, secrets, vectorWindow, testNow)
	wantReason(t, err, SignatureMissing)
	_, err = scheme.Authenticate(&Inspection{}, r, secrets, vectorWindow, testNow)
	wantReason(t, err, SignatureMissing)
	if err := scheme.Sign(r, secrets[0].Key, testNow, ""); err == nil {
		t.Error("signed without a signature line")
	}
	// Nor does an inspection that found nothing.
	signed := mustCompile(t, Spec{Signatures: []SignatureSpec{{Header: "Sig"}}})
	_, err = signed.Authenticate(&Inspection{}, r, secrets, vectorWindow, testNow)
	wantReason(t, err, SignatureMissing)
}

func TestCheckStamps(t *testing.T) {
	for _, test := range []struct {
		source, header, body string
		atOnce, withBody     Reason
	}{
		{"header X-Time", "1764000000", `{"at":1764000000}`, "", ""},
		{"header X-Time", "1763000000", `{"at":1764000000}`, TimestampStale, TimestampStale},
		{"header X-Time", "", `{"at":1764000000}`, TimestampMissing, TimestampMissing},
		{"header X-Time", "1764000000", `{"at":1763000000}`, "", EventExpired},
		{"body sent", "", `{"sent":"2025-11-24T16:00:00Z"}`, "", ""},
		{"body sent", "", `{"sent":"2025-11-24T15:54:59Z"}`, "", TimestampStale},
		{"body sent", "", `{}`, "", TimestampMissing},
		{"", "", `{}`, "", ""},
	} {
		scheme := mustCompile(t, Spec{Timestamp: testStamp(t, test.source), EventTime: testStamp(t, "body at")})
		r := testRequest("POST", "https://example.com/", test.body)
		if test.header != "" {
			r.Header["X-Time"] = []string{test.header}
		}
		check := func(err error, want Reason) {
			t.Helper()
			if want != "" {
				wantReason(t, err, want)
			} else if err != nil {
				t.Errorf("%+v: %v", test, err)
			}
		}
		check(scheme.CheckHeaderStamps(r, vectorWindow, testNow), test.atOnce)
		verdict, err := scheme.CheckStamps(r, vectorWindow, testNow)
		check(err, test.withBody)
		if err == nil && test.source != "" && !verdict.Time.Equal(testNow) {
			t.Errorf("%+v: the stamp is %v", test, verdict.Time)
		}
	}
}

// TestAlternativesThatLack checks that a template that the request cannot fill does not
// spoil another that matches, and one that fits no template is malformed.
func TestAlternativesThatLack(t *testing.T) {
	scheme := mustCompile(t, Spec{Signatures: []SignatureSpec{{Header: "Sig"}}, Signed: []string{"{header.X-New}.{body}", "{body}"}})
	only := mustCompile(t, Spec{Signatures: []SignatureSpec{{Header: "Sig"}}, Signed: []string{"{header.X-New}.{body}"}})
	plain := mustCompile(t, Spec{Signatures: []SignatureSpec{{Header: "Sig"}}})
	key := testKey(t, "k")
	r := testRequest("POST", "https://example.com/", "body")
	if err := plain.Sign(r, key, testNow, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := scheme.Verify(r, []Secret{{Key: key}}, vectorWindow, testNow); err != nil {
		t.Error(err)
	}
	_, err := scheme.Verify(r, []Secret{{Key: testKey(t, "other")}}, vectorWindow, testNow)
	wantReason(t, err, SignatureInvalid)
	_, err = only.Verify(r, []Secret{{Key: key}}, vectorWindow, testNow)
	wantReason(t, err, SignatureMalformed)
}

// TestErrorsHoldNothing checks that a refusal, which goes to logs, holds no secret.
func TestErrorsHoldNothing(t *testing.T) {
	for _, c := range benchCases(t) {
		r, secrets, now := c.request(t, []byte(`{"canary":1}`))
		valid := r.Header["Sig"]
		for _, values := range [][]string{nil, {""}, {"canary"}, {"t=canary,v1=canary"}, {"canary", "canary"}, {"sha256=" + strings.Repeat("ca", 32)}, append(valid, "canary")} {
			r.Header["Sig"] = values
			r.Header["Webhook-Signature"] = values
			r.Header["Webhook-Id"] = []string{"canary"}
			_, err := c.scheme.Verify(r, secrets, vectorWindow, now)
			if err == nil {
				t.Fatalf("%s: %q was accepted", c.name, values)
			}
			if strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "secret") && !strings.Contains(err.Error(), "no secret") || strings.Contains(err.Error(), "caca") {
				t.Errorf("%s: the error holds what was received: %v", c.name, err)
			}
		}
	}
}

// TestHeaderNamesInAnyCase checks that names need not be canonical.
func TestHeaderNamesInAnyCase(t *testing.T) {
	scheme := mustCompile(t, Spec{
		Signatures: []SignatureSpec{{Header: "x-sig"}},
		Signed:     []string{"{id}.{timestamp}.{header.x-event}.{body}"},
		Timestamp:  &StampSpec{Source: Source{SourceHeader, "x-time"}},
		EventTime:  &StampSpec{Source: Source{SourceHeader, "x-event"}},
		ID:         []Source{{SourceHeader, "X-ID"}},
	})
	r := testRequest("POST", "https://example.com/", "{}")
	r.Header["X-Event"] = []string{"1763999990"}
	secrets := []Secret{{Key: testKey(t, "secret")}}
	if err := scheme.Sign(r, secrets[0].Key, testNow, "evt-1"); err != nil {
		t.Fatal(err)
	}
	verdict, err := scheme.Verify(r, secrets, vectorWindow, testNow)
	if err != nil || !verdict.Time.Equal(testNow) || verdict.EventTime.Unix() != 1763999990 || verdict.Parts.ID != "evt-1" {
		t.Errorf("got %+v, %v", verdict, err)
	}
	if got := scheme.Spec().ID[0].Read(r, Parts{}).Text; got != "evt-1" {
		t.Errorf("read as it is written: got %q", got)
	}
	if _, err := scheme.CheckStamps(r, Window{}, testNow.Add(1)); err == nil {
		t.Error("a stale stamp passed")
	}
}
