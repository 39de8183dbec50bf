package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

// deep is JSON that nests deeper than any parser that calls itself can follow.
func deep(open string) string { return strings.Repeat(open, (10<<20)/len(open)) }

func macHex(key, text string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

// Bodies are read before anybody is known to have signed them where they hold
// the signature: none may exhaust the stack, which would end the process.
func TestDeepNestingIsRefused(t *testing.T) {
	inBody := []SignatureSpec{{Source: Source{"body", "sig"}}}
	key, err := NewKey("key", "raw", "")
	if err != nil {
		t.Fatal(err)
	}
	items := mustCompile(t, Spec{Signatures: inBody, Signed: []string{"{body.a}"}, Items: "list"})
	fields := mustCompile(t, Spec{Signatures: []SignatureSpec{{Header: "Sig"}}, Signed: []string{"{body.a}"}})
	whole := mustCompile(t, Spec{Signatures: []SignatureSpec{{Header: "Sig"}}})
	for name, tc := range map[string]struct {
		scheme *Scheme
		body   string
		signed bool // under the key, as much as the scheme signs
		want   Reason
	}{
		"a list of items":         {items, `{"list":[` + deep("["), false, SignatureMalformed},
		"a list of objects":       {items, `{"list":[` + deep(`{"a":`), false, SignatureMalformed},
		"no list":                 {items, deep("["), false, SignatureMissing},
		"beside a signed field":   {fields, `{"a":"b","c":` + deep("["), true, SignatureMalformed},
		"in place of one":         {fields, `{"a":` + deep("["), false, SignatureInvalid},
		"a body that is signed":   {whole, deep("["), true, ""},
		"deep, and closed again":  {fields, `{"a":"b","c":` + strings.Repeat("[", 1<<20) + strings.Repeat("]", 1<<20) + "}", true, SignatureMalformed},
		"no deeper than is usual": {fields, `{"a":"b","c":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + "}", true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := testRequest("POST", "https://example.com/", tc.body)
			if tc.scheme != items {
				text := "b"
				if tc.scheme == whole {
					text = tc.body
				}
				if !tc.signed {
					text = "other"
				}
				r.Header["Sig"] = []string{macHex("key", text)}
			}
			_, err := tc.scheme.Verify(r, []Secret{{Key: key}}, vectorWindow, testNow)
			var refusal *Error
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tc.want != "" && (!errors.As(err, &refusal) || refusal.Reason != tc.want):
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}

// A header of a megabyte costs one walk over it and no memory to speak of.
func TestHugeHeadersAreBounded(t *testing.T) {
	mac := strings.Repeat("ab", 32)
	for name, tc := range map[string]struct {
		item string
		want Reason
	}{
		"signatures":              {"v1=" + mac + ",", SignatureMalformed},
		"unknown items":           {"v0=" + mac + ",", SignatureMalformed},
		"stamps":                  {"t=1764000000,", SignatureMalformed},
		"nothing between commas":  {",", SignatureMalformed},
		"signatures of no length": {"v1=,", SignatureMalformed},
		"one item":                {"v", SignatureMalformed},
		"spaces":                  {" ", SignatureMalformed},
	} {
		for _, format := range []SignatureSpec{
			{Header: "Sig", Format: "t={timestamp},v1={signature}", Split: []string{","}},
			{Header: "Sig", Format: "t={timestamp},v1={signature}", Split: []string{" ", ","}},
			{Header: "Sig"},
		} {
			t.Run(name+" in "+format.Format+strings.Join(format.Split, ""), func(t *testing.T) {
				scheme := mustCompile(t, Spec{Signatures: []SignatureSpec{format}})
				r := testRequest("POST", "https://example.com/", "body")
				r.Header["Sig"] = []string{strings.Repeat(tc.item, (1<<20)/len(tc.item))}
				var err error
				allocs := testing.AllocsPerRun(1, func() {
					_, err = scheme.Inspect(r, vectorWindow, testNow)
				})
				var refusal *Error
				if !errors.As(err, &refusal) || refusal.Reason != tc.want {
					t.Errorf("got %v, want %s", err, tc.want)
				}
				if allocs > 50 {
					t.Errorf("%v allocations", allocs)
				}
			})
		}
	}
}
