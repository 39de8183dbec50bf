package signature

import (
	"strings"
	"testing"
	"time"
)

func TestParseFormatErrors(t *testing.T) {
	for _, test := range []struct {
		format, split, want string
	}{
		{"sha256=", "", "has no {signature}"},
		{"{timestamp}", "", "has no {signature}"},
		{"{signature}{timestamp}", "", "need text between them"},
		{"{signature},{signature}", ",", "has {signature} twice"},
		{"t={timestamp},u={timestamp},{signature}", ",", "has {timestamp} twice"},
		{"{signatur}", "", "unknown placeholder {signatur}: there are {signature}"},
		{"{body}{signature}", "", "unknown placeholder {body}"},
		{"{signature", "", "no closing brace"},
		{"signature}", "", "without an opening one"},
		{`\q{signature}`, "", "escapes nothing"},
		{"{signature},,", ",", "empty item"},
		{"{signature}", "a b c", "two for groups"},
	} {
		_, err := parseFormat(test.format, strings.Fields(test.split))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q split %q: got %v, want %q", test.format, test.split, err, test.want)
		}
	}
	if _, err := parseFormat("{signature}", []string{""}); err == nil {
		t.Error("an empty separator was taken")
	}
}

// TestReadHeader reads headers with one hex MAC of the right length in place
// of M, and lists what was found as signature@timestamp/id/nonce.
func TestReadHeader(t *testing.T) {
	mac := strings.Repeat("ab", 32)
	for _, test := range []struct {
		format, split, value string
		want                 string // or the problem
	}{
		{"{signature}", "", "M", "@//"},
		{"{signature}", "", " M", "has no signature of the right length"},
		{"{signature}", "", "MM", "has no signature of the right length"},
		{"sha256={signature}", "", "sha256=M", "@//"},
		{"sha256={signature}", "", "SHA256=M", "is not of the configured format"},
		{"sha256={signature}", "", "sha256=", "is not of the configured format"},
		{"sha256={signature}", "", "M", "is not of the configured format"},
		{"[{signature}]", "", "[M]", "@//"},
		{"[{signature}]", "", "[M", "is not of the configured format"},
		{"[{signature}]", "", "[]", "is not of the configured format"},
		{"{timestamp}.{signature}", "", "12.M", "@12//"},
		{"{timestamp}.{signature}", "", "1.2.M", "has no signature of the right length"},
		{"t={timestamp}&i={id}&n={nonce}&s={signature}.", "", "t=1&i=2&n=3&s=M.", "@1/2/3"},
		{`\{{signature}\}`, "", "{M}", "@//"},
		{"t={timestamp},v1={signature}", ",", "t=1,v1=M", "@1//"},
		{"t={timestamp},v1={signature}", ",", "v1=M,t=1", "@1//"},
		{"t={timestamp}, v1={signature}", ",", "t=1,  v1=M ,v0=x,y", "@1//"},
		{"t={timestamp},v1={signature}", ",", "t=1,v1=M,v1=M,v1=bad", "@1// @1//"},
		{"t={timestamp},v1={signature}", ",", "v1=M", "has no timestamp"},
		{"t={timestamp},v1={signature}", ",", "t=1", "has no signature"},
		{"t={timestamp},v1={signature}", ",", "t=1,t=1,v1=M", "has a part twice"},
		{"i={id},n={nonce},{signature}", ",", "M,i=1", "has no"},
		{"i={id},n={nonce},v={signature}", ",", "v=M,i=1", "has no nonce"},
		{"i={id},n={nonce},v={signature}", ",", "v=M,n=1", "has no ID"},
		{"{timestamp},{signature}", ",", "1,M,M", "@1// @1//"},
		{"{timestamp},{signature}", ",", "M,1", "has no signature of the right length"},
		{"{timestamp},{signature}", ",", ",M", "has no timestamp"},
		{"{signature},{timestamp}", ",", "M,1,M", "@1//"},
		{"{signature}", ".", "M.M", "@// @//"},
		{"k={id} {signature}", " ", "k=1 M", "@/1/"},
		{"t={timestamp},v1={signature}", "space ,", "t=1,v1=M t=2,v1=M,v1=M", "@1// @2// @2//"},
		{"t={timestamp},v1={signature}", "space ,", "t=1,v1=M t=2", "@1//"},
		{"t={timestamp},v1={signature}", "space ,", "t=1,v1=M  v1=M t=3,t=4,v1=M", "@1//"},
		{"t={timestamp},v1={signature}", "space ,", "t=1 v1=M", "has no timestamp"},
		{"t={timestamp},v1={signature}", "space ,", "   ", "is not of the configured format"},
	} {
		var split []string
		for _, sep := range strings.Fields(test.split) {
			split = append(split, strings.ReplaceAll(sep, "space", " "))
		}
		scheme := mustCompile(t, Spec{Signatures: []SignatureSpec{{Header: "Sig", Format: test.format, Split: split}}})
		var in Inspection
		rd := reader{l: &scheme.lines[0]}
		problem := rd.readGroups(&in, strings.ReplaceAll(test.value, "M", mac))
		got := problem
		if problem == "" {
			var found []string
			for i := range in.candidates.count {
				p := in.groups.at(in.candidates.at(i).group)
				found = append(found, "@"+p.Timestamp+"/"+p.ID+"/"+p.Nonce)
			}
			got = strings.Join(found, " ")
		}
		if got != test.want && (problem == "" || !strings.HasPrefix(problem, test.want)) {
			t.Errorf("%q split %q, %q: got %q, want %q", test.format, test.split, test.value, got, test.want)
		}
	}
}

