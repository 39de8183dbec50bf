package signature

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"testing"
	"time"
)

func tokenPart(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// makeToken signs a header and claims as they are, however wrong.
func makeToken(header, claims, secret string) string {
	input := tokenPart(header) + "." + tokenPart(claims)
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(input))
	return input + "." + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

const goodHeader = `{"alg":"HS256","typ":"JWT"}`

func tokenScheme(tb testing.TB, algorithm string, claims ...Claim) *Scheme {
	tb.Helper()
	return mustCompile(tb, Spec{
		Named: "jwt", Claims: claims,
		Signatures: []SignatureSpec{{Header: "Authorization", Algorithm: algorithm, Format: "Bearer {signature}"}},
	})
}

// digestClaim is the claim under which the body is signed.
var digestClaim = Claim{Name: "sha256", Template: "{body|sha256|hex}"}

func verifyToken(tb testing.TB, scheme *Scheme, token, body string, key *Key) error {
	tb.Helper()
	r := testRequest("POST", "https://example.com/hook", body)
	r.Header["Authorization"] = []string{"Bearer " + token}
	_, err := scheme.Verify(r, []Secret{{Key: key}}, vectorWindow, testNow)
	return err
}

func TestToken(t *testing.T) {
	const emptyObject = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" // of {}
	sum := `"sha256":"` + emptyObject + `"`
	scheme := tokenScheme(t, "sha256", digestClaim)
	stamp := func(name string, seconds int64) string {
		return `,"` + name + `":` + FormatStamp(testNow.Add(time.Duration(seconds)*time.Second), formatUnix)
	}
	for name, test := range map[string]struct {
		header, claims string
		want           Reason
	}{
		"good":               {goodHeader, `{` + sum + `}`, ""},
		"no type":            {`{"alg":"HS256"}`, `{` + sum + `}`, ""},
		"small type":         {`{"typ":"jwt","alg":"HS256","kid":"k"}`, `{` + sum + `}`, ""},
		"keys in the header": {`{"alg":"HS256","jwk":{"k":"x"},"jku":"https://x"}`, `{` + sum + `}`, ""},
		"times":              {goodHeader, `{` + sum + stamp("exp", 0) + stamp("nbf", 0) + stamp("iat", 0) + `}`, ""},
		"skew":               {goodHeader, `{` + sum + stamp("exp", -60) + stamp("nbf", 60) + stamp("iat", 60) + `}`, ""},
		"fraction":           {goodHeader, `{` + sum + `,"iat":1764000000.5}`, ""},
		"spaces":             {`{ "alg" : "HS256" }`, "{\n " + sum + "\n}", ""},

		"none":               {`{"alg":"none"}`, `{` + sum + `}`, SignatureMalformed},
		"None":               {`{"alg":"nOnE"}`, `{` + sum + `}`, SignatureMalformed},
		"no alg":             {`{"typ":"JWT"}`, `{` + sum + `}`, SignatureMalformed},
		"alg twice":          {`{"alg":"HS256","alg":"none"}`, `{` + sum + `}`, SignatureMalformed},
		"alg twice, escaped": {`{"alg":"HS256","\u0061lg":"none"}`, `{` + sum + `}`, SignatureMalformed},
		"alg a list":         {`{"alg":["HS256"]}`, `{` + sum + `}`, SignatureMalformed},
		"lower-case alg":     {`{"alg":"hs256"}`, `{` + sum + `}`, SignatureMalformed},
		"stronger alg":       {`{"alg":"HS512"}`, `{` + sum + `}`, SignatureMalformed},
		"public alg":         {`{"alg":"RS256"}`, `{` + sum + `}`, SignatureMalformed},
		"an access token":    {`{"alg":"HS256","typ":"at+jwt"}`, `{` + sum + `}`, SignatureMalformed},
		"a number as type":   {`{"alg":"HS256","typ":1}`, `{` + sum + `}`, SignatureMalformed},
		"critical":           {`{"alg":"HS256","crit":["b64"],"b64":false}`, `{` + sum + `}`, SignatureMalformed},
		"header a list":      {`["HS256"]`, `{` + sum + `}`, SignatureMalformed},
		"header no JSON":     {`{"alg":"HS256"} x`, `{` + sum + `}`, SignatureMalformed},
		"claims a text":      {goodHeader, `"sha256"`, SignatureMalformed},
		"claims no JSON":     {goodHeader, `{` + sum, SignatureMalformed},
		"claim twice":        {goodHeader, `{` + sum + `,` + sum + `}`, SignatureMalformed},
		"claim missing":      {goodHeader, `{}`, SignatureMalformed},
		"claim null":         {goodHeader, `{"sha256":null}`, SignatureMalformed},
		"claim empty":        {goodHeader, `{"sha256":""}`, SignatureInvalid},
		"claim nested":       {goodHeader, `{"sha256":["` + emptyObject + `"]}`, SignatureInvalid},
		"another digest":     {goodHeader, `{"sha256":"` + strings.Repeat("0", 64) + `"}`, SignatureInvalid},
		"expired":            {goodHeader, `{` + sum + stamp("exp", -61) + `}`, TimestampStale},
		"not yet":            {goodHeader, `{` + sum + stamp("nbf", 61) + `}`, TimestampFuture},
		"issued tomorrow":    {goodHeader, `{` + sum + stamp("iat", 86400) + `}`, TimestampFuture},
		"exp a text":         {goodHeader, `{` + sum + `,"exp":"9999999999"}`, TimestampMalformed},
		"exp with exponent":  {goodHeader, `{` + sum + `,"exp":1e12}`, TimestampMalformed},
		"exp null":           {goodHeader, `{` + sum + `,"exp":null}`, TimestampMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			err := verifyToken(t, scheme, makeToken(test.header, test.claims, "k"), "{}", testKey(t, "k"))
			if test.want != "" {
				wantReason(t, err, test.want)
			} else if err != nil {
				t.Errorf("got %v", err)
			}
			if err := verifyToken(t, scheme, makeToken(test.header, test.claims, "other"), "{}", testKey(t, "k")); err == nil {
				t.Error("another secret's token verifies")
			}
		})
	}
}

