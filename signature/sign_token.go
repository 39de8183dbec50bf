package signature

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/tidwall/sjson"
)

// tokenLife is how long a token made by Sign is valid.
const tokenLife = 5 * time.Minute

// newToken makes the text that a token's signature is over: the claims of the
// scheme, those that stamp and ID are read from, and iat and exp. A public key's token
// names the key.
func newToken(s *Scheme, l *signatureLine, key *Key, r *Request, p Parts) (Parts, error) {
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
	// Verifiers of some senders require an issuer and a token ID with any value.
	// A claim line below overrides them.
	set("iss", "webhook-guard")
	set("jti", p.Nonce)
	setNumber("iat", FormatStamp(issued, formatUnix))
	t := s.spec.Timestamp
	// Retries repeat a token whose stamp is the event's for as long as they last. One that
	// says when it begins to be valid says when it ceases to be, too.
	if t == nil || !t.PerEvent || t.Source.Name == "nbf" {
		setNumber("exp", FormatStamp(issued.Add(tokenLife), formatUnix))
	}
	if t != nil && t.Source.Kind == SourceClaim {
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
		spec := s.claims[i].spec
		if spec.Prefix || spec.NotPrefix || spec.WithBody && len(r.Body) == 0 {
			continue // MessageBird's verifier refuses a digest of nothing
		}
		text, renderErr := s.claims[i].Append(nil, r, p, s.claims[i].params)
		if renderErr != nil {
			return p, renderErr
		}
		set(spec.Name, string(text))
	}
	if err != nil {
		return p, errors.New("a claim cannot be written")
	}
	header := `{"alg":"` + algorithms[l.algorithm].jwt + `","typ":"JWT"`
	if name := key.name(); name != "" {
		header += `,"kid":"` + name + `"` // in base64url: there is nothing to escape
	}
	if key.brings != nil {
		certificates, marshalErr := json.Marshal(key.brings)
		if marshalErr != nil {
			return p, marshalErr
		}
		header += `,"x5c":` + string(certificates)
	}
	header += "}"
	encode := tokenEncoding.bare.EncodeToString
	p.claims, p.token = string(claims), encode([]byte(header))+"."+encode(claims)
	return p, nil
}
