package signature

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
)

// namedJWT is the scheme of senders whose signature is a JSON Web Token
// (RFC 7519, signed as RFC 7515 section 7.1 says) with claims about the
// request.
//
// It is read here and not by a library: there is one algorithm, which the
// configuration says and never the token, one key, which no header of the
// token finds, and there are three claims to judge. What the libraries add to
// that is what tokens were forged with: alg none, a public key as the secret
// of an HMAC, keys that came along in the token.
const namedJWT = "jwt"

// maxToken bounds a token outside of the body. Servers take headers of a
// megabyte, and JSON is parsed before anything is verified.
const maxToken = 16 << 10

// tokenEncoding has no padding, as RFC 7515 section 2 defines it.
var tokenEncoding = encoding{name: "base64url", padded: base64.RawURLEncoding.Strict(), bare: base64.RawURLEncoding.Strict()}

// checkJWT checks what a signature line says where the signature is a token.
func (l *signatureLine) checkJWT(spec SignatureSpec) error {
	l.encoding = &tokenEncoding
	if algorithms[l.algorithm].jwt == "" {
		return fmt.Errorf("there is no JWT with the algorithm %s", l.algorithm)
	}
	if spec.Encoding != "" && spec.Encoding != tokenEncoding.name {
		return fmt.Errorf("a JWT is in base64url, not in %s", spec.Encoding)
	}
	for name, v := range formatVariables {
		if v != varSignature && l.format.has(v) {
			return fmt.Errorf("a {%s} beside a JWT is not under its signature: use a claim, timestamp claim iat or id claim jti", name)
		}
	}
	return nil
}

// claim is a compiled Claim.
type claim struct {
	templateContent
	name     string
	optional bool
}

func (s *Scheme) compileClaims() error {
	if s.spec.Named != namedJWT {
		if len(s.spec.Claims) > 0 {
			return errors.New("claim: there are claims in tokens only, so this needs the line scheme jwt")
		}
		return nil
	}
	if len(s.lines) == 0 {
		return errors.New("scheme: jwt needs a signature line that says where the token is")
	}
	if len(s.spec.SignedFunctions) > 0 {
		return errors.New("signed: the scheme jwt has its own content, so remove this line")
	}
	for _, spec := range s.spec.Claims {
		t, err := ParseTemplate(spec.Template)
		if err == nil {
			_, err = splitPath(spec.Name)
		}
		if err == nil {
			err = s.checkTemplate(t)
		}
		if err != nil {
			return fmt.Errorf("claim: %s: %w", spec.Name, err)
		}
		s.claims = append(s.claims, &claim{templateContent{Template: t, params: s.spec.Params}, spec.Name, spec.Optional})
		s.fields = append(s.fields, t.signedFields()...)
		s.signsTimestamp = s.signsTimestamp || t.uses(varTimestamp)
		s.signsID = s.signsID || t.uses(varID)
	}
	return nil
}

// tokenContent is the text of the token's first two parts.
type tokenContent struct{}

func (tokenContent) hash(st *macState, _ *Request, p Parts) error {
	st.buf = append(st.buf[:0], p.token...)
	st.hash.Write(st.buf)
	return nil
}

func (tokenContent) covers(s Source) bool { return s.Kind == SourceClaim }
func (tokenContent) uses(variable) bool   { return false }

// readToken takes a token apart, as far as that can be done without a key. It
// says what is wrong with it.
func (l *signatureLine) readToken(text string) (p Parts, mac, problem string) {
	if len(text) > maxToken && !l.source.inBody() {
		return p, "", fmt.Sprintf("holds a token of more than %d KiB", maxToken>>10)
	}
	head, rest, ok := strings.Cut(text, ".")
	payload, mac, ok2 := strings.Cut(rest, ".")
	if !ok || !ok2 || strings.Contains(mac, ".") {
		return p, "", "is not a token of three parts"
	}
	header, problem := decodeTokenPart(head)
	if problem != "" {
		return p, "", "holds a token whose header " + problem
	}
	if problem = l.checkTokenHeader(header); problem != "" {
		return p, "", problem
	}
	claims, problem := decodeTokenPart(payload)
	if problem != "" {
		return p, "", "holds a token whose claims " + problem
	}
	p.claims = string(claims)
	p.token = text[:len(head)+1+len(payload)]
	return p, mac, ""
}