// TestTokenText checks that a token is one text, and there is no second one for it.
func TestTokenText(t *testing.T) {
	scheme := tokenScheme(t, "sha256")
	good := makeToken(goodHeader, `{"a":1}`, "k")
	parts := strings.Split(good, ".")
	last := good[len(good)-1]
	for name, token := range map[string]string{
		"empty":               "",
		"one part":            parts[0],
		"two parts":           parts[0] + "." + parts[1],
		"no signature":        parts[0] + "." + parts[1] + ".",
		"four parts":          good + ".",
		"five parts":          good + ".a.b",
		"dots only":           "..",
		"padding":             good + "=",
		"padded header":       parts[0] + "=." + parts[1] + "." + parts[2],
		"line break":          parts[0] + "." + parts[1] + "." + parts[2][:5] + "\n" + parts[2][5:],
		"break in the claims": parts[0] + "." + parts[1][:2] + "\r\n" + parts[1][2:] + "." + parts[2],
		"space":               " " + good + " ",
		"other last bits":     good[:len(good)-1] + string(last^1),
		"short signature":     good[:len(good)-4],
		"standard alphabet":   strings.NewReplacer("-", "+", "_", "/").Replace(good) + "+/",
		"a word before it":    "Bearer " + good,
		"huge":                makeToken(goodHeader, `{"a":"`+strings.Repeat("x", maxToken)+`"}`, "k"),
	} {
		if err := verifyToken(t, scheme, token, "", testKey(t, "k")); err == nil {
			t.Errorf("%s: verifies", name)
		}
	}
	if err := verifyToken(t, scheme, good, "", testKey(t, "k")); err != nil {
		t.Error(err)
	}
	r := testRequest("POST", "https://example.com/", "")
	r.Header["Authorization"] = []string{"Bearer " + good, "Bearer " + good}
	_, err := scheme.Verify(r, []Secret{{Key: testKey(t, "k")}}, vectorWindow, testNow)
	wantReason(t, err, SignatureMalformed)
}

