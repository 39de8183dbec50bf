package signature

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// namedJWT is the scheme of senders whose signature is a JSON Web Token
// (RFC 7519, signed as RFC 7515 section 7.1 says) with claims about the
// request.
//
// No library is used to read it. There is one algorithm, which comes from the
// configuration and never from the token. The key is the user's, or one of the set that
// the configuration names, and there are three claims to check. What libraries add to
// that is what tokens have been forged with: alg none, a public key as the
// secret of an HMAC, keys that come with the token.
const namedJWT = "jwt"

// maxToken bounds a token outside of the body. Servers take headers of a
// megabyte, and JSON is parsed before anything is verified.
const maxToken = 16 << 10

// maxNames bounds the names in a token's header and among its claims. A sender has a dozen,
// while a body of megabytes has room for hundreds of thousands.
const maxNames = 1000

// tokenEncoding has no padding, as RFC 7515 section 2 defines it.
var tokenEncoding = encoding{name: "base64url", padded: base64.RawURLEncoding.Strict(), bare: base64.RawURLEncoding.Strict()}

// tokenContent is the text of the token's first two parts.
type tokenContent struct{}

// hash writes the text in parts: a token in the body can be as long as that.
func (tokenContent) hash(st *macState, _ *Request, p Parts) error {
	const part = 16 << 10
	for text := p.token; text != ""; {
		n := min(len(text), part)
		st.buf = append(st.buf[:0], text[:n]...)
		st.hash.Write(st.buf)
		text = text[n:]
	}
	return nil
}

func (tokenContent) covers(s Source) bool { return s.Kind == SourceClaim }
func (tokenContent) holds(s Source) bool  { return s.Kind == SourceClaim }
func (tokenContent) trusts(variable) bool { return false }
func (tokenContent) uses(variable) bool   { return false }
func (tokenContent) Reads() Reads         { return Reads{} }

// readSigned reads a token, or one without what it signs.
func readSigned(l *signatureLine, r *Request, text string) (p Parts, mac, problem string) {
	if l.detached {
		return readDetached(l, r, text)
	}
	return l.readToken(text)
}

// readToken splits a token and decodes what can be decoded without a key. It returns
// what is wrong with it.
func (l *signatureLine) readToken(text string) (p Parts, mac, problem string) {
	if len(text) > maxToken && !l.source.inBody() {
		return p, "", fmt.Sprintf("holds a token of more than %d KiB", maxToken>>10)
	}
	head, rest, ok := strings.Cut(text, ".")
	payload, mac, ok2 := strings.Cut(rest, ".")
	if !ok || !ok2 || strings.Contains(mac, ".") {
		return p, "", "is not a token of three parts"
	}
	if len(head) > maxToken {
		return p, "", fmt.Sprintf("holds a token with a header of more than %d KiB", maxToken>>10)
	}
	header, problem := decodeTokenPart(head)
	if problem != "" {
		return p, "", "holds a token whose header " + problem
	}
	if problem = l.checkTokenHeader(header); problem != "" {
		return p, "", problem
	}
	if l.keySet {
		if p.keyID, problem = readKeyID(header); problem != "" {
			return p, "", problem
		}
	}
	claims, problem := decodeTokenPart(payload)
	if problem != "" {
		return p, "", "holds a token whose claims " + problem
	}
	p.claims = string(claims)
	p.token = text[:len(head)+1+len(payload)]
	return p, mac, ""
}

// checkTokenHeader compares the token's algorithm with the configured one, which the
// token cannot choose. Keys that it brings along or points to (jwk, x5c, jku, x5u) are
// ignored, and so is kid, unless keys are of a set.
func (l *signatureLine) checkTokenHeader(header []byte) (problem string) {
	alg := gjson.GetBytes(header, "alg")
	typ := gjson.GetBytes(header, "typ")
	switch {
	case alg.Type != gjson.String || alg.Str != algorithms[l.algorithm].jwt:
		return fmt.Sprintf("holds a token of another algorithm than %s", algorithms[l.algorithm].jwt)
	case l.jwt && typ.Exists() && (typ.Type != gjson.String || !strings.EqualFold(typ.Str, "JWT")):
		// An access token, for example, has another purpose.
		return "holds a token of another type than JWT"
	case gjson.GetBytes(header, "crit").Exists():
		// RFC 7515 section 4.1.11: what is critical and not understood is refused.
		return "holds a token with critical extensions"
	}
	return ""
}

// readKeyID reads which key of the set the token names, if it names one.
func readKeyID(header []byte) (id, problem string) {
	switch kid := gjson.GetBytes(header, "kid"); {
	case !kid.Exists():
		return "", ""
	case kid.Type != gjson.String || !isKeyID(kid.Str):
		return "", "holds a token whose key ID (kid) is not one"
	default:
		return kid.Str, ""
	}
}

// decodeTokenPart decodes one JSON object. It refuses a name that appears twice, since
// the guard and the app could each read a different one.
func decodeTokenPart(text string) (part []byte, problem string) {
	if text == "" || strings.ContainsAny(text, "\r\n") {
		return nil, "is not base64url"
	}
	part, err := tokenEncoding.bare.DecodeString(text)
	if err != nil {
		return nil, "is not base64url"
	}
	if firstByte(part) != '{' || !json.Valid(part) {
		return nil, "is not a JSON object"
	}
	seen := make(map[string]bool)
	gjson.ParseBytes(part).ForEach(func(name, _ gjson.Result) bool {
		switch {
		case seen[name.Str]:
			problem = "has a name twice"
		case len(seen) == maxNames:
			problem = fmt.Sprintf("has more than %d names", maxNames)
		}
		seen[name.Str] = true
		return problem == ""
	})
	return part, problem
}

// checkTokenTimes judges exp, nbf and iat where a token has them.
func (w Window) checkTokenTimes(p *Parts, now time.Time) error {
	if p.claims == "" {
		return nil // no token
	}
	for _, name := range []string{"exp", "nbf", "iat"} {
		v := gjson.Get(p.claims, name)
		if !v.Exists() {
			continue
		}
		at, err := ParseStamp(v.Raw, formatUnix)
		if err != nil || v.Type != gjson.Number {
			return refuse(TimestampMalformed, "claim %s is not a number of seconds", name)
		}
		ahead := at.Sub(now)
		switch {
		case name == "exp" && -ahead > w.MaxSkew:
			return refuse(TimestampStale, "the token expired %s ago, the limit is %s", (-ahead).Round(time.Second), w.MaxSkew)
		case name != "exp" && ahead > w.MaxSkew:
			return refuse(TimestampFuture, "claim %s is %s ahead, the limit is %s", name, ahead.Round(time.Second), w.MaxSkew)
		}
	}
	return nil
}
