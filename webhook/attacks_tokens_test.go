package webhook

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// jwtEntry is a sender of tokens with a digest of the body.
type jwtEntry struct {
	header, prefix string
	claim          string
	digest         func(body string) string
	claims         string // that the sender always sends, for the URL of the tests
	mayBeMissing   bool   // without a body
}

func hexDigest(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}

func base64Digest(body string) string {
	sum := sha256.Sum256([]byte(body))
	return base64.StdEncoding.EncodeToString(sum[:])
}

var jwtEntries = map[string]jwtEntry{
	"fusionauth":  {"X-FusionAuth-Signature-JWT", "", "request_body_sha256", base64Digest, `"jti":"1"`, false},
	"plaid":       {"Plaid-Verification", "", "request_body_sha256", hexDigest, `"webhook":"1"`, false},
	"livekit":     {"Authorization", "", "sha256", base64Digest, `"iss":"key"`, false},
	"netlify":     {"X-Webhook-Signature", "", "sha256", hexDigest, `"iss":"netlify"`, false},
	"vonage":      {"Authorization", "Bearer ", "payload_hash", hexDigest, `"iss":"Vonage"`, true},
	"messagebird": {"MessageBird-Signature-JWT", "", "payload_hash", hexDigest, `"iss":"MessageBird","url_hash":"` + hexDigest("https://hooks.example.com/in") + `"`, true},
}