// TestTokenKeyConfusion checks against a classic forgery: an HMAC whose secret is the
// public key, which everyone has.
func TestTokenKeyConfusion(t *testing.T) {
	pair := testPairs()["rsa"]
	for _, public := range []string{string(pair.spki), toPEM("PUBLIC KEY", pair.spki), strings.TrimSpace(toPEM("PUBLIC KEY", pair.spki))} {
		forged := makeToken(goodHeader, "{}", public)
		for _, algorithm := range []string{"rsa-sha256", "sha256"} {
			err := verifyToken(t, tokenScheme(t, algorithm), forged, "", pair.private)
			if err == nil {
				t.Errorf("%s takes an HMAC under its public key", algorithm)
			}
		}
	}
	// A token that says RS256 and is an HMAC, and one of the other key.
	for _, header := range []string{`{"alg":"RS256"}`, `{"alg":"ES256"}`, `{"alg":"EdDSA"}`} {
		for _, algorithm := range []string{"rsa-sha256", "ecdsa-sha256", "ed25519"} {
			pair := testPairs()[pairFor(algorithm)]
			if verifyToken(t, tokenScheme(t, algorithm), makeToken(header, "{}", string(pair.spki)), "", pair.private) == nil {
				t.Errorf("%s with %s verifies", algorithm, header)
			}
		}
	}
}

// TestTokenAlgorithms checks that what is signed verifies, with claims, stamp and ID.
func TestTokenAlgorithms(t *testing.T) {
	for _, algorithm := range append([]string{"sha256", "sha384", "sha512"}, asymmetricNames...) {
		t.Run(algorithm, func(t *testing.T) {
			key := testKey(t, "k")
			if pair, ok := testPairs()[pairFor(algorithm)]; ok {
				key = pair.private
			}
			scheme := mustCompile(t, Spec{
				Named: "jwt", Signatures: []SignatureSpec{{Header: "X-Token", Algorithm: algorithm}},
				Claims:    []Claim{digestClaim, {Name: "iss", Template: "acme"}, {Name: "when", Template: "{timestamp}"}},
				Timestamp: testStamp(t, "claim issued unix_ms"), ID: []Source{{SourceClaim, "jti"}},
			})
			r := testRequest("POST", "https://example.com/hook", `{"a":1}`)
			if err := scheme.Sign(r, key, testNow, "evt-1"); err != nil {
				t.Fatal(err)
			}
			verdict, err := scheme.Verify(r, []Secret{{Key: key}}, vectorWindow, testNow)
			if err != nil || !verdict.Time.Equal(testNow) {
				t.Fatalf("got %+v, %v", verdict, err)
			}
			id := Source{SourceClaim, "jti"}
			if got := id.Read(r, verdict.Parts); got.Text != "evt-1" || !got.Found {
				t.Errorf("the ID is %+v", got)
			}
			if !scheme.Covers(id) || !scheme.CoversBody() {
				t.Error("not covered")
			}
			r.Body = []byte(`{"a":2}`)
			_, err = scheme.Verify(r, []Secret{{Key: key}}, vectorWindow, testNow)
			wantReason(t, err, SignatureInvalid)
		})
	}
}