// checkTokenHeader: the token may say which algorithm it has, it may not
// choose. What it says of keys (kid, jku, jwk, x5u, x5c) is never looked at.
func (l *signatureLine) checkTokenHeader(header []byte) (problem string) {
	alg := gjson.GetBytes(header, "alg")
	typ := gjson.GetBytes(header, "typ")
	switch {
	case alg.Type != gjson.String || alg.Str != algorithms[l.algorithm].jwt:
		return fmt.Sprintf("holds a token of another algorithm than %s", algorithms[l.algorithm].jwt)
	case typ.Exists() && (typ.Type != gjson.String || !strings.EqualFold(typ.Str, "JWT")):
		// Such as an access token, which is for something else.
		return "holds a token of another type than JWT"
	case gjson.GetBytes(header, "crit").Exists():
		// RFC 7515 section 4.1.11: what is critical and not understood is refused.
		return "holds a token with critical extensions"
	}
	return ""
}

// decodeTokenPart wants one object in which no name is there twice: else the
// guard and the app could each take another one.
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
		if seen[name.Str] {
			problem = "has a name twice"
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

// checkClaims compares the claims of a token whose signature holds with what
// the request is.
func (s *Scheme) checkClaims(r *Request, p *Parts) error {
	for i := range s.claims {
		c := s.claims[i]
		text, kind := readJSON([]byte(p.claims), c.name)
		if kind == jsonMissing {
			// MessageBird leaves the digest of an empty body out. With a body
			// there has to be one.
			if c.optional || len(r.Body) == 0 && c.readsBody() {
				continue
			}
			return refuse(SignatureMalformed, "the token has no claim %s", c.name)
		}
		want, err := c.Append(nil, r, *p, c.params)
		if err != nil {
			return err
		}
		if kind == jsonNested || !hmac.Equal(want, []byte(text)) {
			return refuse(SignatureInvalid, "claim %s is not that of this request", c.name)
		}
	}
	return nil
}

func (t *Template) readsBody() bool {
	return t.hasPlaceholder(func(ph placeholder) bool { return ph.holds(Source{Kind: SourceBody}) })
}

// tokenLife is how long a token made by Sign is good for.
const tokenLife = 5 * time.Minute

// newToken makes the text that a token's signature is over: the claims of the
// scheme, those that stamp and ID are read from, and iat and exp.
func (s *Scheme) newToken(l *signatureLine, r *Request, p Parts) (Parts, error) {
	at := p.Timestamp
	format := formatUnix
	if s.spec.Timestamp != nil {
		format = s.spec.Timestamp.Format
	}
	issued, err := ParseStamp(at, format)
	if err != nil {
		return p, errors.New("the timestamp cannot be read again")
	}
	claims := []byte("{}")
	set := func(name, value string) {
		if err == nil {
			claims, err = sjson.SetBytes(claims, name, value)
		}
	}
	setNumber := func(name, value string) {
		if err == nil {
			claims, err = sjson.SetRawBytes(claims, name, []byte(value))
		}
	}
	// Verifiers of some senders demand an issuer and a token ID, whatever they
	// are; a claim line below takes their place.
	set("iss", "webhook-guard")
	set("jti", p.Nonce)
	setNumber("iat", FormatStamp(issued, formatUnix))
	setNumber("exp", FormatStamp(issued.Add(tokenLife), formatUnix))
	if t := s.spec.Timestamp; t != nil && t.Source.Kind == SourceClaim {
		if t.Format == formatRFC3339 {
			set(t.Source.Name, at)
		} else {
			setNumber(t.Source.Name, at)
		}
	}
	if len(s.spec.ID) == 1 && s.spec.ID[0].Kind == SourceClaim && p.ID != "" {
		set(s.spec.ID[0].Name, p.ID)
	}
	for i := range s.claims {
		text, renderErr := s.claims[i].Append(nil, r, p, s.claims[i].params)
		if renderErr != nil {
			return p, renderErr
		}
		set(s.claims[i].name, string(text))
	}
	if err != nil {
		return p, errors.New("a claim cannot be written")
	}
	header := `{"alg":"` + algorithms[l.algorithm].jwt + `","typ":"JWT"}`
	encode := tokenEncoding.bare.EncodeToString
	p.claims, p.token = string(claims), encode([]byte(header))+"."+encode(claims)
	return p, nil
}