// token is a token of the entry's sender, which holds these claims too.
func (e jwtEntry) token(now time.Time, more string) string {
	part := base64.RawURLEncoding.EncodeToString
	stamps, _ := json.Marshal(map[string]int64{"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Minute).Unix()})
	claims := strings.TrimSuffix(string(stamps), "}") + "," + e.claims
	if more != "" {
		claims += "," + more
	}
	if e.header == "Plaid-Verification" {
		text := part([]byte(`{"alg":"ES256","kid":"k","typ":"JWT"}`)) + "." + part([]byte(claims+"}"))
		sum := sha256.Sum256([]byte(text))
		r, s, err := ecdsa.Sign(rand.Reader, tokenKeyEC(), sum[:])
		if err != nil {
			panic(err)
		}
		return text + "." + part(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
	}
	if e.asymmetric() {
		text := part([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + part([]byte(claims+"}"))
		sum := sha256.Sum256([]byte(text))
		signed, err := rsa.SignPKCS1v15(rand.Reader, tokenKey(), crypto.SHA256, sum[:])
		if err != nil {
			panic(err)
		}
		return e.prefix + text + "." + part(signed)
	}
	text := part([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + part([]byte(claims+"}"))
	mac := hmac.New(sha256.New, []byte(copySecret))
	mac.Write([]byte(text))
	return e.prefix + text + "." + part(mac.Sum(nil))
}

// asymmetric reports whether the sender has a key pair.
func (e jwtEntry) asymmetric() bool {
	return e.header == "X-FusionAuth-Signature-JWT" || e.header == "Plaid-Verification"
}

// secret is what its guard is configured with.
func (e jwtEntry) secret() string {
	if !e.asymmetric() {
		return copySecret
	}
	var public any = tokenKey().Public()
	if e.header == "Plaid-Verification" {
		public = tokenKeyEC().Public()
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

var tokenKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

var tokenKeyEC = sync.OnceValue(func() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
})

// digestClaim reports whether a claim of the entry is of the body.
func digestClaim(p config.Provider) bool {
	return slices.ContainsFunc(p.Claim, func(c signature.Claim) bool { return strings.Contains(c.Template, "{body") })
}

// A token of the sender's key proves nothing about a body of which it has no digest: a
// participant of a LiveKit room has such tokens too.
func TestATokenNeedsTheDigestOfItsBody(t *testing.T) {
	now := time.Now()
	const events = `{"id":"EV_1","event":"room_started"}`
	for _, name := range config.Builtin().Names() {
		p := config.Builtin()[name]
		entry, tested := jwtEntries[name]
		if withDigest := p.Scheme == "jwt" && p.Token == "" && digestClaim(p); withDigest != tested {
			t.Errorf("%s: has a digest: %t, and its tokens are known here: %t", name, withDigest, tested)
		}
		if !tested {
			continue
		}
		s, err := New(name, p)
		if err != nil {
			t.Fatal(err)
		}
		key, err := s.NewKey(entry.secret())
		if err != nil {
			t.Fatal(err)
		}
		event := events
		if name == "fusionauth" {
			event = `{"event":{"id":"EV_1","type":"user.create"}}`
		}
		judge := func(what, body, claims string, want Result) {
			t.Helper()
			r := post(body, entry.header, entry.token(now, claims))
			_, refused := s.Judge(r, []byte(body), Fixed{[]signature.Secret{{Key: key}}, "scope"}, now)
			got := Result("")
			if refused != nil {
				got = refused.Result
			}
			if got != want {
				t.Errorf("%s, %s: %q (%v), want %q", name, what, got, refused, want)
			}
		}
		claim := func(value string) string { return `"` + entry.claim + `":` + value }
		quoted := func(text string) string { return claim(`"` + text + `"`) }
		digest := entry.digest(event)
		judge("the event", event, quoted(digest), "")
		judge("no digest", event, "", SignatureMalformed)
		judge("null", event, claim("null"), SignatureMalformed)
		judge("in a list", event, claim(`["`+digest+`"]`), SignatureInvalid)
		judge("in an object", event, claim(`{"a":"`+digest+`"}`), SignatureInvalid)
		judge("a number", event, claim("1"), SignatureInvalid)
		judge("true", event, claim("true"), SignatureInvalid)
		judge("empty", event, quoted(""), SignatureInvalid)
		judge("another body's", event, quoted(entry.digest("{}")), SignatureInvalid)
		judge("the empty text's", event, quoted(entry.digest("")), SignatureInvalid)
		judge("twice, last good", event, quoted("x")+","+quoted(digest), SignatureMalformed)
		judge("twice, first good", event, quoted(digest)+","+quoted("x"), SignatureMalformed)
		judge("twice, both good", event, quoted(digest)+","+quoted(digest), SignatureMalformed)
		judge("twice, escaped", event, quoted(digest)+`,"\u00`+hex.EncodeToString([]byte(entry.claim[:1]))+entry.claim[1:]+`":"x"`, SignatureMalformed)
		judge("with a space", event, quoted(digest+" "), SignatureInvalid)
		judge("in upper case", event, quoted(strings.ToUpper(digest)), SignatureInvalid)
		for _, other := range []string{hexDigest(event), base64Digest(event), strings.TrimRight(base64Digest(event), "="), strings.NewReplacer("+", "-", "/", "_").Replace(base64Digest(event))} {
			if other != digest {
				judge("in another encoding", event, quoted(other), SignatureInvalid)
			}
		}
		judge("an empty body's event, captured", event, quoted(entry.digest("")), SignatureInvalid)
		judge("the body taken away", "", quoted(digest), SignatureInvalid)
		bare := SignatureMalformed
		if entry.mayBeMissing {
			bare = ""
		}
		judge("an empty body without a digest", "", "", bare)
	}
}

// Where a line says that the digest may be missing, the catalogue's words say what that means.
func TestAnOptionalDigestLeavesTheBodyOpen(t *testing.T) {
	for lines, open := range map[string]bool{
		"":                               true,
		"claim digest {body|sha256|hex}": false,
		"claim digest {body|sha256|hex} optional":  true,
		"claim digest {body|sha256|hex} with_body": false,
		"claim iss acme": true,
	} {
		s := newSender(t, "scheme jwt\nsignature X-Token\n"+lines)
		said := strings.Contains(s.Rules.Recognition().StaysOpen, "can send any body")
		if said != open {
			t.Errorf("%q: stays open: %q", lines, s.Rules.Recognition().StaysOpen)
		}
	}
}