// TestTokenRFC verifies the tokens of RFC 7515, appendix A.1 and A.3.
func TestTokenRFC(t *testing.T) {
	at := time.Unix(1300819380, 0)
	verify := func(algorithm, token string, key *Key) error {
		r := testRequest("POST", "https://example.com/", "")
		r.Header["Authorization"] = []string{"Bearer " + token}
		_, err := tokenScheme(t, algorithm).Verify(r, []Secret{{Key: key}}, vectorWindow, at)
		return err
	}
	key, err := NewKey("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow", "raw", "")
	if err != nil {
		t.Fatal(err)
	}
	key.bytes, _ = base64.RawURLEncoding.DecodeString(string(key.bytes))
	const payload = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
	if err := verify("sha256", "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."+payload+".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", key); err != nil {
		t.Error(err)
	}
	point := []byte{4} // not compressed
	for _, coordinate := range []string{"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"} {
		raw, _ := base64.RawURLEncoding.DecodeString(coordinate)
		point = append(point, raw...)
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	key, err = NewPublicKey(base64.StdEncoding.EncodeToString(der))
	if err != nil {
		t.Fatal(err)
	}
	if err := verify("ecdsa-sha256", "eyJhbGciOiJFUzI1NiJ9."+payload+".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q", key); err != nil {
		t.Error(err)
	}
}

// TestTokenCovers checks that a token covers what its claims name, and
// nothing else.
func TestTokenCovers(t *testing.T) {
	body, query := Source{SourceBody, "id"}, Source{SourceQuery, "q"}
	url := Claim{Name: "u", Template: "{url|sha256|hex}"}
	optional := digestClaim
	optional.Optional = true
	for name, test := range map[string]struct {
		claims      []Claim
		body, query bool
	}{
		"none":     {nil, false, false},
		"issuer":   {[]Claim{{Name: "iss", Template: "acme"}}, false, false},
		"body":     {[]Claim{digestClaim}, true, false},
		"both":     {[]Claim{digestClaim, url}, true, true},
		"optional": {[]Claim{optional, url}, false, true},
	} {
		scheme := tokenScheme(t, "sha256", test.claims...)
		if scheme.Covers(body) != test.body || scheme.CoversBody() != test.body || scheme.Covers(query) != test.query || !scheme.Covers(Source{SourceClaim, "jti"}) {
			t.Errorf("%s: body %v, whole %v, query %v", name, scheme.Covers(body), scheme.CoversBody(), scheme.Covers(query))
		}
	}
	// An optional claim may be missing, and may not be wrong.
	scheme := tokenScheme(t, "sha256", optional)
	if err := verifyToken(t, scheme, makeToken(goodHeader, "{}", "k"), "{}", testKey(t, "k")); err != nil {
		t.Error(err)
	}
	wantReason(t, verifyToken(t, scheme, makeToken(goodHeader, `{"sha256":"x"}`, "k"), "{}", testKey(t, "k")), SignatureInvalid)
}

// TestTokenBody verifies a token that is the whole body.
func TestTokenBody(t *testing.T) {
	scheme := mustCompile(t, Spec{
		Named: "jwt", Signatures: []SignatureSpec{{Source: Source{Kind: "body"}, Algorithm: "rsa-sha256"}},
		Claims: []Claim{{Name: "iss", Template: "wix.com"}}, ID: []Source{{SourceClaim, "data.id"}},
	})
	key := testPairs()["rsa"].private
	r := testRequest("POST", "https://example.com/", "")
	if err := scheme.Sign(r, key, testNow, "evt"); err != nil {
		t.Fatal(err)
	}
	in, err := scheme.Inspect(&Request{Header: r.Header}, vectorWindow, testNow)
	if err != nil {
		t.Fatal(err)
	}
	verdict, err := scheme.Authenticate(&in, r, []Secret{{Key: key}}, vectorWindow, testNow)
	if err != nil || (Source{SourceClaim, "data.id"}).Read(r, verdict.Parts).Text != "evt" || !scheme.CoversBody() {
		t.Fatalf("got %+v, %v", verdict, err)
	}
	_, err = scheme.Authenticate(&in, r, []Secret{{Key: key}}, vectorWindow, testNow.Add(tokenLife+2*vectorWindow.MaxSkew))
	wantReason(t, err, TimestampStale)
	r.Body = nil
	_, err = scheme.Authenticate(&in, r, []Secret{{Key: key}}, vectorWindow, testNow)
	wantReason(t, err, SignatureMissing)
}