// TestManySignatures checks that sixteen are tried and one more is refused, wherever they
// stand and however wrong they are.
func TestManySignatures(t *testing.T) {
	one := strings.Repeat("0", 64)
	many := func(text, sep string, n int) string {
		return strings.TrimSuffix(strings.Repeat(text+sep, n), sep)
	}
	for name, spec := range map[string]SignatureSpec{
		"list":   {Header: "Sig", Split: []string{","}},
		"groups": {Header: "Sig", Format: "v={signature}", Split: []string{",", ";"}},
	} {
		scheme := mustCompile(t, Spec{Signatures: []SignatureSpec{spec}})
		for _, item := range []string{one, "short", "v=" + one, "v=x"} {
			for _, n := range []int{1, 16, 17, 1000} {
				r := &Request{Header: map[string][]string{"Sig": {many(item, ",", n)}}}
				_, err := scheme.Verify(r, []Secret{{Key: testKey(t, "k")}}, vectorWindow, time.Now())
				want := SignatureMalformed
				if n <= 16 && strings.HasSuffix(item, one) && (name == "groups") == strings.HasPrefix(item, "v=") {
					want = SignatureInvalid
				}
				wantReason(t, err, want)
			}
		}
	}
}

// TestSeveralHeaders checks that any header may match, and each has its own shape.
func TestSeveralHeaders(t *testing.T) {
	scheme := mustCompile(t, Spec{Signatures: []SignatureSpec{
		{Header: "Sig", Algorithm: "sha512", Format: "SHA512={signature}"},
		{Header: "Sig", Algorithm: "sha512", Format: "sha512={signature}"},
		{Header: "Old-Sig", Algorithm: "sha1", Encoding: "base64url"},
	}})
	key := testKey(t, "k")
	r := testRequest("POST", "https://example.com/", "body")
	if err := scheme.Sign(r, key, time.Unix(0, 0), ""); err != nil {
		t.Fatal(err)
	}
	verify := func(sig, old []string) error {
		r := &Request{Body: []byte("body"), Header: map[string][]string{}}
		if sig != nil {
			r.Header["Sig"] = sig
		}
		if old != nil {
			r.Header["Old-Sig"] = old
		}
		_, err := scheme.Verify(r, []Secret{{Key: key}}, vectorWindow, time.Now())
		return err
	}
	sig, old := r.Header["Sig"], r.Header["Old-Sig"]
	lower := []string{strings.Replace(sig[0], "SHA", "sha", 1)}
	for name, err := range map[string]error{
		"both": verify(sig, old), "first": verify(sig, nil), "second": verify(nil, old), "other shape": verify(lower, nil),
		"malformed beside good": verify([]string{"x"}, old), "empty beside good": verify([]string{""}, old), "no values": verify([]string{}, old),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	wantReason(t, verify(nil, nil), SignatureMissing)
	wantReason(t, verify([]string{}, nil), SignatureMissing)
	wantReason(t, verify([]string{""}, nil), SignatureMalformed)
	wantReason(t, verify([]string{"x"}, []string{"y"}), SignatureMalformed)
	wantReason(t, verify([]string{sig[0], sig[0]}, old), SignatureMalformed)
	// A MAC of one algorithm is no MAC of another.
	wantReason(t, verify([]string{"sha512=" + old[0]}, nil), SignatureMalformed)
}
