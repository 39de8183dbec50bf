package signature

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzJWT checks that no token panics, none verifies under a key that did not make it,
// and what is taken as claims is one JSON object under the token's text.
func FuzzJWT(f *testing.F) {
	good := makeToken(goodHeader, `{"sha256":"x","exp":1764000000,"jti":"a"}`, "k")
	for i := range 4 {
		for _, seed := range []string{
			"", ".", "..", "...", good, good + ".", "Bearer " + good, good[:len(good)-1], makeToken(`{"alg":"none"}`, "{}", ""),
			tokenPart(`{"alg":"none"}`) + "." + tokenPart("{}") + ".", makeToken(`{"alg":"HS256","alg":"none"}`, "{}", "k"),
			makeToken(goodHeader, `{"exp":1e999,"iat":-1}`, "k"), makeToken(goodHeader, `{"a":`+strings.Repeat("[", 2000)+strings.Repeat("]", 2000)+`}`, "k"),
			makeToken(`{"alg":"RS256"}`, "{}", "k"), makeToken(`{"alg":"ES256"}`, "{}", "k"), makeToken(`{"alg":"EdDSA"}`, "{}", "k"),
		} {
			f.Add(i, seed, "body")
		}
	}
	algorithms := []string{"sha256", "rsa-sha256", "ecdsa-sha256", "ed25519"}
	f.Fuzz(func(t *testing.T, i int, token, body string) {
		algorithm := algorithms[uint(i)%uint(len(algorithms))]
		key := testKey(t, "a key that signed nothing")
		if pair, ok := testPairs()[pairFor(algorithm)]; ok {
			key = pair.private
		}
		scheme := mustCompile(t, Spec{Named: "jwt", Signatures: []SignatureSpec{{Header: "Sig", Algorithm: algorithm}}, Claims: []Claim{digestClaim}})
		r := testRequest("POST", "https://example.com/", body)
		r.Header["Sig"] = []string{token}
		if _, err := scheme.Verify(r, []Secret{{Key: key}, {Key: &Key{}}, {}}, vectorWindow, testNow); err == nil {
			t.Fatalf("%q verifies", token)
		}
		p, mac, problem := scheme.lines[0].readToken(token)
		if problem != "" {
			return
		}
		var claims map[string]json.RawMessage
		if err := json.Unmarshal([]byte(p.claims), &claims); err != nil {
			t.Fatalf("%q is taken for claims: %v", p.claims, err)
		}
		if p.token+"."+mac != token || strings.Count(token, ".") != 2 {
			t.Fatalf("%q is read as %q and %q", token, p.token, mac)
		}
	})
}

// FuzzSignedFields checks that, where only fields of a body are signed, the guard reads
// what an app reads that takes the last of two keys, or refuses.
func FuzzSignedFields(f *testing.F) {
	for _, seed := range []string{
		`{"s":{"t":"1"}}`, `{"s":{"t":"1","t":"2"}}`, `{"s":{"t":"1"},"s":{"t":"2"}}`, `{"s":{"t":"1","\u0074":"2"}}`, `{"\u0073":{"t":"1"}}`,
		`{"s":{"t":1.0}}`, `{"s":[{"t":1}]}`, `{"s":{"t":"1"}} x`, `{"s":{"t":"\ud800"}}`, `[{"s":1}]`, `{"s" x :{"t":"1"}}`, `{"a":"{\"s\":1}","s":{"t":"é"}}`,
	} {
		f.Add(seed)
	}
	scheme := mustCompile(f, Spec{Signatures: []SignatureSpec{{Header: "Sig"}}, Signed: []string{"{body.s.t}"}})
	f.Fuzz(func(t *testing.T, body string) {
		r := testRequest("POST", "https://example.com/", body)
		text, kind := readJSON(r.Body, "s.t")
		if kind != jsonScalar || checkFields(scheme.signed[0].(*templateContent).fields, r) != nil || !utf8.ValidString(body) || strings.Contains(body, `\u`) {
			return
		}
		outer := map[string]json.RawMessage{}
		inner := map[string]json.RawMessage{}
		if json.Unmarshal(r.Body, &outer) != nil || json.Unmarshal(outer["s"], &inner) != nil {
			t.Fatalf("%q: read as %q, and the app cannot read it", body, text)
		}
		want := string(inner["t"])
		if strings.HasPrefix(want, `"`) {
			var s string
			if err := json.Unmarshal(inner["t"], &s); err != nil {
				t.Fatal(err)
			}
			want = s
		}
		if text != want {
			t.Fatalf("%q: the guard reads %q, the app %q", body, text, want)
		}
	})
}

// FuzzPublicKey checks that no text panics, and a key that is taken can be used.
func FuzzPublicKey(f *testing.F) {
	for _, pair := range testPairs() {
		f.Add(toPEM("PUBLIC KEY", pair.spki))
	}
	for _, seed := range []string{"", "whpk_", strings.Repeat("ab", 32), "-----BEGIN PUBLIC KEY-----", "-----BEGIN A-----AA==-----END A-----", strings.Repeat("A", 43) + "="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		key, err := NewPublicKey(text)
		if err != nil {
			return
		}
		if !key.usable() || key.public == nil {
			t.Fatalf("%q gives a key that cannot be used", text)
		}
		for a := range algorithm(len(algorithms)) {
			if key.fits(a) && key.verifies(a, make([]byte, algorithms[a].new().Size()), make([]byte, 64), false) {
				t.Fatalf("%q: zeros verify", text)
			}
		}
	})
}
